"""How a GAN is trained."""

from typing import Literal

from pydantic import Field, model_validator

from advgan.config.ramp import Ramp
from advgan.config.section import Positive, Section, Share

Losses = Literal[
    "minimax",
    "non-saturating",
    "hinge",
    "least-squares",
    "wasserstein",
    "relativistic",
    "relativistic-average",
]
CROSS_ENTROPY = ("minimax", "non-saturating")
"""Losses whose logits are log-odds, with targets that can be smoothed."""
Weight = Field(default=0.0, ge=0, allow_inf_nan=False)


class GanTraining(Section):
    """The training recipe of a GAN. A weight of 0 leaves its term out."""

    loss: Losses = "non-saturating"
    """What both players minimise of the discriminator's logits."""
    gradient_penalty: float | None = Field(default=None, ge=0)
    """Weight of the penalty on the critic's gradient norm between real and fake images; None: 10 for `wasserstein`
    without `clip`, 0 for the others."""
    dragan: float = Weight
    """Weight of the penalty on the critic's gradient norm around real images (DRAGAN)."""
    r1: float = Weight
    """Weight of half the squared gradient norm at real images (R1)."""
    r2: float = Weight
    """Weight of half the squared gradient norm at fake images (R2)."""
    lecam: float = Weight
    """Weight of LeCam regularisation: real and fake logits are pulled towards the other side's moving average."""
    clip: float = Weight
    """Bound of each weight of the critic after every step (WGAN); 0: none."""
    penalty_every: int = Field(default=1, ge=1)
    """Discriminator steps between gradient penalties, whose weight is multiplied by it (lazy regularisation)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """One-sided label smoothing: the target of real images is 1 minus this; that of fakes stays 0."""
    feature_matching: float = Weight
    """Weight of the squared distance between mean features of real and fake images in the generator's loss."""
    adversarial: float = Field(default=1.0, ge=0)
    """Weight of the adversarial loss in the generator's loss; with 0 only the other terms train it."""
    historical_averaging: float = Weight
    """Weight of the squared distance of each player's parameters from their mean over training."""
    orthogonal: float = Weight
    """Weight of the off-diagonal part of the Gram matrices of the generator's weights (BigGAN)."""
    information: float = 1.0
    """Weight of the mutual information between codes and images, where the networks have codes (InfoGAN)."""
    classification: float = 1.0
    """Weight of the class terms, where the discriminator names classes."""
    labelled: int | None = Field(default=None, ge=1)
    """Training images whose label a semi-supervised discriminator is told, as many of each class; None: all."""
    augmentation: tuple[Literal["colour", "translation", "cutout", "flip"], ...] = ()
    """What is done to real and fake images alike before the discriminator sees them (DiffAugment)."""
    augmentation_target: float | None = Field(default=None, gt=0, lt=1)
    """Adapt the share of augmented images so that the mean sign of the logits of real images stays here (0.6 in the
    paper); None: augment every image."""
    mirror: bool = False
    """Mirror every other real image, at random, left to right."""
    steps: int = Field(default=2000, ge=1)
    """Generator steps."""
    discriminator_steps: int = Field(default=1, ge=1)
    """Discriminator steps before each generator step."""
    adaptive_steps: bool = False
    """Take only one discriminator step while its accuracy on real and fake images is above 0.75."""
    generator_updates: int = Field(default=1, ge=1)
    """Updates of the generator in one of its steps (PacGAN's code takes two, on the same latents)."""
    generator_batch: Literal["same", "fresh"] = "same"
    """Whether the generator learns from the images that the discriminator was shown last, which costs nothing, or from
    new ones, beside new real images (mimicry, R3GAN)."""
    power_iterations: Literal["turn", "batch"] = "turn"
    """Whether spectral norm takes a step of its power iteration for each turn of a player, or for each batch that the
    discriminator judges in it, real, generated or between (as torch.nn.utils.spectral_norm does)."""
    batch_size: int = Field(default=64, ge=2)
    """Images a step, over all processes and accumulated parts together."""
    accumulation: int = Field(default=1, ge=1)
    """Parts of a batch that pass one after the other, to save memory. What is logged, LeCam's averages, the signs that
    steer augmentation and the accuracy that steers the schedule are of the whole batch; batch norm, minibatch
    statistics, spectral norm, the loss relativistic-average and feature_matching see a part, which a run says."""
    generator_learning_rate: Positive = 2e-4
    """Of the generator's optimiser."""
    discriminator_learning_rate: Positive = 2e-4
    """Of the discriminator's optimiser."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How both learning rates fall to 0 over the steps."""
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    """Of both players."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """First beta of Adam, or the momentum of sgd."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Second beta of Adam, or the smoothing constant (alpha) of rmsprop."""
    average_decay: Share = 0.999
    """Decay of the averaged generator, which is what is sampled and scored; 0: the live generator itself."""
    average_after: int | None = Field(default=None, ge=0)
    """Steps after which the average starts, from the live weights and at its full decay (BigGAN); None: at once, at a
    decay that grows with the steps."""
    ramp: Ramp = Ramp()
    """Settings that change along half a cosine during training (R3GAN)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of both networks' passes; weights, losses and optimisers stay float32."""
    cuda_graphs: bool | Literal["auto"] = "auto"
    """Record the passes of both players once and replay them, on a CUDA device: the host then launches a recording
    instead of hundreds of kernels. Only for networks that keep their shapes. `auto`: wherever that is possible; true:
    training ends with the reason where it is not."""
    deterministic: bool = True
    """On a CUDA device: kernels that give the same bits every time, so that a resumed run ends as one that was left
    alone. false: the fastest that cuDNN finds by trial (cudnn.benchmark)."""
    seed: int = Field(default=0, ge=0)
    """Of weights, batches, latents and all else that is random in training."""

    def idle(self) -> dict[str, str]:
        found = {}
        if not (self.penalises_gradients or self.lecam):
            found["penalty_every"] = "no gradient is penalised; set r1, r2, dragan or gradient_penalty"
        if self.optimizer == "sgd":
            found["beta2"] = "sgd has none; set training.optimizer adam"
        if not self.average_decay:
            found["average_after"] = "weights are not averaged; set average_decay"
        return found

    @property
    def penalty_weight(self) -> float:
        """The gradient penalty that is in force."""
        if self.gradient_penalty is not None:
            return self.gradient_penalty
        return 10.0 if self.loss == "wasserstein" and not self.clip else 0.0

    @property
    def batches_per_step(self) -> int:
        """Batches of real images that a step takes, if its discriminator takes all its turns."""
        return self.discriminator_steps + self.fresh_per_step

    @property
    def fresh_per_step(self) -> int:
        """Those of them that the generator takes."""
        return self.generator_updates if self.generator_batch == "fresh" else 0

    @property
    def redraws(self) -> bool:
        """Whether the generator makes images of its own, beside those of the discriminator's turn."""
        return self.generator_batch == "fresh" or self.generator_updates > 1

    @property
    def augmentation_moves(self) -> bool:
        """Whether the share of images that are augmented changes with the steps."""
        return self.augmentation_target is not None or self.ramp.augmentation is not None

    @property
    def penalises_gradients(self) -> bool:
        """Whether the discriminator's gradient at single images matters, so that it must not mix them."""
        return any((self.penalty_weight, self.dragan, self.r1, self.r2))

    @model_validator(mode="after")
    def _wasserstein_needs_a_bound(self) -> "GanTraining":
        if self.loss == "wasserstein" and not (self.penalises_gradients or self.clip):
            raise ValueError(
                "loss wasserstein needs gradient_penalty > 0 (10 is usual) or clip (0.01): its critic must be Lipschitz"
            )
        return self

    @model_validator(mode="after")
    def _smoothing_needs_targets(self) -> "GanTraining":
        if self.label_smoothing and self.loss not in CROSS_ENTROPY:
            raise ValueError(
                f"label_smoothing {self.label_smoothing:g} needs a loss with targets ({', '.join(CROSS_ENTROPY)}), "
                f"{self.loss} has none: set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _parts_divide_the_batch(self) -> "GanTraining":
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"accumulation {self.accumulation} does not divide batch_size {self.batch_size}: parts must be equal"
            )
        return self

    @model_validator(mode="after")
    def _ramps_have_something_to_move(self) -> "GanTraining":
        reasons = {
            f"learning_rate {self.ramp.learning_rate} beside schedule {self.schedule}: set schedule constant": (
                self.ramp.learning_rate is not None and self.schedule != "constant"
            ),
            f"penalties {self.ramp.penalties} has no penalty to change: set r1 or r2": (
                self.ramp.penalties is not None and not (self.r1 or self.r2)
            ),
            f"beta2 {self.ramp.beta2} is Adam's, and optimizer is {self.optimizer}": (
                self.ramp.beta2 is not None and self.optimizer != "adam"
            ),
            f"augmentation {self.ramp.augmentation} needs augmentation, and no augmentation_target": (
                self.ramp.augmentation is not None and (not self.augmentation or self.augmentation_target is not None)
            ),
        }
        reason = next((text for text, holds in reasons.items() if holds), None)
        if reason:
            raise ValueError(f"ramp.{reason}")
        return self

    @model_validator(mode="after")
    def _adapting_needs_augmentation(self) -> "GanTraining":
        if self.augmentation_target is not None and not self.augmentation:
            raise ValueError(
                f"augmentation_target {self.augmentation_target:g} adapts nothing: name what to do in augmentation "
                "(colour, translation, cutout, flip)"
            )
        return self
