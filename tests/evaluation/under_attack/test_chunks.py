"""Chunks: kept as they are done, never mistaken for those of another model, and the same table however they are cut."""

from dataclasses import fields
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.processes import Processes
from advgan.machine.room import Room
from advgan.storage.checkpoints import load_checkpoint, save_checkpoint
from attacks import Classifier, fgsm, pgd
from evaluation.under_attack.chunks import Store, num_images, run_trials
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.search import Search, Task
from evaluation.under_attack.trials import Trial


class Brightness(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        gap = 10 * (images.flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-gap, gap], dim=1)


IMAGES = torch.linspace(0.35, 0.7, 30).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
LABELS = (IMAGES.mean(dim=(1, 2, 3)) > 0.5).long()
BUDGETS = (0.03, 0.1)
TRIALS = [Trial("fgsm", fgsm, BUDGETS), Trial("pgd", partial(pgd, steps=5), BUDGETS)]


def task() -> Task:
    classifier = Classifier(Brightness())
    clean = clean_outcome(classifier, IMAGES, LABELS)
    return Task(classifier=classifier, images=IMAGES, clean=clean, numbers=torch.arange(30), room=Room(64))


def same(one: list[Search], other: list[Search]) -> bool:
    return len(one) == len(other) == len(BUDGETS) and all(
        torch.equal(getattr(each, field.name), getattr(twin, field.name))
        for each, twin in zip(one, other, strict=True)
        for field in fields(Search)
    )


@pytest.mark.parametrize("cascade", [False, True])
@pytest.mark.parametrize("chunk_size", [7, 30, 64])
def test_how_it_is_cut_changes_nothing(chunk_size, cascade) -> None:
    whole = run_trials(task(), TRIALS, cascade=cascade)
    parts = run_trials(task(), TRIALS, cascade=cascade, chunk_size=chunk_size)
    assert all(same(whole[name], parts[name]) for name in ("fgsm", "pgd"))


def test_what_is_kept_is_not_attacked_again(tmp_path) -> None:
    store = Store(tmp_path, {"model": "a"})
    done: list[str] = []

    def stop_after_three(name: str, images: int, passes: int) -> None:
        assert images == 10
        done.append(name)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(task(), TRIALS, cascade=True, chunk_size=10, store=store, on_done=stop_after_three)
    assert len(list(tmp_path.glob("*.safetensors"))) == 3

    resumed = task()
    before = resumed.classifier.passes.forwards
    found = run_trials(resumed, TRIALS, cascade=True, chunk_size=10, store=store)
    spent = resumed.classifier.passes.forwards - before
    whole = task()
    before = whole.classifier.passes.forwards
    expected = run_trials(whole, TRIALS, cascade=True, chunk_size=10)
    assert all(same(found[name], expected[name]) for name in ("fgsm", "pgd"))
    assert 0 < spent < whole.classifier.passes.forwards - before


def test_what_an_earlier_version_kept_is_attacked_again(tmp_path) -> None:
    store = Store(tmp_path, {"model": "a"})
    expected = run_trials(task(), TRIALS, store=store)
    file = tmp_path / "00000-pgd.safetensors"
    kept = load_checkpoint(file)
    older = {"level": torch.zeros(30, dtype=torch.int64), "num_budgets": 2}
    save_checkpoint(file, kind=kept.kind, config=kept.config, state=older)
    assert same(run_trials(task(), TRIALS, store=store)["pgd"], expected["pgd"])


def test_results_of_another_model_are_refused(tmp_path) -> None:
    run_trials(task(), TRIALS, store=Store(tmp_path, {"model": "a"}))
    with pytest.raises(ValueError, match="belongs to another model, data or settings"):
        run_trials(task(), TRIALS, store=Store(tmp_path, {"model": "b"}))


@pytest.mark.parametrize("name", ["images", "left", "logits", "forwards"])
@pytest.mark.parametrize("change", [lambda kept: kept[:, :-1], lambda kept: kept.double(), lambda kept: 3])
def test_results_of_another_form_are_refused(name, change, tmp_path) -> None:
    store = Store(tmp_path, {"model": "a"})
    run_trials(task(), TRIALS, store=store)
    file = sorted(tmp_path.iterdir())[0]
    kept = load_checkpoint(file)
    state = {**kept.state, name: change(kept.state[name])}
    save_checkpoint(file, kind=kept.kind, config=kept.config, state=state)
    with pytest.raises(ValueError, match=rf"{file.name} is damaged \({name}"):
        run_trials(task(), TRIALS, store=store)


def test_processes_share_the_chunks_out() -> None:
    shares = [Processes(rank, 3).share(list(range(7))) for rank in range(3)]
    assert sorted(number for share in shares for number in share) == list(range(7))
    assert [num_images(25, 2, 10, Processes(rank, 3)) for rank in range(3)] == [20, 20, 10]


def test_images_and_passes_are_reported_as_they_are_done_and_once_known(tmp_path) -> None:
    heard: list[tuple[str, int, int]] = []
    store = Store(tmp_path, {"model": "a"})
    for _ in range(2):
        found = run_trials(task(), TRIALS, chunk_size=10, store=store, on_done=lambda *each: heard.append(each))
    half = len(heard) // 2
    assert heard[:half] == heard[half:]
    assert sum(images for _, images, _ in heard[:half]) == num_images(30, len(TRIALS), 10, Processes())
    passes = sum(int(each.forwards.sum() + each.backwards.sum()) for kept in found.values() for each in kept)
    assert sum(spent for *_, spent in heard[:half]) == passes > 0
