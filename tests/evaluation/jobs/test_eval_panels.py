"""Panels of several subjects on one page."""

from evaluation.jobs.eval.panels import set_apart
from evaluation.report.panels import TablePanel


def test_each_of_several_subjects_has_headings_of_its_own() -> None:
    panel = TablePanel(title="t", section="Generator", columns=(), rows=())
    made = [list(make()) for subject in "ab" for make in set_apart({"t": lambda: [panel]}, subject).values()]
    assert [[each.section for each in some] for some in made] == [["Generator, a"], ["Generator, b"]]
