"""The image encoders of CLIP."""

import warnings
from pathlib import Path

import torch

from advgan.storage.weights import Weights, built_with, find_weights
from evaluation.extractors.torch_fidelity_network import look_through
from evaluation.features.features import Extractor

CLIP = (
    "clip-rn50",
    "clip-rn101",
    "clip-rn50x4",
    "clip-rn50x16",
    "clip-rn50x64",
    "clip-vit-b-32",
    "clip-vit-b-16",
    "clip-vit-l-14",
    "clip-vit-l-14-336px",
)
"""torch-fidelity's names."""


def clip_extractor(
    name: str = "clip-vit-b-32",
    path: Path | None = None,
    *,
    device: torch.device | str = "cpu",
    sha256: str = "",
) -> Extractor:
    """Load an image encoder of CLIP (Radford et al., 2021) as torch-fidelity has it.

    Features are its embeddings, of images resized by TensorFlow 1's bilinear rule; there are no classes. Weights are
    found and checked as Inception's are, in ADVGAN_CLIP_WEIGHTS too. The published file is a TorchScript archive, which
    torch opens with a reader that builds tensors only; it is opened after its SHA-256 was checked.
    """
    weights = clip_weights(name, sha256)
    file = find_weights(weights, path)
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # TorchScript is deprecated, and the weights are in no other form
        network = built_with(
            weights, file, lambda: FeatureExtractorCLIP(name, ["clip"], feature_extractor_weights_path=str(file))
        )
    protocol = (
        f"CLIP {name.removeprefix('clip-')} {weights.sha256[:8]}, image embedding; 8-bit images, TF1 bilinear to "
        f"{network.resolution}"
    )
    return Extractor(name, weights.sha256[:12], look_through(network, device), protocol)


def clip_weights(name: str, sha256: str = "") -> Weights:
    """The published file of an encoder; its hash is the one that torch-fidelity knows, unless given."""
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS

    known = MODEL_METADATA[name]["hash"]
    return Weights(
        network=name.replace("clip", "CLIP"),
        files=(f"{name}-{known}.pt", f"{MODEL_METADATA[name]['filename']}.pt"),  # torch-fidelity's name and OpenAI's
        url=MODEL_URLS[name],
        sha256=sha256 or known,
        variable="ADVGAN_CLIP_WEIGHTS",
    )
