"""Kept features are the ones that would be made now, whatever changed in between."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attacks.random import uniform
from evaluation.features.features import Extractor
from evaluation.inputs import Source, open_source
from evaluation.seeing.feature_cache import FeatureCache, arithmetic, key_of
from evaluation.seeing.one_pass import look

IMAGES = uniform(0, torch.arange(20), (1, 4, 4))


def source(images: Tensor = IMAGES, **options: int) -> Source:
    found = open_source(images, **options)  # type: ignore[arg-type]
    assert isinstance(found, Source)
    return found


class Counting:
    """An extractor that counts the images it was shown, but for the 8 that every reading of the cache tries."""

    def __init__(self) -> None:
        self.seen, self.tried, self.scale = 0, 0, 1.0

    def extractor(self, name: str = "net", digest: str = "d1", protocol: str = "p", rounds: bool = True) -> Extractor:
        return Extractor(name, digest, self.look, protocol, rounds)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if len(images) == 8:
            self.tried += 8
        else:
            self.seen += len(images)
        return self.scale * images.flatten(1) / 3, images.flatten(1)[:, :2].double() / 7


def test_the_second_look_is_the_first_bit_for_bit(tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    first, second = (look(source(), [network.extractor()], cache=cache)[0] for _ in range(2))
    assert network.seen == 20
    assert torch.equal(first.features.values, second.features.values)
    assert torch.equal(first.features.probabilities, second.features.probabilities)
    assert replace(first.features, values=IMAGES, probabilities=IMAGES) == replace(
        second.features, values=IMAGES, probabilities=IMAGES
    )
    assert first.images is not None
    assert second.images is not None
    assert torch.equal(first.images, second.images)


def test_only_the_missing_extractor_looks(tmp_path: Path) -> None:
    cache, first, second = FeatureCache(tmp_path), Counting(), Counting()
    look(source(), [first.extractor("a")], cache=cache)
    samples = look(source(), [second.extractor("b"), first.extractor("a")], cache=cache)
    assert (first.seen, second.seen) == (20, 20)
    assert [sample.features.extractor for sample in samples] == ["b", "a"]


CHANGES: dict[str, Callable[[Source, Extractor], tuple[Source, Extractor, int, str]]] = {
    "images": lambda s, e: (source(IMAGES.flip(0)), e, 7, "cpu"),
    "one pixel": lambda s, e: (source(IMAGES.index_fill(0, torch.tensor([3]), 0.5)), e, 7, "cpu"),
    "rows": lambda s, e: (source(num_samples=15), e, 7, "cpu"),
    "weights": lambda s, e: (s, replace(e, digest="d2"), 7, "cpu"),
    "name": lambda s, e: (s, replace(e, name="other"), 7, "cpu"),
    "protocol": lambda s, e: (s, replace(e, protocol="resized"), 7, "cpu"),
    "rounding": lambda s, e: (s, replace(e, rounds=False), 7, "cpu"),
    "batch size": lambda s, e: (s, e, 9, "cpu"),
    "arithmetic": lambda s, e: (s, e, 7, "cuda"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_ingredient_is_another_entry(change: str, tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path, "cpu"), Counting()
    start, extractor = source(), network.extractor()
    look(start, [extractor], batch_size=7, cache=cache)
    other, changed, batch_size, device = CHANGES[change](start, extractor)
    assert key_of(start, extractor, batch_size=7, arithmetic="cpu") != key_of(
        other, changed, batch_size=batch_size, arithmetic=device
    )
    look(other, [changed], batch_size=batch_size, cache=FeatureCache(tmp_path, device))
    assert network.seen == 20 + other.count
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_of_another_seed_are_another_entry(tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    drawn = [look(source(num_samples=10, seed=seed), [network.extractor()], cache=cache)[0] for seed in (0, 1, 0)]
    assert network.seen == 20
    assert not torch.equal(drawn[0].features.values, drawn[1].features.values)
    assert torch.equal(drawn[0].features.values, drawn[2].features.values)


def test_the_name_and_the_place_of_images_do_not_matter(tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    for name in ("first", "second"):
        look(replace(source(), name=name), [network.extractor()], cache=cache)
    assert network.seen == 20


def test_a_confidence_is_not_kept(tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    look(source(), [network.extractor()], cache=cache)
    found = look(source(), [replace(network.extractor(), confidence=0.5)], cache=cache)[0]
    assert (network.seen, found.features.confidence) == (20, 0.5)


@pytest.mark.parametrize("scale", [1.001, 0.5, float("nan")])
def test_other_code_with_the_same_weights_is_noticed(
    scale: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    look(source(), [network.extractor()], cache=cache)
    network.scale = scale
    found = look(source(), [network.extractor()], cache=cache)[0]
    assert "net d1 gives other features than it gave: they are made anew" in caplog.text
    assert (network.seen, network.tried) == (40, 8)
    assert found.images is not None
    expected = scale * found.images.flatten(1).float() / 255 / 3
    torch.testing.assert_close(found.features.values, expected, equal_nan=True)


def test_features_of_another_width_are_noticed(tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    look(source(), [network.extractor()], cache=cache)
    wide = replace(network.extractor(), function=lambda images: (images.flatten(1).repeat(1, 2), images.flatten(1)))
    assert look(source(), [wide], cache=cache)[0].features.values.shape == (20, 32)


@pytest.mark.parametrize("missing", ["weights", "generator"])
def test_nothing_is_kept_of_what_has_no_name(missing: str, tmp_path: Path) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    extractor = network.extractor(digest="" if missing == "weights" else "d1")
    images = open_source(lambda indices, seed: IMAGES[indices], num_samples=20) if missing == "generator" else source()
    assert isinstance(images, Source)
    for _ in range(2):
        look(images, [extractor], cache=cache)
    assert network.seen == 40
    assert not list(tmp_path.iterdir())


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit in the middle of the tensors."""
    middle = len(content) - 200
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def other_entry(content: bytes) -> bytes:
    """An honest file of other weights of the same length, put there under this name."""
    return content.replace(b"d1", b"d9")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": half,
    "a bit": flipped,
    "empty": lambda content: b"",
    "moved": other_entry,
    "pickle": lambda content: b"\x80",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_named_and_made_anew(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache, network = FeatureCache(tmp_path), Counting()
    first = look(source(), [network.extractor()], cache=cache)[0]
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    assert DAMAGES[damage](good) != good
    file.write_bytes(DAMAGES[damage](good))
    with caplog.at_level(logging.WARNING):
        again = look(source(), [network.extractor()], cache=cache)[0]
    assert str(file) in caplog.text
    assert "made anew" in caplog.text
    assert network.seen == 40
    assert torch.equal(first.features.values, again.features.values)
    look(source(), [network.extractor()], cache=cache)
    assert network.seen == 40, "it was not written again"


def test_a_cache_that_cannot_be_written_is_said_and_no_reason_to_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    network = Counting()
    samples = look(source(), [network.extractor()], cache=FeatureCache(tmp_path / "file" / "features"))
    assert len(samples) == 1
    assert "features are not kept: cannot write" in caplog.text


def test_arithmetic_names_what_decides_the_last_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = arithmetic()
    assert arithmetic("cuda:1") != usual
    monkeypatch.setattr(torch, "get_default_dtype", lambda: torch.float64)
    assert arithmetic() != usual
    monkeypatch.undo()
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert arithmetic() != usual


def test_the_cache_lies_where_the_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path))
    assert FeatureCache().folder == tmp_path / "features"
