"""Tables of images: interpolations, traversals of one latent coordinate, and classes by column."""

import torch
from torch import Tensor

from advgan.sampling.drawing import decode, draw
from advgan.sampling.interpolation import interpolate
from advgan.sampling.stored import TrainedGan
from advgan.sampling.traversal import traverse
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.sample.files import Drawing, table_names
from evaluation.jobs.sample.labels import chosen_labels

ROWS = 8


def interpolations(config: SampleConfig, gan: TrainedGan) -> Drawing:
    """A row for each path between the latents of two samples, all of the first one's class."""
    assert config.interpolate
    indices = config.chosen(ROWS, each=2)
    if len(indices) % 2:
        raise ValueError(f"--interpolate joins indices in pairs, --indices {config.indices} names {len(indices)}")
    ends = draw(gan.generator, indices, seed=config.seed, truncation=config.truncation)
    way = interpolate(gan.generator.space, ends[::2], ends[1::2], way=config.interpolate, steps=config.steps)
    labels = chosen_labels(config, gan, indices[::2])
    pairs = ", ".join(f"{first} to {last}" for first, last in indices.view(-1, 2)[:ROWS].tolist())
    verdict = f"{len(way):,} paths of {config.steps} steps, seed {config.seed}"
    return _drawing(config, gan, way, labels, verdict, f"{config.interpolate} from sample to sample: {pairs}")


def traversals(config: SampleConfig, gan: TrainedGan) -> Drawing:
    """A sample a row, with one coordinate moved from column to column."""
    assert config.traverse
    indices = config.chosen(ROWS)
    latents = draw(gan.generator, indices, seed=config.seed, truncation=config.truncation)
    moved = traverse(gan.generator.space, latents, config.traverse, steps=config.steps)
    verdict = f"{config.traverse} at {', '.join(f'{value:g}' for value in moved.values)}, {len(latents):,} rows"
    labels = chosen_labels(config, gan, indices)
    return _drawing(config, gan, moved.latents, labels, verdict, "A row a sample; columns move one coordinate.")


def class_grid(config: SampleConfig, gan: TrainedGan) -> Drawing:
    """The same latents in every class: z by row, y by column."""
    count = gan.generator.num_classes
    if not count:
        raise ValueError("--grid class needs a conditional generator, this one draws no chosen class: leave it out")
    if config.label is not None:
        raise ValueError(f"--grid class draws every class: leave out --label {config.label}")
    latents = draw(gan.generator, config.chosen(ROWS), seed=config.seed, truncation=config.truncation)
    table = latents[:, None].expand(-1, count, -1)
    verdict = f"{len(latents):,} latents (rows) in {count} classes (columns), seed {config.seed}"
    labels = torch.arange(count).expand(len(latents), -1)
    return _drawing(config, gan, table, labels, verdict, f"Columns: {', '.join(gan.classes)}.")


def _drawing(
    config: SampleConfig, gan: TrainedGan, table: Tensor, labels: Tensor | None, verdict: str, caption: str
) -> Drawing:
    """Decode latents (rows, columns, dim); labels are one a row or one an image."""
    rows, columns, _ = table.shape
    if labels is not None:
        labels = (labels if labels.ndim == 2 else labels[:, None].expand(-1, columns)).reshape(-1)
    images = decode(gan.generator, table.flatten(0, 1), labels, batch_size=config.batch_size, device="cpu")
    names = table_names(rows, columns)
    return Drawing(images=images, names=names, labels=labels, columns=columns, verdict=verdict, caption=caption)
