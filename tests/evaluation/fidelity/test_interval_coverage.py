"""Intervals cover by whatever design images are drawn: the short form of benchmarks/interval_coverage.py."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "interval_coverage.py"
TRIALS = 16
WIDEST = 2.6
"""Of an interval that knows the standard deviation."""


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("interval_coverage", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("design", ["independent both", "stratified real, class-conditional fakes"])
def test_intervals_hold_what_they_are_about_and_are_not_much_too_wide(coverage, design):
    scale, shift = coverage.GENERATORS["narrow and shifted"]
    chosen = coverage.DESIGNS[design]
    found = coverage.trials(chosen, coverage.WORDS, TRIALS, scale=scale, shift=shift)
    truths = {"fid_infinity": coverage.distance(chosen, scale, shift)}
    for word in coverage.WORDS:
        held = coverage.held(found[word], truths.get(word))
        assert held.made == TRIALS, word
        assert held.covered >= 0.8, word
        assert 0.6 < held.width < WIDEST, word
