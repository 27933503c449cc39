"""Train new discriminators (or copies of the trained one) against a frozen generator."""

import math
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from advgan.data import ImageSet, batches
from advgan.gan.losses import cross_entropy_discriminator as cross_entropy
from advgan.gan.training import start
from advgan.models.interface import Discriminator, Generator, Growing
from advgan.ranges import to_bytes, to_unit
from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan
from attacks.random import permutation, seeded
from evaluation.game.discriminator import View, judge, view_of

FIT_NOISE = 1 << 40
"""Index of the first sample that discriminators are fitted to, far beyond those that are scored."""
CHOICE_NOISE = 1 << 41
"""Index of the first sample by which the best of them is chosen."""
CHOICES = 8
"""Number of evenly spaced validations while a discriminator is fitted, beside the one at the start."""
DROPOUT = 1 << 12
"""Stream of attacks.random for dropout, one a step from here on."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Steps, batch size and learning rate with which a discriminator is fitted."""

    steps: int = 400
    batch_size: int = 64
    """Real images a step, and as many fakes."""
    learning_rate: float = 1e-3
    """Learning rate of Adam (default betas): five times that of most GANs, as the generator is frozen here."""
    budget: int | None = None
    """The most images that may pass the discriminator in training, real and fake together; it cuts the steps."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2:
            raise ValueError(f"steps {self.steps}, batch_size {self.batch_size}: at least 1 and 2 are needed")
        if self.taken < 1:
            raise ValueError(
                f"budget {self.budget} is less than one step of {2 * self.batch_size} images: raise it, or lower "
                "batch_size"
            )

    @property
    def taken(self) -> int:
        """Steps within the budget."""
        return self.steps if self.budget is None else min(self.steps, self.budget // (2 * self.batch_size))


def untrained_discriminator(gan: TrainedGan, *, seed: int = 0) -> Discriminator:
    """A discriminator of the same architecture as that of a trained GAN, its weights a function of the seed."""
    recipe = gan.game.training.model_copy(update={"seed": seed})
    shape = {"size": gan.size, "channels": gan.channels, "num_classes": len(gan.classes)}
    fresh = start(gan.game.networks, recipe, **shape, device=_device(gan.game.discriminator)).discriminator
    if isinstance(fresh, Growing):
        fresh.grow(1.0)
    return fresh


def fitted(
    discriminator: Discriminator,
    generator: Generator,
    real: ImageSet,
    choice: ImageSet,
    *,
    config: FitConfig,
    packing: int = 1,
    learns_statistics: bool = True,
    seed: int = 0,
) -> Discriminator:
    """Fit a copy to real images against a generator that stands still, by the cross-entropy (Goodfellow et al., 2014).

    Real and fake images share a batch, so that batch norm computes with statistics of both, as it does in eval mode;
    `learns_statistics` false leaves those of a trained discriminator as they are. The copy that is returned, in eval
    mode, is the best of `CHOICES` looks, the start included, on the images of `choice` and fakes of its own: so one
    that overfits stops in time. A function of the seed; neither network is touched.
    """
    view, batch_size = view_of(generator, packing=packing), _whole_packs(config.batch_size, packing)
    copy = deepcopy(discriminator).requires_grad_(True).train(learns_statistics)
    labels = choice.labels if discriminator.num_classes else None
    asked = fakes_like(generator, choice.labels, first=CHOICE_NOISE, seed=seed)
    least, kept = math.inf, deepcopy(copy.state_dict())
    optimizer = Adam([each for each in copy.parameters() if each.requires_grad], config.learning_rate)
    stream = batches(real, min(batch_size, _whole_packs(len(real), packing)), seed=seed, device=_device(copy))
    looks = {round(config.taken * look / CHOICES) for look in range(CHOICES + 1)}
    for step in range(config.taken + 1):
        if step in looks:
            logits = judged_together(copy, choice.unit(), asked, labels, view, packing=packing)
            if (loss := float(cross_entropy(*logits))) < least:
                least, kept = loss, deepcopy(copy.state_dict())
        if step == config.taken:
            break
        batch = next(stream)
        drawn = fakes_like(generator, batch.labels, first=FIT_NOISE + step * batch_size, seed=seed)
        with seeded(seed, stream=DROPOUT + step), torch.enable_grad():
            shown = torch.cat([view(to_unit(batch.images)), view(drawn)])
            given = torch.cat([batch.labels, batch.labels]) if discriminator.num_classes else None
            real_logits, fake_logits = copy(shown, given).float().chunk(2)
            optimizer.zero_grad()
            cross_entropy(real_logits, fake_logits).backward()
            optimizer.step()
    copy.load_state_dict(kept)
    return copy.requires_grad_(False).eval()


def judged_together(
    discriminator: Discriminator,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None,
    view: View,
    *,
    packing: int = 1,
    fake_labels: Tensor | None = None,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Logits of real and of fake images (N, C, H, W) in [0, 1], both kinds mixed in every batch; packs stay pure.

    A discriminator of levels gives a logit a level, a sample's together, as when it is trained.
    In a batch of one kind, a discriminator that sees its whole batch could tell the kind from the others, and its bound
    would be none. `fake_labels` are `labels` by default.
    """
    shown = [torch.cat([view(part).cpu() for part in kind.split(_whole_packs(256, packing))]) for kind in (real, fake)]
    order = permutation(seed, sum(map(len, shown)))
    given = None if labels is None else torch.cat([labels, labels if fake_labels is None else fake_labels])[order]
    mixed = judge(discriminator, torch.cat(shown)[order], given, view=torch.Tensor.clone).view(len(order), -1)
    logits = torch.empty_like(mixed)
    logits[order] = mixed
    return logits[: len(shown[0])].flatten(), logits[len(shown[0]) :].flatten()


def fakes_like(generator: Generator, labels: Tensor, *, first: int, seed: int) -> Tensor:
    """As many images as there are labels, of these classes where the generator has classes, from sample `first` on.

    They are rounded as in a file, or else a discriminator could tell them by their grey levels alone.
    """
    indices = torch.arange(first, first + len(labels))
    images = sample(generator, indices, seed=seed, labels=labels if generator.num_classes else None)
    return images if images.shape[-2:] == (1, 1) else to_unit(to_bytes(images))


def halves(images: ImageSet, *, seed: int) -> tuple[ImageSet, ImageSet]:
    """Deal a set into two that share no image, at random for the seed."""
    order = permutation(seed, len(images))
    return images.select(order[: len(images) // 2]), images.select(order[len(images) // 2 :])


def _whole_packs(count: int, packing: int) -> int:
    return max(1, count // packing) * packing


def _device(network: Discriminator) -> torch.device:
    return next(network.parameters()).device
