"""The evaluation (look) of a GAN during training: distance, diversity and diagnostics of the discriminator.

A look is a function of the state and of the log alone, so that a resumed run repeats it. Every image passes each
network once; what is cheap is measured on all of them, what needs gradients or further images on a few.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from advgan.data import ImageSet
from advgan.gan.state import State
from advgan.machine.precision import true_float32
from advgan.sampling.classes import in_turn, sample_labels
from advgan.sampling.drawing import decode, draw
from attacks.random import permutation
from evaluation.diversity.diversity import (
    Spread,
    batch_variance_ratio,
    class_diversity,
    diversity,
    latent_sensitivity,
    spread,
)
from evaluation.features.absent import DEGENERATE, reason
from evaluation.features.features import Features, extract
from evaluation.game.balance import balance, slopes
from evaluation.game.consistency import drawn_in_train_mode, has_running_statistics, shift
from evaluation.game.discriminator import Answers, Judgements, examine, view_of
from evaluation.game.spectra import largest_singular_values
from evaluation.game.wasserstein import slopes_between
from evaluation.memorisation.copying import copied_share, nearest_distances
from evaluation.modes.history import change
from evaluation.modes.modes import modes
from evaluation.report.pictures import SHOWN, grid_columns, image_grid
from evaluation.seeing.reference import Reference
from evaluation.watching.diagnostics import Diagnostics
from evaluation.watching.followed_distance import looked_at

Row = dict[str, Any]


class Look(NamedTuple):
    """The result of one look: a row for the log, and a grid of images of fixed latents."""

    row: Row
    grid: bytes
    diagnostics_seconds: float
    """The part that was not spent on drawing and scoring; never logged, since a resumed run must log the same."""


@dataclass(frozen=True, eq=False)
class Monitor:
    """Evaluates a GAN at intervals of its training, always with the same real images, latents and extractor."""

    reference: Reference
    loss: str
    num_samples: int
    seed: int
    diagnostics: Diagnostics

    @true_float32()
    def look(self, state: State, before: Mapping[str, Any] | None = None) -> Look:
        """Evaluate the averaged generator and the discriminator; `before` is the row of the previous look.

        Raises ValueError where the generator draws NaN.
        """
        indices = torch.arange(self.num_samples)
        latents = draw(state.average, indices, seed=self.seed)
        shares = self.reference.data.train.class_counts
        labels = sample_labels(state.average, indices, seed=self.seed, counts=shares)
        fakes = decode(state.average, latents, labels, batch_size=self.reference.batch_size, device="cpu")
        if not bool(fakes.isfinite().all()):
            raise ValueError(f"training diverged: at step {state.step} the averaged generator draws NaN or infinity")
        fake = extract(self.reference.extractor, fakes, batch_size=self.reference.batch_size)
        row: Row = {"judge": self.reference.extractor.title}
        row |= {**looked_at(self.reference, fake), **self._modes(fake, before)}
        began = time.monotonic()
        parts: dict[str, Callable[[], Row]] = {
            "discriminator": lambda: self._discriminator(state, fakes, labels),
            "generator": lambda: self._generator(state, fakes, fake, latents, labels, before),
        }
        for name, make in parts.items():
            row[name], missing = _spared(name, make)
            row |= {"not_made": {**row.get("not_made", {}), **missing}} if missing else {}
        row["singular_values"] = {
            "generator": largest_singular_values(state.generator),
            "discriminator": largest_singular_values(state.discriminator),
        }
        seconds = time.monotonic() - began
        return Look(row, self._grid(state, fakes, latents), seconds)

    def _grid(self, state: State, fakes: Tensor, latents: Tensor) -> bytes:
        """The first latents, of a conditional generator a column a class."""
        columns = grid_columns(self.reference.data.num_classes)
        shown = fakes[: columns * max(1, SHOWN // columns)]
        labels = in_turn(state.average, torch.arange(len(shown)))
        if labels is not None:
            shown = decode(state.average, latents[: len(shown)], labels, device="cpu")
        return image_grid(shown, columns=columns)

    def _modes(self, fake: Features, before: Mapping[str, Any] | None) -> Row:
        """How many images are of each class; nothing with an extractor whose classes are not to be counted."""
        if not fake.counts_classes:
            return {"modes_covered": None, "mode_counts": []}
        drawn = modes(self.reference.real, fake)
        counts = drawn.fake_counts.tolist()
        row = {"modes_covered": drawn.covered, "mode_counts": counts, **_mode_changes(counts, before)}
        return row | {"real_mode_counts": drawn.real_counts.tolist()}

    @cached_property
    def _train(self) -> ImageSet:
        """Training images in a random order: with batch norm, a batch of a single class would change the logits."""
        return self.reference.data.train.draw(self.diagnostics.judged, self.seed)

    @cached_property
    def _held_out(self) -> ImageSet:
        return self.reference.data.validation.draw(self.diagnostics.judged, self.seed)

    @cached_property
    def _real_spread(self) -> Spread:
        real = self.reference.real
        some = permutation(self.seed, len(real))[: self.diagnostics.judged].to(real.values.device)
        return spread(real.values[some], real.classes[some], num_classes=real.probabilities.shape[1])

    @cached_property
    def _real_mean(self) -> Tensor:
        return self.reference.real.values.double().mean(dim=0)

    @cached_property
    def _held_out_distances(self) -> Tensor:
        seen = extract(self.reference.extractor, self._held_out.unit(), batch_size=self.reference.batch_size)
        return nearest_distances(seen.values, self.reference.real.values)

    def _discriminator(self, state: State, fakes: Tensor, labels: Tensor | None) -> Row:
        view = view_of(state.average, packing=state.packing)
        packs = self.diagnostics.gradients // state.packing * state.packing

        def answers(images: Tensor, given: Tensor | None) -> Answers:
            return examine(
                state.discriminator,
                images,
                given if state.discriminator.num_classes else None,
                num_gradients=max(packs, state.packing),
                batch_size=max(1, self.reference.batch_size // state.packing) * state.packing,
                view=view,
            )

        some = slice(self.diagnostics.judged)
        train = answers(self._train.unit(), self._train.labels)
        held_out = answers(self._held_out.unit(), self._held_out.labels)
        fake = answers(fakes[some], None if labels is None else labels[some])
        judged = Judgements(train.logits, held_out.logits, fake.logits)
        if not judged.finite:
            return {"broken_logits": int(sum((~logits.isfinite()).sum() for logits in vars(judged).values()))}
        between = self._between(state, fakes[: max(packs, state.packing)])
        return {**balance(judged, loss=self.loss), **slopes(train, fake, between)}

    def _between(self, state: State, fakes: Tensor) -> Tensor:
        """Gradient norms at random points between training images and fakes, the labels being those of the former."""
        view, some = view_of(state.average, packing=state.packing), slice(len(fakes))
        real, fake = (view(images.to(state.device)) for images in (self._train.unit(some), fakes[: len(self._train)]))
        given = self._train.labels[some] if state.discriminator.num_classes else None
        return slopes_between(state.discriminator, real, fake, given, seed=self.seed)

    def _generator(
        self,
        state: State,
        fakes: Tensor,
        fake: Features,
        latents: Tensor,
        labels: Tensor | None,
        before: Mapping[str, Any] | None,
    ) -> Row:
        some = slice(self.diagnostics.judged)
        found = spread(fake.values[some], fake.classes[some], num_classes=fake.probabilities.shape[1])
        brightness = [round(value, 6) for value in fakes[: self.diagnostics.brightness].mean(dim=(1, 2, 3)).tolist()]
        known = before["generator"].get("brightness") if before else None
        return {
            "diversity": diversity(found, self._real_spread),
            "class_diversity": class_diversity(found, self._real_spread) if fake.has_classes else None,
            "latent_sensitivity": latent_sensitivity(
                fake.values[some], latents[some], labels=None if labels is None else labels[some]
            ),
            "copied_share": copied_share(
                nearest_distances(fake.values[some], self.reference.real.values), self._held_out_distances
            ),
            **self._redrawn(state, fake, latents, labels),
            "change": _mean_change(known, brightness),
            "brightness": brightness,
        }

    def _redrawn(self, state: State, fake: Features, latents: Tensor, labels: Tensor | None) -> Row:
        """The first latents again: before averaging, and in train mode where that differs from eval mode."""
        some, unit = slice(self.diagnostics.redrawn), self._real_spread.overall
        if not unit > 0:  # real images that are all alike give distances no unit
            return {}
        given = None if labels is None else labels[some].to(state.device)
        seen = fake.values[some]
        live = self._seen(decode(state.generator, latents[some], given, device="cpu"))
        row: Row = {"live_shift": shift(seen, live, real_mean=self._real_mean, unit=unit).between}
        if has_running_statistics(state.average):
            again = self._seen(drawn_in_train_mode(state.average, latents[some], given))
            moved = shift(seen, again, real_mean=self._real_mean, unit=unit)
            batches = again[: len(again) // 32 * 32].reshape(-1, 32, again.shape[1])
            row |= {"train_mode_shift": moved.between, "eval_mode_gap": moved.first, "train_mode_gap": moved.second}
            row |= {"batch_variance_ratio": batch_variance_ratio(batches)} if len(batches) > 1 else {}
        return row

    def _seen(self, images: Tensor) -> Tensor:
        return extract(self.reference.extractor, images, batch_size=self.reference.batch_size).values


def _spared(name: str, make: Callable[[], Row]) -> tuple[Row, dict[str, str]]:
    """A part of a look without its NaN values, and no error; or an empty row and the error: training goes on."""
    try:
        row = make()
    except DEGENERATE as error:
        return {}, {name: reason(error)}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}, {}


def _mode_changes(counts: Sequence[int], before: Mapping[str, Any] | None) -> Row:
    if not counts or not before or len(before.get("mode_counts", [])) != len(counts):
        return {}
    found = change(before["mode_counts"], counts)
    return {"mode_variation": found.variation, "modes_gained": found.gained, "modes_lost": found.lost}


def _mean_change(before: Sequence[float] | None, after: Sequence[float]) -> float | None:
    if before is None:
        return None
    return sum(abs(new - old) for old, new in zip(before, after, strict=True)) / len(after)
