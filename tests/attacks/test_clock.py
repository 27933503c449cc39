"""The host knows who is at which step, though samples at different steps share a batch."""

import torch

from attacks.clock import Clock
from attacks.norms import LINF
from attacks.samples import Samples


def samples(count: int) -> Samples:
    images = torch.zeros(count, 1, 1, 1)
    return Samples.of(images, torch.zeros(count).long(), eps=0.1, norm=LINF, targeted=False, indices=None)


def test_ages_are_counted_from_when_each_joined() -> None:
    clock = Clock(3)
    born = clock.join(samples(2))
    assert clock.ages(born).only(0)
    clock.tick()
    born = torch.cat([born, clock.join(samples(1))])
    ages = clock.ages(born)
    assert (ages.present, ages.only(0)) == ({0, 1}, False)
    assert ages.are(1).tolist() == [True, True, False]
    assert ages.are(0).tolist() == [False, False, True]


def test_who_has_taken_all_steps_is_forgotten() -> None:
    clock = Clock(2)
    born = clock.join(samples(1))
    clock.tick()
    later = clock.join(samples(1))
    clock.tick()
    assert clock.ages(torch.cat([born, later])).present == {1}
