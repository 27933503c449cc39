"""Find the logits in what a network returns: decided at its first output, and only applied at all later ones."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attacks.arrays import as_tensor
from attacks.foreign import Guarded
from attacks.random import uniform

LOGITS = ("logits", "logit")
ANSWERS = ("scores", "predictions", "preds", "output", "outputs", "out", "probabilities", "probs")
"""Names under which networks return their predictions beside other values, the likeliest first."""
TRIED = 32
"""Number of noise images by which a single probability is told from a single logit."""
_SAME_VALUES = re.compile(
    r"(Unsafe)?(View|Reshape\w*|Squeeze|Unsqueeze|Slice|Select|Cat|ToCopy|Alias|Clone|Expand|Permute|Transpose|T)"
    r"Backward\d*"
)
_LINEAR = re.compile(r"(Addmm|Mm|Linear|Bmm|Baddbmm|Mean|\w*Convolution)Backward\d*")


@dataclass(frozen=True)
class Reading:
    """The rule by which the logits are taken out of what a network returns."""

    kind: type
    """The type that was returned; for another type the rule is decided anew."""
    key: str | int | None
    """Key, index or attribute of the prediction; None where the output itself is the prediction."""
    form: Literal["classes", "logit", "probability"] = "classes"
    """One number a class, or a single logit or probability of class 1 in binary classification."""

    def logits(self, output: Any) -> Tensor:
        """Take out (N, classes) logits. Launches operators only for binary outputs of a single number."""
        if self.key is not None:
            by_place = isinstance(self.key, int) or isinstance(output, Mapping)
            output = output[self.key] if by_place else getattr(output, str(self.key))
        values = as_tensor(output, "what the network returns")
        if self.form == "classes":
            return values if values.ndim == 2 else values.flatten(1)
        one = values.reshape(len(values), 1)
        return torch.cat([torch.zeros_like(one) if self.form == "logit" else 1 - one, one], dim=1)

    @property
    def words(self) -> str:
        """The rule in words, for reports; empty for a plain tensor of one number a class."""
        place = "" if self.key is None else f"{self.key!r} of the {self.kind.__name__} that it returns"
        alone = {"classes": "", "logit": "one logit, of class 1", "probability": "one probability, of class 1"}
        return ", ".join(part for part in (place, alone[self.form]) if part)


class NoLogitsError(ValueError):
    """A network returned something in which there are no logits, or several candidates for them."""


@dataclass
class Reader:
    """Takes the logits out of a network's outputs by the rule that its first output decided."""

    name: str
    num_classes: int | None = None
    """Tells which of several outputs are the logits; None: not known."""
    reading: Reading | None = None

    def logits(self, output: object, count: int, tried: Callable[[Tensor], object], images: Tensor) -> Tensor:
        """Take the (count, classes) logits out of the output for `images`; `tried` runs the network on probe images.

        Values are inspected only once: at the first output of a network that returns a single number of unknown form.
        Raises NoLogitsError where there are none, or several candidates for them.
        """
        if self.reading is None or self.reading.kind is not type(output):
            self.reading = self._read(output, count, tried, images)
        logits = self.reading.logits(output)
        if logits.ndim != 2 or len(logits) != count or logits.shape[1] < 2:
            raise NoLogitsError(_without_logits(output, count, self.name))
        return logits

    def _read(self, output: object, count: int, tried: Callable[[Tensor], object], images: Tensor) -> Reading:
        found = {key: value for key, value in entries(output).items() if not _is_whole(value)}
        widths = {key: width for key, value in found.items() if (width := _width(value, count)) is not None}
        if not widths:
            raise NoLogitsError(_without_logits(output, count, self.name))
        key = _chosen(widths, self.num_classes)
        if key is None:
            each = ", ".join(f"{key!r} {_shown(found[key])}" for key in widths)
            raise NoLogitsError(
                f"{self.name} returned a {type(output).__name__} in which several may be the logits, {each}: say how "
                "many classes there are, Classifier(..., num_classes=N), or return the logits alone"
            )
        reading = Reading(type(output), None if is_array(output) else key)
        if widths[key] > 1:
            return reading
        reading = dataclasses.replace(reading, form="logit")
        with torch.inference_mode(False), torch.enable_grad():
            noise = _noise_like(images).requires_grad_()
            is_probability = _is_probability(reading.logits(tried(noise))[:, 1])
        return dataclasses.replace(reading, form="probability") if is_probability else reading


def _noise_like(images: Tensor) -> Tensor:
    """Draw (TRIED, C, H, W) noise images in [0, 1] of varied brightness and contrast."""
    numbers = torch.arange(TRIED, device=images.device)
    levels, shape = uniform(1, numbers, (2, 1, 1)), tuple(images.shape[1:])
    noise = uniform(0, numbers, shape) - levels[:, :1].reshape(-1, *(1 for _ in shape))
    return (0.5 + 2 * levels[:, 1:].reshape(-1, *(1 for _ in shape)) * noise).clamp(0, 1).to(images.dtype)


def is_array(output: object) -> bool:
    return isinstance(output, Tensor) or hasattr(output, "__array__")


def entries(output: object) -> Mapping[Any, object]:
    """The values in an output by key, index or attribute name; a tensor alone has the key 0."""
    if is_array(output):
        return {0: output}
    if isinstance(output, Mapping):
        return output
    if hasattr(output, "_asdict"):
        return dict(output._asdict())
    if isinstance(output, (tuple, list)):
        return dict(enumerate(output))
    named = {name: getattr(output, name) for name in LOGITS if hasattr(output, name)}
    fields = dataclasses.fields(output) if dataclasses.is_dataclass(output) else ()
    return {**named, **getattr(output, "__dict__", {}), **{field.name: getattr(output, field.name) for field in fields}}


def _width(value: object, count: int) -> int | None:
    """The size K of an entry of shape (count, K), or (count, K, 1, 1); 0 for (count,); None for any other shape."""
    shape = tuple(getattr(value, "shape", ()))
    if not shape or shape[0] != count or (len(shape) > 2 and set(shape[2:]) != {1}):
        return None
    return shape[1] if len(shape) > 1 else 0


def _chosen(widths: Mapping[Any, int], num_classes: int | None) -> Any:
    """Choose the key of the logits by name, by the number of classes, or where all are alike; None where it is open.

    An (N,) entry beside an (N, K) one is taken for a loss or a label of each image.
    """
    wide = {key: width for key, width in widths.items() if width > 0} or dict(widths)
    asked = (num_classes, 1) if num_classes == 2 else (num_classes,)
    places = [name for name in LOGITS if name in wide]
    places += [key for width in asked for key in wide if wide[key] == width]
    places += [name for name in ANSWERS if name in wide]
    if not places and len(set(wide.values())) == 1:
        return next(iter(wide))
    return places[0] if places else None


def _is_probability(column: Tensor) -> bool:
    """Decide by the last operator that changes values (a sigmoid?), else by whether all values lie in [0, 1]."""
    node = column.grad_fn
    while node is not None and _SAME_VALUES.fullmatch(node.name()):
        # After `cat` the column that was read is the last input.
        node = next((each for each, _ in reversed(node.next_functions) if each is not None), None)
    operator = "" if node is None else node.name()
    if operator.startswith("SigmoidBackward") or _LINEAR.fullmatch(operator):
        return operator.startswith("Sigmoid")
    return bool(((column >= 0) & (column <= 1)).all())


def _without_logits(output: object, count: int, name: str) -> str:
    if _is_whole(output):
        return f"{name} returned whole numbers, as if it had decided on classes already: let it return its logits"
    if isinstance(output, Tensor):
        return (
            f"{name} returned shape {tuple(output.shape)} for {count} images; ({count}, classes), or one number for "
            "the second of two classes, is needed"
        )
    held = ", ".join(f"{key!r} {_shown(value)}" for key, value in list(entries(output).items())[:4])
    return (
        f"{name} returned a {type(output).__name__}{f' of {held}' if held else ''}; a tensor of logits, "
        f"({count}, classes), is needed, alone or in a tuple, a dict or an object"
    )


def _is_whole(value: object) -> bool:
    """Whether numbers cannot be logits by their type: classes that were decided already, masks, counts."""
    kind = str(getattr(value, "dtype", "")).rpartition(".")[2]
    return kind.startswith(("int", "uint", "bool"))


def _shown(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def answered(network: nn.Module, inputs: Tensor, name: str) -> object:
    """Run a network, which may be foreign code.

    Raises ValueError where it tries to end the program, and where its batch norm uses batch statistics in evaluation
    mode and gets one image. Batches of an attack shrink to a single image, for which such a batch norm has no variance.
    """
    try:
        with Guarded(name):
            return network(inputs)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
    raise ValueError(
        f"{name} normalises over the batch in evaluation mode, so it has no answer to one image alone: build its batch "
        "norm with track_running_stats=True, and keep members of an ensemble in nn.ModuleList"
    )
