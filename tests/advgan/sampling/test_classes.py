import pytest
import torch
from scipy import stats

from advgan.sampling.classes import draw_classes, sample_labels, with_class_counts


def test_classes_come_in_their_shares_and_independently_of_their_index() -> None:
    drawn = draw_classes((90, 0, 10), torch.arange(20_000), seed=1)
    counts = drawn.bincount(minlength=3)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2]], [18_000, 2_000]).pvalue > 0.01
    pairs = torch.stack([drawn[:-1] == 2, drawn[1:] == 2]).double()
    assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.025
    blocks = (drawn.view(-1, 100) == 2).sum(dim=1).double()
    assert float(blocks.var()) == pytest.approx(9, rel=0.35), "100 * 0.9 * 0.1: classes in turn have none"


def test_the_class_of_a_sample_is_a_function_of_seed_and_index_alone() -> None:
    whole = draw_classes((3, 1, 2), torch.arange(50), seed=4)
    chosen = torch.tensor([41, 3, 3, 17])
    assert torch.equal(draw_classes((3, 1, 2), chosen, seed=4), whole[chosen])
    assert not torch.equal(draw_classes((3, 1, 2), torch.arange(50), seed=5), whole)


def test_the_last_class_that_occurs_is_never_passed() -> None:
    assert int(draw_classes((1, 1, 1, 0, 0), torch.arange(100_000)).max()) == 2


class Named:
    num_classes = 3


def test_a_generator_draws_as_its_data_or_as_it_is_told() -> None:
    generator = Named()
    indices = torch.arange(300)

    def of(**options: object) -> list[int]:
        labels = sample_labels(generator, indices, **options)  # type: ignore[arg-type]
        assert labels is not None
        return labels.bincount(minlength=3).tolist()

    assert min(of()) > 70, "nothing is known: each as likely"
    with_class_counts(generator, (8, 0, 1))  # type: ignore[type-var]
    assert of()[1] == 0
    assert of(counts=(0, 5, 0)) == [0, 300, 0]
