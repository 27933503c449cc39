"""Generators not trained here, wrapped as `Generator`, so that they can be sampled, exported and used to augment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advgan.classifier.sources import no_architecture
from advgan.config.foreign import Foreign
from advgan.config.places import is_python_source
from advgan.data import Data
from advgan.models.classifiers.python_source import at_rest
from advgan.models.latents import LatentSpace
from advgan.ranges import to_signed, to_unit
from advgan.sampling.classes import with_class_counts
from advgan.sampling.stored import TrainedGan, load_gan
from advgan.storage.checkpoints import SUFFIX, parameters_digest
from advgan.storage.seal import file_digest
from evaluation.inputs.asked import Shares
from evaluation.inputs.exported import is_exported, opened_program
from evaluation.inputs.generated import TRIED, check_reproducible, images_from, latent_space
from evaluation.inputs.python_objects import object_from_python
from evaluation.inputs.value_range import ValueRange, recognise


class ForeignGenerator(nn.Module):
    """A foreign module or program as a `Generator`: latents (N, space.dim), and labels, to signed images."""

    def __init__(self, run: Callable[..., object], space: LatentSpace, num_classes: int, *, name: str) -> None:
        super().__init__()
        self.run, self.space, self.num_classes, self.name = run, space, num_classes, name  # run may be a module
        self.found: ValueRange | None = None

    def raw(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """What it gives, images (N, C, H, W) in its own range."""
        given = (latents,) if labels is None or not self.num_classes else (latents, labels)
        return images_from(lambda: self.run(*given), latents.shape[0], self.name)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """In [-1, 1]; ValueError where an image leaves the range that the first ones had."""
        assert self.found is not None
        raw = self.raw(latents, labels)
        # Where it is traced, no value can be looked at.
        is_traced = torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined]
        images = self.found.convert(raw) if is_traced else self.found.to_images(raw, name=self.name)
        return to_signed(to_unit(images))


def generator_of(source: str, *, data: Data | None = None, device: torch.device | str = "cpu") -> TrainedGan:
    """The generator that a string names: a run or checkpoint of ours, or FILE.py:OBJECT, .pt2, .onnx and exports.

    Of `data`, where given, come the classes of a generator that only says how many it has. Raises ValueError in one
    line where there is none, or it draws no images, or not the same ones from the same latents.
    """
    path = Path(source)
    known: dict[str, Any] = {}
    digest = None
    if is_python_source(source):
        generator = _of_object(object_from_python(source), source, device)
    elif path.suffix in (".pt2", ".onnx") or is_exported(path if path.is_dir() else path.parent):
        like = Shares.of(data) if data is not None and data.num_classes else None
        found = opened_program(path, like=like, name=source, device=device)
        generator = ForeignGenerator(found.run, found.space, len(found.classes or ()), name=source)
        known = {**found.about, "classes": found.classes}
        digest = found.about.get("digest") or file_digest(found.file)[:12]
    elif path.is_file() and path.suffix != SUFFIX:
        raise no_architecture(path)
    else:
        return load_gan(path, device=device)
    return _tried(generator.to(device), source, known, digest, data, device)


def _of_object(found: object, source: str, device: torch.device | str) -> ForeignGenerator:
    if not isinstance(found, nn.Module):
        kind = "function" if callable(found) else type(found).__name__
        raise ValueError(
            f"{source} is a {kind}, which has no latents to draw from: give a module with latent_dim (advgan eval "
            "takes functions and images too)"
        )
    space, num_classes = latent_space(found, source), int(getattr(found, "num_classes", 0))
    module = at_rest(found).to(device)
    return ForeignGenerator(module, space, num_classes, name=source)


def _tried(
    generator: ForeignGenerator,
    source: str,
    known: dict[str, Any],
    digest: str | None,
    data: Data | None,
    device: torch.device | str,
) -> TrainedGan:
    """Look at the first images, which tell the range, the size and whether a latent means one image."""
    numbers = torch.arange(TRIED)
    labels = numbers % generator.num_classes if generator.num_classes else None

    @torch.no_grad()
    def raw(some: Tensor) -> Tensor:
        given = None if labels is None else labels[some].to(device)
        return generator.raw(generator.space.draw(0, some.to(device)), given)

    first = raw(numbers)
    generator.found = recognise(first, name=source)
    check_reproducible(raw, numbers, first, generator.found.high - generator.found.low, source)
    state = generator.state_dict()
    with_class_counts(generator, known.get("class_counts") or None)
    return TrainedGan(
        generator=generator,
        discriminator=None,
        networks=Foreign(source=source),
        training=None,
        data_name=Path(source.rpartition(":")[2] or source).stem,
        data_digest="",
        classes=_classes(generator.num_classes, known, data),
        size=first.shape[2],
        channels=first.shape[1],
        step=0,
        digest=digest or (parameters_digest(state) if state else source),
        path=Path(source),
    )


def _classes(num_classes: int, known: dict[str, Any], data: Data | None) -> tuple[str, ...]:
    if known.get("classes"):
        return tuple(known["classes"])
    if data is not None and num_classes in (0, data.num_classes):
        return data.classes
    return tuple(str(number) for number in range(num_classes))
