"""The other verbs on the device: each reads what the ones before it wrote."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pretended.verb import Ended, call

Advgan = Callable[..., Ended]
SMALL_FIT = ["fit", "--model", "cnn", "--epochs", "1", "--set", "network.width=4"]
DEFENSES = {"none": [], "fgsm": ["--eps", "0.1"], "pgd": ["--eps", "0.1", "--steps", "2"]}


def check(ended: Ended) -> None:
    assert ended.code == 0, ended.words
    assert not ended.failures


@pytest.mark.parametrize("defense", DEFENSES)
def test_fit_with_each_defense(defense: str, advgan: Advgan) -> None:
    ended = advgan(*SMALL_FIT, "--defense", defense, *DEFENSES[defense], "-vv")
    check(ended)
    expected = {"clean_accuracy"} if defense == "none" else {"clean_accuracy", "robust_accuracy"}
    assert expected <= {row["metric"] for row in ended.scores}


def test_fit_another_way(advgan: Advgan) -> None:
    options = ["precision=bfloat16", "augmentation=shift-flip", "average_decay=0.9", "optimizer=sgd"]
    check(advgan(*SMALL_FIT, *(word for option in options for word in ("--set", f"training.{option}")), "-vv"))


def test_a_fit_goes_on_on_the_device(advgan: Advgan, tmp_path: Path) -> None:
    check(advgan(*SMALL_FIT, "--out", "fit"))
    check(advgan("fit", "--resume", "fit", "-vv"))


def test_eval_of_a_gan_with_all_metrics(advgan: Advgan, gan: str) -> None:
    ended = advgan("eval", gan, "--metrics", "all", "-n", "40", "--num-real", "100", "-vv")
    check(ended)
    assert "cpu has no CUDA graphs" not in ended.words, "classifiers that tell the use of images learn on the CPU"


def test_eval_of_a_folder_with_all_metrics(advgan: Advgan, gan: str, tmp_path: Path) -> None:
    check(advgan("sample", "--ckpt", gan, "-n", "40", "--out", "drawn"))
    check(
        advgan("eval", "drawn/images", "--data", "digits", "--metrics", "all", "-n", "40", "--num-real", "100", "-vv")
    )


def test_eval_of_points(advgan: Advgan, shop: Path) -> None:
    if not (shop / "ring").is_dir():
        options = ["--set", "data.count=300", "--set", "log_every=3", "--set", "evaluate_every=3", "-n", "100"]
        check(call(shop, "train", "--preset", "ring", "--steps", "3", *options, "--out", "ring"))
    check(advgan("eval", str(shop / "ring"), "-n", "100", "--num-real", "200", "-vv"))


def test_eval_of_a_pyramid_with_all_metrics(advgan: Advgan, shop: Path) -> None:
    options = ["--set", "log_every=3", "--set", "evaluate_every=3", "--set", "networks.width=4", "-n", "40"]
    check(advgan("train", "--preset", "lapgan", "--steps", "3", "-b", "8", *options, "--out", "lapgan"))
    check(advgan("eval", "lapgan", "--metrics", "all", "-n", "40", "--num-real", "100", "-vv"))


def test_a_run_that_was_recorded_is_read_where_there_are_no_graphs(advgan: Advgan, shop: Path) -> None:
    options = ["--steps", "8", "-n", "40", "--set", "log_every=4", "--set", "evaluate_every=4", "--out", "gan"]
    check(advgan("train", "--preset", "digits", "--set", "training.cuda_graphs=true", *options))
    check(advgan("sample", "--ckpt", "gan", "-n", "4", "--device", "cpu", "-vv"))
    check(advgan("export", "--ckpt", "gan", "--device", "cpu", "-vv"))


def test_eval_of_two_gans_against_each_other(advgan: Advgan, gan: str) -> None:
    check(advgan("eval", gan, gan, "--compare", "-n", "40", "--num-real", "100", "-vv"))


@pytest.mark.parametrize(
    "more",
    [
        ["--truncation", "0.7"],
        ["--grid", "class"],
        ["--label", "3"],
        ["--indices", "3,7,20-25"],
        ["--interpolate", "slerp", "--steps", "3"],
        ["--traverse", "0", "--steps", "3"],
        ["--reject"],
    ],
    ids=lambda more: more[0].strip("-"),
)
def test_sample(more: list[str], advgan: Advgan, gan: str) -> None:
    check(advgan("sample", "--ckpt", gan, *([] if "--indices" in more else ["-n", "6"]), *more, "-vv"))


def test_sample_by_arithmetic_of_classes(advgan: Advgan, classifier: str) -> None:
    options = ["--steps", "150", "-n", "40", "--set", "evaluate_every=150", "--out", "plain"]
    check(advgan("train", "--preset", "digits", "--unconditional", *options))
    check(advgan("sample", "--ckpt", "plain", "-n", "300", "--arithmetic", "7 - 1 + 0", "-m", classifier, "-vv"))


def test_augment_and_learn_from_it(advgan: Advgan, gan: str, classifier: str) -> None:
    options = ["--attack", "pgd", "--eps", "0.1", "--steps", "2", "--num-adversarial", "20", "--num-generated", "20"]
    options += ["--min-confidence", "0.1"]
    check(advgan("augment", "-m", classifier, "--ckpt", gan, *options, "--out", "more", "-vv"))
    check(advgan(*SMALL_FIT, "--extra", "more/images", "-vv"))


@pytest.mark.parametrize("what", ["gan", "classifier"])
@pytest.mark.parametrize("form", ["safetensors", "pt2", "onnx", "fidelity"])
def test_export(what: str, form: str, advgan: Advgan, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(what)
    ended = advgan("export", "--ckpt", run, "--format", form, "-vv")
    if (what, form) == ("classifier", "fidelity"):
        assert ended.code == 2
        assert "fidelity" in ended.words
    else:
        check(ended)


def test_the_demo(advgan: Advgan, shop: Path) -> None:
    few = ["classifier_steps=20", "hardening_steps=20", "gan_steps=150", "num_samples=40"]
    check(advgan("demo", *(word for each in few for word in ("--set", each)), "-vv"))
