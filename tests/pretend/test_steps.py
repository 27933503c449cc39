"""Waits and operators of a step are those of the table, which gives the reason of each wait."""

import pytest
import torch

from measured.costs import costs_of
from measured.steps import STEPS
from measured.table import REASONS, TABLE


@pytest.mark.parametrize("name", STEPS)
def test_a_step_costs_what_the_table_says(name: str, pretended: None, cuda: torch.device) -> None:
    measured = STEPS[name]
    assert costs_of(measured.prepare(cuda), few=measured.few, more=measured.more) == TABLE[name]


def test_every_wait_of_the_table_has_its_reason() -> None:
    assert set(TABLE) == set(STEPS)
    assert {place for costs in TABLE.values() for place in costs.waits} == set(REASONS)
