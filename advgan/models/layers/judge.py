"""What most discriminators have in common: features of the image, and a head that reads everything from them."""

from torch import Tensor, nn

from advgan.models.layers.conditioning import LabelledImages
from advgan.models.layers.minibatch import MinibatchFeatures
from advgan.models.layers.verdict import Verdict


class Judge(nn.Module):
    """A discriminator (see `advgan.models.interface`) of these parts, or with `features` of its own."""

    inputs: LabelledImages
    """Joins the label to the image, where it is told so."""
    layers: nn.Module
    batch: MinibatchFeatures
    """Flattens what the layers give to (N, D), and adds what it sees of the rest of the batch."""
    head: Verdict

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The last hidden layer: images (N, C, H, W) to (N, D)."""
        features: Tensor = self.batch(self.layers(self.inputs(images, labels)))
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,)."""
        logits: Tensor = self.head(self.features(images, labels), labels)
        return logits
