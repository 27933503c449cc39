"""A trained GAN with the images on which its discriminator is evaluated, each in one pass."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from advgan.data import ImageSet
from advgan.sampling.stored import TrainedGan
from advgan.storage.runs import Run
from evaluation.features.features import Extractor, Features
from evaluation.game.discriminator import Answers, Judgements, View, examine, view_of
from evaluation.game.discriminator_fit import FitConfig
from evaluation.game.look_history import by_one_judge
from evaluation.game.wasserstein import slopes_between

GRADIENTS = 256
"""Images of each kind at which the discriminator's gradient is taken."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Match:
    """The inputs of the rows on a game. The networks are used in eval mode; their mode is restored."""

    gan: TrainedGan
    train: ImageSet
    held_out: ImageSet
    fakes: Tensor
    """(N, C, H, W) in [0, 1]; as many training and held-out images are judged, where there are as many."""
    labels: Tensor | None = None
    """(N,): the classes that a conditional generator was asked for."""
    extractor: Extractor | None = None
    """Computes features and classes for rows that compare generated images; None leaves those rows out."""
    real: Features | None = None
    """Features of training images under `extractor`."""
    fit: FitConfig = field(default_factory=FitConfig)
    """How discriminators and generators are trained for the `COSTLY` rows."""
    batch_size: int = 256
    seed: int = 0

    @property
    def loss(self) -> str:
        """The entry of LOSSES that is played."""
        return self.gan.game.training.loss

    @property
    def packing(self) -> int:
        return self.gan.game.networks.packing

    @property
    def view(self) -> View:
        """How the discriminator is shown images."""
        return view_of(self.gan.generator, packing=self.packing)

    @cached_property
    def judged_train(self) -> ImageSet:
        """Training images in a random order: with batch norm, a batch of a single class would change the logits."""
        return self.train.draw(len(self.fakes), self.seed)

    @cached_property
    def judged_held_out(self) -> ImageSet:
        return self.held_out.draw(len(self.fakes), self.seed)

    @cached_property
    def on_train(self) -> Answers:
        return self._answers(self.judged_train.unit(), self.judged_train.labels)

    @cached_property
    def on_held_out(self) -> Answers:
        return self._answers(self.judged_held_out.unit(), self.judged_held_out.labels)

    @cached_property
    def on_fakes(self) -> Answers:
        return self._answers(self.fakes, self.labels)

    @cached_property
    def judgements(self) -> Judgements:
        """Logits of all three kinds, finite or not; raises ValueError where a kind has fewer than two."""
        found = Judgements(self.on_train.logits, self.on_held_out.logits, self.on_fakes.logits)
        if min(len(logits) for logits in vars(found).values()) < 2:
            raise ValueError("judging a game takes at least two training, two held-out and two fake images")
        return found

    @property
    def finite_judgements(self) -> Judgements:
        """`judgements`; raises ValueError also where a logit is not finite."""
        if not self.judgements.finite:
            raise ValueError("the discriminator gives NaN or infinite logits: its training has diverged")
        return self.judgements

    @cached_property
    def slopes(self) -> Tensor:
        """Gradient norms at points between training images and fakes."""
        some = slice(min(self._num_gradients, len(self.judged_train)))
        real, fake = self.view(self.judged_train.unit(some)), self.view(self.fakes[some])
        given = self.judged_train.labels[some] if self._asks else None
        return slopes_between(self.gan.game.discriminator, real, fake, given, seed=self.seed)

    @property
    def run(self) -> Run | None:
        """The run that trained the GAN, where its checkpoint still lies in one with a log."""
        folder = self.gan.path.parent.parent if self.gan.path.is_file() else self.gan.path
        return Run(folder) if Run(folder).log_file.is_file() else None

    @cached_property
    def looks(self) -> list[dict[str, Any]]:
        """The evaluated rows of the run's log, up to the step of this checkpoint, by the judge of the last."""
        rows = self.run.rows() if self.run else []
        return by_one_judge([row for row in rows if row["step"] <= self.gan.step])

    @property
    def snapshots(self) -> list[Path]:
        """The checkpoints of the run, or of the folder that this one lies in, itself included."""
        return sorted(self.gan.path.parent.glob("*.safetensors")) if self.gan.path.is_file() else []

    @property
    def _asks(self) -> bool:
        return self.gan.game.discriminator.num_classes > 0

    @property
    def _num_gradients(self) -> int:
        return max(GRADIENTS // self.packing, 1) * self.packing

    def _answers(self, images: Tensor, labels: Tensor | None) -> Answers:
        return examine(
            self.gan.game.discriminator,
            images,
            labels if self._asks else None,
            num_gradients=min(self._num_gradients, len(images) // self.packing * self.packing),
            batch_size=max(1, self.batch_size // self.packing) * self.packing,
            view=self.view,
        )
