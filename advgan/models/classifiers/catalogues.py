"""Networks of other libraries by name: `torchvision:NAME`, `timm:NAME` and `hf-hub:ORG/NAME`, with `@` for weights."""

import difflib
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advgan.error_text import first_line
from advgan.storage.foreign_code import may_fetch
from advgan.storage.seal import file_digest

LIBRARIES = ("torchvision", "timm", "hf-hub")
DEFAULT = "DEFAULT"
RANDOM = "random"
"""`@random` in a name asks for fresh weights, where published ones would be loaded otherwise."""
_AUXILIARY_HEADS = ("aux1", "aux2", "AuxLogits")
_INSTALL_TIMM = "pip install 'advgan[timm]'"


@dataclass(frozen=True)
class Published:
    """A network with published weights, and what its images must look like."""

    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    """Side of the images that it was trained on."""


def is_catalogued(source: str) -> bool:
    """Whether a name has the form LIBRARY:NAME of a library known here."""
    return source.partition(":")[0] in LIBRARIES


def with_library(name: str) -> str | None:
    """`torchvision:NAME` or `timm:NAME` for a bare name that one of them knows; None where neither does."""
    import torchvision

    bare = name.partition("@")[0]
    if bare in torchvision.models.list_models(module=torchvision.models):
        return f"torchvision:{name}"
    try:
        import timm
    except ImportError:
        return None
    return f"timm:{name}" if timm.is_model(bare.partition(".")[0]) else None


def names_weights(source: str) -> bool:
    """Whether a name asks for published weights: by `@WEIGHTS`, or because a hub holds nothing else."""
    return source.startswith("hf-hub:") or ("@" in source and not wants_random(source))


def wants_random(source: str) -> bool:
    """Whether a name asks for fresh weights, by `@random`; a hub has none."""
    return source.endswith(f"@{RANDOM}") and not source.startswith("hf-hub:")


def untrained(source: str, *, size: int, channels: int, num_classes: int) -> nn.Module:
    """Build a network with fresh weights for images of this shape; `@WEIGHTS` in the name is ignored.

    torchvision's networks come with three input channels, timm's with `channels`. Raises ValueError in one line.
    """
    library, name, weights = _split(source)
    if library != "torchvision":
        source = f"{library}:{name}" if weights == RANDOM else source
        return _timm(source, pretrained=False, options={"num_classes": num_classes, "in_chans": channels}, size=size)
    _known_to_torchvision(name)
    from torchvision.models import get_model

    options: dict[str, Any] = {"num_classes": num_classes}
    if name.startswith("vit_"):
        options["image_size"] = size
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": False}
    try:
        return get_model(name, weights=None, **options)
    except Exception as error:
        raise ValueError(
            f"{source} cannot be built for {size}x{size} images ({_cause(error)}): --resize changes that"
        ) from error


def published(source: str) -> Published:
    """Load a network with published weights: those named, else the library's default.

    Weights come from the library's own cache or are downloaded into it; torchvision's are held against the hash in
    their name, whether downloaded or found. Raises ValueError in one line; offline, it names the file and the folder.
    """
    library, name, weights = _split(source)
    if library == "torchvision":
        return _published_by_torchvision(name, weights or DEFAULT)
    network = _timm(source, pretrained=True, options={}, size=None)
    mean, std, size = _timm_preprocessing(network)
    return Published(network, mean, std, size)


def published_normalisation(source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel that go with published weights, without loading them."""
    library, name, weights = _split(source)
    if library == "torchvision":
        preset = _torchvision_weights(name, weights or DEFAULT).transforms()
        return tuple(preset.mean), tuple(preset.std)
    mean, std, _ = _timm_preprocessing(_timm(source, pretrained=False, options={}, size=None))
    return mean, std


def _split(source: str) -> tuple[str, str, str | None]:
    library, _, rest = source.partition(":")
    name, _, weights = rest.partition("@")
    if not name:
        raise ValueError(f"{source!r} names no network: write {library}:NAME")
    return library, name, weights or None


def _published_by_torchvision(name: str, weights_name: str) -> Published:
    weights = _torchvision_weights(name, weights_name)
    from torchvision.models import get_model

    state = torch.load(
        _downloaded(weights.url, f"torchvision:{name}@{weights_name}"), map_location="cpu", weights_only=True
    )
    preset, options = weights.transforms(), {"num_classes": len(weights.meta["categories"])}
    if name in ("googlenet", "inception_v3"):
        options |= {"init_weights": False, "transform_input": True}
    network = get_model(name, weights=None, **options)
    network.load_state_dict(state)
    for head in _AUXILIARY_HEADS:
        if hasattr(network, head):
            # In train mode these would make the network return a tuple.
            setattr(network, head, None)
            network.aux_logits = False
    return Published(network, tuple(preset.mean), tuple(preset.std), preset.crop_size[0])


def _torchvision_weights(name: str, weights_name: str) -> Any:
    _known_to_torchvision(name)
    from torchvision.models import get_model_weights

    known = get_model_weights(name)
    if weights_name not in known.__members__:
        raise ValueError(
            f"torchvision:{name} has no weights {weights_name!r}: choose from {', '.join([*known.__members__, RANDOM])}"
        )
    return known[weights_name]


def _known_to_torchvision(name: str) -> None:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(f"torchvision has no classifier {name!r}" + _suggestion(name, known))


def _not_fetched(source: str, place: object) -> str:
    return (
        f"{source} is named by a stored file alone, and is not in the cache {place}: it is not fetched for that; "
        f"--trust {source} does"
    )


def _downloaded(url: str, source: str) -> Path:
    """The file of a URL from torch's cache, downloaded into it if need be, its hash prefix checked either way."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / url.rsplit("/", 1)[1]
    if file.is_file():
        _check_hash(file)
        return file
    if not may_fetch(source):
        raise ValueError(_not_fetched(source, file))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(file), _hash_prefix(file), progress=False)
    except RuntimeError as error:
        raise ValueError(f"{url} is not what its name promises ({_cause(error)}): try again later") from None
    except OSError as error:
        raise ValueError(
            f"cannot download {file.name} ({_cause(error)}): put the file of {url} into {folder}, or ask "
            f"for fresh weights, NAME@{RANDOM}"
        ) from None
    return file


def _check_hash(file: Path) -> None:
    expected = _hash_prefix(file)
    found = file_digest(file)
    if expected is not None and not found.startswith(expected):
        raise ValueError(f"{file} is damaged (SHA-256 {found[:8]}, its name says {expected}): delete it and try again")


def _hash_prefix(file: Path) -> str | None:
    match = re.search(r"-([0-9a-f]{8,})\.", file.name)
    return match.group(1) if match else None


def _timm(source: str, *, pretrained: bool, options: dict[str, Any], size: int | None) -> nn.Module:
    library, name, weights = _split(source)
    try:
        import timm
    except ImportError:
        raise ValueError(f"{source} needs timm: {_INSTALL_TIMM}") from None
    if library == "hf-hub":
        name = source
    elif not timm.is_model(name.partition(".")[0]):
        raise ValueError(f"timm has no network {name!r}" + _suggestion(name, timm.list_models()))
    elif weights not in (None, DEFAULT):
        name = f"{name.partition('.')[0]}.{weights}"
        if name not in timm.list_pretrained(name):
            known = [each.partition(".")[2] for each in timm.list_pretrained(f"{name.partition('.')[0]}.*")]
            raise ValueError(f"{source} has no weights {weights!r}: choose from {', '.join([*known, RANDOM])}")
    try:
        with _hub_if_reachable(source):
            return _created(name, pretrained, options, size)
    except Exception as error:
        if not pretrained and library == "timm":
            raise ValueError(f"{source} cannot be built: {_cause(error)}") from error
        from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

        if not may_fetch(source):
            raise ValueError(_not_fetched(source, HF_HUB_CACHE)) from error
        raise ValueError(
            f"cannot load {source} ({type(error).__name__}): it is neither in the cache {HF_HUB_CACHE}, nor to be "
            f"had from {ENDPOINT} (offline, misspelt or private)"
            + (f": {library}:{name.partition('.')[0]}@{RANDOM} has fresh weights" if library == "timm" else "")
        ) from error


@contextmanager
def _hub_if_reachable(source: str) -> Iterator[None]:
    """Go straight to the cache where the hub's name does not even resolve; its client would retry for a minute.

    So too where the source is named by a stored file, and not by the user.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        if not may_fetch(source):
            constants.HF_HUB_OFFLINE = True
        elif not any(urllib.request.getproxies().get(kind) for kind in ("http", "https", "all")):
            socket.getaddrinfo(urllib.parse.urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _created(name: str, pretrained: bool, options: dict[str, Any], size: int | None) -> nn.Module:
    import timm

    if size is not None:
        try:
            # Transformers have a fixed grid, which this sets; convolutional networks do not know the option.
            return timm.create_model(name, pretrained=pretrained, img_size=size, **options)
        except TypeError:
            pass
    return timm.create_model(name, pretrained=pretrained, **options)


def _timm_preprocessing(network: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    from timm.data.config import resolve_model_data_config

    config = resolve_model_data_config(network)
    return tuple(config["mean"]), tuple(config["std"]), int(config["input_size"][-1])


def _suggestion(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f": did you mean {', '.join(close)}?" if close else f" ({len(known)} others are known)"


def _cause(error: Exception) -> str:
    cause = getattr(error, "reason", None)  # what urllib wraps
    reason = cause if isinstance(cause, Exception) else error
    return first_line(reason).removesuffix(".")
