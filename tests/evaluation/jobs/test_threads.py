"""The threads of a job: chosen once for its work, said, kept, and without a trace in what it computes."""

import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import evaluation.jobs.threads as job_threads
from advgan.classifier.training import start
from advgan.config import ClassifierTraining, DataConfig, GanNetworks, GanTraining, NetworkConfig
from advgan.data import Data, load_data
from advgan.machine.processes import Processes
from advgan.storage.runs import Run
from attacks import Classifier
from evaluation.jobs.attack.threads import attacking_threads
from evaluation.jobs.fit import job as fit
from evaluation.jobs.fitting_threads import fitting_threads
from evaluation.jobs.setup import Setup
from evaluation.jobs.threads import structure, threads_for
from evaluation.jobs.train import job as train
from evaluation.jobs.train.config import TrainConfig
from evaluation.jobs.train.threads import training_threads

ABOUT = {"work": "test"}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Four cores, whatever there are; every pass is really run, and two threads are said to be the fastest."""
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(job_threads, "most_threads", lambda here=1: 4 // here)
    faster(monkeypatch, 2)
    log = logging.getLogger("advgan")
    level, propagate = log.level, log.propagate
    log.propagate = True
    caplog.set_level(logging.DEBUG, "advgan")
    yield
    log.setLevel(level)
    log.propagate = propagate


def faster(monkeypatch: pytest.MonkeyPatch, best: int) -> None:
    def measured(work: Any, numbers: tuple[int, ...]) -> dict[int, float]:
        work()
        return {number: 0.001 if number == best else 0.002 for number in numbers}

    monkeypatch.setattr(job_threads, "measure", measured)


def chosen(**options: Any) -> int:
    with threads_for(lambda: lambda: None, about=options.pop("about", ABOUT), **options):
        return torch.get_num_threads()


def test_the_fastest_number_computes_and_the_line_says_why(caplog: pytest.LogCaptureFixture) -> None:
    before = torch.get_num_threads()
    assert chosen() == 2
    assert torch.get_num_threads() == before
    assert "threads: 2 of 4, by the time of a pass (1: 2 ms, 2: 1 ms, 4: 2 ms)" in caplog.text


def test_the_same_work_keeps_its_number_though_another_would_be_measured(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen() == 2
    faster(monkeypatch, 1)
    assert chosen() == 2
    assert "as measured before" in caplog.text
    assert chosen(about={"work": "other"}) == 1


def test_a_resumed_run_takes_the_number_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env.json").write_text(json.dumps({"threads": 3}))
    assert chosen(resumed=Run(tmp_path)) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert chosen(resumed=Run(tmp_path)) == 3
    (tmp_path / "env.json").write_text("{")
    with pytest.raises(ValueError, match=r"env\.json is damaged"):
        chosen(resumed=Run(tmp_path))


def test_a_users_number_is_not_measured(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    assert chosen() == torch.get_num_threads()
    assert "(OMP_NUM_THREADS)" in caplog.text


def test_processes_share_the_cores(caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(processes=Processes(here=2)) == 2
    assert "2 of 2" in caplog.text


def test_work_that_cannot_be_tried_gets_all_there_are_and_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    def prepare() -> Any:
        raise ValueError("no such pass")

    with threads_for(prepare, about=ABOUT):
        assert torch.get_num_threads() == 4
    assert "no such pass" in caplog.text
    assert chosen() == 2


def test_a_damaged_memory_is_measured_again(tmp_path: Path) -> None:
    assert chosen() == 2
    for file in (tmp_path / "cache/threads").iterdir():
        file.write_text("{")
    assert chosen() == 2


def test_an_attack_is_tried_without_a_trace() -> None:
    data = digits()

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10))
            self.calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.layers(images + 0.01 * torch.randn_like(images))

    network = Noisy().train()
    classifier = Classifier(network)
    next(network.parameters()).requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in classifier.modules()]
    flags = [weights.requires_grad for weights in network.parameters()]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    python = random.getstate()
    with attacking_threads(classifier, data.test, 32):
        assert torch.get_num_threads() == 2
    assert torch.equal(torch.rand(2), expected)
    assert random.getstate() == python
    assert (network.calls, classifier.passes.forwards, classifier.passes.backwards) == (0, 0, 0)
    assert [module.training for module in classifier.modules()] == modes
    assert [weights.requires_grad for weights in network.parameters()] == flags
    assert all(weights.grad is None for weights in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_fit_is_tried_on_a_copy() -> None:
    data = digits()
    training, network = ClassifierTraining(epochs=1), NetworkConfig(name="cnn")
    state = start(network, training, data.train)
    before = {name: value.clone() for name, value in state.network.state_dict().items()}
    with fitting_threads(network, training, state, data.train):
        assert torch.get_num_threads() == 2
    assert state.step == 0
    assert not state.optimizer.state_dict()["state"]
    assert all(torch.equal(value, before[name]) for name, value in state.network.state_dict().items())


def test_players_are_tried_on_their_own_and_not_where_they_would_wait_for_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config, cpu = TrainConfig(networks=GanNetworks(family="mlp"), training=GanTraining(steps=3)), torch.device("cpu")
    with training_threads(config, digits(), cpu, resumed=None, processes=Processes()):
        assert torch.get_num_threads() == 2
    waiting = config.model_copy(update={"networks": GanNetworks(family="dcgan", synchronised=True)})
    alone = Processes()
    together = Together(here=1, count=2)
    for processes, number in ((alone, 2), (together, 4)):
        with training_threads(waiting, digits(), cpu, resumed=None, processes=processes):
            assert torch.get_num_threads() == number
    assert "wait for the other processes" in caplog.text


class Together(Processes):
    def from_first(self, value: Any) -> Any:
        return value


def test_networks_of_one_structure_share_a_measurement() -> None:
    def network(width: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, width, 3, stride=stride), nn.ReLU())

    assert structure(network(4)) == structure(network(4))
    assert len({structure(network(4)), structure(network(5)), structure(network(4, 2))}) == 3


@pytest.mark.parametrize("verb", ["fit", "train"])
def test_an_interrupted_run_ends_with_the_same_bits_though_now_another_number_would_be_chosen(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job: Any = fit if verb == "fit" else train
    config: Any = FIT if verb == "fit" else TRAIN
    job.run(config, Setup(out=tmp_path / "whole"))
    interrupt(monkeypatch, verb)
    with pytest.raises(KeyboardInterrupt):
        job.run(config, Setup(out=tmp_path / "cut"))
    monkeypatch.undo()
    assert Run(tmp_path / "cut").threads == 2

    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "another"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(job_threads, "most_threads", lambda here=1: 4)
    faster(monkeypatch, 1)
    used: list[int] = []
    seen = job_threads.computing_with
    monkeypatch.setattr(job_threads, "computing_with", lambda number: (used.append(number), seen(number))[1])
    job.run(config, Setup(resume=Run(tmp_path / "cut")))
    assert 2 in used
    for name in ("last", "best"):
        one, other = (load_file(tmp_path / run / f"checkpoints/{name}.safetensors") for run in ("whole", "cut"))
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[key]) for key, value in one.items())


FIT = fit.FitConfig(network=NetworkConfig(name="cnn"), training=ClassifierTraining(epochs=3))
TRAIN = TrainConfig(
    networks=GanNetworks(family="dcgan", width=8),
    training=GanTraining(steps=12, batch_size=64),
    features="pixels",
    num_samples=64,
    log_every=4,
    evaluate_every=4,
)


def interrupt(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Let Ctrl-C come before the last checkpoint of the training, not of a judge that is fitted on the way."""
    kept = Run.log

    def stop(run: Run, row: Any) -> None:
        if row["step"] >= 8:
            raise KeyboardInterrupt
        kept(run, row)

    monkeypatch.setattr(Run, "log", stop)


def digits() -> Data:
    return load_data(DataConfig())
