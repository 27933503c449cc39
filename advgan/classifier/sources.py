"""Load a classifier from a string: our checkpoints, other libraries' networks, a user's code, exported files."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from advgan.classifier.stored import KIND, load_trained
from advgan.config import NetworkConfig
from advgan.config.mistakes import alike
from advgan.config.places import is_python_source
from advgan.data.reading.array_files import check_growth
from advgan.models.classifiers.architectures import CLASSIFIERS, build_network
from advgan.models.classifiers.catalogues import is_catalogued, published, wants_random, with_library
from advgan.models.classifiers.exported_program import exported_shape, load_exported
from advgan.models.classifiers.fixed_batch import FixedBatch
from advgan.models.classifiers.image_forms import Form, Layout, first_that_fits, form_of_file, possible_forms
from advgan.models.classifiers.onnx_network import load_onnx
from advgan.models.classifiers.python_source import at_rest, is_quantised, network_from_python
from advgan.storage.checkpoints import SUFFIX, WITH_CODE, find_checkpoint, load_checkpoint
from advgan.storage.contents import checked
from advgan.storage.exported import read_exported
from advgan.storage.headers import learnt_data
from attacks import Classifier
from attacks.random import seeded

FORMS = (
    "a run folder, FILE.safetensors, torchvision:NAME@WEIGHTS (or @random), timm:NAME, hf-hub:ORG/NAME, "
    "FILE.py:OBJECT, FILE.pt2 or FILE.onnx"
)


class _Loaded(NamedTuple):
    network: nn.Module
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    form: Form | None = None
    """None: unknown, found by trying."""
    differentiable: bool = True


class _Wanted(NamedTuple):
    """The data that a classifier is for."""

    num_classes: int
    size: int
    channels: int
    device: torch.device | str


def load_classifier(
    source: str,
    *,
    num_classes: int,
    size: int,
    channels: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    layout: Layout | None = None,
    input_size: int | None = None,
    device: torch.device | str = "cpu",
) -> Classifier:
    """Load the classifier that a string names, and check it against the shape of the data.

    A run folder or a `.safetensors` of ours; `torchvision:NAME[@WEIGHTS]`, `timm:NAME[@WEIGHTS]` and
    `hf-hub:ORG/NAME[@REVISION]` with their published weights (normalised as those demand, and resized where the data
    have another size), or of the first two with `@random` ones, built for the data; `FILE.py:OBJECT`, a module or a
    function without arguments that returns one; `FILE.pt2` of torch.export; `FILE.onnx`, which has no gradients. The
    last three take images in [0, 1] unless `mean` and `std` are given, which replace whatever else is known.

    A file states the order of the axes and the side of its images; of a module they are tried, unless `layout` and
    `input_size` say them: images are brought to that form inside the model. The result is frozen and in eval mode, and
    has been tried on images.

    Raises ValueError in one line where the source is unknown, cannot be had, may not be run, or does not fit the data.
    """
    _check_ours(source, mean, layout, input_size)
    wanted = _Wanted(num_classes, size, channels, device)
    with seeded(0):
        loaded = _load(source, wanted, input_size)
    if (mean is None) != (std is None):
        raise ValueError("--mean and --std belong together: give both or neither")
    loaded = loaded if mean is None or std is None else loaded._replace(mean=tuple(mean), std=tuple(std))
    if len(loaded.mean) not in (1, channels) or len(loaded.std) != len(loaded.mean):
        raise ValueError(
            f"mean has {len(loaded.mean)} and std {len(loaded.std)} numbers, the images have {channels} channels: give "
            f"one or {channels} of each" + _conversion(len(loaded.mean), channels)
        )
    network = at_rest(loaded.network).to(device)

    def wrapped(form: Form) -> Classifier:
        return Classifier(
            network,
            mean=loaded.mean,
            std=loaded.std,
            resize=form.resize,
            layout=form.layout,
            num_classes=num_classes,
            differentiable=loaded.differentiable,
            name=source,
        ).to(device)

    forms = possible_forms(network, stated=loaded.form, layout=layout, side=input_size, size=size)
    return first_that_fits(
        wrapped, forms, size=size, channels=channels, num_classes=num_classes, source=source, device=device
    )


def class_names(source: str) -> tuple[str, ...]:
    """The names of the classes that a classifier tells apart, in its order; empty where nothing says them.

    A checkpoint of ours says them, and the config.json that `advgan export` writes beside a network.
    """
    path = Path(source)
    if path.is_dir() or path.suffix == SUFFIX:
        return learnt_data(load_checkpoint(find_checkpoint(path), kind=KIND), owner="a classifier").classes
    if path.suffix not in (".pt2", ".onnx") or not path.is_file():
        return ()
    about = read_exported(path.parent)
    return about.classes if about and about.kind == KIND else ()


def check_there(source: str) -> None:
    """Raise ValueError, before any work, where a string names neither a known network nor a file or folder."""
    file = source.rpartition(":")[0] if is_python_source(source) else source
    if is_catalogued(source) or source in CLASSIFIERS or Path(file).exists():
        return
    meant = _meant(source)
    raise ValueError(f"no model {source!r}: " + (f"did you mean {meant}?" if meant else f"give {FORMS}"))


def _load(source: str, wanted: _Wanted, input_size: int | None) -> _Loaded:
    path = Path(source)
    if wants_random(source) and is_catalogued(source):
        side = input_size or wanted.size
        network = build_network(
            NetworkConfig(name=source), size=side, channels=wanted.channels, num_classes=wanted.num_classes
        )
        return _Loaded(network, form=Form())
    if is_catalogued(source):
        found = published(source)
        return _Loaded(found.network, found.mean, found.std, Form(resize=_other(found.size, wanted.size)))
    if is_python_source(source):
        network = network_from_python(source, {})
        return _Loaded(network, differentiable=not is_quantised(network))
    if path.is_dir() or path.suffix == SUFFIX:
        return _trained(path, wanted)
    if source in CLASSIFIERS:
        raise ValueError(
            f"{source} is an architecture with nothing trained: type advgan fit --model {source}, then give its run"
        )
    check_there(source)
    checked(path.parent, path.name)
    if path.suffix == ".pt2":
        return _exported(path, wanted)
    if path.suffix == ".onnx":
        return _onnx(path, wanted)
    if path.suffix == ".py":
        raise ValueError(f"{source} is a Python file: name the module or function in it, {source}:OBJECT")
    raise no_architecture(path)


def _meant(source: str) -> str | None:
    """What a name that is no model may stand for: an object of a Python file, or a network of a library or of ours."""
    module, colon, attribute = source.partition(":")
    file = f"{module.replace('.', '/')}.py"
    if Path(file).is_file():
        return f"{file}:{attribute if colon else 'OBJECT'}"
    return with_library(source) or alike(source, CLASSIFIERS)


def _other(side: int, size: int) -> int | None:
    return None if side == size else side


def _check_ours(source: str, mean: Sequence[float] | None, layout: Layout | None, side: int | None) -> None:
    """Refuse to say of a classifier of ours what its run says already."""
    path = Path(source)
    if not (path.is_dir() or path.suffix == SUFFIX):
        return
    said = {"--mean and --std": mean, "layout": layout, "input_size": side}
    option = next((name for name, value in said.items() if value is not None), None)
    if option:
        raise ValueError(f"{option}: nothing uses it here: the classifier is of advgan fit and brings its own")


def _trained(path: Path, wanted: _Wanted) -> _Loaded:
    classifier, info = load_trained(path, device=wanted.device)
    info.check_form(size=wanted.size, channels=wanted.channels, source=path)
    means, deviations = (tuple(each.flatten().tolist()) for each in (classifier.mean, classifier.std))
    return _Loaded(classifier.network, means, deviations, Form(classifier.layout))


def _exported(path: Path, wanted: _Wanted) -> _Loaded:
    network = load_exported(path, device=wanted.device)
    return _of_file(network, exported_shape(network), path, wanted)


def _onnx(path: Path, wanted: _Wanted) -> _Loaded:
    network = load_onnx(path)
    return _of_file(network, network.shape, path, wanted)._replace(differentiable=False)


def _of_file(network: nn.Module, shape: tuple[int | None, ...], path: Path, wanted: _Wanted) -> _Loaded:
    """A network whose file states what it takes; a batch size too, if it is bound to one."""
    form = form_of_file(shape, size=wanted.size, channels=wanted.channels, source=str(path))
    if shape[0] is not None:
        network = FixedBatch(network, shape[0], num_classes=wanted.num_classes)
    return _Loaded(network, form=form)


def _conversion(takes: int | None, channels: int) -> str:
    return f" (--set data.channels={takes} converts them)" if takes in (1, 3) and takes != channels else ""


def holds_weights(path: Path) -> bool:
    """Whether a file that torch wrote holds the weights of a network, and no arrays under names of their own."""
    if path.suffix.lower() not in (".pt", ".pth", ".bin", ".ckpt", ".tar"):
        return False
    try:
        check_growth(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whoever reads it says why
        return False
    if not isinstance(content, dict):
        return False
    return any(isinstance(value, dict) or "." in str(key) for key, value in content.items())


_OF_IMAGES = (".npz", ".npy", ".zip", ".png", ".jpg", ".jpeg", ".csv", ".parquet")


def no_architecture(path: Path) -> ValueError:
    """The error for a file of `torch.save` given as a model, with the way out; found without unpickling objects.

    Raises ValueError where the file is a pipe, or unpacks to more than the limits allow.
    """
    if path.stat().st_size == 0:
        return ValueError(f"{path} is empty: give {FORMS}")
    if path.suffix.lower() in _OF_IMAGES:
        return ValueError(f"{path} holds images, or what can be made of them, and no network: give {FORMS}")
    check_growth(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("constants.pkl") for name in archive.namelist()):
                return ValueError(
                    f"{path} is TorchScript, which is deprecated: save it with torch.export.save as .pt2, or give "
                    "FILE.py:FUNCTION, a function that returns torch.jit.load of it"
                )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        with path.open("rb") as file:
            is_pickle = file.read(1) in (b"\x80", b"P")  # how pickles and torch's archives begin
        if is_pickle:
            return ValueError(f"{path} is a pickle of more than tensors, which could run code: refused; {WITH_CODE}")
        return ValueError(f"{path} is no model that can be read: give {FORMS}")
    kind = "weights without their architecture" if isinstance(content, dict) else f"a {type(content).__name__}"
    return ValueError(f"{path} holds {kind}: {WITH_CODE}")
