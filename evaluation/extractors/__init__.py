"""The feature extractors by name."""

from collections.abc import Callable
from functools import partial

import torch

from advgan.config.mistakes import nearest
from advgan.config.places import is_python_source
from evaluation.extractors.clip import CLIP, clip_extractor
from evaluation.extractors.dinov2 import DINOV2, dinov2_extractor
from evaluation.extractors.inception import inception_extractor
from evaluation.extractors.pixels import pixels_extractor
from evaluation.extractors.python_file import python_extractor
from evaluation.extractors.random_network import RANDOM, random_extractor
from evaluation.extractors.vgg16 import vgg16_extractor
from evaluation.features.features import INCEPTION, Extractor
from evaluation.features.protocols import DEFAULT, PROTOCOLS, protocol_named

EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    **{protocol.extractor: partial(inception_extractor, protocol=name) for name, protocol in PROTOCOLS.items()},
    "vgg16": vgg16_extractor,
    **{name: partial(clip_extractor, name) for name in CLIP},
    **{name: partial(dinov2_extractor, name) for name in DINOV2},
    "pixels": pixels_extractor,
    RANDOM: random_extractor,
}
"""Name to a function of `device`. `inception@clean` is Inception under the protocol `clean`."""

ALIASES = {"clip": "clip-vit-b-32", "dinov2": "dinov2-vit-l-14"}
"""Short names for the networks that papers mean: clean-fid's CLIP, and the DINOv2 of Stein et al. (2023)."""


def is_extractor(name: str) -> bool:
    """Whether a string names an extractor that needs no images to be trained on; a run of a classifier does."""
    return name in EXTRACTORS or name in ALIASES or is_python_source(name)


def check_extractor(name: str) -> None:
    """Raise ValueError, with the nearest name, for an extractor that there is not."""
    if not is_extractor(name):
        hint = nearest(name, (*EXTRACTORS, *ALIASES))
        raise ValueError(f"no extractor {name!r}: give the run of a classifier, file.py:object or a name ({hint})")


def named_extractor(name: str, *, device: torch.device | str = "cpu", protocol: str = DEFAULT) -> Extractor:
    """Build the extractor that a string names: one of EXTRACTORS, a short name, or `file.py:object`.

    `protocol` is for Inception; the others have one way of their own. Raises ValueError in one line for unknown names,
    for another protocol with another extractor, and where weights cannot be had.
    """
    protocol_named(protocol)
    if protocol != DEFAULT:
        if name != INCEPTION:
            raise ValueError(f"--protocol {protocol} says how Inception is fed: it goes with --features inception only")
        name = PROTOCOLS[protocol].extractor
    if is_python_source(name):
        return python_extractor(name, device=device)
    check_extractor(name)
    return EXTRACTORS[ALIASES.get(name, name)](device=device)
