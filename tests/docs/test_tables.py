"""The tables of the pages are those of the code: what `python docs/tables.py` would write is what is there."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cli
from attacks import TABLE
from evaluation.jobs.console.completion import keys_of
from evaluation.jobs.console.configuration import config_class
from evaluation.jobs.console.verb import Verb
from evaluation.jobs.listing import listing

ROOT = Path(cli.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
VERBS = {name: verb for name, verb in cli.cli.commands.items() if isinstance(verb, Verb)}


def test_every_table_of_options_is_that_of_the_code() -> None:
    for page, text in runpy.run_path(str(ROOT / "docs/tables.py"))["pages"]().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name} is stale: run python docs/tables.py"


def test_the_list_of_attacks_shows_what_the_docs_promise() -> None:
    listed = dict(listing("attacks"))
    for name, entry in TABLE.items():
        norms = ", ".join(entry.norms) or "no norm"
        facts = f"[{norms}; {entry.knowledge.replace('none', 'nothing')}; {entry.aim}] "
        assert listed[name].startswith(facts)


@pytest.mark.parametrize("what", [what for what in cli.LISTED if what != "runs"])
def test_every_list_says_something_about_each_name(what: str) -> None:
    found = listing(what)
    assert len(found) > 3
    assert all(name and text for name, text in found)


def spans(page: Path) -> Iterator[str]:
    """What stands in backquotes outside of blocks."""
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_text_has_its_options(page: Path) -> None:
    for span in spans(page):
        words = span.split() or [""]
        command = cli.cli.commands.get(words[1]) if words[0] == "advgan" and len(words) > 1 else None
        if isinstance(command, click.Group):
            command = command.commands.get(words[2])
        if command:
            flags = {flag for option in command.params for flag in [*option.opts, *option.secondary_opts]}
            assert {word for word in words if word.startswith("-")} <= flags | {"--help"}, span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_in_the_text_is_one_of_some_verb(page: Path) -> None:
    flags = {
        flag
        for command in [*cli.cli.commands.values(), *cli.config_group.commands.values()]
        for option in command.params
        for flag in [*option.opts, *option.secondary_opts]
    }
    foreign = {"--help", "--version", "--peer", "--their-iteration", "--nproc-per-node"}
    for span in spans(page):
        if span.startswith("--"):
            assert span.split()[0].split("=")[0] in flags | foreign, span


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_key_that_is_set_exists(page: Path) -> None:
    known = {key for verb in VERBS.values() for key in keys_of(config_class(verb))}
    for key in re.findall(r"--set ([\w.]+)", page.read_text()):
        assert key in (*known, "networks.KEY", "section.key", "key") or key.startswith("options."), key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_link_of_the_text_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert all((page.parent / link).exists() for link in links if "://" not in link), links
    folders = "advgan/", "attacks/", "evaluation/", "configs/", "tests/", "benchmarks/", "docs/"
    for span in spans(page):
        if span.startswith(folders) and not re.search(r"[ *…<>{}]", span):
            assert (ROOT / span).exists(), span
