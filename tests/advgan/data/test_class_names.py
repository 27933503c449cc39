"""Two lists of classes: names are matched, numbers only where there is nothing else to go by."""

from collections.abc import Sequence

import pytest
import torch

from advgan.data import Data, ImageSet
from advgan.data.class_names import is_numbered, listed, matched_numbers, numbers_among

TEN = [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("classes", "known", "numbers"),
    [
        ("cat dog", "cat dog", (0, 1)),
        ("dog cat", "cat dog", (1, 0)),
        ("dog emu", "cat dog emu", (1, 2)),  # a part, by name
        ("cat dog", "cat", None),
        ("cat elk", "cat dog", None),
        ("0 1", "cat dog", (0, 1)),  # numbers against names: as many
        ("cat dog", "0 1", (0, 1)),
        ("0 1", "cat dog emu", None),
        ("cat dog", "0 1 2", None),
        ("1 2 3", "0 1 2", None),  # shifted numbers share names, and mean others
        ("1 2", "cat dog", None),  # no numbering from 0
        ("1 0", "0 1", (1, 0)),
    ],
)
def test_names_are_matched_and_numbers_where_there_are_as_many(
    classes: str, known: str, numbers: Sequence[int] | None
) -> None:
    assert numbers_among(classes.split(), known.split()) == numbers


def test_numbers_in_the_order_of_words_are_matched_by_name() -> None:
    eleven = sorted(str(number) for number in range(11))
    assert is_numbered(eleven)
    assert numbers_among(eleven, [*TEN, "10"]) == tuple(int(name) for name in eleven)


def test_a_stranger_is_named_with_the_way_out() -> None:
    with pytest.raises(
        ValueError, match=r"pets: the class elk is not among those of RUN \(cat, dog\); name class fold"
    ):
        matched_numbers(["cat", "elk"], ["cat", "dog"], what="pets", of="RUN")
    with pytest.raises(ValueError, match=r"pets: the class 0 is not .* \(3 classes against 2\)"):
        matched_numbers(["0", "1", "2"], ["cat", "dog"], what="pets", of="RUN")
    assert listed(TEN) == "0, 1, 2, 3, 4, 5 and 4 more"


def test_data_take_the_numbers_of_another_list() -> None:
    def part(labels: Sequence[int]) -> ImageSet:
        return ImageSet(torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), torch.tensor(labels), ("dog", "cat"), "p")

    data = Data("pets", part([0, 1, 1]), part([0]), part([1, 0]))
    found = data.numbered_as(("cat", "dog", "emu"), of="RUN")
    assert found.classes == found.test.classes == ("cat", "dog", "emu")
    assert [found.train.labels.tolist(), found.validation.labels.tolist()] == [[1, 0, 0], [1]]
    assert data.numbered_as(("dog", "cat"), of="RUN") is data
    assert data.numbered_as(("0", "1"), of="RUN") is data
    with pytest.raises(ValueError, match="the class dog is not among those of RUN"):
        data.numbered_as(("cat", "emu"), of="RUN")
