"""`advgan attack` on the device, with every attack there is, its panels and its questions included."""

from collections.abc import Callable

import pytest

from attacks import TABLE
from measured.verbs import FOOLBOX, attack_options
from pretended.verb import Ended

Advgan = Callable[..., Ended]
CORRUPTIONS = [name for name, entry in TABLE.items() if entry.knowledge == "none" and entry.aim == "free"]
SINGLE = [name for name in TABLE if name not in CORRUPTIONS]


def check(ended: Ended) -> None:
    assert ended.code == 0, ended.words
    metrics = {row["metric"] for row in ended.scores}
    assert {"clean_accuracy", "robust_accuracy"} <= metrics
    assert not ended.failures


@pytest.mark.parametrize("name", SINGLE)
def test_an_attack(name: str, advgan: Advgan, classifier: str) -> None:
    check(advgan("attack", *attack_options(name), "-m", classifier, "-n", "12", "-vv"))


def test_every_corruption(advgan: Advgan, classifier: str) -> None:
    check(advgan("attack", *attack_options(",".join(CORRUPTIONS)), "-m", classifier, "-n", "12", "-vv"))


@pytest.mark.parametrize("name", FOOLBOX)
def test_an_attack_of_foolbox(name: str, advgan: Advgan, classifier: str) -> None:
    options = ["--attack", name, "--norm", FOOLBOX[name], "--set", "curve_points=0"]
    check(advgan("attack", *options, "-m", classifier, "-n", "12", "-vv"))


@pytest.mark.parametrize(
    "more",
    [
        ["apgd-ce,apgd-t,fab-t,square", "--cascade", "--set", "chunk_size=8"],
        ["pgd,uniform", "--eps", "0.1,0.2", "--targeted"],
        ["pgd,fgsm", "--set", "precision=bfloat16"],
        ["pgd", "--set", "channels_last=true", "--save", "png,npz,torchattacks,autoattack"],
        ["pgd", "-b", "auto", "--restarts", "2"],
    ],
    ids=["cascade", "targeted", "bfloat16", "saved", "auto"],
)
def test_an_attack_another_way(more: list[str], advgan: Advgan, classifier: str) -> None:
    names, *others = more
    check(advgan("attack", *attack_options(names), *others, "-m", classifier, "-n", "20", "-vv"))
