"""Try a network on blank images before it is used, so that a mismatch with the data is one line and not a trace."""

import torch
from torch import Tensor, nn

from attacks import Classifier
from attacks.foreign import EndedError, told
from attacks.outputs import NoLogitsError


def probe(
    classifier: Classifier,
    *,
    size: int,
    channels: int,
    source: str,
    device: torch.device | str = "cpu",
    more: str = "",
) -> Tensor:
    """Compute the logits of two grey images, without changing the classifier, its mode or its pass counts.

    Raises ValueError in one line, naming `source`, where the network does not take (N, channels, size, size) images or
    gives no logits; `more` is another way out for that line.
    """
    trial = classifier.network
    taken = first_channels(trial)
    if taken not in (None, channels):
        raise ValueError(
            f"{source} takes images of {taken} channel{'s' * (taken != 1)}, the data have {channels}"
            + (f": --set data.channels={taken} converts them" if taken in (1, 3) else "")
        )
    before = (classifier.passes.forwards, classifier.passes.backwards)
    try:
        return classifier.logits(torch.full((2, channels, size, size), 0.5, device=device))
    except EndedError:
        raise
    except NoLogitsError as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        words = told(error).removeprefix(f"{type(error).__name__}: ")
        raise ValueError(
            f"{source} does not take {channels}x{size}x{size} images ({_short(words)}): "
            f"--resize gives the data another size, --set data.channels another number of channels{more}"
        ) from error
    finally:
        classifier.passes.forwards, classifier.passes.backwards = before


def first_channels(network: nn.Module) -> int | None:
    """Input channels of the first convolution, where there is one."""
    return next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), None)


def looks_like_probabilities(outputs: Tensor) -> bool:
    """Whether outputs are probabilities rather than logits: none negative, and every row sums to 1.

    A softmax inside the network flattens the loss that attacks ascend; their success then says little about it.
    """
    sums = outputs.double().sum(dim=1)
    return bool((outputs >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())


def _short(words: str) -> str:
    return words if len(words) <= 160 else f"{words[:157]}..."
