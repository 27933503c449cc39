"""Sources that generate images on demand: a GAN of ours, a module, or a function of indices and a seed."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from advgan.models.latents import LatentSpace
from advgan.sampling.classes import class_counts
from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan
from advgan.storage.checkpoints import parameters_digest
from attacks.arrays import as_tensor
from attacks.foreign import EndedError, Guarded, told
from attacks.outputs import entries, is_array
from evaluation.inputs.asked import Shares, asked_of
from evaluation.inputs.source import Source
from evaluation.inputs.value_range import recognise

Raw = Callable[[Tensor], Tensor]
"""Numbers (N,) to whatever the generator gives for them."""
IMAGES = ("images", "image", "samples", "sample", "x", "out", "output")
"""Names under which generators return their images beside other values, the likeliest first."""
TRIED = 8
"""Number of images drawn twice, in different batches, to check that image k depends on k alone."""
_TOLERANCE = 1e-3
"""Allowed difference between two draws of one image, as a share of the range: rounding depends on the batch."""


def gan_source(
    gan: TrainedGan,
    *,
    num_samples: int,
    seed: int,
    device: torch.device | str = "cpu",
    name: str | None = None,
    like: Shares | None = None,
) -> Source:
    """The samples 0, 1, ... of a GAN or a baseline; a conditional one draws classes as `like`, or its own data, has."""
    conditional = gan.generator.num_classes > 0
    asked = asked_of(gan.classes, like=like, own=class_counts(gan.generator)) if conditional else None
    labels = asked.labels(torch.arange(num_samples), seed) if asked else None

    def draw(numbers: Tensor) -> Tensor:
        given = None if labels is None else labels[numbers]
        return sample(gan.generator, numbers, seed=seed, labels=given, batch_size=max(1, len(numbers)), device=device)

    return Source(
        name=name or str(gan.path),
        digest=gan.digest,
        count=num_samples,
        size=gan.size,
        channels=gan.channels,
        draw=draw,
        labels=labels,
        classes=gan.classes if conditional else None,
        asked=asked.words if asked else "",
        gan=gan,
        points=gan.size == 1,
        protocol=f"samples 0 to {num_samples - 1} of seed {seed}",
    )


def drawn_source(
    raw: Raw,
    *,
    name: str,
    num_samples: int,
    protocol: str,
    digest: str | None = None,
    labels: Tensor | None = None,
    classes: tuple[str, ...] | None = None,
    asked: str = "",
    device: torch.device | str = "cpu",
) -> Source:
    """Anything that draws images by their numbers, in a range that its first images tell.

    Without a `digest` the first images name it. Raises ValueError where they are no images, or where one of them is
    another when it is drawn in another batch: image k must be a function of the source and k alone.
    """
    first = torch.arange(min(TRIED, num_samples))
    trial = _called(raw, first, name)
    found = recognise(trial, name=name)
    check_reproducible(raw, first, trial, found.high - found.low, name)
    points = trial.shape[2:] == (1, 1)
    if not points and (trial.shape[1] not in (1, 3) or trial.shape[2] != trial.shape[3]):
        raise ValueError(
            f"{name} draws images of {trial.shape[1]} channels and {trial.shape[3]}x{trial.shape[2]} pixels: square "
            "ones of 1 or 3 channels, (N, C, H, W), are needed"
        )

    def draw(numbers: Tensor) -> Tensor:
        return found.to_images(_called(raw, numbers, name), name=name).to(device)

    return Source(
        name=name,
        digest=digest or _content(found.to_images(trial, name=name)),
        count=num_samples,
        size=trial.shape[2],
        channels=trial.shape[1],
        draw=draw,
        labels=labels,
        classes=classes,
        asked=asked,
        points=points,
        protocol=f"{protocol}; {found.words}",
    )


def module_source(
    module: nn.Module,
    *,
    name: str,
    num_samples: int,
    seed: int,
    like: Shares | None = None,
    classes: tuple[str, ...] = (),
    own: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
) -> Source:
    """An `nn.Module` with `latent_dim` (standard normal), or with the `space` of a `Generator`, called on latents.

    With `num_classes` above 0 it is also given labels, independent draws in the shares of `like`, or of `own`, the
    counts of its training data. `classes` are their names, where they are known. It is moved to the device and put into
    eval mode. Raises ValueError where it says neither what it is fed, nor gives images.
    """
    space = latent_space(module, name)
    num_classes = int(getattr(module, "num_classes", 0))
    module = module.to(device).eval()
    names = (classes or class_names(num_classes, like)) if num_classes else None
    asked = asked_of(names, like=like, own=own) if names else None
    labels = asked.labels(torch.arange(num_samples), seed) if asked else None

    @torch.no_grad()
    def raw(numbers: Tensor) -> Tensor:
        latents = space.draw(seed, numbers.to(device))
        return module(latents) if labels is None else module(latents, labels[numbers].to(device))

    state = module.state_dict()
    return drawn_source(
        raw,
        name=name,
        num_samples=num_samples,
        protocol=f"{latent_words(space)}, seed {seed}",
        digest=parameters_digest(state) if state else None,
        labels=labels,
        classes=names,
        asked=asked.words if asked else "",
        device=device,
    )


def function_source(
    function: Callable[[Tensor, int], Tensor], *, name: str, num_samples: int, seed: int, device: torch.device | str
) -> Source:
    """A function of (indices (N,), seed) that returns images (N, C, H, W), in [0, 1], signed, or uint8."""

    @torch.no_grad()
    def raw(numbers: Tensor) -> Tensor:
        return function(numbers, seed)

    return drawn_source(
        raw, name=name, num_samples=num_samples, protocol=f"images by index, seed {seed}", device=device
    )


def latent_space(module: nn.Module, name: str) -> LatentSpace:
    """The latent space that a module declares (`space` or `latent_dim`); ValueError where it declares none."""
    space: Any = getattr(module, "space", None)
    if isinstance(space, LatentSpace):
        return space
    dim: Any = getattr(module, "latent_dim", None)
    if not isinstance(dim, int) or dim < 1:
        raise ValueError(
            f"{name} is a module without latent_dim, so nobody knows what to feed it: give it that attribute, or write "
            "a function of (indices, seed) that returns images"
        )
    return LatentSpace(dim, str(getattr(module, "latent_kind", "normal")))


def latent_words(space: LatentSpace) -> str:
    """The latents in words."""
    codes = f" after {space.num_codes} codes" if space.num_codes else ""
    return f"{space.noise_dim} {space.kind} latents{codes} by index"


def class_names(num_classes: int, like: Shares | None) -> tuple[str, ...]:
    """Names of a generator's classes: those of the real images where the numbers agree."""
    if like is not None and len(like.classes) == num_classes:
        return like.classes
    return tuple(str(number) for number in range(num_classes))


def _called(raw: Raw, numbers: Tensor, name: str) -> Tensor:
    return images_from(lambda: raw(numbers), len(numbers), name)


def images_from(call: Callable[[], object], count: int, name: str) -> Tensor:
    """Call foreign code for `count` images, and take them out of what it returns: (N, C, H, W).

    They may be an array, have the channels last, or stand beside other things in a tuple, a dict or an object, under
    one of `IMAGES` or alone in their form. Raises ValueError in one line for whatever else it does.
    """
    try:
        with Guarded(name):
            found = call()
    except EndedError:
        raise
    except Exception as error:
        raise ValueError(f"{name} failed on {count} images ({told(error)[:160]})") from error
    if not is_array(found):
        inside = {key: value for key, value in entries(found).items() if len(getattr(value, "shape", ())) == 4}
        named = next((key for key in IMAGES if key in inside), None)
        if named is None and len(inside) != 1:
            raise ValueError(f"{name} returns {_shown(found)}: return the images alone, a tensor (N, C, H, W)")
        found = inside[named] if named is not None else next(iter(inside.values()))
    images = as_tensor(found, f"what {name} returns").detach()
    points = images.shape[2:] == (1, 1)
    if images.ndim == 4 and images.shape[3] in (1, 3) and images.shape[1] not in (1, 3) and not points:
        images = images.permute(0, 3, 1, 2)
    return images


def _shown(found: object) -> str:
    size = f" of {len(found)}" if isinstance(found, (tuple, list)) else ""
    return f"a {type(found).__name__}{size}"


def check_reproducible(raw: Raw, numbers: Tensor, before: Tensor, span: float, name: str) -> None:
    """Refuse, by a ValueError, what gives another image for a number when that is drawn in another batch."""
    if len(before) != len(numbers):
        raise ValueError(f"{name} gave {len(before)} images for {len(numbers)} indices: give one for each")
    order = numbers.flip(0)[: max(1, len(numbers) - 1)]
    again = _called(raw, order, name)
    if again.shape[1:] != before.shape[1:] or len(again) != len(order):
        raise ValueError(f"{name} gives images of another shape in another batch: give one size")
    expected = before[order.to(before.device)].float()
    allowed = 1.0 if before.dtype == torch.uint8 else _TOLERANCE * (span if span < torch.inf else 1)
    if float((again.float() - expected).abs().max()) > allowed:
        raise ValueError(
            f"{name} draws another image for the same index in another batch: make it a function of the index and the "
            "seed alone (attacks.random.normal draws so), and call eval()"
        )


def _content(images: Tensor) -> str:
    return sha256(images.contiguous().cpu().numpy().tobytes()).hexdigest()[:12]
