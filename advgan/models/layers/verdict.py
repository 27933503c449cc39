"""The head of a discriminator: real/fake logit, class logits and codes, read from its features."""

import torch
from torch import Tensor, nn

from advgan.config import GanNetworks
from advgan.models.interface import Shape
from advgan.models.layers.conditioning import needed


class Verdict(nn.Module):
    """Logits, and by configuration class logits and codes, from features (N, D).

    - unconditional: w.h + b.
    - `projection`: plus v_label.h with a vector per class (Miyato and Koyama, 2018). The vectors start at 0, so that
      at first the label has no effect; under spectral norm `constrain` draws them.
    - `product`: v_label.(W h), or w.h without classes; the logit of R3GAN's own code, which has no bias.
    - `auxiliary`: a linear layer beside it names the class (Odena et al., 2017).
    - `classes`: a logit per class, and their log-sum-exp as the logit of real: the classifier of K+1 classes with the
      logit of fake fixed at 0 (Salimans et al., 2016).
    - with codes: a linear layer beside it guesses them (Chen et al., 2016), from features or from the `num_read` that
      `reader` makes of them.
    """

    def __init__(
        self,
        num_features: int,
        *,
        networks: GanNetworks,
        num_classes: int,
        reader: nn.Module | None = None,
        num_read: int = 0,
    ) -> None:
        super().__init__()
        kind = networks.discriminator_labels
        self.is_product = kind == "product"
        self.is_projection = kind == "projection" and num_classes > 0
        self.is_semi_supervised = kind == "classes"
        self.names_classes = num_classes > 0 and kind in ("auxiliary", "classes")
        self.num_codes = networks.categorical + networks.continuous
        self.dropout = nn.Dropout(networks.dropout)
        multiplies = self.is_product and num_classes > 0
        outputs, bias = num_features if multiplies else 1, networks.outer_biases and not self.is_product
        self.linear = nn.Identity() if self.is_semi_supervised else nn.Linear(num_features, outputs, bias=bias)
        embeds = self.is_projection or multiplies
        self.embedding = nn.Embedding(num_classes, num_features) if embeds else nn.Identity()
        self.classes = nn.Linear(num_features, num_classes) if self.names_classes else nn.Identity()
        self.reader = reader if reader is not None and self.num_codes else nn.Identity()
        self.codes = nn.Linear(num_read or num_features, self.num_codes) if self.num_codes else nn.Identity()
        if isinstance(self.embedding, nn.Embedding) and self.is_projection:
            nn.init.zeros_(self.embedding.weight)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.dropout(features)
        if self.is_semi_supervised:
            return torch.logsumexp(self.classes(features), dim=1)
        if isinstance(self.embedding, nn.Embedding) and self.is_product:
            return (self.embedding(needed(labels)) * self.linear(features)).sum(dim=1)
        logits: Tensor = self.linear(features).squeeze(1)
        if self.is_projection:
            logits = logits + (self.embedding(needed(labels)) * features).sum(dim=1)
        return logits

    def classify(self, features: Tensor) -> Tensor:
        """Logits of the classes (N, K)."""
        assert self.names_classes
        logits: Tensor = self.classes(features)
        return logits

    def guess(self, features: Tensor) -> Tensor:
        """Codes (N, categorical + continuous)."""
        assert self.num_codes
        codes: Tensor = self.codes(self.reader(features))
        return codes


def judged_classes(networks: GanNetworks, shape: Shape) -> int:
    """Number of classes whose label the discriminator takes as input; 0 where it predicts them, or has none."""
    return shape.num_classes if networks.discriminator_labels in ("projection", "product", "concat") else 0
