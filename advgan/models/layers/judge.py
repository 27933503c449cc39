"""The base class of most discriminators: features of the image, and a head that reads logits from them."""

from torch import Tensor, nn

from advgan.models.layers.conditioning import LabelledImages
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.verdict import Verdict


class Judge(nn.Module):
    """A discriminator (`advgan.models.interface`) built from these parts; subclasses may override `features`."""

    inputs: LabelledImages
    """Appends the label to the image where labels are concatenated."""
    layers: nn.Module
    batch: MinibatchFeatures
    """Flattens the last maps to (N, D), and appends minibatch statistics where configured."""
    head: Verdict

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The last hidden layer: images (N, C, H, W) to (N, D)."""
        features: Tensor = self.batch(self.layers(self.inputs(images, labels)))
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,)."""
        logits: Tensor = self.head(self.features(images, labels), labels)
        return logits
