import pytest
import torch

from attacks.kept import Kept
from attacks.norms import L2
from attacks.samples import Samples

LABELS = torch.zeros(1, dtype=torch.int64)
FOOLS, HOLDS = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])


def offered(rule, *offers: tuple[float, torch.Tensor, float]) -> tuple[float, bool]:
    """What is kept of one image of one pixel after offers of (pixel, logits, value), and whether it fools."""
    image = torch.zeros(1, 1, 1, 1)
    samples = Samples.of(image, LABELS, eps=1.0, norm=L2, targeted=False, indices=None)
    kept = Kept.of(rule, samples)
    for pixel, logits, value in offers:
        kept.offer(samples, torch.full_like(image, pixel), logits, torch.tensor([value]))
    kept.close(samples, torch.full_like(image, 0.9))
    assert len(kept.open(samples)) == 1 - int(kept.fooled)
    return round(kept.images.item(), 6), bool(kept.fooled)


@pytest.mark.parametrize(
    ("rule", "offers", "expected"),
    [
        ("first", [(0.1, HOLDS, 5.0), (0.2, FOOLS, 1.0), (0.3, FOOLS, 7.0)], (0.2, True)),
        ("first", [(0.1, FOOLS, 1.0), (0.2, HOLDS, 7.0)], (0.1, True)),
        ("first", [(0.1, HOLDS, 1.0)], (0.9, False)),
        ("best", [(0.1, HOLDS, 5.0), (0.2, FOOLS, 1.0), (0.3, FOOLS, 7.0), (0.4, FOOLS, 3.0)], (0.3, True)),
        ("best", [(0.1, FOOLS, 1.0), (0.2, HOLDS, 7.0)], (0.1, True)),
        ("best", [(0.1, FOOLS, 1.0), (0.2, HOLDS, 7.0), (0.3, FOOLS, 2.0)], (0.3, True)),
        ("best", [(0.1, HOLDS, 1.0), (0.2, HOLDS, 3.0), (0.3, HOLDS, 2.0)], (0.2, False)),
        ("best", [(0.1, HOLDS, torch.nan)], (0.0, False)),
        ("best", [(0.1, HOLDS * torch.nan, 5.0), (0.2, FOOLS, 1.0)], (0.2, True)),
        ("last", [(0.1, FOOLS, 1.0)], (0.9, False)),
    ],
)
def test_the_rule_decides_what_is_kept(rule, offers, expected) -> None:
    assert offered(rule, *offers) == expected
