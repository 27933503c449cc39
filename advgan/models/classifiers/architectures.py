"""The table of classifier architectures, and a network from a configuration."""

from collections.abc import Callable

from torch import nn

from advgan.config import NetworkConfig
from advgan.config.places import is_python_source
from advgan.models.classifiers.catalogues import is_catalogued, names_weights, published, untrained
from advgan.models.classifiers.cnn import Cnn
from advgan.models.classifiers.heads import adapt_channels, replace_head
from advgan.models.classifiers.mlp import Mlp
from advgan.models.classifiers.probing import probe
from advgan.models.classifiers.python_source import network_from_python
from advgan.models.classifiers.resnet import ResNet
from attacks import Classifier

CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {"mlp": Mlp, "cnn": Cnn, "resnet": ResNet}
"""Our own architectures: size, channels, num_classes, and optionally depth and width, to a network."""


def build_network(
    config: NetworkConfig, *, size: int, channels: int, num_classes: int, pretrained: bool = True
) -> nn.Module:
    """Build the network of a configuration for (N, channels, size, size) images and `num_classes` classes.

    Networks of torchvision, timm and a user's file get a new head where theirs has another number of classes. With
    `pretrained` false, `@WEIGHTS` is not loaded: for a caller who is about to load others. Fresh weights are drawn from
    torch's generator; call this inside `attacks.random.seeded`. Raises ValueError in one line.
    """
    if config.stages is not None and config.name != "resnet":
        raise ValueError(f"network.stages is an option of resnet, not of {config.name}: leave it out")
    if config.name in CLASSIFIERS:
        chosen = {"depth": config.depth, "width": config.width, "stages": config.stages}
        options = {name: value for name, value in chosen.items() if value is not None}
        return CLASSIFIERS[config.name](size=size, channels=channels, num_classes=num_classes, **options)
    if config.depth is not None or config.width is not None:
        raise ValueError(f"depth and width are options of {', '.join(CLASSIFIERS)}, not of {config.name}")
    if is_catalogued(config.name):
        network = _catalogued(config.name, size, channels, num_classes, pretrained=pretrained)
    elif is_python_source(config.name):
        options = {"num_classes": num_classes, "channels": channels, "size": size}
        network = network_from_python(config.name, options)
    else:
        raise ValueError(
            f"unknown network {config.name!r}: choose {', '.join(CLASSIFIERS)}, torchvision:NAME, timm:NAME or "
            "file.py:builder"
        )
    classifier = Classifier(network, num_classes=num_classes)
    logits = probe(classifier, size=size, channels=channels, source=config.name)
    if logits.shape[1] != num_classes:
        replace_head(network, num_classes)
        logits = probe(Classifier(network, num_classes=num_classes), size=size, channels=channels, source=config.name)
        if logits.shape[1] != num_classes:
            raise ValueError(
                f"{config.name} gives {logits.shape[1]} outputs for {num_classes} classes, and its last layer cannot "
                "be replaced: write a builder that takes num_classes"
            )
    return network.requires_grad_().train()


def _catalogued(name: str, size: int, channels: int, num_classes: int, *, pretrained: bool) -> nn.Module:
    if pretrained and names_weights(name):
        network = published(name).network
    else:
        network = untrained(name, size=size, channels=channels, num_classes=num_classes)
    adapt_channels(network, channels)
    return network
