"""Replayed passes do what the passes as they are written do: everything that the host decides is in the recording.

What holds for every recipe is in test_gan_recipes.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.cuda_graphs import CudaGraphs
from advgan.data import ImageSet, load_data
from advgan.gan_state import State, start
from advgan.recording import PRACTICE
from advgan.training import Step, train

FAMILIES: dict[str, dict[str, Any]] = {
    "mlp": {},
    "sngan": {"conditional": True},
    "biggan": {"conditional": True},
    "r3gan": {"width": 16},
    "lapgan": {},
    "infogan": {"categorical": 3, "continuous": 1},
}


def images() -> ImageSet:
    return load_data(DataConfig(source="digits")).train


def begin(training: GanTraining, *, device: str = "cpu", **networks: Any) -> State:
    small = GanNetworks.model_validate({"family": "dcgan", "width": 4, "latent_dim": 6} | networks)
    return start(small, training, size=8, channels=1, num_classes=10, device=device)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_that_keeps_its_shapes_is_replayed_exactly(family: str, taped: Callable[[], Any]) -> None:
    training = GanTraining(steps=PRACTICE + 3, batch_size=8, discriminator_steps=2)
    direct = begin(training, family=family, **FAMILIES[family])
    steps = list(train(direct, images(), training))
    recorder, replayed = taped(), begin(training, family=family, **FAMILIES[family])
    assert list(train(replayed, images(), training)) == steps
    for mine, theirs in zip(replayed.average.parameters(), direct.average.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert recorder.recorded == 3  # passes whose images keep their graph, others, and the generator's
    assert recorder.replayed == 3 * 2  # in the two steps after those of practice and of recording


def test_a_tape_repeats_what_the_host_decided(taped: Callable[[], Any]) -> None:
    given, factor = torch.ones(3), 2.0
    result, again = taped().record(lambda: (given * factor).cumsum(0))
    factor = 5.0
    given.fill_(3.0)
    again()
    assert result.tolist() == [6.0, 12.0, 18.0]


def test_measurements_of_a_step_are_not_overwritten_by_the_next(taped: Callable[[], Any]) -> None:
    taped()
    training = GanTraining(steps=PRACTICE + 4, batch_size=8, lecam=0.3)
    state = begin(training)
    steps: list[Step] = []
    losses = []
    for step in train(state, images(), training):
        steps.append(step)
        losses.append(float(step.discriminator_loss))
    assert [float(step.discriminator_loss) for step in steps] == losses
    assert len(set(losses)) == len(losses)


@pytest.mark.parametrize(
    ("networks", "training", "device", "message"),
    [
        ({}, {}, "cpu", "cuda_graphs true: --device cpu has no CUDA graphs"),
        ({"family": "progressive"}, {}, "cuda", "progressive grows"),
        ({}, {"accumulation": 2}, "cuda", "accumulation 2 adds up"),
        ({"synchronised": True}, {}, "cuda", "synchronised waits"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    networks: dict[str, Any], training: dict[str, Any], device: str, message: str
) -> None:
    recipe = GanTraining.model_validate({"cuda_graphs": True} | training)
    with pytest.raises(ValueError, match=message):
        begin(recipe, device=device, **networks)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> tuple[CudaGraphs, list[str]]:
    """A recorder on a device that only notes what it is asked for."""
    notes: list[str] = []

    class Graph:
        def replay(self) -> None:
            notes.append("replay")

    @contextmanager
    def capture(graph: Graph, **options: Any) -> Iterator[None]:
        notes.append("capture")
        yield

    for name, made in (("Stream", lambda device: None), ("CUDAGraph", Graph), ("graph", capture)):
        monkeypatch.setattr(torch.cuda, name, made)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    return CudaGraphs(torch.device("cuda")), notes


def test_a_recording_runs_once_when_it_is_made(graphs: tuple[CudaGraphs, list[str]]) -> None:
    recorder, notes = graphs
    result, again = recorder.record(lambda: "left")
    assert (result, notes) == ("left", ["capture", "replay"])
    again()
    assert notes == ["capture", "replay", "replay"]


def test_work_that_waits_for_the_device_is_refused_in_one_line(graphs: tuple[CudaGraphs, list[str]]) -> None:
    def waiting() -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nand a page of advice")

    with pytest.raises(ValueError, match=r"cuda_graphs true: .*\(operation .* capturing\); set it to false"):
        graphs[0].record(waiting)
