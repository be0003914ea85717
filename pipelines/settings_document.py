"""Text of a run file to plain values: YAML, ``--set`` and ``${NAME}``, and where each value stands.

Nothing here knows what a run file means; :mod:`pipelines.settings` does. What is wrong is
collected, not raised, so that one reading tells everything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

_VARIABLE = re.compile(r"\$\{(?P<name>[^}]*)\}?")
_OVERRIDDEN = "--set"


class NotYamlError(ValueError):
    """Text that no YAML reader takes; nothing else can be said about it."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with a run file: the full key, and what to do about it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class Filled(str):
    """Text with values of the environment in it; messages show it as it was written.

    A variable may hold a secret, and a refusal ends up in logs.

    Examples
    --------
    >>> text = Filled("s3://ice/out", "s3://${BUCKET}/out")
    >>> str(text), repr(text)
    ('s3://ice/out', "'s3://${BUCKET}/out'")
    """

    __slots__ = ("_written",)
    _written: str

    def __new__(cls, text: str, written: str) -> Filled:
        """Keep what was written beside what it stands for."""
        made = super().__new__(cls, text)
        made._written = written
        return made

    def __repr__(self) -> str:
        return repr(self._written)


@dataclass(frozen=True)
class Document:
    """A run file before anyone asks what it means.

    Attributes
    ----------
    values : dict
        Plain values; texts are :class:`Filled` where the environment spoke.
    origins : dict of str to str
        Full key to where it stands: ``line 7``, or ``--set``.
    mistakes : list of Mistake
        What is wrong so far.
    """

    values: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def origin(self, key: str) -> str:
        """Return where a key stands, or the closest one around it; empty if nowhere.

        Examples
        --------
        >>> Document({}, {"inputs": "line 7"}).origin("inputs.gravity[0]")
        'line 7'
        """
        while key and key not in self.origins:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.origins.get(key, "")


def read_document(text: str, overrides: Sequence[str] = ()) -> Document:
    """Read YAML, put ``--set`` on top, fill in the environment.

    Parameters
    ----------
    text : str
        A run file.
    overrides : sequence of str
        ``KEY=VALUE`` with dotted keys; values are YAML.

    Returns
    -------
    Document

    Raises
    ------
    NotYamlError
        The text is no YAML, or no keys and values.
    """
    values, marks = _parse(text)
    if not isinstance(values, dict):
        msg = f"found {type(values).__name__}, expected keys and values (YAML)"
        raise NotYamlError(msg)
    document = Document(values, {each.key: f"line {each.line}" for each in marks})
    document.mistakes.extend(_doubled(marks))
    for override in overrides:
        _override(document, override)
    filled = _filled(document.values, "", document.mistakes)
    return Document(filled, document.origins, document.mistakes)


@dataclass(frozen=True)
class _Mark:
    key: str
    line: int


def _doubled(marks: Sequence[_Mark]) -> list[Mistake]:
    """Return a mistake for every key that is given twice; YAML itself would keep the last."""
    found, lines = [], dict[str, int]()
    for each in marks:
        if each.key in lines:
            said = f"given twice, in line {lines[each.key]} and in line {each.line}; keep one"
            found.append(Mistake(each.key, said))
        lines[each.key] = each.line
    return found


def _parse(text: str) -> tuple[Any, list[_Mark]]:
    """Return YAML as plain values, with the line of every key.

    Aliases are refused: they multiply, and a page of them stands for more memory than there is.
    So are tags, which make other things than a run file holds. What YAML takes for a number or
    date and cannot make one of (2011-02-30) stays text.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                msg = "found an alias (*name), expected plain values; write them out"
                raise NotYamlError(msg)
            tag = getattr(self.peek_event(), "tag", None)  # type: ignore[no-untyped-call]
            if tag is not None:
                msg = f"found a tag ({tag}), expected plain values; remove it"
                raise NotYamlError(msg)
            return super().compose_node(parent, index)

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
            try:
                return super().construct_object(node, deep)
            except (ValueError, OverflowError):
                if isinstance(node, yaml.ScalarNode):
                    return str(node.value)
                raise

    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, []
        return loader.construct_document(node), list(_marks(node, ""))
    except yaml.YAMLError as error:
        msg = f"is not YAML: {error}"
        raise NotYamlError(msg) from error
    except RecursionError as error:
        msg = "is nested too deeply; expected three or four levels of keys"
        raise NotYamlError(msg) from error


def _marks(node: yaml.Node, key: str) -> Iterator[_Mark]:
    """Yield every key below a node in the order of the text; a key given twice comes twice."""
    if isinstance(node.value, str):
        return
    for i, entry in enumerate(node.value):
        pair = isinstance(entry, tuple)
        marked, below = entry if pair else (entry, entry)
        name = below_key(key, marked.value) if pair else f"{key}[{i}]"
        yield _Mark(name, marked.start_mark.line + 1)
        yield from _marks(below, name)


def below_key(key: str, name: object) -> str:
    """Return the full key of ``name`` below ``key``, which is empty at the top."""
    return f"{key}.{name}" if key else str(name)


def _override(document: Document, override: str) -> None:
    """Put ``KEY=VALUE`` on top of the values; what stood in the file there is gone."""
    name, equals, text = override.partition("=")
    *path, last = name.split(".")
    if not equals or not all((*path, last)):
        said = "expected KEY=VALUE, such as gravimetry.members=60"
        document.mistakes.append(Mistake(f"--set {override}", said))
        return
    try:
        value, marks = _parse(text)
    except NotYamlError as error:
        document.mistakes.append(Mistake(f"--set {name}", str(error)))
        return
    here = document.values
    for part in path:
        if here.get(part) is None:
            here[part] = {}
        here = here[part]
        if not isinstance(here, dict):
            said = f"{part!r} holds a value, not keys; see the run file"
            document.mistakes.append(Mistake(f"--set {override}", said))
            return
    here[last] = value
    _forget(document, name)
    document.origins[name] = _OVERRIDDEN
    document.mistakes.extend(
        Mistake(below_key(name, each.key), each.message) for each in _doubled(marks)
    )


def _forget(document: Document, name: str) -> None:
    """Drop the lines and the mistakes of what an override has replaced."""
    replaced = [key for key in document.origins if is_within(key, name)]
    for key in replaced:
        del document.origins[key]
    document.mistakes[:] = [each for each in document.mistakes if not is_within(each.key, name)]


def is_within(key: str, other: str) -> bool:
    """Whether ``key`` is ``other`` or stands below it.

    Examples
    --------
    >>> is_within("inputs.gia[0]", "inputs.gia"), is_within("inputs.gia", "inputs.gi")
    (True, False)
    """
    return key == other or key.startswith((f"{other}.", f"{other}["))


def _filled(value: Any, key: str, mistakes: list[Mistake]) -> Any:
    """Return the value with ``${NAME}`` replaced by environment variables, in all its texts."""
    if isinstance(value, dict):
        return {k: _filled(item, below_key(key, k), mistakes) for k, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, f"{key}[{i}]", mistakes) for i, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    wrong = [said for found in _VARIABLE.finditer(value) if (said := _refused(found, os.environ))]
    if wrong:
        mistakes.append(Mistake(key, "; ".join(wrong)))
        return value
    return Filled(_VARIABLE.sub(lambda found: os.environ[found["name"]], value), value)


def _refused(found: re.Match[str], environment: Mapping[str, str]) -> str:
    """Return why a ``${NAME}`` cannot be filled in; empty if it can."""
    name = found["name"]
    if not found[0].endswith("}") or not re.fullmatch(r"[A-Za-z_]\w*", name):
        return f"found {found[0]!r}, expected a name in braces, such as ${{BUCKET}}"
    if name not in environment:
        return f"${{{name}}}: the environment has no variable {name}; set it, or write the value"
    return ""
