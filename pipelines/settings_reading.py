"""Plain YAML to frozen dataclasses: types say what is allowed, and every mistake is told at once.

A mistake names its key in full, what was found, what was expected, and the nearest right key.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

Month = NewType("Month", str)
"""A month as ``YYYY-MM``."""


@dataclass(frozen=True)
class Bounds:
    """What a number is, and the interval it must lie in."""

    what: str
    least: float
    most: float


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with a run file: the full key, and what to do about it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class Mistaken(ValueError):  # noqa: N818 - carries mistakes, is not shown itself
    """A value that cannot be read; collected by the record that holds it."""


def read_record(kind: type[Any], given: object, key: str, mistakes: list[Mistake]) -> Any:
    """Return a record of ``kind`` made from a mapping; what is wrong goes to ``mistakes``.

    Parameters
    ----------
    kind : type
        A frozen dataclass whose annotations say what is allowed.
    given : object
        What the YAML holds at ``key``.
    key : str
        Full key, for messages; empty at the top.
    mistakes : list of Mistake
        Receives every mistake.

    Returns
    -------
    kind or None
        None if something required could not be read.
    """
    if not isinstance(given, Mapping):
        mistakes.append(Mistake(key, f"found {_show(given)}, expected keys and values"))
        return None
    hints = get_type_hints(kind, include_extras=True)
    names = {field_key(f.name): f for f in dataclasses.fields(kind)}
    mistakes += unknown_keys(given, tuple(names), key)
    values: dict[str, Any] = {}
    for name, field in names.items():
        full = f"{key}.{name}" if key else name
        if name in given:
            values[field.name] = read_value(hints[field.name], given[name], full, mistakes)
        elif _is_required(field):
            mistakes.append(Mistake(full, "is missing, expected a value"))
            values[field.name] = None
    return kind(**values)


def field_key(name: str) -> str:
    """Return the key of a field: ``from_`` is written ``from``."""
    return name.rstrip("_")


def unknown_keys(given: Mapping[Any, Any], known: tuple[str, ...], key: str) -> list[Mistake]:
    """Return a mistake for each key that is not known, with the nearest one that is."""
    found = []
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            found.append(Mistake(f"{key}.{name}" if key else str(name), f"unknown key; {hint}"))
    return found


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def read_value(hint: Any, given: object, key: str, mistakes: list[Mistake]) -> Any:
    """Return a value of the annotated type; a mistake and None if it cannot be read."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read_record(hint, given, key, mistakes)
    if get_origin(hint) is tuple:
        return _read_list(get_args(hint)[0], given, key, mistakes)
    try:
        return _read_scalar(hint, given)
    except Mistaken as mistake:
        mistakes.append(Mistake(key, str(mistake)))
        return None


def _read_list(hint: Any, given: object, key: str, mistakes: list[Mistake]) -> tuple[Any, ...]:
    single = isinstance(given, str)
    items = [given] if single else given
    if not isinstance(items, list):
        mistakes.append(Mistake(key, f"found {_show(given)}, expected a list"))
        return ()
    return tuple(
        read_value(hint, item, key if single else f"{key}[{i}]", mistakes)
        for i, item in enumerate(items)
    )


def _read_scalar(hint: Any, given: object) -> Any:
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        inner = next(option for option in get_args(hint) if option is not type(None))
        return None if given is None else _read_scalar(inner, given)
    if origin is Annotated:
        kind, bounds = get_args(hint)
        return _read_number(kind, bounds, given)
    if origin is Literal:
        return _read_choice(get_args(hint), given)
    if hint is Month:
        return _read_month(given)
    wanted = {str: "text", bool: "true or false", dt.date: "a date, YYYY-MM-DD"}[hint]
    if hint is dt.date and isinstance(given, str):
        return _read_date(given)
    if not isinstance(given, hint) or isinstance(given, dt.datetime):
        msg = f"found {_show(given)}, expected {wanted}"
        raise Mistaken(msg)
    return given


def _read_number(kind: type[Any], bounds: Bounds, given: object) -> float | int:
    allowed = (int,) if kind is int else (int, float)
    expected = f"{bounds.what} from {bounds.least:g} to {bounds.most:g}"
    if isinstance(given, bool) or not isinstance(given, allowed):
        whole = ", whole" if kind is int else ""
        msg = f"found {_show(given)}, expected {expected}{whole}; the unit is in the key"
        raise Mistaken(msg)
    if not bounds.least <= given <= bounds.most:
        msg = f"found {given:g}, expected {expected}"
        raise Mistaken(msg)
    return float(given) if kind is float else int(given)


def _read_choice(options: tuple[Any, ...], given: object) -> Any:
    if given not in options:
        near = difflib.get_close_matches(str(given), [str(o) for o in options], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        msg = f"found {_show(given)}, expected {' | '.join(map(str, options))}{hint}"
        raise Mistaken(msg)
    return given


def _read_month(given: object) -> str:
    if not isinstance(given, str) or not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", given):
        msg = f"found {_show(given)}, expected a month, YYYY-MM"
        raise Mistaken(msg)
    return given


def _read_date(given: str) -> dt.date:
    try:
        return dt.date.fromisoformat(given)
    except ValueError as error:
        msg = f"found {_show(given)}, expected a date, YYYY-MM-DD"
        raise Mistaken(msg) from error


def _show(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def plain(record: Any) -> Any:
    """Return a record as plain mappings, lists and scalars, with keys as they are written."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        pairs = ((field_key(f.name), getattr(record, f.name)) for f in dataclasses.fields(record))
        optional = {"from", "to"}
        return {k: plain(v) for k, v in pairs if not (k in optional and v is None)}
    if isinstance(record, tuple):
        return [plain(item) for item in record]
    if isinstance(record, dt.date):
        return record.isoformat()
    return record
