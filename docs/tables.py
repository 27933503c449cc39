"""Rewrite the tables of these pages that the code knows: `python docs/tables.py`. A test holds each page to it.

A comment `<!-- table NAME -->` stands before such a table; what is below it, up to the first line without a bar, is
replaced. The command's options are a page of their own.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cli
from advgan.config import GanNetworks, GanTraining
from advgan.config.presets import preset_file, preset_names
from advgan.config.ramp import Ramp
from advgan.config.resolve import read_yaml
from advgan.gan.losses import LOSSES
from advgan.models.gans.families import GANS
from attacks import TABLE
from evaluation.extractors import ALIASES, EXTRACTORS
from evaluation.features.protocols import PROTOCOLS
from evaluation.jobs.console.completion import words_of
from evaluation.jobs.console.verb import RUN_OPTIONS, Verb
from evaluation.metric_words import COSTLY, GROUPS
from evaluation.under_attack.budgets import CONVENTIONAL_EPS

DOCS = Path(__file__).parent
MARK = re.compile(r"<!-- table (\S+) -->")
Rows = Iterable[Sequence[str]]


def first_line(item: object) -> str:
    found = item.func if isinstance(item, partial) else item
    return (found.__doc__ or "").strip().splitlines()[0]


def described(section: type) -> dict[str, str]:
    """The docstrings of a section's fields, each as one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def settings(section: Any) -> Iterator[tuple[str, str, str, str]]:
    """Each field of a section: its name, default, values where they are words, and what it is."""
    texts = described(section)
    for name, field in section.model_fields.items():
        if isinstance(field.default, Ramp):
            continue
        words = ", ".join(f"`{word}`" for word in words_of(field.annotation))
        default = {None: "null", (): "[]"}.get(field.default, str(field.default).lower())
        yield f"`{name}`", f"`{default}`", words, re.sub(r"\bNone:", "null:", texts[name])


def families() -> Rows:
    for name, family in GANS.items():
        choices = ", ".join(f"`{key}` {', '.join(words)}" for key, words in family.choices.items() if len(words) > 1)
        numbers = ", ".join(f"`{key}`" for key in family.numbers)
        yield f"`{name}`", first_line(family.generator), family.says, f"{choices}; {numbers}"


def losses() -> Rows:
    for name, loss in LOSSES.items():
        yield f"`{name}`", first_line(loss.discriminator), first_line(loss.generator)


def presets(verb: str) -> Rows:
    for name in preset_names(verb):
        first = preset_file(verb, name).read_text(encoding="utf-8").splitlines()[0]
        yield f"`{name}`", first.removeprefix("# ")


def suites() -> Rows:
    for name, about in presets("attack"):
        content = read_yaml(preset_file("attack", name.strip("`")))
        order = "cascade" if content.get("cascade") else "each gets all"
        yield name, ", ".join(f"`{attack}`" for attack in content["attacks"]), order, about


def budgets() -> Rows:
    norms = ("linf", "l2", "l1", "l0")
    yield from (
        [
            kind,
            *(
                "8/255" if eps == 8 / 255 else f"{eps:g}"
                for eps in (CONVENTIONAL_EPS[norm, channels] for norm in norms)
            ),
        ]
        for kind, channels in (("grey images", 1), ("colour images", 3))
    )


def attacks(old: Sequence[str]) -> Rows:
    """The facts of each attack; headings, order and papers are those of the page."""
    left = dict(TABLE)
    for line in old[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = [name for name in re.findall(r"`([^`]+)`", cells[0]) if name in left]
        if cells[0].startswith("*"):
            yield cells
        elif names:
            facts = {attack_facts(left.pop(name)) for name in names}
            assert len(facts) == 1, f"{names} differ: give them rows of their own"
            yield ", ".join(f"`{name}`" for name in names), *facts.pop(), cells[4]
    yield from ((f"`{name}`", *attack_facts(entry), "") for name, entry in left.items())


def attack_facts(entry: Any) -> tuple[str, str, str]:
    return ", ".join(entry.norms) or "–", entry.knowledge.replace("none", "nothing"), entry.aim


def metrics() -> Rows:
    for group, words in GROUPS.items():
        for word, text in words.items():
            yield f"`{word}`", f"`{group}`", text.removesuffix("; costly"), "costly" if word in COSTLY else ""


def extractors() -> Rows:
    short = {long: name for name, long in ALIASES.items()}
    for name, build in EXTRACTORS.items():
        yield f"`{name}`", f"`{short[name]}`" if name in short else "", first_line(build)


def protocols() -> Rows:
    for name, protocol in PROTOCOLS.items():
        score, kernel = protocol.score, protocol.kernel
        yield (
            f"`{name}`",
            protocol.purpose,
            protocol.resizing,
            str(protocol.ddof),
            f"{score.splits} splits" if score else "–",
            f"{kernel.subsets} subsets of {kernel.size:,}" if kernel else "–",
            f"{protocol.num_fake:,}" if protocol.num_fake else "as many as there are",
        )


def options(parameters: Iterable[Any]) -> Rows:
    for option in parameters:
        flags = ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])
        yield flags, f"`{option.key}`" if hasattr(option, "key") else "", getattr(option, "help", None) or ""


def table(header: str, rows: Rows) -> list[str]:
    columns = header.split("|")
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = [[column.strip() for column in columns], *escaped]
    body = ["| " + " | ".join(cells) + " |" for cells in lines]
    return [body[0], "|" + "---|" * len(columns), *body[1:]]


TABLES: dict[str, Callable[[Sequence[str]], list[str]]] = {
    "attacks": lambda old: table("name|norms|knows|aim|paper", attacks(old)),
    "suites": lambda old: table("`--suite`|attacks|order|what", suites()),
    "budgets": lambda old: table("|linf|l2|l1|l0", budgets()),
    "families": lambda old: table("family|what its generator does|sizes|choices of settings; numbers", families()),
    "networks": lambda old: table("setting|default|values|what", settings(GanNetworks)),
    "losses": lambda old: table("`--loss`|the discriminator minimises|the generator minimises", losses()),
    "training": lambda old: table("key|default|values|what", settings(GanTraining)),
    "ramp": lambda old: table("key|default|values|what", settings(Ramp)),
    "presets": lambda old: table("preset|what", presets("train")),
    "metrics": lambda old: table("metric|group|what|", metrics()),
    "extractors": lambda old: table("`--features`|short|what", extractors()),
    "protocols": lambda old: table(
        "`--protocol`|for|resize to 299|ddof|Inception score|kernel distance|fakes", protocols()
    ),
}


def rewritten(text: str) -> str:
    """A page with its marked tables as the code has them."""
    lines, made = text.splitlines(), []
    while lines:
        made.append(lines.pop(0))
        mark = MARK.fullmatch(made[-1])
        if mark:
            old = []
            while lines and lines[0].startswith("|"):
                old.append(lines.pop(0))
            made += TABLES[mark[1]](old)
    return "\n".join(made) + "\n"


def option_page() -> str:
    """The options of every verb, each with the key of the configuration that it sets."""
    parts = ["# Options of the command line", "", OPENING, ""]
    common = set(map(id, RUN_OPTIONS))
    for name, verb in cli.cli.commands.items():
        if isinstance(verb, Verb):
            own = [option for option in verb.params if id(option) not in common]
            parts += [f"## `advgan {name}`", "", *table("option|key|what", options(own)), ""]
    parts += ["## Every verb that makes a run", "", *table("option|key|what", options(RUN_OPTIONS))]
    return "\n".join(parts) + "\n"


OPENING = (
    "For those who know the verb and want its options in one place. `advgan VERB --help` shows them with their "
    "defaults; `--set key=value` sets the keys below and every other one, which `advgan config show VERB` prints. This "
    "page is written by `python docs/tables.py`."
)
OPTION_PAGE = "options.md"


def pages() -> dict[Path, str]:
    """Each page that has such tables, as it should be."""
    marked = [path for path in sorted(DOCS.glob("*.md")) if MARK.search(path.read_text(encoding="utf-8"))]
    made = {path: rewritten(path.read_text(encoding="utf-8")) for path in marked}
    return {**made, DOCS / OPTION_PAGE: option_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
