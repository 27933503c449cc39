"""The tables of options in docs/ say what the tables of the code and the configuration say."""

import re
from collections.abc import Iterator
from pathlib import Path

import advgan
from advgan.config import GanNetworks, GanTraining
from attacks import TABLE
from evaluation.jobs.console.completion import annotation_of, words_of
from evaluation.jobs.listing import listing

DOCS = Path(advgan.__file__).parent.parent / "docs"
ELSEWHERE = {"family", "width", "latent_dim", "loss", "steps", "seed"}
"""Settings that are described in the text around the tables."""


def rows(file: str, header: str) -> Iterator[list[str]]:
    """The rows of the table with this header."""
    lines = (DOCS / file).read_text().splitlines()
    for line in lines[lines.index(header) + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_attack_stands_in_the_docs_with_its_facts() -> None:
    documented = {
        name: tuple(cells[1:4])
        for cells in rows("attacks.md", "| name | norms | knows | aim | paper |")
        for name in ticked(cells[0])
    }
    assert documented == {
        name: (", ".join(entry.norms) or "–", entry.knowledge.replace("none", "nothing"), entry.aim)
        for name, entry in TABLE.items()
    }


def test_the_list_of_attacks_shows_what_the_docs_promise() -> None:
    listed = dict(listing("attacks"))
    for name, entry in TABLE.items():
        norms = ", ".join(entry.norms) or "no norm"
        facts = f"[{norms}; {entry.knowledge.replace('none', 'nothing')}; {entry.aim}] "
        assert listed[name].startswith(facts)


def test_every_setting_of_a_gan_stands_in_the_docs_with_its_values() -> None:
    settings = list(rows("gans.md", "| setting | values | what |"))
    known = {name for cells in settings for name in ticked(cells[0])}
    assert known | ELSEWHERE == set(GanNetworks.model_fields) | ELSEWHERE
    for names, values, _ in settings:
        for name in ticked(names) if values and "number" not in values else ():
            words = set(words_of(annotation_of(GanNetworks, name))) - {"auto"}
            assert words - {"none"} <= set(ticked(values)) <= words, name


def test_every_term_of_training_stands_in_the_docs() -> None:
    keys = {name for cells in rows("gans.md", "| key | what |") for cell in cells for name in ticked(cell)}
    known = set(GanTraining.model_fields)
    missing = known - keys - ELSEWHERE - {"generator_learning_rate", "discriminator_learning_rate"}
    assert not missing
    documented = [name for cells in rows("gans.md", "| key | what |") for name in ticked(cells[0])]
    assert set(documented) <= known


def test_thewords_of_for_losses_are_those_of_the_configuration() -> None:
    sentence = next(line for line in (DOCS / "gans.md").read_text().splitlines() if line.startswith("`--loss` is one"))
    assert ticked(sentence)[1:-1] == list(words_of(annotation_of(GanTraining, "loss")))
