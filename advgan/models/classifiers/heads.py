"""Adapt a network of any library to the data: replace its head, or change its number of input channels."""

import torch
from torch import Tensor, nn


def find_head(network: nn.Module) -> str:
    """Name the submodule that makes the logits: the last linear layer or convolution in order of definition.

    What enters it is the network's features. Raises ValueError where there is none.
    """
    names = [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    if not names:
        raise ValueError(f"{type(network).__name__} has no linear layer or convolution to take for its head")
    return names[-1]


def replace_head(network: nn.Module, num_classes: int) -> None:
    """Put a freshly initialised layer of `num_classes` outputs in the place of the head."""
    name = find_head(network)
    head = network.get_submodule(name)
    if isinstance(head, nn.Linear):
        replacement: nn.Module = nn.Linear(head.in_features, num_classes, bias=head.bias is not None)
    else:
        assert isinstance(head, nn.Conv2d)
        replacement = _convolution_like(head, head.in_channels, num_classes)
    network.set_submodule(name, replacement)


def adapt_channels(network: nn.Module, channels: int) -> None:
    """Make the first convolution take images of `channels` channels.

    From colour to grey the kernel is summed over the colours, so that the network sees a grey image as it saw the same
    image in three equal channels. From grey to colour it is divided among them. Raises ValueError where the first
    convolution cannot be taken apart like this.
    """
    first = next((name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        return
    convolution = network.get_submodule(first)
    assert isinstance(convolution, nn.Conv2d)
    if convolution.in_channels == channels:
        return
    if convolution.groups != 1 or 1 not in (convolution.in_channels, channels):
        raise ValueError(
            f"{type(network).__name__} takes {convolution.in_channels} channels and cannot be made to take {channels}: "
            f"--set data.channels={convolution.in_channels} converts the images"
        )
    replacement = _convolution_like(convolution, channels, convolution.out_channels)
    with torch.no_grad():
        replacement.weight.copy_(_kernel_for(convolution.weight, channels))
        if convolution.bias is not None and replacement.bias is not None:
            replacement.bias.copy_(convolution.bias)
    network.set_submodule(first, replacement)


def _kernel_for(kernel: Tensor, channels: int) -> Tensor:
    """(outputs, inputs, H, W) to (outputs, channels, H, W) with the same response to equal channels."""
    return kernel.sum(dim=1, keepdim=True).expand(-1, channels, -1, -1) / channels


def _convolution_like(layer: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    assert isinstance(layer.padding, str) or len(layer.padding) == 2
    return nn.Conv2d(
        inputs,
        outputs,
        (layer.kernel_size[0], layer.kernel_size[1]),
        (layer.stride[0], layer.stride[1]),
        layer.padding if isinstance(layer.padding, str) else (layer.padding[0], layer.padding[1]),
        (layer.dilation[0], layer.dilation[1]),
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
    )
