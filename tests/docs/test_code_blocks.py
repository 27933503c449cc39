"""Every block of code of README.md, CONTRIBUTING.md and docs/ runs as printed, and prints what it shows."""

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import cli

ROOT = Path(cli.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d,]*(\.\d+)?(e[-+]\d+)?")
INTERVAL = re.compile(r"\[(\S+), (\S+)\]")
FEW = 6
"""Blocks that may stay untested."""
QUICK = {"attack": ["--set", "probes=0", "--set", "curve_points=0"]}
"""What every command of a verb gets on top: less work, and the same rows where the trust panel breaks nothing."""


@pytest.fixture(params=PAGES, ids=lambda page: page.name, scope="module")
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def form(line: str) -> str:
    """A line without what differs from run to run: hashes, numbers, widths, and whether a difference is significant."""
    line = re.sub(r"\b(?=[a-f]*\d)[0-9a-f]{12}\b", "@", line)
    line = re.sub(r"significant|may be chance", "?", NUMBER.sub("#", line))
    return " ".join(re.sub(r"#( %)?|\[#, #\]|–", "#", line).split())


def is_row(line: str) -> bool:
    return "  " in line.strip()


def name_of(line: str) -> str:
    """What a row is about."""
    return re.split(r"  +", line.strip())[0]


def check_output(shown: Sequence[str], printed: Sequence[str], *, scaled: bool) -> None:
    """Hold what the page shows against what was printed: each line in its form, in this order.

    Of a command that was scaled down only rows of tables are compared, by their names; else the form of whole lines,
    and the intervals, which must overlap.
    """
    left = list(printed)
    for line in shown:
        if line == "...":
            return
        if scaled and not is_row(line):
            continue
        key = name_of if scaled else form
        while left and key(left[0]) != key(line):
            left.pop(0)
        assert left, f"no line has the form of {line!r} in:\n" + "\n".join(printed)
        if not scaled:
            check_intervals(line, left[0])
        left.pop(0)


def check_intervals(shown: str, printed: str) -> None:
    for (low, high), (other_low, other_high) in zip(INTERVAL.findall(shown), INTERVAL.findall(printed), strict=True):
        ends = [float(end.replace(",", "")) for end in (low, high, other_low, other_high)]
        overlap = min(ends[1], ends[3]) >= max(ends[0], ends[2])
        assert overlap, f"the page shows {shown!r}, but it is {printed!r}"


def test_every_block_of_the_page_runs(
    page: Path,
    desk: Path,
    read_blocks: Callable[..., Any],
    read_commands: Callable[..., Any],
    call: Callable[..., Any],
    given_names: dict[str, Any],
) -> None:
    for block in filter(lambda block: block.is_run, read_blocks(page)):
        try:
            if block.language == "python":
                exec(compile(block.text, block.place, "exec"), given_names)
            elif block.language == "yaml":
                assert yaml.safe_load(block.text)
                (desk / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text)
            elif block.language == "console":
                for command in read_commands(block):
                    run(command, block.options, call)
        except Exception as error:
            raise AssertionError(f"{block.place}: {error}") from error


def run(command: Any, options: Sequence[str], call: Callable[..., Any]) -> None:
    """Run a command with these options on top; of torchrun one process plans what several would do."""
    program, *arguments = command.arguments
    if program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
        return
    if program == "torchrun":
        module = arguments.index("-m") + 1
        program, arguments, options = arguments[module], arguments[module + 1 :], [*options, "--dry-run"]
    assert program == "advgan", f"the test knows no {program}"
    ended = call([*arguments, *QUICK.get(arguments[0], []), *options])
    fails = any(line.startswith("Error: ") for line in command.shown)
    assert (ended.code != 0) == fails, "\n".join([" ".join(command.arguments), *ended.err])
    if "--dry-run" not in options:
        check_output(command.shown, [*ended.err, *ended.out], scaled=bool(options))


def test_few_blocks_are_not_run_and_each_says_why(read_blocks: Callable[..., Any]) -> None:
    left_out = [block for page in PAGES for block in read_blocks(page) if not block.is_run]
    assert len(left_out) <= FEW
    marked = [block for page in PAGES for block in read_blocks(page) if block.reason]
    assert all(len(block.reason.split()) >= 3 for block in marked)


def test_every_block_says_its_language(page: Path, read_blocks: Callable[..., Any]) -> None:
    known = {"console", "python", "yaml", "text"}
    assert {block.language for block in read_blocks(page)} <= known
