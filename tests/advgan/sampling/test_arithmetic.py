import pytest
import torch

from advgan.sampling.arithmetic import Term, combine, group_means, parse_terms

NAMES = ("t-shirt", "ankle boot", "7")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("7 - 1 + 0", [(1, "7"), (-1, "1"), (1, "0")]),
        ("t-shirt + ankle boot", [(1, "t-shirt"), (1, "ankle boot")]),
        (" - a  -  b", [(-1, "a"), (-1, "b")]),
        ("alone", [(1, "alone")]),
    ],
)
def test_a_sum_is_read_as_written(text: str, terms: list[tuple[int, str]]) -> None:
    assert parse_terms(text) == tuple(Term(*term) for term in terms)


@pytest.mark.parametrize("text", ["", "7 -", "+ ", "7 + + 1 -"])
def test_a_sum_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write classes with signs between spaces"):
        parse_terms(text)


def test_arithmetic_on_a_linear_generator_is_arithmetic_on_mean_images() -> None:
    """G(sum of mean latents) = sum of mean images, where G is linear."""
    torch.manual_seed(0)
    latents, weights = torch.randn(60, 5, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    classes = torch.arange(60) % 3
    means = group_means(latents, classes, NAMES, ["7", "t-shirt", "7"])
    assert list(means) == ["7", "t-shirt"]
    result = combine(parse_terms("7 - t-shirt + 7"), means) @ weights
    images = latents @ weights
    expected = 2 * images[classes == 2].mean(dim=0) - images[classes == 0].mean(dim=0)
    torch.testing.assert_close(result, expected)


def test_planted_directions_are_found() -> None:
    """Classes that lie at corners of a square: A - B + D is C."""
    corners = {"A": (0.0, 0.0), "B": (0.0, 4.0), "C": (4.0, 0.0), "D": (4.0, 4.0)}
    torch.manual_seed(0)
    classes = torch.arange(4000) % 4
    latents = torch.tensor(list(corners.values()))[classes] + torch.randn(4000, 2)
    means = group_means(latents, classes, list(corners), list(corners))
    assert (combine(parse_terms("A - B + D"), means) - torch.tensor(corners["C"])).norm() < 0.2


def test_unknown_and_empty_classes_are_refused() -> None:
    latents, classes = torch.zeros(4, 2), torch.tensor([0, 0, 2, 2])
    with pytest.raises(ValueError, match="no class 'shoe'; the classes are t-shirt, ankle boot, 7"):
        group_means(latents, classes, NAMES, ["7", "shoe"])
    with pytest.raises(ValueError, match="none of 4 samples is a 'ankle boot': draw more"):
        group_means(latents, classes, NAMES, ["ankle boot"])
