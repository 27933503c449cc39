"""One string to one classifier: our checkpoints, other libraries' networks, a user's code, exported files."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from advgan.classifier.stored import load_trained
from advgan.models.classifiers.architectures import CLASSIFIERS
from advgan.models.classifiers.catalogues import is_catalogued, published
from advgan.models.classifiers.exported_program import exported_batch, load_exported
from advgan.models.classifiers.fixed_batch import FixedBatch
from advgan.models.classifiers.onnx_network import load_onnx
from advgan.models.classifiers.probing import probe
from advgan.models.classifiers.python_source import is_python_source, network_from_python
from advgan.storage.checkpoints import SUFFIX
from attacks import Classifier
from attacks.random import seeded

FORMS = (
    "a run folder, FILE.safetensors, torchvision:NAME@WEIGHTS, timm:NAME, hf-hub:ORG/NAME, FILE.py:OBJECT, FILE.pt2 or "
    "FILE.onnx"
)


class _Loaded(NamedTuple):
    network: nn.Module
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | None = None
    differentiable: bool = True


def load_classifier(
    source: str,
    *,
    num_classes: int,
    size: int,
    channels: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Load the classifier that a string names, and hold it against the shape of the data.

    A run folder or a `.safetensors` of ours; `torchvision:NAME[@WEIGHTS]`, `timm:NAME[@WEIGHTS]` and
    `hf-hub:ORG/NAME[@REVISION]` with their published weights (normalised as those demand, and resized where the data
    have another size); `FILE.py:OBJECT`, a module or a function without arguments that returns one; `FILE.pt2` of
    torch.export; `FILE.onnx`, which has no gradients. The last three take images in [0, 1] unless `mean` and `std` are
    given, which replace whatever else is known. The result is frozen and in eval mode, and has been tried on images.

    Raises ValueError in one line where the source is unknown, cannot be had, may not be run, or does not fit the data.
    """
    with seeded(0):
        loaded = _load(source, size=size, channels=channels, device=device)
    if (mean is None) != (std is None):
        raise ValueError("--mean and --std belong together: give both or neither")
    loaded = loaded if mean is None or std is None else loaded._replace(mean=tuple(mean), std=tuple(std))
    if len(loaded.mean) not in (1, channels) or len(loaded.std) != len(loaded.mean):
        raise ValueError(
            f"mean has {len(loaded.mean)} and std {len(loaded.std)} numbers, the images have {channels} channels: give "
            f"one or {channels} of each" + _conversion(len(loaded.mean), channels)
        )
    classifier = Classifier(
        loaded.network.requires_grad_(False).eval().to(device),
        mean=loaded.mean,
        std=loaded.std,
        resize=loaded.resize,
        differentiable=loaded.differentiable,
        name=source,
    ).to(device)
    outputs = probe(classifier, size=size, channels=channels, source=source, device=device).shape[1]
    if outputs != num_classes:
        raise ValueError(f"{source} knows {outputs} classes, the data have {num_classes}: they do not belong together")
    return classifier


def _load(source: str, *, size: int, channels: int, device: torch.device | str) -> _Loaded:
    path = Path(source)
    if is_catalogued(source):
        found = published(source)
        return _Loaded(found.network, found.mean, found.std, found.size if found.size != size else None)
    if is_python_source(source):
        return _Loaded(network_from_python(source, {}))
    if path.is_dir() or path.suffix == SUFFIX:
        return _trained(path, size=size, channels=channels, device=device)
    if source in CLASSIFIERS:
        raise ValueError(
            f"{source} is an architecture with nothing trained: type advgan fit --model {source}, then give its run"
        )
    if not path.is_file():
        raise ValueError(f"no model {source!r}: give {FORMS}")
    if path.suffix == ".pt2":
        return _exported(path, device)
    if path.suffix == ".onnx":
        return _onnx(path, size=size, channels=channels)
    if path.suffix == ".py":
        raise ValueError(f"{source} is a Python file: name the module or function in it, {source}:OBJECT")
    raise _no_architecture(path)


def _trained(path: Path, *, size: int, channels: int, device: torch.device | str) -> _Loaded:
    classifier, info = load_trained(path, device=device)
    if (info.size, info.channels) != (size, channels):
        raise ValueError(
            f"{path} was trained on {info.channels}x{info.size}x{info.size} images ({info.data_name}), the data have "
            f"{channels}x{size}x{size}: add "
            + " and ".join(
                ([f"--resize {info.size}"] if info.size != size else [])
                + ([f"--set data.channels={info.channels}"] if info.channels != channels else [])
            )
        )
    means, deviations = (tuple(each.flatten().tolist()) for each in (classifier.mean, classifier.std))
    return _Loaded(classifier.network, means, deviations)


def _exported(path: Path, device: torch.device | str) -> _Loaded:
    network = load_exported(path, device=device)
    batch_size = exported_batch(network)
    return _Loaded(network if batch_size is None else FixedBatch(network, batch_size))


def _onnx(path: Path, *, size: int, channels: int) -> _Loaded:
    network = load_onnx(path)
    takes, height, width = network.shape
    if takes not in (None, channels):
        raise ValueError(
            f"{path} takes images of {takes} channels, the data have {channels}" + _conversion(takes, channels)
        )
    if {height, width} - {None, size}:
        raise ValueError(
            f"{path} takes images of {height}x{width} pixels, the data have {size}x{size}: --resize {height}"
        )
    batch_size = network.batch_size
    return _Loaded(network if batch_size is None else FixedBatch(network, batch_size), differentiable=False)


def _conversion(takes: int | None, channels: int) -> str:
    return f" (--set data.channels={takes} converts them)" if takes in (1, 3) and takes != channels else ""


def _no_architecture(path: Path) -> ValueError:
    """Why a file that only torch.load reads is no model: told without running anything that it holds."""
    way_out = "write a function that builds the network and loads its weights, and give FILE.py:FUNCTION instead"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                return ValueError(f"{path} is TorchScript, which is deprecated: save it with torch.export.save as .pt2")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        with path.open("rb") as file:
            is_pickle = file.read(1) in (b"\x80", b"P")  # how pickles and torch's archives begin
        if is_pickle:
            return ValueError(f"{path} is a pickle of more than tensors, which could run code: refused; {way_out}")
        return ValueError(f"{path} is no model that can be read: give {FORMS}")
    kind = "weights without their architecture" if isinstance(content, dict) else f"a {type(content).__name__}"
    return ValueError(f"{path} holds {kind}: {way_out}")
