"""Each image is made once and seen once by each extractor, in one process or in two."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.processes import Processes, joined
from advgan.ranges import to_bytes, to_unit
from attacks import Classifier
from attacks.random import normal, uniform
from evaluation.features.features import Extractor, classifier_extractor, extract
from evaluation.features.moments import Moments
from evaluation.inputs import Source, open_source
from evaluation.seeing.collectors import RunningMoments
from evaluation.seeing.feature_cache import FeatureCache
from evaluation.seeing.one_pass import look, stream

COUNT = 23


def draw(indices: Tensor, seed: int) -> Tensor:
    return uniform(seed, indices, (1, 4, 4))


def source(spec: Any = draw, **options: Any) -> Source:
    found = open_source(spec, num_samples=COUNT, seed=1, **options)
    assert isinstance(found, Source)
    return found


class Spy:
    """An extractor that remembers what it was shown."""

    def __init__(self, name: str, *, rounds: bool = True) -> None:
        self.name, self.rounds, self.shown = name, rounds, list[Tensor]()

    def extractor(self) -> Extractor:
        return Extractor(self.name, f"{self.name}-1", self.look, f"protocol of {self.name}", self.rounds, 0.25)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.shown.append(images)
        return images.flatten(1), images.flatten(1)[:, :3].double()


def network() -> Extractor:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
    return classifier_extractor(Classifier(layers, name="small"))


def test_the_generator_runs_once_and_each_extractor_sees_each_image_once() -> None:
    drawn, heard, opened = list[int](), list[int](), False

    def counting(indices: Tensor, seed: int) -> Tensor:
        if opened:
            drawn.extend(indices.tolist())
        return draw(indices, seed)

    generator, spies = source(counting), [Spy("a"), Spy("b"), Spy("c")]
    opened = True
    samples = look(generator, [spy.extractor() for spy in spies], batch_size=5, advance=heard.append)
    assert drawn == list(range(COUNT))
    assert heard == [5, 5, 5, 5, 3]
    for spy, sample in zip(spies, samples, strict=True):
        assert [len(batch) for batch in spy.shown] == heard
        assert torch.equal(torch.cat(spy.shown), sample.features.values.view(-1, 1, 4, 4))
    assert all(first is second for first, second in zip(spies[0].shown, spies[1].shown, strict=True)), "rounded once"


def test_it_is_extract_for_many() -> None:
    extractor = network()
    alone = extract(extractor, draw(torch.arange(COUNT), 1), batch_size=5)
    (sample,) = look(source(), [extractor], batch_size=5)
    assert torch.equal(sample.features.values, alone.values)
    assert torch.equal(sample.features.probabilities, alone.probabilities)
    assert (sample.features.extractor, sample.features.digest) == (alone.extractor, alone.digest)
    assert (sample.features.protocol, sample.features.confidence) == (alone.protocol, alone.confidence)
    assert (sample.name, sample.digest, len(sample)) == ("draw", source().digest, COUNT)


def test_images_are_rounded_to_bytes_kept_and_may_be_left_out() -> None:
    (sample,) = look(source(), [Spy("a").extractor()])
    assert sample.images is not None
    assert torch.equal(sample.images, to_bytes(draw(torch.arange(COUNT), 1)))
    assert torch.equal(sample.features.values.view(-1, 1, 4, 4), to_unit(sample.images))
    assert look(source(), [Spy("a").extractor()], keep_images=False)[0].images is None
    assert look(source(), []) == []


def test_extractors_that_do_not_round_see_the_floats() -> None:
    rounding, exact = Spy("a"), Spy("b", rounds=False)
    look(source(), [rounding.extractor(), exact.extractor()])
    assert torch.equal(exact.shown[0], draw(torch.arange(COUNT), 1))
    assert torch.equal(rounding.shown[0], to_unit(to_bytes(exact.shown[0])))


def test_points_are_neither_rounded_nor_clipped() -> None:
    points = normal(0, torch.arange(COUNT), (2,))

    def drawn(indices: Tensor, seed: int) -> Tensor:
        return points[indices][:, :, None, None]

    (sample,) = look(source(drawn), [Spy("a", rounds=False).extractor()])
    assert torch.equal(sample.features.values, points)
    assert sample.images is not None
    assert torch.equal(sample.images.flatten(1), points)
    inside = points.sigmoid()[:, :, None, None]
    both = look(source(lambda i, seed: inside[i]), [Spy("a").extractor(), Spy("b", rounds=False).extractor()])
    assert both[0].images is not None
    assert torch.equal(both[0].images, inside)
    assert torch.equal(both[1].features.values, inside.flatten(1))
    assert torch.equal(both[0].features.values, to_unit(to_bytes(inside)).flatten(1))
    with pytest.raises(ValueError, match=r"drawn: the images run from .* floats must be finite and in \[0, 1\]"):
        look(source(drawn), [Spy("a").extractor()])


def test_labels_go_with_their_images() -> None:
    images, labels = draw(torch.arange(60), 1), torch.arange(60)
    (sample,) = look(source((images, labels)), [Spy("a").extractor()], batch_size=4)
    assert sample.labels is not None
    assert sample.images is not None
    assert torch.equal(to_bytes(images[sample.labels]), sample.images)


def test_moments_alone_are_those_of_the_features() -> None:
    passed = stream(source(), [network(), Spy("a").extractor()], lambda one: RunningMoments(), batch_size=4)
    samples = look(source(), [network(), Spy("a").extractor()], batch_size=4)
    for collector, seen in zip(passed.collected, samples, strict=True):
        whole = Moments.of(seen.features.values)
        assert collector.moments is not None
        assert collector.moments.count == COUNT
        torch.testing.assert_close(collector.moments.mean, whole.mean)
        torch.testing.assert_close(collector.moments.covariance(), whole.covariance())


def test_no_more_images_than_features_are_kept_themselves() -> None:
    """Their covariance would take more memory; one image more, and it takes less."""
    extractors = [Spy("a").extractor()]
    columns = look(source(), extractors)[0].features.values.shape[1]
    for count in (columns, columns + 1):
        images = draw(torch.arange(count), 1)
        passed = stream(source(images), extractors, lambda one: RunningMoments(), batch_size=4, batches_a_block=2)
        (kept,) = passed.collected
        values = look(source(images), extractors)[0].features.values
        assert (kept.count, kept.columns) == (count, columns)
        assert kept.few is None if count > columns else torch.equal(kept.few, values)
        expected = Moments.of(values[:4]) + Moments.of(values[4:8])
        for start in range(8, count, 8):
            expected += sum_of_moments(values[start : start + 8])
        assert torch.equal(kept.moments.scatter, expected.scatter), "and the moments are added up in the same order"


def sum_of_moments(rows: Tensor) -> Moments:
    first, *rest = (Moments.of(batch) for batch in rows.split(4))
    return sum(rest, start=first)


@dataclass
class Sums:
    """A running sum whose last bits tell the order of additions."""

    total: Tensor
    count: int = 0

    def add(self, values: Tensor, probabilities: Tensor) -> None:
        self.total = self.total + values.sum(0)
        self.count += len(values)

    def join(self, later: "Sums") -> "Sums":
        return Sums(self.total + later.total, self.count + later.count)

    def to(self, device: torch.device) -> "Sums":
        return Sums(self.total.to(device), self.count)


def sums(extractor: Extractor) -> Sums:
    return Sums(torch.zeros(16))


def test_a_stream_keeps_only_what_its_collectors_keep() -> None:
    passed = stream(source(), [network()], sums, batch_size=4, batches_a_block=2)
    features = look(source(), [network()], batch_size=4)[0].features.values
    assert passed.images is None
    assert passed.collected[0].count == COUNT
    torch.testing.assert_close(passed.collected[0].total, features.sum(0))
    assert not torch.equal(passed.collected[0].total, features.sum(0)), "this sum cannot tell one order from another"


def one_of_two(folder: str) -> None:
    """What each process that torchrun starts does."""
    torch.set_num_threads(1)
    with joined() as processes:
        shared = seen(processes, Path(folder))
        assert (shared is not None) == processes.is_first
        if shared is not None:
            torch.save(shared, Path(folder) / "shared.pt")


def seen(processes: Processes | None, folder: Path) -> dict[str, Tensor] | None:
    heard = list[int]()
    cache = FeatureCache(folder / ("alone" if processes is None else "shared"))
    extractors = [network(), Spy("a").extractor()]
    samples = look(source(), extractors, batch_size=4, processes=processes, advance=heard.append)
    assert sum(heard) == (COUNT if processes is None else (12, 11)[processes.rank])
    stored = source((draw(torch.arange(60), 2), torch.arange(60)))
    for _ in range(2):
        kept = look(stored, extractors, batch_size=4, processes=processes, cache=cache, keep_images=False)
    streamed = stream(source(), [network()], sums, batch_size=4, batches_a_block=2, processes=processes)
    moments = stream(
        source(), [network()], lambda one: RunningMoments(), batch_size=4, batches_a_block=2, processes=processes
    )
    if not samples:
        assert not kept
        assert not streamed.collected
        return None
    assert samples[0].images is not None
    assert kept[0].labels is not None
    return {
        "values": samples[0].features.values,
        "probabilities": samples[0].features.probabilities,
        "pixels": samples[1].features.values,
        "images": samples[0].images,
        "stored": kept[0].features.values,
        "labels": kept[0].labels,
        "sum": streamed.collected[0].total,
        "scatter": moments.collected[0].moments.scatter,
    }


def test_two_processes_give_the_bits_of_one(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([*launch, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    shared, alone = torch.load(tmp_path / "shared.pt"), seen(None, tmp_path)
    assert alone is not None
    assert shared.keys() == alone.keys()
    for name, value in alone.items():
        assert torch.equal(shared[name], value), name
    files = [sorted(file.name for file in (tmp_path / name).iterdir()) for name in ("shared", "alone")]
    assert files[0] == files[1]


if __name__ == "__main__":
    one_of_two(sys.argv[1])
