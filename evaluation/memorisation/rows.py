"""Scores of memorisation as rows of a table."""

from collections.abc import Collection

from torch import Tensor

from evaluation.features.cells import Cells
from evaluation.features.features import TooFewError, check_features
from evaluation.features.neighbours import nearest
from evaluation.features.seen import Row, Seen
from evaluation.memorisation.authenticity import authentic
from evaluation.memorisation.copy_test import FEWEST, copying, num_cells
from evaluation.memorisation.copying import NEAR, copied
from evaluation.memorisation.train_preference import preference
from evaluation.statistics.intervals import Estimate, rate

MEMORISATION_METRICS = {
    "train_preference": "share of fakes nearer to a training than to a held-out image, 0.5 without copying",
    "authenticity": "share of fakes farther from their training image than that one is from the others (AuthPct)",
    "authenticity_held_out": "the same of held-out images: what new images have",
    "copying_z": "data-copying test C_T: negative where fakes are nearer to training images than held-out ones are",
    "copied_share": f"share of fakes nearer to a training image than all but {NEAR:.0%} of held-out ones are",
}
FEWEST_FOR_SHARE = round(1 / NEAR)
"""Held-out images of which a hundredth is one."""
_Nearest = tuple[Tensor, Tensor]
"""Distances and indices, as `nearest` gives them."""


def memorisation_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Rows of the words of MEMORISATION_METRICS that these images allow.

    Without held-out images only `authenticity`, which means little without its control. Raises ValueError where one
    cannot be made: `copied_share` needs a hundred of them, `copying_z` a cell with `FEWEST` fakes and held-out images.
    """
    wanted = set(wanted) & MEMORISATION_METRICS.keys()
    real, fake = seen.real.features.values, seen.fake.features.values
    held_out = seen.held_out.features.values if seen.held_out is not None else fake[:0]
    if not wanted or not (len(held_out) or "authenticity" in wanted):
        return []
    check_features(real, real, least=2)
    check_features(real, fake, least=1)
    to_train = nearest(fake, real, 1)
    rows = [_authenticity("authenticity", fake, real, to_train)] if "authenticity" in wanted else []
    if not len(held_out):
        return rows
    check_features(real, held_out, least=1)
    control = nearest(held_out, real, 1)
    if "authenticity_held_out" in wanted:
        rows.append(_authenticity("authenticity_held_out", held_out, real, control))
    if "train_preference" in wanted:
        rows.append(_preference(fake, held_out, to_train, len(real)))
    if "copied_share" in wanted:
        rows.append(_share(to_train, control))
    return rows + (_copying(seen, held_out, to_train, control) if "copying_z" in wanted else [])


def _authenticity(word: str, samples: Tensor, real: Tensor, found: _Nearest) -> Row:
    text = f"share of images g with d(x, nearest other training image) < d(g, x), x being the nearest of {len(real)} "
    text += "training images; Wilson interval, given those"
    return word, rate(authentic(samples, real, found)), len(samples), text


def _preference(fake: Tensor, held_out: Tensor, to_train: _Nearest, num_real: int) -> Row:
    text = f"{num_real} training and {len(held_out)} held-out images, weighed as if equally many; 0.5 without copying; "
    text += "Wilson interval at the effective number of fakes, those near to one image counting together"
    found = preference(to_train, nearest(fake, held_out, 1), num_real, len(held_out))
    return "train_preference", found, len(fake), text


def _share(to_train: _Nearest, control: _Nearest) -> Row:
    if len(control[0]) < FEWEST_FOR_SHARE:
        raise TooFewError(f"{len(control[0])} held-out images have no hundredth: {FEWEST_FOR_SHARE} are the least")
    found = rate(copied(to_train[0].squeeze(1), control[0].squeeze(1)))
    text = f"{NEAR:g} for new images; {len(control[0])} held-out images; Wilson interval, given their bound"
    return "copied_share", found, len(to_train[0]), text


def _copying(seen: Seen, held_out: Tensor, to_train: _Nearest, control: _Nearest) -> list[Row]:
    real, fake = seen.real.features.values, seen.fake.features.values
    cells = Cells(real, num_cells(len(real), len(fake), len(held_out)), seed=seen.seed)
    near, far = (distances.squeeze(1).cpu() for distances, _ in (to_train, control))
    found = copying(near, far, cells.of(fake), cells.of(held_out))
    if not found.cells:
        raise TooFewError(f"no region of the features holds {FEWEST} generated and {FEWEST} held-out images")
    text = (
        f"Mann-Whitney z in {found.cells} of {cells.num_cells} k-means cells, those with {FEWEST} fakes and held-out "
    )
    text += (
        f"images, which hold {found.share:.0%} of {len(held_out)} held-out images; p = {found.p_value:.2g} against 0; "
    )
    text += "normal interval, given the training images"
    return [("copying_z", Estimate(found.z, *found.interval), len(fake), text)]
