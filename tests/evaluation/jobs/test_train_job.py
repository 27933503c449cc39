"""The train job: it stops by itself, keeps two checkpoints and the best, and goes on as if nothing had happened."""

import io
import logging
import re
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor, nn

from advgan.config import GanNetworks, GanTraining
from advgan.data import load_data
from advgan.gan import training as gan_training
from advgan.gan.training import Step
from advgan.machine.processes import Processes
from advgan.sampling.stored import load_gan
from advgan.storage.checkpoints import load_checkpoint
from advgan.storage.documents import read_document, write_document
from advgan.storage.runs import Run
from evaluation.features.features import Extractor
from evaluation.game.look_history import by_one_judge
from evaluation.jobs.begun_with import newest_checkpoint
from evaluation.jobs.setup import Outcome, Setup
from evaluation.jobs.train import board as train_board
from evaluation.jobs.train import job as train
from evaluation.jobs.train import loop as train_loop
from evaluation.jobs.train.board import Board, scalars
from evaluation.jobs.train.job import TrainConfig
from evaluation.jobs.train.loop import first_broken, looks, mean_row
from evaluation.jobs.train.panels import training_panels
from evaluation.jobs.train.start import restarted_run
from evaluation.report.panels import CurvePanel, Panel
from evaluation.watching.diagnostics import Diagnostics

SMALL = Diagnostics(judged=60, gradients=16, redrawn=64, brightness=8)
NETWORKS = GanNetworks(family="mlp", width=2, latent_dim=4)


def config(steps: int = 12, patience: int | None = 10, **training: Any) -> TrainConfig:
    recipe = GanTraining(steps=steps, batch_size=32, **training)
    return TrainConfig(
        networks=NETWORKS,
        training=recipe,
        num_samples=60,
        log_every=2,
        evaluate_every=2,
        patience=patience,
        diagnostics=SMALL,
    )


def pixels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Features that are 16 patches; the class is the brightest of the ten in the middle."""
    patches = nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
    return patches, (20 * patches[:, 3:13].double()).softmax(dim=1)


SCORE = train._score


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look through no classifier, and leave out the scores at the end."""
    monkeypatch.setattr(train, "choose_extractor", lambda *_: Extractor("pixels", "0", pixels))
    monkeypatch.setattr(train, "_score", lambda config, setup, trained: trained)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """With the scores at the end after all."""
    monkeypatch.setattr(train, "_score", SCORE)


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("advgan"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="advgan")
    return caplog


def warnings(notes: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in notes.records if record.levelno >= logging.WARNING]


def run(folder: Path, settings: TrainConfig) -> Outcome:
    outcome = train.run(settings, Setup(device="cpu", out=folder))
    assert outcome is not None
    return outcome


def resume(folder: Path, settings: TrainConfig) -> Outcome:
    outcome = train.run(settings, Setup(device="cpu", resume=Run(folder)))
    assert outcome is not None
    return outcome


def planted(monkeypatch: pytest.MonkeyPatch, *distances: float) -> None:
    """Let the looks find these distances, the last one for ever."""
    found = chain(distances, repeat(distances[-1]))
    monkeypatch.setattr("evaluation.watching.followed_distance.followed_distance", lambda reference, fake: next(found))


def cut(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let training be interrupted after a step, once."""

    def interrupted(*arguments: Any, **options: Any) -> Iterator[Step]:
        for found in gan_training.train(*arguments, **options):
            yield found
            if found.step == step:
                raise KeyboardInterrupt

    monkeypatch.setattr(train_loop, "train", interrupted)


def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_loop, "train", gan_training.train)


def contents(path: Path) -> str:
    checkpoint = load_checkpoint(path)
    return repr((checkpoint.config, checkpoint.state))


def test_the_last_two_checkpoints_and_the_best_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, 9, 3, 5, 4)
    run(tmp_path / "gan", config(steps=8))
    kept = Run(tmp_path / "gan")
    assert [load_gan(path).step for path in (kept.last, kept.previous, kept.best)] == [8, 6, 4]
    assert sorted(path.name for path in kept.last.parent.iterdir()) == [
        "best.safetensors",
        "last.safetensors",
        "previous.safetensors",
    ]


def test_a_best_look_is_the_last_checkpoint_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, 9, 3, 2)
    run(tmp_path / "gan", config(steps=6))
    kept = Run(tmp_path / "gan")
    assert contents(kept.best) == contents(kept.last)
    assert load_gan(kept.previous).step == 4


def test_training_stops_when_patience_ends_and_the_best_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture, scored: None
) -> None:
    planted(monkeypatch, 9, 3, 5, 4, 6)
    outcome = run(tmp_path / "gan", config(steps=40, patience=3, generator_learning_rate=1e-12))
    rows = Run(tmp_path / "gan").rows()
    assert [row["step"] for row in rows] == [2, 4, 6, 8, 10]
    assert [row.get("stopped") for row in rows] == [None] * 4 + ["patience"]
    assert any("Stopped at step 10" in line and "that of step 4" in line for line in warnings(notes))
    assert load_gan(Run(tmp_path / "gan").best).step == 4
    (finding,) = [finding for finding in outcome.results.findings if finding.code == "stopped-early"]
    assert "step 10" in finding.evidence
    assert dict(outcome.results.header)["generator"].endswith("step 4")
    (alarm,) = [finding for finding in outcome.results.findings if finding.code == "frozen-generator"]
    assert alarm.title == "The generator does not change (from step 6)"
    assert (tmp_path / "gan" / "report.html").is_file()


def test_without_patience_training_goes_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, 1, 2)
    run(tmp_path / "gan", config(steps=20, patience=None))
    assert Run(tmp_path / "gan").rows()[-1]["step"] == 20


def test_a_run_that_stopped_is_not_trained_on_by_resuming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, 1, 2)
    settings = config(steps=20, patience=2)
    run(tmp_path / "gan", settings)
    log = Run(tmp_path / "gan").log_file.read_bytes()
    monkeypatch.setattr(train_loop, "train", lambda *_, **__: pytest.fail("it trains"))
    resume(tmp_path / "gan", settings)
    assert Run(tmp_path / "gan").log_file.read_bytes() == log


@pytest.mark.parametrize("step", [1, 7])
def test_resumed_is_uninterrupted_with_its_alarms_each_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture, step: int
) -> None:
    settings = config(generator_learning_rate=1e-12)
    run(tmp_path / "whole", settings)
    told = warnings(notes)
    notes.clear()
    cut(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt, match="advgan train --resume"):
        run(tmp_path / "gan", settings)
    whole(monkeypatch)
    resume(tmp_path / "gan", settings)
    first, second = Run(tmp_path / "whole"), Run(tmp_path / "gan")
    assert first.log_file.read_bytes() == second.log_file.read_bytes()
    for name in ("last", "previous", "best"):
        assert contents(getattr(first, name)) == contents(getattr(second, name)), name
    assert any("frozen" in line or "does not change" in line for line in told)
    assert [line for line in warnings(notes) if "does not change" in line] == [
        line for line in told if "does not change" in line
    ]
    assert sum("frozen-generator" in row.get("alarms", {}) for row in first.rows()) == 1


def test_recordings_on_which_a_recipe_insists_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "load_data", lambda *_, **__: pytest.fail("data were read"))
    message = "cuda_graphs true: --device cpu has no CUDA graphs; set it to auto"
    for verb in (train.run, train.plan):
        with pytest.raises(ValueError, match=message):
            verb(config(cuda_graphs=True), Setup(device="cpu", out=tmp_path / "gan"))
    assert not (tmp_path / "gan").exists()


def test_a_run_with_recordings_goes_on_without_them_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture
) -> None:
    run(tmp_path / "whole", config())
    cut(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "gan", config())
    whole(monkeypatch)
    resume(tmp_path / "gan", config(cuda_graphs=True))
    assert any("--device cpu has no CUDA graphs; passes are not recorded" in line for line in warnings(notes))
    assert (tmp_path / "gan/log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()
    assert load_gan(Run(tmp_path / "gan").last).game.training.cuda_graphs is True


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: pytest.LogCaptureFixture
) -> None:
    settings = config()
    run(tmp_path / "whole", settings)
    cut(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "gan", settings)
    whole(monkeypatch)
    kept = Run(tmp_path / "gan")
    damaged = kept.last.read_bytes()[:-40]
    kept.last.unlink()
    kept.last.write_bytes(damaged)
    notes.clear()
    resume(tmp_path / "gan", settings)
    (line,) = [line for line in warnings(notes) if "damaged" in line]
    assert str(kept.last) in line
    assert str(kept.previous) in line
    assert "\n" not in line
    assert kept.log_file.read_bytes() == Run(tmp_path / "whole").log_file.read_bytes()
    assert contents(kept.last) == contents(Run(tmp_path / "whole").last)


def test_no_whole_checkpoint_is_an_error_and_not_a_new_beginning(tmp_path: Path) -> None:
    settings = config(steps=4)
    run(tmp_path / "gan", settings)
    kept = Run(tmp_path / "gan")
    for path in (kept.last, kept.previous):
        path.unlink()
        path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"no checkpoint of .* is whole"):
        resume(tmp_path / "gan", settings)
    kept.previous.unlink()
    with pytest.raises(ValueError, match="there is none before it"):
        newest_checkpoint(kept, load_checkpoint)
    kept.last.unlink()
    with pytest.raises(ValueError, match="its checkpoints are gone"):
        newest_checkpoint(kept, load_checkpoint)


def test_a_run_killed_between_two_names_goes_on_from_the_previous_one(tmp_path: Path) -> None:
    settings = config(steps=6)
    run(tmp_path / "gan", settings)
    kept = Run(tmp_path / "gan")
    log = kept.log_file.read_bytes()
    kept.last.unlink()
    assert newest_checkpoint(kept, load_checkpoint) == kept.previous
    resume(tmp_path / "gan", settings)
    assert kept.log_file.read_bytes() == log


def broken_from(monkeypatch: pytest.MonkeyPatch, step: int, name: str, value: float) -> None:
    def nan(*arguments: Any, **options: Any) -> Iterator[Step]:
        for found in gan_training.train(*arguments, **options):
            kept = getattr(found, name)
            wrong = (torch.tensor(value), *kept[1:]) if isinstance(kept, tuple) else torch.tensor(value)
            yield found._replace(**{name: wrong}) if found.step == step else found

    monkeypatch.setattr(train_loop, "train", nan)


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("discriminator_loss", torch.nan, "discriminator_loss"),
        ("generator_gradients", torch.inf, "generator_gradient"),
    ],
)
def test_a_value_that_is_no_number_ends_training_and_keeps_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: float, name: str
) -> None:
    broken_from(monkeypatch, 5, field, value)
    with pytest.raises(ValueError, match=rf"training diverged before step 6 \({name} .* {tmp_path}/gan") as error:
        run(tmp_path / "gan", config())
    assert "\n" not in str(error.value)
    kept = Run(tmp_path / "gan")
    assert load_gan(kept.last).step == 4
    assert kept.rows()[-1] == {"step": 6, "images_seen": 192, "stopped": "diverged", "broken": name}


def test_a_training_that_diverges_by_itself_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training diverged .* no checkpoint was written yet"):
        run(tmp_path / "gan", config(loss="hinge", optimizer="sgd", beta1=0.0, discriminator_learning_rate=1e30))


def shown(folder: Path, settings: TrainConfig) -> list[Panel]:
    """A report's panels on training."""
    run(folder, settings)
    return training_panels(Run(folder), Run(folder).rows(), settings, load_data(settings.data))


def panels(folder: Path, settings: TrainConfig) -> list[str]:
    """Their titles."""
    return [panel.title for panel in shown(folder, settings)]


@pytest.mark.parametrize("loss", ["wasserstein", "hinge"])
def test_the_report_says_whether_a_critics_loss_follows_the_distance(tmp_path: Path, loss: str) -> None:
    (losses,) = (panel for panel in shown(tmp_path / "gan", config(steps=10, loss=loss)) if panel.title == "Losses")
    assert isinstance(losses, CurvePanel)
    told = re.search(r"over 5 evaluations is (-?[\d.]+), and", losses.caption)
    assert (told is not None) == (loss == "wasserstein")
    if told:
        evaluations = looks(Run(tmp_path / "gan").rows())
        pairs = [(-row["discriminator_loss"], row["distance"]) for row in evaluations]
        assert float(told[1]) == pytest.approx(stats.spearmanr(pairs).statistic, abs=0.01)


def test_a_wasserstein_critic_has_no_probability_anywhere(tmp_path: Path) -> None:
    """Nor a right side, nor an equilibrium at 0.5: its scores have no zero."""
    found = shown(tmp_path / "gan", config(loss="wasserstein"))
    titles = {panel.title for panel in found}
    assert titles.isdisjoint({"D(x) and D(G(z))", "What the discriminator gets right"})
    (losses,) = (panel for panel in found if panel.title == "Losses")
    assert isinstance(losses, CurvePanel)
    assert [line.name for line in losses.lines] == ["no distance"]
    words = ("probability", "accuracy", "jsd", "overfitting_signs", "weight")
    for row in Run(tmp_path / "gan").rows():
        assert not [name for name in (*row, *row.get("discriminator", {})) if any(word in name for word in words)]


def test_the_report_shows_what_a_person_asks(tmp_path: Path) -> None:
    titles = panels(tmp_path / "gan", config(gradient_penalty=10.0, generator_learning_rate=1e-12))
    assert set(titles) >= {
        "Losses",
        "D(x) and D(G(z))",
        "Distance to the real images",
        "What the discriminator gets right",
        "Whom the discriminator can tell apart",
        "Diversity",
        "Gradient norms",
        "Further terms of the losses",
        "Classes through training",
        "Alarms",
        "The same latents through training",
    }
    assert "Augmented images" not in titles


def test_the_share_of_augmented_images_is_shown_where_it_adapts(tmp_path: Path) -> None:
    titles = panels(tmp_path / "gan", config(steps=4, augmentation=("flip",), augmentation_target=0.6))
    assert "Augmented images" in titles
    assert "Further terms of the losses" not in titles


def measured(name: str, value: float) -> Any:
    """What a step keeps of a value: logits of each image, norms of each parameter's gradient."""
    if name.endswith("gradients"):
        return (torch.tensor(value),)
    return torch.tensor([value]) if name.endswith("logits") else torch.tensor(value)


def step(number: int, **values: float) -> Step:
    """A made-up step, all of whose losses, logits and norms are its number."""
    given = {name: float(number) for name in Step._fields if name not in ("step", "images_seen", "terms")} | values
    numbers = {name: measured(name, value) for name, value in given.items()}
    terms = {"discriminator.r1": torch.tensor(float(number))}
    return Step(step=number, images_seen=32 * number, terms=terms, **numbers)  # type: ignore[arg-type]


def test_a_row_holds_means_over_its_steps_and_over_the_processes() -> None:
    class Two(Processes):
        """This process, beside one whose every value is larger by 2."""

        def average(self, tensors: Any) -> None:
            for tensor in tensors:
                tensor += 1

    row = mean_row([step(1), step(2), step(6)], Processes())
    assert (row["step"], row["images_seen"]) == (6, 192)
    assert row["discriminator_loss"] == row["generator_gradient"] == row["terms"]["discriminator.r1"] == 3
    assert row["gradient_ratio"] == 1
    assert first_broken(row) is None
    assert row["real_accuracy"] == 1
    assert mean_row([step(1), step(2), step(6)], Two(count=2))["discriminator_loss"] == 4


def test_one_broken_step_among_many_is_seen() -> None:
    steps = [step(1), step(2, generator_loss=torch.nan), *map(step, range(3, 50))]
    assert first_broken(mean_row(steps, Processes())) == "generator_loss"
    terms = {"discriminator.r1": torch.tensor(torch.inf)}
    assert first_broken(mean_row([step(1)._replace(terms=terms)], Processes())) == "discriminator.r1"


def test_the_second_process_writes_nothing_and_has_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(steps=4)
    run(tmp_path / "gan", settings)
    files = {path: path.read_bytes() for path in (tmp_path / "gan").rglob("*") if path.is_file()}

    class Second(Processes):
        def from_first(self, value: Any) -> Any:
            said = {tuple: (Run(tmp_path / "gan"), None), int: 1, bool: False}
            return said[type(value)]

        def average(self, tensors: Any) -> None: ...

    class Joined:
        def __enter__(self) -> Processes:
            return Second(rank=1, count=2)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(train, "joined", lambda device: Joined())
    monkeypatch.setattr(
        train_loop, "train", lambda *arguments, processes: gan_training.train(*arguments, processes=Processes())
    )
    assert train.run(settings, Setup(device="cpu", out=tmp_path / "gan")) is None
    assert {path: path.read_bytes() for path in (tmp_path / "gan").rglob("*") if path.is_file()} == files


def test_torchrun_started_again_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "gan", config(steps=4))
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    assert restarted_run(Setup(out=tmp_path / "gan")) is None
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert restarted_run(Setup(out=tmp_path / "gan")) is None
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert restarted_run(Setup(out=tmp_path / "gan")) == Run(tmp_path / "gan")
    assert restarted_run(Setup(out=tmp_path / "none")) is None
    environment = read_document(tmp_path / "gan" / "env.json")
    write_document(tmp_path / "gan" / "env.json", {**environment, "command": ["advgan", "other"]})
    assert restarted_run(Setup(out=tmp_path / "gan")) is None


def test_tensorboard_that_is_missing_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"pip install 'advgan\[tensorboard\]'"):
        run(tmp_path / "gan", config().model_copy(update={"tensorboard": True}))
    assert not (tmp_path / "gan").exists()


def test_tensorboard_gets_the_scalars_and_the_sample_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, int]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            written.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def add_image(self, name: str, pixels: Any, step: int, dataformats: str) -> None:
            assert pixels.shape[2] == 3
            written.append((name, step))

        def close(self) -> None:
            written.append(("closed", 0))

    monkeypatch.setattr(train_board, "_writer_class", lambda: Writer)
    run(tmp_path / "gan", config(steps=4).model_copy(update={"tensorboard": True}))
    assert written[0] == (str(tmp_path / "gan" / "tensorboard"), 1)
    assert written[-1] == ("closed", 0)
    assert {("discriminator_loss", 2), ("generator/diversity", 4), ("samples", 2), ("samples", 4)} <= set(written)


def test_tensorboard_reads_what_was_written_and_a_resumed_run_writes_no_step_twice(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    folder = tmp_path / "board"
    killed = Board(folder, step=0)
    for step in (2, 4, 6):
        killed.write({"step": step, "discriminator_loss": step / 8, "terms": {"discriminator.r1": 0.5}}, grid(step))
    killed.close()
    resumed = Board(folder, step=4)
    resumed.write({"step": 6, "discriminator_loss": 0.5})
    resumed.close()
    events = accumulator(str(folder)).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("discriminator_loss")]
    assert losses == [(2, 0.25), (4, 0.5), (6, 0.5)]
    assert [event.value for event in events.Scalars("terms/discriminator.r1")][:2] == [0.5, 0.5]
    shown = Image.open(io.BytesIO(events.Images("samples")[0].encoded_image_string))
    assert shown.size == (8, 8)
    assert shown.getpixel((0, 0)) == (2, 2, 2)


def grid(level: int) -> bytes:
    """A grey PNG."""
    stream = io.BytesIO()
    Image.new("L", (8, 8), level).save(stream, "PNG")
    return stream.getvalue()


def test_scalars_are_the_numbers_of_a_row_alone() -> None:
    row = {"step": 3, "a": 1.0, "b": {"c": 2, "d": None, "e": [1.0]}, "alarms": {"x": "words"}, "stopped": "patience"}
    assert dict(scalars(row)) == {"a": 1.0, "b/c": 2.0}


def test_looks_are_the_rows_with_an_evaluation() -> None:
    assert looks([{"step": 1}, {"step": 2, "distance": 1.0}]) == [{"step": 2, "distance": 1.0}]


def test_looks_by_another_judge_are_left_out_and_said() -> None:
    rows = [{"step": step, "distance": 1.0, "judge": judge} for step, judge in enumerate(("cnn 0", "cnn 0", "cnn 1"))]
    assert looks(rows) == rows[2:]
    assert by_one_judge(rows, "cnn 0") == rows[:2]
    assert by_one_judge(rows, "cnn 2") == []
    (finding,) = train._two_judges(rows)
    assert "2 of 3 looks were judged by another network than cnn 1, the judge since step 2" in finding.evidence
    assert train._two_judges(rows[:2]) == train._two_judges([{"step": 1, "distance": 1.0}]) == []


def test_the_time_of_evaluations_is_told_and_not_logged(
    tmp_path: Path, notes: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)

    def monotonic() -> float:
        clock.now += 1.0
        return float(clock.now)

    monkeypatch.setattr("time.monotonic", monotonic)
    run(tmp_path / "gan", config(steps=2))
    assert any("evaluations took" in record.getMessage() for record in notes.records)
    assert "seconds" not in Run(tmp_path / "gan").log_file.read_text()
