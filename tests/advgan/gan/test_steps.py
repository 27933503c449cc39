import pytest
import torch
from torch import Tensor

from advgan.gan.steps import Step, stacked


def step(number: int, *, gradients: int) -> Step:
    """A step whose networks had so many gradients."""
    drawn = torch.rand(12 + gradients, generator=torch.Generator().manual_seed(number))
    return Step(
        step=number,
        images_seen=8 * number,
        discriminator_loss=drawn[0],
        generator_loss=drawn[1],
        terms={"generator.classes": drawn[2]},
        real_logits=drawn[3:7] - 0.5,
        fake_logits=drawn[7:11] - 0.5,
        discriminator_gradients=drawn[12:].unbind(),
        generator_gradients=drawn[12:].neg().unbind(),
        augmentation=drawn[11],
    )


VALUES = (
    *("discriminator_loss", "generator_loss", "real_logit", "fake_logit", "real_probability", "fake_probability"),
    *("real_accuracy", "fake_accuracy", "discriminator_gradient", "generator_gradient", "augmentation"),
)


@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (3, 3, 3, 5), (2, 6, 4, 4)], ids=["alike", "grown", "shrunk"])
def test_steps_read_together_are_what_each_is(counts: tuple[int, ...]) -> None:
    steps = [step(number, gradients=count) for number, count in enumerate(counts)]
    together = stacked(steps)
    for name in VALUES:
        values: list[Tensor] = [getattr(each, name) for each in steps]
        assert torch.equal(getattr(together, name), torch.stack(values)), name
    assert together.step == 3
