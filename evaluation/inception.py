"""The Inception-v3 of the FID and the Inception score, with weights that are what they claim to be."""

import shutil
import urllib.request
from hashlib import sha256 as new_sha256
from pathlib import Path

import torch
from torch import Tensor

from advgan.cache import cache_dir, cached
from advgan.ranges import to_bytes
from evaluation.features import INCEPTION, Extractor, as_double

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_SAME_BYTES = (FILE, "pt_inception-2015-12-05-6726825d.pth")  # torch-fidelity's name and pytorch-fid's
_TIMEOUT_SECONDS = 30


def inception_extractor(
    path: Path | None = None, *, device: torch.device | str = "cpu", sha256: str = SHA256
) -> Extractor:
    """Load the Inception-v3 of 2015-12-05, ported to torch by torch-fidelity (Szegedy et al., 2016).

    Features are the 2048 of the last pooling layer, probabilities the softmax of the 1008 logits without bias; both
    come out of one pass. Images of any size are resized to 299 pixels by TensorFlow 1's bilinear rule, grey ones are
    repeated to three channels: torch-fidelity's protocol. Weights come from `path`, else from the cache or torch's own,
    else they are downloaded into the cache; their SHA-256 is checked each time, and they are read without running code.
    Raises ValueError, saying what to put where, if they cannot be had.
    """
    file = find_weights(path, sha256=sha256)
    try:
        torch.load(file, weights_only=True, map_location="cpu")  # the class below would unpickle anything
    except Exception:  # unpickling errors have no common type
        raise ValueError(f"{file} holds no plain weights: {_way_out()}") from None
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        network = FeatureExtractorInceptionV3(
            INCEPTION, ["2048", "logits_unbiased"], feature_extractor_weights_path=str(file)
        ).to(device)
    except RuntimeError:
        raise ValueError(f"{file} holds the weights of another network: {_way_out()}") from None

    @torch.no_grad()
    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = to_bytes(images.to(device))
        features, logits = network(pixels.expand(-1, 3, -1, -1))
        return features, as_double(logits).softmax(dim=1)

    return Extractor(INCEPTION, sha256[:12], look, f"Inception-v3 {sha256[:8]}, 8-bit images, TF1 bilinear to 299")


def find_weights(path: Path | None = None, *, sha256: str = SHA256) -> Path:
    """Return a file with these very weights: `path` itself, or one in the caches, or a fresh download."""
    if path is not None:
        if not path.is_file():
            raise ValueError(f"no Inception weights at {path}: {_way_out()}")
        if _digest(path) != sha256:
            raise ValueError(f"{path} is not the file with sha256 {sha256[:8]}...: {_way_out()}")
        return path
    known = [_folder() / FILE, *(Path(torch.hub.get_dir()) / "checkpoints" / name for name in _SAME_BYTES)]
    found = next((file for file in known if file.is_file() and _digest(file) == sha256), None)
    if found is not None:
        return found
    if known[0].is_file():
        raise ValueError(f"{known[0]} is damaged: delete it and run again, or {_way_out()}")
    return cached(_folder(), lambda folder: _download(folder / FILE, sha256)) / FILE


def _folder() -> Path:
    return cache_dir() / "inception-v3"


def _download(file: Path, sha256: str) -> None:
    try:
        with urllib.request.urlopen(URL, timeout=_TIMEOUT_SECONDS) as response, file.open("wb") as target:
            shutil.copyfileobj(response, target)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise ValueError(f"the Inception weights cannot be downloaded ({reason}): {_way_out()}") from None
    if _digest(file) != sha256:
        raise ValueError(f"the download of {FILE} is damaged or replaced (its sha256 differs): {_way_out()}")


def _digest(file: Path) -> str:
    digest = new_sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _way_out() -> str:
    return f"put {FILE} from {URL} into {_folder()}, or score with a classifier's features instead of Inception's"
