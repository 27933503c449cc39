"""Every kind of images that people have, and what each verb makes of it: it takes it, or says in words why not."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

SIDE = 8
PIXELS = np.random.default_rng(0).integers(0, 256, (60, SIDE, SIDE), dtype=np.uint8)
LABELS = np.arange(60) % 2
KINDS = np.array(["cat", "dog"])[LABELS]
VERBS: dict[str, list[str]] = {
    "train": ["train", "--family", "mlp", "-b", "8", "--data"],
    "fit": ["fit", "--data"],
    "attack": ["attack", "--model", "cnn", "--attack", "fgsm", "--data"],
    "augment": ["augment", "--model", "cnn", "--data"],
    "eval --data": ["eval", "own.npz", "--metrics", "fidelity", "--data"],
    "eval --reference": ["eval", "own.npz", "--metrics", "fidelity", "--features", "pixels", "--reference"],
    "eval": ["eval", "--reference", "own.npz", "--metrics", "fidelity", "--features", "pixels"],
}
CLASSES = ("fit", "attack", "augment")
"""The verbs that need classes."""
LEARN = ("train", "fit", "augment")
"""The verbs that need training images."""
NEED = {
    "fit": "advgan fit learns to tell classes apart",
    "attack": "advgan attack counts the images that leave their class",
    "augment": "advgan augment writes a folder of images for each class",
}


class Kind(NamedTuple):
    """A kind of input: how it is made in the working folder, what it is called, and who refuses it with which words."""

    name: str
    make: Callable[[], object]
    source: str
    refused: Mapping[str, str] = {}


def picture(path: str, number: int) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS[number]).save(path)


def classes(folder: str, numbers: Sequence[int] = range(60)) -> None:
    for number in numbers:
        picture(f"{folder}/{KINDS[number]}/{number}.png", number)


def flat(folder: str, numbers: Sequence[int] = range(60)) -> None:
    for number in numbers:
        picture(f"{folder}/{number}.png", number)


def table(path: str, columns: str, row: str) -> None:
    rows = [row.format(number=number, kind=KINDS[number]) for number in range(60)]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join([columns, *rows]))


def splits(make: Callable[[str, Sequence[int]], None], *names: str) -> None:
    each = 60 // len(names)
    for place, name in enumerate(names):
        make(f"set/{name}", range(place * each, place * each + each))


def zipped() -> None:
    classes("set")
    with zipfile.ZipFile("set.zip", "w") as archive:
        for path in sorted(Path("set").rglob("*.png")):
            archive.write(path)


def npz(**arrays: object) -> None:
    np.savez("set.npz", **arrays)


def with_table(columns: str, row: str, name: str = "set/labels.csv") -> Callable[[], None]:
    def make() -> None:
        flat("set")
        table(name, columns, row)

    return make


def hugging_face(*names: str, classes: bool = True) -> Any:
    """Splits as the library datasets has them; skips where it is missing."""
    library = pytest.importorskip("datasets", reason="the extra hf is not installed")
    library.disable_progress_bars()
    each = 60 // len(names)

    def rows(start: int) -> Any:
        numbers = range(start, start + each)
        columns: dict[str, Any] = {"image": [Image.fromarray(PIXELS[number]) for number in numbers]}
        if classes:
            columns["label"] = [str(KINDS[number]) for number in numbers]
        return library.Dataset.from_dict(columns).cast_column("image", library.Image())

    return library.DatasetDict({name: rows(place * each) for place, name in enumerate(names)})


def parquet() -> None:
    Path("set/data").mkdir(parents=True)
    for name, part in hugging_face("train", "test").items():
        part.to_parquet(f"set/data/{name}-00000-of-00001.parquet")


UNLABELLED = {verb: NEED[verb] for verb in CLASSES}
ALONE = dict.fromkeys(LEARN, "no train split")
KINDS_OF_INPUT = [
    # Folders.
    Kind("class folders", lambda: classes("set"), "set"),
    Kind("train and test", lambda: splits(classes, "train", "test"), "set"),
    Kind("train and val", lambda: splits(classes, "train", "val"), "set"),
    Kind("train, val and test", lambda: splits(classes, "train", "val", "test"), "set"),
    Kind("train alone", lambda: classes("set/train"), "set"),
    Kind("test alone", lambda: classes("set/test"), "set", ALONE),
    Kind("val alone", lambda: classes("set/val"), "set", ALONE),
    Kind("the test folder itself", lambda: classes("set/test"), "set/test"),
    Kind("a folder around the folders", lambda: classes("set/pets-1.0"), "set"),
    Kind("an archive", zipped, "set.zip"),
    Kind("one class", lambda: flat("set/faces"), "set", dict.fromkeys(CLASSES, "one class only (faces)")),
    Kind("flat", lambda: flat("set"), "set", UNLABELLED),
    Kind("flat splits", lambda: splits(flat, "train", "test"), "set", UNLABELLED),
    Kind("nothing", lambda: Path("set").mkdir(), "set", dict.fromkeys(VERBS, "holds no images")),
    Kind("training and testing", lambda: splits(classes, "training", "testing"), "set"),
    Kind(
        "a handful",
        lambda: classes("set", range(6)),
        "set",
        {"train": "batch_size 8 exceeds the 3 images of set: use 3 or fewer"},
    ),
    # A table of labels.
    Kind("a table without a header", with_table("0.png,cat", "{number}.png,{kind}"), "set"),
    Kind("a list", with_table("0.png cat", "{number}.png {kind}", "set/labels.txt"), "set"),
    Kind("file, label", with_table("file,label", "{number}.png,{kind}"), "set"),
    Kind("filename, class", with_table("filename,class", "{number}.png,{kind}"), "set"),
    Kind("image, target", with_table("image;target", "{number};{kind}"), "set"),
    Kind("path, category, split", with_table("path,category,split", "./{number}.png,{kind},train"), "set"),
    Kind("metadata.csv", with_table("file_name,label", "{number}.png,{kind}", "set/metadata.csv"), "set"),
    Kind(
        "a table above the images",
        lambda: (flat("set/images"), table("set/labels.tsv", "id\tlabel", "{number}\t{kind}")),
        "set",
    ),
    Kind(
        "a table that lacks images",
        lambda: (flat("set"), Path("set/labels.csv").write_text("file,label\n0.png,cat\n")),
        "set",
        dict.fromkeys(CLASSES, "labels.csv says nothing of 59 of 60 images"),
    ),
    Kind(
        "the table itself",
        with_table("file,label", "{number}.png,{kind}"),
        "set/labels.csv",
        {verb: "give the folder" for verb in VERBS if verb not in ("eval", "eval --reference")}
        | dict.fromkeys(["eval", "eval --reference"], "cannot be scored"),
    ),
    # Arrays.
    Kind("images and labels", lambda: npz(images=PIXELS, labels=LABELS), "set.npz"),
    Kind("arr_0 and arr_1", lambda: npz(arr_0=PIXELS[..., None], arr_1=LABELS), "set.npz"),
    Kind("arr_0 alone", lambda: npz(arr_0=PIXELS[..., None]), "set.npz", UNLABELLED),
    Kind(
        "x_train to y_test",
        lambda: npz(x_train=PIXELS[:40], y_train=LABELS[:40], x_test=PIXELS[40:], y_test=LABELS[40:]),
        "set.npz",
    ),
    Kind("x_test alone", lambda: npz(x_test=PIXELS, y_test=LABELS), "set.npz", ALONE),
    Kind("an array", lambda: np.save("set.npy", PIXELS), "set.npy", UNLABELLED),
    Kind("a tensor", lambda: torch.save(torch.from_numpy(PIXELS)[:, None], "set.pt"), "set.pt", UNLABELLED),
    Kind(
        "tensors",
        lambda: torch.save({"images": torch.from_numpy(PIXELS), "labels": torch.from_numpy(LABELS)}, "set.pt"),
        "set.pt",
    ),
    Kind("float images", lambda: npz(images=(PIXELS / 255).astype(np.float32), labels=LABELS), "set.npz"),
    # Hugging Face.
    Kind("saved to disk", lambda: hugging_face("train", "test").save_to_disk("set"), "set"),
    Kind("one saved split", lambda: hugging_face("train")["train"].save_to_disk("set"), "set"),
    Kind("saved without labels", lambda: hugging_face("train", classes=False).save_to_disk("set"), "set", UNLABELLED),
    Kind("a saved test split", lambda: hugging_face("test").save_to_disk("set"), "set", ALONE),
    Kind("parquet", parquet, "set"),
    Kind("a parquet file", parquet, "set/data/train-00000-of-00001.parquet"),
    Kind("no name of the hub", lambda: None, "hf:a/b/c", dict.fromkeys(VERBS, "")),
    # Names.
    Kind("the embedded digits", lambda: None, "digits"),
    Kind("a name that nobody knows", lambda: None, "nowhere", dict.fromkeys(VERBS, "nowhere")),
]


@pytest.fixture
def advgan(advgan: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    np.savez("own.npz", images=PIXELS[:30])
    return lambda *arguments: advgan(*arguments, "-q")


Advgan = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("kind", KINDS_OF_INPUT, ids=lambda kind: kind.name)
def test_each_verb_takes_it_or_says_why_not(kind: Kind, advgan: Advgan) -> None:
    kind.make()
    for verb, command in VERBS.items():
        code, out, err = advgan(*command, kind.source, "--dry-run")
        wanted = kind.refused.get(verb)
        if wanted is None:
            assert (code, err) == (0, ""), verb
            assert out, verb
        else:
            assert code in (1, 2), verb
            assert err.startswith("Error: "), verb
            assert err.count("\n") == 1, verb
            assert wanted in err, verb


def test_the_table_is_long_enough() -> None:
    assert len(KINDS_OF_INPUT) >= 30


TINY = [
    *["--family", "mlp", "--set", "networks.width=8", "--steps", "4", "-b", "8", "-n", "40"],
    *["--set", "log_every=2", "--set", "evaluate_every=2"],
]


ONCE = ["--set", "log_every=4", "--set", "evaluate_every=4"]
"""Looked at once, at its end."""


def test_a_gan_of_images_without_classes_is_trained_scored_drawn_from_and_exported(advgan: Advgan) -> None:
    flat("set")
    classes("pets")
    assert advgan("train", "--data", "set", *TINY, "--out", "gan")[::2] == (0, "")
    code, out, err = advgan("eval", "--ckpt", "gan", "-n", "40", "--json")
    assert (code, err) == (0, "")
    metrics = {score["metric"] for score in json.loads(out)["scores"]}
    assert {"fd[random]", "fd_floor[random]", "precision", "train_held_out_separation"} <= metrics
    assert not {name for name in metrics if name.startswith(("mode", "label_agreement", "probe", "class_accuracy"))}
    assert advgan("sample", "--ckpt", "gan", "-n", "6", "--out", "drawn")[::2] == (0, "")
    assert len(list(Path("drawn/images").rglob("*.png"))) == 6
    assert advgan("export", "--ckpt", "gan", "--out", "exported")[::2] == (0, "")
    Path("net.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))\n")
    augment = ["augment", "--model", "net.py:net", "--data", "pets", "--ckpt", "gan", "--attack", "fgsm"]
    code, _, err = advgan(*augment, "--num-adversarial", "4", "--num-generated", "6", "--out", "more")
    assert code == 0, err
    drawn = {path.parent.name for path in Path("more/images").rglob("generated-*.png")}
    assert drawn
    assert drawn <= {"cat", "dog"}, "what it draws is named by the classifier"
    code, _, err = advgan("train", "--data", "set", *TINY, "--conditional")
    assert code != 0
    assert "--unconditional" in err
    assert advgan("train", "--data", "set", *TINY, "--conditional", "--unconditional", "--dry-run")[0] == 0


def test_a_conditional_discriminator_is_asked_for_no_class_that_nobody_knows(advgan: Advgan) -> None:
    classes("pets")
    flat("set")
    train = ["train", "--data", "pets", *TINY, *ONCE, "--conditional", "--features", "random"]
    assert advgan(*train, "--out", "gan")[0] == 0
    code, _, err = advgan("eval", "--ckpt", "gan", "--data", "set", "-n", "40")
    assert code != 0
    assert "class-conditional" in err
    assert "--reference" in err
    advice = ["--reference", "set", "--features", "random"]
    assert advgan("eval", "--ckpt", "gan", *advice, "-n", "40")[::2] == (0, "")


def test_one_split_alone_is_attacked_as_a_whole(advgan: Advgan) -> None:
    flat("set/test")
    table("set/test/labels.csv", "file,label", "{number}.png,{kind}")
    Path("net.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))\n")
    code, out, err = advgan(
        *["attack", "--model", "net.py:net", "--data", "set", "--attack", "fgsm", "--eps", "0.1", "--json"],
        *["--set", "curve_points=0", "--set", "probes=0"],
    )
    assert (code, err) == (0, "")
    assert {score["samples"] for score in json.loads(out)["scores"] if score["metric"] == "clean_accuracy"} == {60}
