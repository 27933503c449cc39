"""The vision transformers of DINOv2."""

import os
import warnings
from pathlib import Path
from typing import Any

import torch

from advgan.intake.regular import at_home
from advgan.storage.weights import Weights, built_with, find_weights, read_plain
from evaluation.extractors.torch_fidelity_network import look_through
from evaluation.features.features import Extractor

DINOV2 = {
    "dinov2-vit-s-14": ("dinov2_vits14", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
    "dinov2-vit-b-14": ("dinov2_vitb14", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    "dinov2-vit-l-14": ("dinov2_vitl14", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    "dinov2-vit-g-14": ("dinov2_vitg14", "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3"),
}
"""torch-fidelity's names; the function of the authors' repository, and the SHA-256 of its published weights."""

CODE_VARIABLE = "ADVGAN_DINOV2_CODE"
_REPOSITORY = "facebookresearch/dinov2"


def dinov2_extractor(
    name: str = "dinov2-vit-l-14",
    path: Path | None = None,
    *,
    device: torch.device | str = "cpu",
    sha256: str = "",
) -> Extractor:
    """Load a DINOv2 encoder (Oquab et al., 2024) as torch-fidelity has it.

    Features are its class tokens, of images resized to 224 pixels by TensorFlow 1's bilinear rule; there are no
    classes. The network's code is that of the authors' repository, which runs when it is loaded: it is taken from the
    folder that ADVGAN_DINOV2_CODE names or from torch.hub's cache, and never fetched here. Weights are found and
    checked as Inception's are, in ADVGAN_DINOV2_WEIGHTS too (torch-fidelity takes no path for these).
    Raises ValueError, saying what to put where, if either cannot be had.
    """
    function, known = DINOV2[name]
    weights = Weights(
        network=name.replace("dinov2", "DINOv2"),
        files=(f"{function}_pretrain.pth",),
        url=f"https://dl.fbaipublicfiles.com/dinov2/{function}/{function}_pretrain.pth",
        sha256=sha256 or known,
        variable="ADVGAN_DINOV2_WEIGHTS",
    )
    code = _code(name)
    file = find_weights(weights, path)
    state = read_plain(weights, file)
    network = built_with(weights, file, lambda: _network(name, code, function, state))
    protocol = f"DINOv2 {function} {weights.sha256[:8]}, class token; 8-bit images, TF1 bilinear to 224"
    return Extractor(name, weights.sha256[:12], look_through(network, device), protocol)


def _network(name: str, code: Path, function: str, state: dict[str, Any]) -> torch.nn.Module:
    """torch-fidelity's class, whose constructor would fetch code and weights from the net, around a local network."""
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    class LocalDinoV2(FeatureExtractorDinoV2):  # type: ignore[misc]
        def __init__(self) -> None:
            FeatureExtractorBase.__init__(self, name, ["dinov2"])
            self.feature_extractor_internal_dtype = torch.float32
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of xFormers, which is not needed
                self.model = torch.hub.load(str(code), function, source="local", pretrained=False)
            self.model.load_state_dict(state)
            self.requires_grad_(False).eval()

    return LocalDinoV2()


def _code(name: str) -> Path:
    """The folder of the repository's code."""
    chosen = os.environ.get(CODE_VARIABLE)
    hub = Path(torch.hub.get_dir())
    folders = [at_home(chosen)] if chosen else [hub / "facebookresearch_dinov2_main"]
    found = next((folder for folder in folders if (folder / "hubconf.py").is_file()), None)
    if found is None:
        raise ValueError(
            f"{name} needs the code of github.com/{_REPOSITORY}, which is not in {folders[0]} and is not fetched here, "
            f"as it runs when loaded: git clone it there, or name its folder in {CODE_VARIABLE}"
        )
    return found
