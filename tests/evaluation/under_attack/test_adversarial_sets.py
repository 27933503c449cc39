"""What stands in a saved adversarial set, and who can read it."""

import csv
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from advgan.config import DataConfig
from advgan.data import load_data
from attacks.random import normal, uniform
from evaluation.under_attack.adversarial_sets import (
    FORMATS,
    Batch,
    load_adversarial_set,
    outcome_batches,
    save_adversarial_set,
)
from evaluation.under_attack.outcomes import Clean, Outcome

COUNT = 60
ABOUT = {"attack": "pgd-linf-8/255", "eps": 8 / 255, "seed": 3, "model": "cnn c0ffee", "data": "digits/test 91abf0"}
CLASSES = ("cat", "dog", "ship/boat")


def numbers() -> Tensor:
    return torch.arange(500, 500 + COUNT)


def pictures(channels: int = 3) -> tuple[Tensor, Tensor]:
    """Clean images on the grid of 8 bits, and adversarial ones between its points."""
    clean = (uniform(1, numbers(), (channels, 8, 8)) * 255).round() / 255
    return clean, (clean + 0.02 * normal(2, numbers(), (channels, 8, 8))).clamp(0, 1)


@pytest.fixture
def batches() -> Callable[..., Iterator[Batch]]:
    def build(*, channels: int = 3, size: int = 16) -> Iterator[Batch]:
        clean, adversarial = pictures(channels)
        labels = torch.arange(COUNT) % 3
        for rows in torch.arange(COUNT).split(size):
            yield Batch(
                numbers()[rows],
                labels[rows],
                clean[rows],
                adversarial[rows],
                labels[rows],
                (labels[rows] + 1) % 3,
                labels[rows],
            )

    return build


@pytest.mark.parametrize("channels", [1, 3])
def test_an_npz_gives_back_every_float_and_what_is_known(channels, batches, tmp_path) -> None:
    path = save_adversarial_set(tmp_path / "new" / "set.npz", batches(channels=channels), ABOUT, classes=CLASSES)
    tensors, about = load_adversarial_set(path)
    clean, adversarial = pictures(channels)
    assert torch.equal(tensors["images"], adversarial)
    assert torch.equal(tensors["clean_images"], clean)
    assert torch.equal(tensors["labels"], torch.arange(COUNT) % 3)
    assert torch.equal(tensors["indices"], numbers())
    assert torch.equal(tensors["predictions_after"], (torch.arange(COUNT) + 1) % 3)
    assert {**about, "version": "", "format": ""} == {**ABOUT, "version": "", "format": ""}
    assert about["version"]
    with np.load(path, allow_pickle=False) as file:
        assert file["images"].shape == (COUNT, 8, 8, channels)
        assert file["images"].dtype == np.float32


@pytest.mark.parametrize("form", ["npz", "torchattacks", "png"])
def test_a_set_is_data_again(form, batches, tmp_path) -> None:
    name = {"npz": "set.npz", "torchattacks": "set.pt", "png": "set"}[form]
    path = save_adversarial_set(tmp_path / name, batches(), ABOUT, form=form, classes=("0", "1", "2"))
    data = load_data(DataConfig(source=str(path)), cache=tmp_path / "cache")
    assert data.num_classes == 3
    found = torch.cat([part.images for part in (data.train, data.validation, data.test)])
    expected = (pictures()[1] * 255).round().to(torch.uint8)
    assert sorted(map(bytes, found.flatten(1).numpy())) == sorted(map(bytes, expected.flatten(1).numpy()))


def test_pictures_lie_by_class_and_the_table_says_what_became_of_each(batches, tmp_path) -> None:
    path = save_adversarial_set(tmp_path / "set", batches(), ABOUT, form="png", classes=CLASSES)
    assert sorted(folder.name for folder in path.iterdir() if folder.is_dir()) == ["cat", "dog", "ship_boat"]
    rows = list(csv.DictReader((path / "metadata.csv").read_text(encoding="utf-8").splitlines()))
    clean, adversarial = pictures()
    assert len(rows) == COUNT == len(list(path.glob("*/*.png")))
    row = rows[4]
    assert row["file"] == "dog/000504.png"
    assert (row["index"], row["label"], row["prediction_before"], row["prediction_after"]) == ("504", "1", "1", "2")
    assert (row["prediction_after_8bit"], row["attack"], row["seed"]) == ("1", ABOUT["attack"], "3")
    assert float(row["linf"]) == pytest.approx((adversarial[4] - clean[4]).abs().max().item(), rel=1e-5)
    assert float(row["l2"]) == pytest.approx((adversarial[4] - clean[4]).norm().item(), rel=1e-5)
    written = torch.from_numpy(np.array(Image.open(path / row["file"]))).permute(2, 0, 1) / 255
    assert (written - adversarial[4]).abs().max() <= 0.5 / 255 + 1e-6
    assert float(row["l2_8bit"]) == pytest.approx((written - clean[4]).norm().item(), rel=1e-4)
    assert json.loads((path / "metadata.json").read_text())["data"] == ABOUT["data"]


def test_torchattacks_finds_its_keys_and_no_code(batches, tmp_path) -> None:
    path = save_adversarial_set(tmp_path / "set.pt", batches(), ABOUT, form="torchattacks")
    content = torch.load(path, weights_only=True)
    clean, adversarial = pictures()
    assert content["save_type"] == "float"
    assert torch.equal(content["adv_inputs"], adversarial)
    assert torch.equal(content["clean_inputs"], clean)
    assert torch.equal(content["labels"], torch.arange(COUNT) % 3)
    assert torch.equal(content["preds"], (torch.arange(COUNT) + 1) % 3)
    assert json.loads(content["metadata"])["model"] == ABOUT["model"]


def test_autoattack_finds_its_tensor(batches, tmp_path) -> None:
    path = save_adversarial_set(tmp_path / "set.pth", batches(), ABOUT, form="autoattack")
    content = torch.load(path, weights_only=True)
    assert list(content) == ["adv_complete"]
    assert torch.equal(content["adv_complete"], pictures()[1])


@pytest.mark.parametrize("form", FORMATS)
def test_the_size_of_batches_changes_nothing(form, batches, tmp_path) -> None:
    paths = [save_adversarial_set(tmp_path / f"{size}", batches(size=size), ABOUT, form=form) for size in (1, 7, 60)]
    contents = []
    for path in paths:
        if path.is_dir():
            contents.append({file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()})
        elif form == "npz":
            contents.append({name: value.tobytes() for name, value in np.load(path).items()})
        else:
            loaded = torch.load(path, weights_only=True)
            contents.append({k: v.numpy().tobytes() if isinstance(v, Tensor) else v for k, v in loaded.items()})
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("form", FORMATS)
def test_a_set_appears_whole_or_not_at_all(form, batches, tmp_path) -> None:
    def interrupted() -> Iterator[Batch]:
        yield next(batches())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_adversarial_set(tmp_path / "set", interrupted(), ABOUT, form=form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_set_that_is_there_is_left_alone(form, batches, tmp_path) -> None:
    (tmp_path / "set").write_text("mine")
    with pytest.raises(ValueError, match="set exists already; choose another name or delete it"):
        save_adversarial_set(tmp_path / "set", batches(), ABOUT, form=form)
    assert (tmp_path / "set").read_text() == "mine"


def test_what_cannot_be_saved_is_refused(batches, tmp_path) -> None:
    with pytest.raises(ValueError, match="unknown format 'jpg': choose from png, npz, torchattacks, autoattack"):
        save_adversarial_set(tmp_path / "set", batches(), ABOUT, form="jpg")
    for form in FORMATS:
        with pytest.raises(ValueError, match="there are no adversarial images to save"):
            save_adversarial_set(tmp_path / "set", iter(()), ABOUT, form=form)
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(ValueError, match="is no adversarial set"):
        load_adversarial_set(tmp_path / "other.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]


def test_only_one_batch_is_alive_at_a_time(batches, tmp_path) -> None:
    import weakref

    alive: list[weakref.ref[Tensor]] = []

    def watched() -> Iterator[Batch]:
        for batch in batches(size=5):
            assert sum(reference() is not None for reference in alive) <= 1
            fresh = batch._replace(adversarial=batch.adversarial.clone())
            alive.append(weakref.ref(fresh.adversarial))
            yield fresh

    for form in FORMATS:
        alive.clear()
        save_adversarial_set(tmp_path / form, watched(), ABOUT, form=form)
        assert len(alive) == 12


def test_an_outcome_becomes_batches() -> None:
    images, adversarial = pictures()
    logits = [normal(seed, numbers(), (3,)) for seed in (1, 2, 3)]
    clean = Clean(torch.arange(COUNT) % 3, logits[0])
    nothing = torch.zeros(COUNT, dtype=torch.int64)
    outcome = Outcome(
        clean=clean,
        attacked=clean.correct,
        adversarial=adversarial,
        logits=logits[1],
        logits_8bit=logits[2],
        linf=nothing.float(),
        l2=nothing.float(),
        forwards=nothing,
        backwards=nothing,
    )
    whole = list(outcome_batches(images, outcome, batch_size=25))
    assert [len(batch.labels) for batch in whole] == [25, 25, 10]
    joined = Batch(*(torch.cat(column) for column in zip(*whole, strict=True)))
    assert torch.equal(joined.clean, images)
    assert torch.equal(joined.adversarial, adversarial)
    assert torch.equal(joined.labels, clean.labels)
    assert torch.equal(joined.indices, torch.arange(COUNT))
    for answers, values in zip((joined.before, joined.after, joined.after_8bit), logits, strict=True):
        assert torch.equal(answers, values.argmax(dim=1))
    chosen = outcome_batches(images, outcome, indices=numbers(), batch_size=COUNT)
    assert torch.equal(next(chosen).indices, numbers())
