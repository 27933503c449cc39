"""YAML of others: bounded whatever it claims to be, and nothing in it is silently dropped."""

import time
from pathlib import Path

import pytest

from advgan.config import DataConfig
from advgan.config.resolve import parse_assignments, resolve
from advgan.intake.limits import raised
from advgan.intake.yaml_text import parse_yaml
from advgan.storage.documents import read_document


def bomb(levels: int) -> str:
    """Each line repeats the one before nine times."""
    lines = ["source: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "aliases": (bomb(9), "--limit values="),
    "aliases in a set": (f"source: {'{'}{bomb(9)[8:].replace(chr(10), ', ')}{'}'}", "--limit values="),
    "many values": (f"source: [{'a,' * 100_000}]", "--limit values="),
    "lists in lists": ("source: " + "[" * 100_000, "--limit depth="),
    "keys in keys": ("? " * 50_000, "--limit depth="),
    "sections in sections": ("\n".join(" " * n + "a:" for n in range(500)), "--limit depth="),
    "a large file": ("x" * 300_000, "--limit yaml="),
    "itself": ("source: &a [*a]", "an alias stands within what it repeats"),
    "a long number": ("seed: " + "9" * 5_000, "a number is too long"),
    "a long number to the base of 60": ("seed: " + ":".join(["1"] * 100_000), "a number is too long"),
    "no date": ("source: 2024-99-99", "not valid YAML"),
    "no number": ("seed: !!int abc", "not valid YAML"),
    "an object": ("source: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    "a key twice": ("source: digits\nseed: 1\nsource: mnist", "the key source stands twice, in line 1 and line 3"),
    "an inner key twice": ("data:\n  seed: 1\n  seed: 2", "the key seed stands twice, in line 2 and line 3"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_at_once(tmp_path: Path, name: str) -> None:
    content, words = HOSTILE[name]
    file = tmp_path / "config.yaml"
    file.write_text(content)
    begun = time.perf_counter()
    with pytest.raises(ValueError, match=r"config\.yaml") as refused:
        resolve(DataConfig, file=file)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600
    assert time.perf_counter() - begun < 5


def test_limits_of_yaml_can_be_raised_as_the_message_says() -> None:
    content = bomb(5)
    with pytest.raises(ValueError, match="--limit values=") as refused:
        parse_yaml(content, what="it")
    words = str(refused.value).split()
    for _ in range(3):
        with raised([words[words.index("--limit") + 1]]):
            try:
                assert len(parse_yaml(content, what="it")["b4"]) == 9
                break
            except ValueError as again:
                words = str(again).split()
    else:
        pytest.fail("what the message proposes does not help")


def test_aliases_and_merged_keys_are_read() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: {<<: *x, b: 2}\nd: [*x, *x]", what="it") == {
        "a": {"b": 1},
        "c": {"b": 2},
        "d": [{"b": 1}, {"b": 1}],
    }


def test_a_wrong_value_is_quoted_in_part(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(bomb(4))  # within the limits
    with pytest.raises(ValueError, match="source: should be") as refused:
        resolve(DataConfig, file=file)
    assert len(str(refused.value)) < 5_000


def test_an_assignment_is_read_within_the_same_limits() -> None:
    with pytest.raises(ValueError, match=r"--set data\.source=.*--limit depth="):
        parse_assignments(["data.source=" + "[" * 1000])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": ' * 50_000, "nested too deeply"),
        ('{"scores": 1, "a": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
        ("[1]", "an object is needed"),
    ],
)
def test_a_hostile_document_is_named(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json") as refused:
        read_document(file)
    assert words in str(refused.value)
