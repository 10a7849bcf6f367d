"""Reading our YAML files so that every fault can name its line, and no key silently wins over its twin."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from revpipe.errors import Misconfigured

Path = tuple[str | int, ...]
_AS_WRITTEN: Final = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:str")
_MAX_DEPTH: Final = 12
_FAST: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast, where PyYAML was built with it: every process reads the rules at its start."""


@dataclass(slots=True)
class Document:
    """A YAML file's value, the line of each place in it (counted from 1), and the faults found so far."""

    name: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Where `path` is, or the nearest place around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def fault(self, path: Path, text: str) -> None:
        """Note a fault at `path`."""
        self.faults.append((self.line(path), text))

    def unknown_keys(self, path: Path, value: Mapping[str, Any], known: tuple[str, ...]) -> None:
        """Note a fault for each key of `value` that is not one of `known`."""
        for key in value:
            if key not in known:
                self.fault((*path, key), f"unknown key {key!r}; there are {', '.join(known)}")

    def raise_faults(self) -> None:
        """Raise Misconfigured with one line for each fault, if there is any."""
        if self.faults:
            ordered = sorted(set(self.faults))
            raise Misconfigured("\n".join(f"{self.name}:{line}: {text}" for line, text in ordered))


def parse(text: str, name: str) -> Document:
    """The YAML document in `text`. Keys are text as written (`on` stays `on`, which YAML 1.1 reads as true).

    Raises Misconfigured if it is no YAML at all; smaller faults are noted in the document.
    """
    if _FAST is not yaml.SafeLoader:
        try:
            return _parse(text, name, _FAST)
        except Misconfigured:
            # What is wrong is told in the words, and with the line, of the slow one.
            pass
    return _parse(text, name, yaml.SafeLoader)


def _parse(text: str, name: str, kind: type[yaml.SafeLoader]) -> Document:
    document = Document(name)
    try:
        loader = kind(text)
    except yaml.reader.ReaderError as error:
        line, character = text.count("\n", 0, error.position) + 1, ord(text[error.position])
        raise Misconfigured(f"{name}:{line}: is not YAML: the character U+{character:04X} can't stand in it") from error
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, kind)):
            document.faults.append((1, "anchors and aliases (& and *) can't be used; write the value out"))
            return document
        node = loader.get_single_node()
        if node is not None:
            document.value = _value(loader, node, (), document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Misconfigured(f"{name}:{line}: is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Misconfigured(f"{name}:1: is not YAML: {error}") from error
    finally:
        loader.dispose()
    return document


def _value(loader: yaml.SafeLoader, node: yaml.Node, path: Path, document: Document) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _MAX_DEPTH:
        document.fault(path, f"nested deeper than {_MAX_DEPTH} levels")
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, child, (*path, index), document) for index, child in enumerate(node.value)]
    return node.value if node.tag in _AS_WRITTEN else _scalar(loader, node, path, document)


def _scalar(loader: yaml.SafeLoader, node: yaml.Node, path: Path, document: Document) -> Any:
    try:
        value = loader.construct_object(node)
    except (yaml.YAMLError, ValueError):
        value = math.nan
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    document.fault(path, f"can't use {str(node.value)[:40]!r} as it stands; put it in quotes")
    return None


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.faults.append((line, "a key must be a word"))
            continue
        key = str(key_node.value)
        if key in made:
            document.faults.append((line, f"the key {key!r} stands here twice; remove one"))
            continue
        document.lines[(*path, key)] = line
        made[key] = _value(loader, value_node, (*path, key), document)
    return made
