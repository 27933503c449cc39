"""Replayed passes do what the passes as they are written do: everything that the host decides is in the recording.

What holds for every recipe is in test_gan_recipes.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import ImageSet, load_data
from advgan.gan import training as loop
from advgan.gan.passes import DirectPasses
from advgan.gan.recording import RecordedPasses, passes_for
from advgan.gan.state import State, start
from advgan.gan.training import Step, train
from advgan.machine.cause import innermost
from advgan.machine.cuda_graphs import CudaGraphs
from advgan.machine.recorder import PRACTICE

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
    assert recorder.replayed == 3 * 3  # in the steps after those of practice


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


@pytest.mark.parametrize("recipe", [{"generator_batch": "fresh"}, {"accumulation": 4}])
def test_both_players_have_practised_what_is_recorded(
    recipe: dict[str, Any], taped: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries choose and load kernels when they first meet them, which no recording allows."""
    done: list[str] = []
    recorder, generate = taped(), DirectPasses.generate

    def noted(passes: DirectPasses, *given: Any) -> Any:
        done.append("generate" if not recorder.recorded else "recorded")
        return generate(passes, *given)

    monkeypatch.setattr(DirectPasses, "generate", noted)
    training = GanTraining.model_validate({"steps": 2 * PRACTICE, "batch_size": 8, "discriminator_steps": 5} | recipe)
    list(train(begin(training), images(), training))
    assert done.count("generate") >= PRACTICE
    assert "recorded" in done


OBSTACLES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({}, {}, "cpu", "--device cpu has no CUDA graphs"),
    ({"family": "progressive"}, {}, "cuda", "progressive grows"),
    ({"synchronised": True}, {}, "cuda", "synchronised waits"),
]


@pytest.mark.parametrize(("networks", "training", "device", "message"), OBSTACLES)
def test_what_cannot_be_recorded_is_refused_when_training_begins(
    networks: dict[str, Any], training: dict[str, Any], device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = GanTraining.model_validate({"cuda_graphs": True, "batch_size": 8} | training)
    state = begin(recipe, **networks)
    monkeypatch.setattr(State, "device", torch.device(device))
    with pytest.raises(ValueError, match=rf"cuda_graphs true: .*{message}.*; set it to auto"):
        next(train(state, images(), recipe))


@pytest.mark.parametrize(("networks", "training", "device", "message"), OBSTACLES)
def test_what_cannot_be_recorded_passes_directly_unless_that_is_refused(
    networks: dict[str, Any],
    training: dict[str, Any],
    device: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recipe = GanTraining.model_validate(training)
    state = begin(recipe, **networks)
    monkeypatch.setattr(State, "device", torch.device(device))
    with caplog.at_level("DEBUG", logger="advgan"):
        assert isinstance(passes_for(state, recipe), DirectPasses)
    assert message in caplog.text


class Failing:
    """Records by tape, and fails halfway through the work of one of the times, when everything else is done."""

    def __init__(self, recorder: Any, *, at: int) -> None:
        self.recorder, self.left = recorder, at

    def aside(self, work: Callable[[], Any]) -> Any:
        return self.recorder.aside(work)

    def record(self, work: Callable[[], Any]) -> Any:
        self.left -= 1
        return self.recorder.record(work if self.left >= 0 else lambda: fail(work()))


def fail(_: object) -> None:
    raise RuntimeError("operation not permitted when stream is capturing\nand a page of advice")


@pytest.mark.parametrize("at", range(5))
def test_a_recording_that_fails_leaves_no_trace(
    at: int, taped: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Running statistics, directions of spectral norm and dropout's numbers are as if nothing had been tried."""
    networks = (
        {"family": "sngan", "discriminator_norm": "spectral"} if at % 2 else {"dropout": 0.3, "family": "infogan"}
    )
    recipe = {"steps": 2 * PRACTICE + 6, "batch_size": 8, "discriminator_steps": 2, "penalty_every": 3, "r1": 1.0}
    training = GanTraining.model_validate(recipe)
    direct = begin(training, **networks)
    steps = list(train(direct, images(), training))
    tape, tried = taped(), begin(training, **networks)
    monkeypatch.setattr(
        loop,
        "passes_for",
        lambda state, training: RecordedPasses(DirectPasses(state, training), Failing(tape, at=at), insists=False),
    )
    with caplog.at_level("DEBUG", logger="advgan"):
        assert list(train(tried, images(), training)) == steps
    assert tape.recorded == at
    assert "operation not permitted when stream is capturing" in caplog.text
    for player in ("generator", "discriminator", "average"):
        mine, theirs = (getattr(state, player).state_dict() for state in (tried, direct))
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), name


def test_a_recipe_that_insists_hears_why_it_cannot_be_recorded(
    taped: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = GanTraining(steps=PRACTICE + 1, batch_size=8)
    recorder = Failing(taped(), at=0)
    monkeypatch.setattr(
        loop, "passes_for", lambda state, training: RecordedPasses(DirectPasses(state, training), recorder)
    )
    said = r"cuda_graphs true: .*\(operation not .* capturing; at test_recording.py:\d+: raise Runt.*\); set it to auto"
    with pytest.raises(ValueError, match=said) as caught:
        list(train(begin(training), images(), training))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "\n" not in str(caught.value)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> tuple[CudaGraphs, list[str]]:
    """A recorder on a device that only notes what it is asked for."""
    notes: list[str] = []

    class Graph:
        def replay(self) -> None:
            notes.append("replay")

        def reset(self) -> None:
            notes.append("reset")

    @contextmanager
    def capture(graph: Graph, **options: Any) -> Iterator[None]:
        notes.append("capture")
        try:
            yield
        except RuntimeError:
            fail_again()  # as CUDA does, with less to say
        notes.append("captured")

    def fail_again() -> None:
        raise RuntimeError("operation failed due to a previous error during capture")

    for name, made in (("Stream", lambda device: None), ("CUDAGraph", Graph), ("graph", capture)):
        monkeypatch.setattr(torch.cuda, name, made)
    for name in ("device", "stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    return CudaGraphs(torch.device("cuda")), notes


def test_a_recording_does_nothing_until_it_is_replayed(graphs: tuple[CudaGraphs, list[str]]) -> None:
    recorder, notes = graphs
    result, again = recorder.record(lambda: "left")
    assert (result, notes) == ("left", ["capture", "captured"])
    again()
    assert notes == ["capture", "captured", "replay"]


def test_what_failed_first_is_told_and_the_capture_is_ended(graphs: tuple[CudaGraphs, list[str]]) -> None:
    with pytest.raises(RuntimeError, match="previous error") as caught:
        graphs[0].record(lambda: fail(None))
    assert innermost(caught.value).startswith("operation not permitted when stream is capturing; at test_recording.py:")
    assert graphs[1] == ["capture", "reset"]
