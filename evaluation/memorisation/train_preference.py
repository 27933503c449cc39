"""Whether fakes lie nearer to training images than to held-out ones, which only copying can cause."""

import torch
from torch import Tensor

from evaluation.features.features import check_features
from evaluation.features.neighbours import nearest
from evaluation.statistics.intervals import Estimate, wilson_at


def train_preference(real: Tensor, fake: Tensor, held_out: Tensor) -> Estimate:
    """Share of (M, D) fakes whose nearest real image is one of training, as if there were as many held-out ones.

    A generator that has learnt the distribution takes neither side, whatever its images look like: 1/2, by
    exchangeability. With N training and L held-out features the share s of fakes nearer to a training image is expected
    to be N / (N + L), and its odds are divided by N / L; so no image need be left out. A tie, a fake as near to either
    set, counts half.
    The interval is Wilson's (1927) at the effective number of fakes (Kish, 1965): fakes near to one real image count
    together, for chance decides only once on which side that image is. Valid for new draws of all three sets.
    """
    check_features(real, fake, least=1)
    check_features(real, held_out, least=1)
    return preference(nearest(fake, real, 1), nearest(fake, held_out, 1), len(real), len(held_out))


def preference(
    to_train: tuple[Tensor, Tensor], to_held_out: tuple[Tensor, Tensor], num_train: int, num_held_out: int
) -> Estimate:
    """The same from the nearest image of either set: distances and indices, (M, 1) each, as `nearest` gives them."""
    (near, numbers), (far, others) = ([part.squeeze(1) for part in found] for found in (to_train, to_held_out))
    wins = (near < far).double() + (near == far).double() / 2
    counts = torch.where(near <= far, numbers, others + num_train).bincount().double()
    effective = len(near) ** 2 / float(counts.square().sum())
    share, odds = float(wins.mean()), num_train / num_held_out
    return Estimate(*(_at_equal_numbers(end, odds) for end in (share, *wilson_at(share, effective))))


def _at_equal_numbers(share: float, odds: float) -> float:
    """The share that the same preference gives among equally many of both, `odds` being the first's number over the
    second's."""
    return share / (share + (1 - share) * odds)
