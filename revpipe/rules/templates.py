"""Filling the params of a rule's actions from the facts.

What comes from a CRM or a call is data from strangers. It is inserted once and never read as a template;
and a template may only pick a field, fall back with `or`, choose with `if`, compare with == and !=, and
use the filters below. So nothing a stranger writes can run, and no fact can make a rendering fail.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from jinja2 import ChainableUndefined, nodes
from jinja2.exceptions import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from revpipe.rules import samples
from revpipe.rules.name_checks import field_fault, guess
from revpipe.rules.template_filters import FILTERS, MAX_TEXT, bounded, shown

Renderer = Callable[[Mapping[str, Any]], Any]
MAX_SOURCE: Final = 10_000
MAX_DEPTH: Final = 6
_ALLOWED: Final = (
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Const,
    nodes.Filter,
    nodes.CondExpr,
    nodes.If,
    nodes.Or,
    nodes.And,
    nodes.Not,
    nodes.Compare,
    nodes.Operand,
)

_ENV: Final = SandboxedEnvironment(
    # The text goes to JSON APIs and is escaped by each adapter in its own way; HTML escapes would be wrong.
    autoescape=False,
    undefined=ChainableUndefined,
    finalize=shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENV.globals.clear()
_ENV.filters.clear()
_ENV.tests.clear()
_ENV.filters.update(FILTERS)


def compile_params(value: Any) -> Renderer:
    """A function from facts to the filled `value`: mappings and lists keep their shape, texts are templates.

    A text that is one `{{ … }}` and nothing else keeps the value's own type, None if it is absent.
    Raises ValueError for a template with faults; `template_faults` tells them.
    """
    if isinstance(value, Mapping):
        parts = {str(key): compile_params(item) for key, item in value.items()}
        return lambda facts: {key: part(facts) for key, part in parts.items()}
    if isinstance(value, list):
        items = [compile_params(item) for item in value]
        return lambda facts: [item(facts) for item in items]
    if not isinstance(value, str) or not _is_template(value):
        return lambda _facts: value
    if template_faults(value):
        raise ValueError(template_faults(value)[0])
    return _renderer(value)


def param_faults(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each fault in an action's params with the path to where it is."""
    if len(path) > MAX_DEPTH:
        yield path, f"params are nested deeper than {MAX_DEPTH} levels"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if _is_template(str(key)):
                yield (*path, key), "a key can't be a template; only values are filled"
            yield from param_faults(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from param_faults(item, (*path, index))
    elif isinstance(value, str):
        yield from ((path, fault) for fault in template_faults(value))


def template_faults(text: str) -> list[str]:
    """One sentence for each fault of a template; an empty list if it can be used."""
    return list(_faults(text))


# A file's templates are looked at when it is checked and again when they are compiled.
@lru_cache(maxsize=1024)
def _faults(text: str) -> Sequence[str]:
    if len(text) > MAX_SOURCE:
        return [f"the text is longer than {MAX_SOURCE} characters"]
    if not _is_template(text):
        return []
    try:
        tree = _ENV.parse(text)
    except (TemplateError, RecursionError) as error:
        return [f"is not a template: {error}"]
    faults = [fault for body in tree.body for fault in _node_faults(body)]
    return list(dict.fromkeys(faults)) or _trial_faults(text)


def _is_template(text: str) -> bool:
    return any(sign in text for sign in ("{{", "{%", "{#"))


def _is_pure(text: str) -> bool:
    body = _ENV.parse(text).body
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return False
    inner = body[0].nodes
    return len(inner) == 1 and not isinstance(inner[0], nodes.TemplateData) and text.strip().startswith("{{")


def _pure(text: str) -> Renderer:
    expression = _ENV.compile_expression(text.strip()[2:-2].strip("-+ \n"))
    return lambda facts: bounded(expression(**facts))


def _text(text: str) -> Renderer:
    template = _ENV.from_string(text)
    one_line = "\n" not in text.strip()

    def render(facts: Mapping[str, Any]) -> str:
        filled = template.render(**facts)
        # A subject or title is one line; a line break in a stranger's text must not make it two.
        return (re.sub(r"\s+", " ", filled).strip() if one_line else filled)[:MAX_TEXT]

    return render


def _node_faults(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        fault = field_fault(node.node.name, node.attr)
        if fault:
            yield fault
        return
    if isinstance(node, nodes.Name) and node.name != "now":
        yield field_fault(node.name, "") or ""
    elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
        yield f"unknown filter {node.name}{guess(node.name, FILTERS)} (there are {', '.join(FILTERS)})"
    elif isinstance(node, nodes.Operand) and node.op not in ("eq", "ne"):
        yield "in a template only == and != compare; decide the rest in `when`"
    elif not isinstance(node, _ALLOWED) or isinstance(node, nodes.Getattr):
        yield f"{type(node).__name__.lower()} can't be used in a template; pick fields and use `or`, `if`, filters"
        return
    for child in node.iter_child_nodes():
        yield from _node_faults(child)


@lru_cache(maxsize=1024)
def _renderer(text: str) -> Renderer:
    return _pure(text) if _is_pure(text) else _text(text)


@cache
def _trials() -> Sequence[Mapping[str, Any]]:
    return samples.absent(), *(samples.sample(number) for number in range(samples.COUNT))


def _trial_faults(text: str) -> list[str]:
    render = _renderer(text)
    try:
        for facts in _trials():
            render(facts)
    except (TemplateError, TypeError, ValueError) as error:
        return [f"can't be filled: {error}"]
    return []
