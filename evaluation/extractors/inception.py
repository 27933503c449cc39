"""The Inception-v3 of the FID and the Inception score, with weights that are what they claim to be."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from advgan.storage.weights import Weights, built_with, find_weights, read_plain
from evaluation.features.features import INCEPTION, Extractor, as_double
from evaluation.features.protocols import DEFAULT, protocol_named
from evaluation.features.resizing import colour_bytes

FILE = "weights-inception-2015-12-05-6726825d.pth"
WEIGHTS = Weights(
    network="Inception v3",
    files=(FILE, "pt_inception-2015-12-05-6726825d.pth"),  # torch-fidelity's name and pytorch-fid's: the same bytes
    url=f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    variable="ADVGAN_INCEPTION_WEIGHTS",
)


def inception_extractor(
    path: Path | None = None,
    *,
    protocol: str = DEFAULT,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    sha256: str = WEIGHTS.sha256,
) -> Extractor:
    """Load the Inception-v3 of 2015-12-05, ported to torch by torch-fidelity (Szegedy et al., 2016).

    Features are the 2048 of the last pooling layer, probabilities the softmax of the 1008 logits without bias; both
    come out of one pass. `protocol`, a name of PROTOCOLS, says how images of any size reach the 299 pixels of the
    network; grey ones are repeated to three channels. Weights come from `path`, else from the file that
    ADVGAN_INCEPTION_WEIGHTS names, else from the cache or torch's own, else they are downloaded into the cache; their
    SHA-256 is checked each time, and they are read without running code.

    In float32, which all sources use, features depend on the batch size by some 1e-6 of their size, as convolutions
    add in another order; `dtype=torch.float64` makes that 1e-15, at about three times the cost.
    Raises ValueError, saying what to put where, if the weights cannot be had.
    """
    rules = protocol_named(protocol)
    body, head = _network(replace(WEIGHTS, sha256=sha256), path, device, dtype)

    @torch.no_grad()
    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        features = body(rules.prepare(colour_bytes(images.to(device))).to(dtype)).flatten(1)
        return features, as_double(features.mm(head.T)).softmax(dim=1)

    words = f"Inception-v3 {sha256[:8]}{'' if dtype == torch.float32 else ' in float64'}; {rules.words}"
    return Extractor(rules.extractor, sha256[:12], look, words)


def _network(
    weights: Weights, path: Path | None, device: torch.device | str, dtype: torch.dtype
) -> tuple[nn.Module, Tensor]:
    """torch-fidelity's network up to the pooled features, and the matrix that makes logits of them.

    Its own forward pass resizes by one rule only; it is its children one after the other, so these are called here.
    """
    file = find_weights(weights, path)
    read_plain(weights, file)  # the class below would unpickle anything
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = built_with(
        weights,
        file,
        lambda: FeatureExtractorInceptionV3(INCEPTION, ["2048"], feature_extractor_weights_path=str(file)),
    ).to(device=device, dtype=dtype)
    *stages, last = network.children()
    assert isinstance(last, nn.Linear)
    return nn.Sequential(*stages), last.weight
