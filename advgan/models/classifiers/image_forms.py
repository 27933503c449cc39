"""The input form of a network: the order of its axes (NCHW, NHWC) or flat, and the side of images resized for it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from advgan.models.classifiers.probing import probe
from attacks import Classifier

Layout = Literal["NCHW", "NHWC", "flat"]
LAYOUTS: tuple[Layout, ...] = ("NCHW", "NHWC", "flat")
"""As the data are, with the channels last, or each image as one row of numbers."""

_MORE = "; --set input_size=N makes them N pixels wide inside the model"


class Form(NamedTuple):
    """How images are converted before they enter a network."""

    layout: Layout = "NCHW"
    resize: int | None = None
    """Side in pixels to resize to; None: not resized."""


def form_of_file(shape: Sequence[int | None], *, size: int, channels: int, source: str) -> Form:
    """The form that a file states in the shape of its input, None where a side is free.

    Raises ValueError in one line where that is not a batch of square images of so many channels.
    """
    if len(shape) != 4:
        raise ValueError(f"{source} takes inputs of shape {list(shape)}: one batch of images, (N, C, H, W), is needed")
    layout: Layout = "NHWC" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "NCHW"
    takes, height, width = shape[1:] if layout == "NCHW" else (shape[3], *shape[1:3])
    if takes not in (None, channels):
        conversion = f" (--set data.channels={takes} converts them)" if takes in (1, 3) else ""
        raise ValueError(f"{source} takes images of {takes} channels, the data have {channels}{conversion}")
    if None not in (height, width) and height != width:
        raise ValueError(f"{source} takes images of {height}x{width} pixels: only square ones can be made for it")
    return Form(layout, next((side for side in (height, width) if side not in (None, size)), None))


def possible_forms(
    network: nn.Module, *, stated: Form | None, layout: Layout | None, side: int | None, size: int
) -> tuple[Form, ...]:
    """The forms in which a network may take images of `size` pixels, the likeliest first.

    `stated` is what its source says of it, `layout` and `side` what the user does; None: nothing. A side that the
    network itself names is tried after that of the data: most networks take several.
    """
    if stated is not None:
        return (Form(layout or stated.layout, stated.resize if side is None else None if side == size else side),)
    layouts = LAYOUTS if layout is None else (layout,)
    sides = [side] if side is not None else [size, *(each for each in _named_sides(network) if each != size)]
    return tuple(Form(order, None if each == size else each) for each in sides for order in layouts)


def first_that_fits(
    wrap: Callable[[Form], Classifier],
    forms: Sequence[Form],
    *,
    size: int,
    channels: int,
    num_classes: int,
    source: str,
    device: torch.device | str,
) -> Classifier:
    """The network in the first form in which it answers with `num_classes`, each tried on blank images.

    Raises ValueError in one line, that of the first form, where there is none.
    """
    complaints = []
    for form in forms:
        classifier = wrap(form)
        try:
            logits = probe(classifier, size=size, channels=channels, source=source, device=device, more=_MORE)
        except ValueError as error:
            complaints.append(error)
            continue
        if logits.shape[1] == num_classes:
            return classifier
        words = f"{source} knows {logits.shape[1]} classes, the data have {num_classes}: they do not belong together"
        complaints.append(ValueError(words))
    raise complaints[0]


def preparation(classifier: Classifier) -> str:
    """Describe a classifier's preprocessing (normalisation, resizing, axes) and how its logits are read, in words."""
    mean, std = (
        ", ".join(f"{value:.3g}" for value in values.flatten().tolist()) for values in (classifier.mean, classifier.std)
    )
    words = ["none, pixels from 0 to 1" if is_plain(classifier) else f"mean {mean}; std {std}"]
    if classifier.resize is not None:
        words.append(f"resized to {classifier.resize}x{classifier.resize} inside the model")
    if classifier.layout != "NCHW":
        words.append("channels last" if classifier.layout == "NHWC" else "each image as one row of numbers")
    if classifier.reader.reading is not None and classifier.reader.reading.words:
        words.append(f"logits from {classifier.reader.reading.words}")
    return "; ".join(words)


def is_plain(classifier: Classifier) -> bool:
    """Whether the network gets pixels without normalisation."""
    return not any(classifier.mean.flatten().tolist()) and set(classifier.std.flatten().tolist()) == {1}


def _named_sides(network: Any) -> list[int]:
    """Sides of images that networks of torchvision, timm and transformers carry with them."""
    config = getattr(network, "pretrained_cfg", None) or getattr(network, "default_cfg", None) or {}
    stated = config.get("input_size") if isinstance(config, dict) else None
    named = [
        getattr(network, "image_size", None),
        getattr(getattr(network, "config", None), "image_size", None),
        stated[-1] if stated else None,
    ]
    return list(dict.fromkeys(side for side in named if isinstance(side, int) and not isinstance(side, bool)))
