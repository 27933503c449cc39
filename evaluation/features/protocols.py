"""Four published protocols for scores with Inception-v3, by name; their numbers are not comparable.

What a protocol fixes: how an image reaches the network, how features become moments, how images are split for the
Inception score and drawn for the kernel distance, and how many images are usual.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.features.defaults import PROTOCOL
from evaluation.features.features import INCEPTION
from evaluation.features.resizing import grid_bilinear, pillow_bicubic, tensorflow_bilinear, torch_bilinear


@dataclass(frozen=True, kw_only=True)
class ScoreRule:
    """How the Inception score is computed; its spread is the deviation over splits, and no standard error."""

    splits: int = 10
    shuffle_seed: int | None
    """Seed of numpy's RandomState; None: images are not shuffled, so sorted classes lower the score."""
    ddof: int = 0
    dtype: torch.dtype


@dataclass(frozen=True, kw_only=True)
class KernelRule:
    """How subsets of the kernel distance are drawn: without replacement, fakes first; float32, ddof 0 of the spread."""

    subsets: int = 100
    size: int = 1000
    seed: int | None
    """Seed of numpy's RandomState; None: the source uses the global generator, so its results are not repeatable."""
    shrinks: bool
    """Whether subsets shrink where there are fewer images than `size`; else ValueError."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One source's rules."""

    name: str
    purpose: str
    """The purpose of the protocol, in one line."""
    resize: Callable[[Tensor], Tensor]
    """uint8 (N, 3, H, W) to float32 (N, 3, 299, 299)."""
    resizing: str
    """Description of `resize`."""
    middle: float
    """The network gets (pixels - middle) / middle."""
    ddof: int
    """Covariances divide by N - ddof."""
    mean_dtype: torch.dtype
    """The dtype in which the mean of the features is summed; covariances are always float64."""
    score: ScoreRule | None = None
    kernel: KernelRule | None = None
    num_fake: int | None = None
    """Generated images by default; None: as many as there are."""
    num_real: int | None = None

    @property
    def extractor(self) -> str:
        """Name of the extractor in the `setting` of a score: `inception`, with `@protocol` unless it is the default."""
        return INCEPTION if self.name == DEFAULT else f"{INCEPTION}@{self.name}"

    @property
    def words(self) -> str:
        """The rules in a line."""
        mean = str(self.mean_dtype).removeprefix("torch.")
        return f"{self.name} protocol: 8-bit images, {self.resizing} to 299, ddof {self.ddof}, mean in {mean}"

    def prepare(self, images: Tensor) -> Tensor:
        """Make uint8 images (N, 3, H, W) what the network takes: float32 (N, 3, 299, 299) in about [-1, 1]."""
        return (self.resize(images) - self.middle) / self.middle


DEFAULT = PROTOCOL
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name=DEFAULT,
            purpose="TensorFlow 1's numbers, which most papers since 2017 give, for FID, IS and KID",
            resize=tensorflow_bilinear,
            resizing="TF1 bilinear",
            middle=128,
            ddof=1,
            mean_dtype=torch.float32,
            score=ScoreRule(shuffle_seed=2020, dtype=torch.float64),
            kernel=KernelRule(seed=2020, shrinks=False),
        ),
        Protocol(
            name="pytorch-fid",
            purpose="numbers of the pytorch-fid command, which many diffusion papers quote; FID alone",
            resize=torch_bilinear,
            resizing="torch bilinear without antialiasing",
            middle=0.5,
            ddof=1,
            mean_dtype=torch.float64,
        ),
        Protocol(
            name="clean",
            purpose="clean-fid's: antialiased, so images of different sizes compare fairly; FID and KID",
            resize=pillow_bicubic,
            resizing="Pillow bicubic in float",
            middle=128,
            ddof=1,
            mean_dtype=torch.float32,
            kernel=KernelRule(seed=None, shrinks=True),
            num_fake=50_000,
        ),
        Protocol(
            name="stylegan3",
            purpose="fid50k_full, kid50k_full and is50k of the StyleGAN papers: 50,000 fakes against all real images",
            resize=grid_bilinear,
            resizing="TF1 bilinear on a sampling grid",
            middle=128,
            ddof=0,
            mean_dtype=torch.float64,
            score=ScoreRule(shuffle_seed=None, dtype=torch.float32),
            kernel=KernelRule(seed=None, shrinks=True),
            num_fake=50_000,
        ),
    )
}


def protocol_named(name: str) -> Protocol:
    """Look a protocol up: ValueError, with the known names, for any other."""
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}: choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def protocol_of(extractor: str) -> Protocol:
    """The protocol that an extractor's name says, such as `inception@clean`; the default where it says none."""
    return protocol_named(extractor.partition("@")[2] or DEFAULT)
