# SPDX-License-Identifier: Apache-2.0
"""Reading `territory.yaml`, and other files of its form: strict keys, values read by the format's own rows, every problem with line and column.

Comes in: the file. Goes out: the settings as plain values, the place of every key, and all problems. Plain values are
read from their text, so the notation key `NO` stays a word and `2025-07-01` a date that the format itself checks.
Anchors and aliases are refused: a declaration says each thing where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mangrove.errors import MangroveError, Problem, Where, did_you_mean
from mangrove.territory.schema import SETTINGS, Key
from mangrove.territory.tables import read_text

FILE = "territory.yaml"
_DEPTH = 20  # the format nests four deep
Settings = dict[str, Any]
Places = dict[tuple[str | int, ...], Where]


def read_settings(
    path: Path, keys: Sequence[Key] = SETTINGS, file: str = FILE
) -> tuple[Settings, Places, list[Problem]]:
    """The settings of `path`, where each stands (by its path of keys and positions), and all problems.

    Args:
        path: the file.
        keys: what may stand in it.
        file: its name in problems.
    """
    text, problems = read_text(path, file)
    if problems:
        return {}, {}, problems
    node, problems = _compose(text, file)
    if problems:
        return {}, {}, problems
    reader = _Reader(file)
    settings = reader.record(node, keys, ())
    return settings, reader.places, reader.problems


def _compose(text: str, file: str) -> tuple[yaml.Node | None, list[Problem]]:
    """The node tree of one YAML document."""
    strange = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if strange:
        before = text[: strange.start()]
        where = Where(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return None, [Problem("territory.yaml_syntax", {"text": f"U+{ord(strange[0]):04X}"}, where)]
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        deep = _too_deep(text, loader, file)
        if deep:
            return None, [Problem("territory.too_deep", {"limit": _DEPTH}, deep)]
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file, 1, 1)
        said = " ".join(part for part in (error.context, error.problem) if part)
        return None, [Problem("territory.yaml_syntax", {"text": said}, where)]
    except (yaml.YAMLError, ValueError) as error:
        return None, [Problem("territory.yaml_syntax", {"text": type(error).__name__}, Where(file, 1, 1))]
    if node is None:
        return None, [Problem("territory.empty_file", {}, Where(file, 1, 1))]
    return node, []


def _too_deep(text: str, loader: Any, file: str) -> Where | None:
    """The first place nested deeper than the format can be; composing such a tree can exhaust the stack of libyaml."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH and event.start_mark:
            return Where(file, event.start_mark.line + 1, event.start_mark.column + 1)
    return None


class _Reader:
    """Walks the node tree along the declared keys and collects problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.places: Places = {}
        self._seen: set[int] = set()

    def record(self, node: yaml.Node | None, keys: Sequence[Key], at: tuple[str | int, ...]) -> Settings:
        """A mapping with declared keys; absent keys get their defaults."""
        found: dict[str, yaml.Node] = {}
        names = [key.name for key in keys]
        for name, key_node, value_node in self._pairs(node):
            self.places[(*at, name)] = self._where(key_node)
            if name in names:
                found[name] = value_node
            else:
                data = {"key": name, "hint": did_you_mean(name, names), "options": ", ".join(names)}
                self._say("territory.unknown_key", key_node, **data)
        settings: Settings = {}
        for key in keys:
            given = found.get(key.name)
            if given is not None and not _is_null(given):
                settings[key.name] = self._value(given, key, (*at, key.name))
                continue
            settings[key.name] = key.default
            if key.required:
                self._say("territory.missing_key", given or node, key=key.name)
        return settings

    def _value(self, node: yaml.Node, key: Key, at: tuple[str | int, ...]) -> Any:
        """One value by the shape of its key."""
        self._once(node)
        if key.shape == "value":
            return self._plain(node, key, at)
        if key.shape == "record":
            return (
                self.record(node, key.keys, at) if self._expect(node, yaml.MappingNode, key) else key.default
            )
        if key.shape == "map":
            pairs = self._pairs(node) if self._expect(node, yaml.MappingNode, key) else []
            return {name: self._plain(value, key, (*at, name)) for name, _, value in pairs}
        items = node.value if self._expect(node, yaml.SequenceNode, key) else []
        values = []
        for index, item in enumerate(items):
            self._once(item)
            if key.shape == "list":
                values.append(self._plain(item, key, (*at, index)))
            elif self._expect(item, yaml.MappingNode, key, shape="record"):
                values.append(self.record(item, key.keys, (*at, index)))
        return values

    def _plain(self, node: yaml.Node, key: Key, at: tuple[str | int, ...]) -> Any:
        """A plain value, read from its text by the key's parser."""
        self.places[at] = self._where(node)
        if not self._expect(node, yaml.ScalarNode, key, shape="value"):
            return key.default
        if _is_null(node):
            return ""
        try:
            return key.parse(str(node.value).strip())
        except MangroveError as error:
            self._say(error.code, node, **error.problem.data)
            return key.default

    def _pairs(self, node: yaml.Node | None) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """The keys of a mapping; keys that stand twice or are no words are problems."""
        if not isinstance(node, yaml.MappingNode):
            if node is not None:
                self._say("territory.yaml_shape", node, key=self.file, shape="record")
            return []
        pairs: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if not name:
                self._say("territory.yaml_shape", key_node, key=self.file, shape="value")
            elif name in pairs:
                self._say("territory.duplicate_key", key_node, key=name)
            else:
                pairs[name] = (name, key_node, value_node)
        return list(pairs.values())

    def _expect(self, node: yaml.Node, kind: type[yaml.Node], key: Key, shape: str = "") -> bool:
        if isinstance(node, kind):
            return True
        self._say("territory.yaml_shape", node, key=key.name, shape=shape or key.shape)
        return False

    def _once(self, node: yaml.Node) -> None:
        """A node that is met twice was written once and aliased."""
        if id(node) in self._seen:
            self._say("territory.yaml_alias", node)
        self._seen.add(id(node))

    def _say(self, code: str, node: yaml.Node | None, **data: Any) -> None:
        self.problems.append(Problem(code, data, self._where(node)))

    def _where(self, node: yaml.Node | None) -> Where:
        if node is None:
            return Where(self.file)
        return Where(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and (node.tag == "tag:yaml.org,2002:null" or node.value == "")
