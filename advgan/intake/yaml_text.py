"""YAML as values: of bounded size and depth however aliases multiply it, and no key twice."""

from typing import Any

import yaml

from advgan.error_text import one_line
from advgan.intake.limits import within

_LONGEST_NUMBER = 400
"""Characters; the largest float has 309 digits, and a longer number takes quadratic time to read."""


def parse_yaml(text: str, *, what: object) -> Any:
    """Read one YAML document without objects; ValueError, naming `what` and the line, for whatever is wrong with it."""
    within("yaml", len(text), what=what)
    try:
        loader = _Bounded(text, what)
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        raise _invalid(what, error) from None
    try:
        return None if node is None else loader.construct_document(node)
    except Exception as error:  # a value that is not of the type that it claims can raise nearly anything
        raise _invalid(what, error) from None


def _invalid(what: object, error: Exception) -> ValueError:
    return ValueError(f"{what} is not valid YAML: {one_line(error, longest=None)}")


class _Bounded(yaml.SafeLoader):
    """Composes the tree of a document under the limits, before any value is made of it."""

    def __init__(self, text: str, what: object) -> None:
        super().__init__(text)
        self.what, self.depth, self.count = what, 0, 0
        self.sizes: dict[int, int] = {}
        """Values below each node that is composed, as often as aliases repeat them."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            return self._repeated(super().compose_node(parent, index))
        self.depth, self.count = self.depth + 1, self.count + 1
        within("depth", self.depth, what=self.what)
        within("values", self.count, what=self.what)
        node = super().compose_node(parent, index)
        self.depth -= 1
        self._measure(node)
        return node

    def _repeated(self, node: Any) -> Any:
        if id(node) not in self.sizes:
            raise yaml.composer.ComposerError(None, None, "an alias stands within what it repeats", node.start_mark)
        return node

    def _measure(self, node: Any) -> None:
        if isinstance(node, yaml.MappingNode):
            self._refuse_twins(node)
            parts = [part for pair in node.value for part in pair]
        else:
            parts = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.ScalarNode) and len(node.value) > _LONGEST_NUMBER and node.tag.endswith(_NUMBERS):
            raise yaml.composer.ComposerError(None, None, "a number is too long", node.start_mark)
        self.sizes[id(node)] = 1 + sum(self.sizes[id(part)] for part in parts)
        within("values", self.sizes[id(node)], what=self.what)

    def _refuse_twins(self, node: yaml.MappingNode) -> None:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, name = key.start_mark.line + 1, (key.tag, key.value)
            if name in lines:
                raise ValueError(
                    f"{self.what}: the key {key.value[:80]} stands twice, in line {lines[name]} and line {line}: "
                    "leave one"
                )
            lines[name] = line


_NUMBERS = (":int", ":float", ":timestamp")
