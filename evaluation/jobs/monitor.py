"""A look at a GAN while it trains: how near its images are, what they cover, how far its discriminator is ahead."""

from typing import Any, NamedTuple

import torch

from advgan.sampling import sample, sample_labels
from advgan.training import State
from evaluation.discriminator import jensen_shannon_bound, judge, separation
from evaluation.features import extract
from evaluation.frechet import frechet_distance
from evaluation.jobs.eval import SHOWN, Reference, grid_columns
from evaluation.modes import modes
from evaluation.report.pictures import image_grid


class Look(NamedTuple):
    """What one look gives: numbers for the log, and a grid of the same latents as in every other look."""

    row: dict[str, Any]
    grid: bytes


def look(state: State, reference: Reference, *, num_samples: int, seed: int) -> Look:
    """Draw from the averaged generator and compare; a function of the state alone, so that a resumed run repeats it."""
    indices = torch.arange(num_samples)
    labels = sample_labels(state.average, indices)
    fakes = sample(state.average, indices, seed=seed, batch_size=reference.batch_size, device="cpu")
    fake = extract(reference.extractor, fakes, batch_size=reference.batch_size)
    held_out = reference.data.validation.select(range(min(len(reference.data.validation), num_samples)))
    real_labels = held_out.labels if labels is not None else None
    real_logits = judge(state.discriminator, held_out.unit(), real_labels, batch_size=reference.batch_size)
    fake_logits = judge(state.discriminator, fakes, labels, batch_size=reference.batch_size)
    row = {
        "distance": frechet_distance(reference.real.values, fake.values),
        "modes_covered": modes(reference.real, fake).covered,
        "real_fake_separation": separation(real_logits, fake_logits),
        "jsd_lower_bound": jensen_shannon_bound(real_logits, fake_logits),
    }
    columns = grid_columns(reference.data.num_classes)
    return Look(row, image_grid(fakes[: columns * max(1, SHOWN // columns)], columns=columns))
