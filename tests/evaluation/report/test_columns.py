"""Columns on the console: within the width of a terminal, and no word broken."""

import pytest

from evaluation.report.columns import column_widths, lay_out

HEADER = ["attack", "left", "8 bits"]
LONG = "foolbox:L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack-l2-0.5"


def table(rows: list[list[str]], width: int | None, *, words_last: bool = False) -> list[str]:
    widths = column_widths(rows, width, words_last=words_last)
    return [line for row in rows for line in lay_out(row, widths, width, words_last=words_last)]


def test_numbers_stand_under_each_other() -> None:
    assert table([HEADER, ["pgd", "5 %", "5 %"], ["fgsm-linf", "98.3 %", ""]], 80) == [
        "attack       left  8 bits",
        "pgd           5 %     5 %",
        "fgsm-linf  98.3 %",
    ]


@pytest.mark.parametrize("width", [40, 72, 80])
def test_a_long_name_has_a_line_of_its_own(width: int) -> None:
    lines = table([HEADER, [LONG, "98.3 %", "97.0 %"]], width)
    assert lines[1] == LONG
    assert lines[2].split() == ["98.3", "%", "97.0", "%"]
    assert len(lines[2]) <= width


@pytest.mark.parametrize(
    "setting", [LONG, "worst of pgd-linf-0.1 " * 9, f"short and {LONG}", "discriminator-wasserstein"]
)
def test_no_word_of_a_setting_is_broken(setting: str) -> None:
    rows = [["metric", "value", "setting"], ["largest_singular_value[discriminator]", "2.768 [2.1, 3.2]", setting]]
    lines = table(rows, 80, words_last=True)
    assert set(setting.split()) <= set(" ".join(lines).split())
    assert max(map(len, lines)) <= 80
    assert len(table(rows, None, words_last=True)) == 2, "into a pipe, whole rows"


@pytest.mark.parametrize("width", [15, 20, 24, 40])
def test_numbers_that_no_line_can_hold_go_on_in_the_next(width: int) -> None:
    header = ["attack", "left", "95 % interval", "8 bits", "of"]
    rows = [header, ["pgd-linf-0.1", "62.5 %", "[47.0, 75.8]", "5.0 %", "39"], ["no attack", "97.5 %", "", "", ""]]
    lines = table(rows, width)
    assert max(map(len, lines)) <= width, "a terminal would cut a number"
    assert " ".join(lines).split() == " ".join(cell for row in rows for cell in row if cell).split()
    assert all(lines), "no empty lines where a row has no such number"
