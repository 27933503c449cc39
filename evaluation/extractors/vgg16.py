"""VGG16, through which precision and recall were first measured."""

from dataclasses import replace
from pathlib import Path

import torch

from advgan.storage.weights import Weights, built_with, find_weights, read_plain
from evaluation.extractors.torch_fidelity_network import look_through
from evaluation.features.features import Extractor

VGG16 = Weights(
    network="VGG16",
    files=("vgg16-397923af.pth",),
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    variable="ADVGAN_VGG16_WEIGHTS",
)


def vgg16_extractor(
    path: Path | None = None, *, device: torch.device | str = "cpu", sha256: str = VGG16.sha256
) -> Extractor:
    """Load torchvision's VGG16 (Simonyan and Zisserman, 2015) as torch-fidelity has it.

    Features are the 4096 after the second fully connected layer and its ReLU, of images resized to 224 pixels by
    TensorFlow 1's bilinear rule; there are no classes. Weights are found and checked as Inception's are.
    """
    weights = replace(VGG16, sha256=sha256)
    file = find_weights(weights, path)
    read_plain(weights, file)  # the class below would unpickle anything
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    network = built_with(
        weights, file, lambda: FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=str(file))
    )
    protocol = f"VGG16 {sha256[:8]}, second fully connected layer after ReLU; 8-bit images, TF1 bilinear to 224"
    return Extractor("vgg16", sha256[:12], look_through(network, device), protocol)
