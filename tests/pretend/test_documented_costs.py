"""docs/performance.md shows the table of what a step costs as it is."""

from pathlib import Path

import pytest

from measured.table import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"


def rows() -> dict[str, list[str]]:
    """The cells of each step by its name, which stands in backquotes."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines()]
    return {row[0].split("`")[1]: row[1:] for row in cells if len(row) == 6 and "`" in row[0]}


def test_the_page_has_a_row_for_each_step() -> None:
    assert rows().keys() == TABLE.keys()


@pytest.mark.parametrize("name", TABLE)
def test_the_page_says_what_is_measured(name: str) -> None:
    _, operators, _, waits, once = rows()[name]
    costs = TABLE[name]
    assert operators == f"{int(costs.operators):,}"
    assert (waits, once) == (f"{sum(costs.waits.values()):g}", str(costs.once))
