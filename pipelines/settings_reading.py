"""Plain YAML to frozen dataclasses: types say what is allowed, and every mistake is told at once.

A mistake names its key in full, what was found, what was expected, and the nearest right key.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from pipelines.settings_document import Filled, Mistake, below_key

Month = NewType("Month", str)
"""A month as ``YYYY-MM``."""


@dataclass(frozen=True)
class Bounds:
    """What a number is, and the interval it must lie in."""

    what: str
    least: float
    most: float


@dataclass(frozen=True)
class Spelling:
    """What a text is, and a function that raises ``ValueError`` unless it is one."""

    what: str
    check: Callable[[str], object]


class Mistaken(ValueError):  # noqa: N818 - carries mistakes, is not shown itself
    """A value that cannot be read; collected by the record that holds it."""


def read_record(kind: type[Any], given: object, key: str, mistakes: list[Mistake]) -> Any:
    """Return a record of ``kind`` made from a mapping; what is wrong goes to ``mistakes``.

    Parameters
    ----------
    kind : type
        A frozen dataclass whose annotations say what is allowed. If it has a method
        ``conflicts``, that is asked what does not fit together, as (key, message), once every
        value could be read.
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
        mistakes.append(Mistake(key, f"found {show(given)}, expected keys and values"))
        return None
    hints = get_type_hints(kind, include_extras=True)
    names = {field_key(f.name): f for f in dataclasses.fields(kind)}
    before = len(mistakes)
    mistakes += unknown_keys(given, tuple(names), key)
    values: dict[str, Any] = {}
    for name, field in names.items():
        full = below_key(key, name)
        if name in given:
            values[field.name] = read_value(hints[field.name], given[name], full, mistakes)
        elif _is_required(field):
            mistakes.append(Mistake(full, "is missing, expected a value"))
            values[field.name] = None
    record = kind(**values)
    if len(mistakes) == before and hasattr(record, "conflicts"):
        mistakes += [Mistake(below_key(key, name), said) for name, said in record.conflicts()]
    return record


def field_key(name: str) -> str:
    """Return the key of a field: ``from_`` is written ``from``."""
    return name.rstrip("_")


@dataclass(frozen=True)
class UnknownKey(Mistake):
    """A key that its record does not have."""


def unknown_keys(given: Mapping[Any, Any], known: Sequence[str], key: str) -> list[Mistake]:
    """Return a mistake for each key that is not known, with the nearest one that is."""
    found: list[Mistake] = []
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            found.append(UnknownKey(below_key(key, name), f"unknown key; {hint}"))
    return found


def placed(mistake: Mistake, keys: Sequence[str]) -> Mistake:
    """Return the mistake; for a right key in a wrong place, with the place where it belongs.

    Examples
    --------
    >>> print(placed(UnknownKey("inner_km", "unknown key"), ["gravimetry.mask.inner_km"]))
    inner_km: unknown key here; did you mean 'gravimetry.mask.inner_km'?
    """
    name = mistake.key.rpartition(".")[2]
    right = [key for key in keys if key.rpartition(".")[2] == name]
    if not isinstance(mistake, UnknownKey) or not right:
        return mistake
    return Mistake(mistake.key, f"unknown key here; did you mean {right[0]!r}?")


def full_keys(kind: type[Any], key: str) -> list[str]:
    """Return the full keys of a record at ``key`` and of the records in it."""
    hints = get_type_hints(kind, include_extras=True)
    keys: list[str] = []
    for item in dataclasses.fields(kind):
        full = below_key(key, field_key(item.name))
        keys.append(full)
        if dataclasses.is_dataclass(hints[item.name]):
            keys += full_keys(hints[item.name], full)
    return keys


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
    single = isinstance(given, str | dt.date)
    items = [given] if single else given
    if not isinstance(items, list):
        mistakes.append(Mistake(key, f"found {show(given)}, expected a list"))
        return ()
    return tuple(
        read_value(hint, item, key if single else f"{key}[{i}]", mistakes)
        for i, item in enumerate(items)
    )


def _read_scalar(hint: Any, given: object) -> Any:
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        inner = next(option for option in get_args(hint) if option is not type(None))
        return None if _meaning(given) is None else _read_scalar(inner, given)
    if origin is Annotated:
        kind, rule = get_args(hint)
        return _read_spelt(rule, given) if kind is str else _read_number(kind, rule, given)
    if origin is Literal:
        return _read_choice(get_args(hint), given)
    if hint is Month:
        return _read_month(given)
    return {str: read_text, bool: _read_truth}[hint](given)


def read_text(given: object) -> str:
    """Return text that says something."""
    if not isinstance(given, str):
        msg = f"found {show(given)}, expected text"
        raise Mistaken(msg)
    if not given.strip():
        msg = f"found {show(given)}, which is empty; expected text"
        raise Mistaken(msg)
    return str(given)


def _read_spelt(rule: Spelling, given: object) -> str:
    # YAML makes a date of what looks like one, also where a name begins with a date.
    text = given.isoformat() if type(given) is dt.date else read_text(given)
    try:
        rule.check(text)
    except ValueError as error:
        msg = f"found {show(given)}, expected {rule.what}"
        raise Mistaken(msg) from error
    return text


def _read_truth(given: object) -> bool:
    meaning = _meaning(given)
    if not isinstance(meaning, bool):
        msg = f"found {show(given)}, expected true or false"
        raise Mistaken(msg)
    return meaning


def _meaning(given: object) -> object:
    """Return what text of the environment means where no text is wanted: ``30`` is a number."""
    if not isinstance(given, Filled):
        return given
    import yaml

    try:
        meaning: object = yaml.safe_load(given)
    except (yaml.YAMLError, ValueError):
        return given
    return meaning if meaning is None or isinstance(meaning, bool | int | float) else given


def _read_number(kind: type[Any], bounds: Bounds, given: object) -> float | int:
    allowed = (int,) if kind is int else (int, float)
    expected = f"{bounds.what} from {bounds.least:g} to {bounds.most:g}"
    number = _meaning(given)
    if isinstance(number, bool) or not isinstance(number, allowed):
        whole = ", whole" if kind is int else ""
        msg = f"found {show(given)}, expected {expected}{whole}; the unit is in the key"
        raise Mistaken(msg)
    if not bounds.least <= number <= bounds.most:
        msg = f"found {show(given)}, expected {expected}"
        raise Mistaken(msg)
    return float(number) if kind is float else int(number)


def _read_choice(options: tuple[Any, ...], given: object) -> Any:
    if given not in options:
        near = difflib.get_close_matches(str(given), [str(o) for o in options], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        msg = f"found {show(given)}, expected {' | '.join(map(str, options))}{hint}"
        raise Mistaken(msg)
    return next(option for option in options if option == given)


def _read_month(given: object) -> str:
    if not isinstance(given, str) or not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", given):
        msg = f"found {show(given)}, expected a month, YYYY-MM"
        raise Mistaken(msg)
    return str(given)


def show(given: object) -> str:
    """Return a value as people wrote it, cut where it is long.

    Examples
    --------
    >>> show([dt.date(2011, 2, 1), "soon"])
    "[2011-02-01, 'soon']"
    """
    if isinstance(given, list):
        text = f"[{', '.join(map(show, given))}]"
    elif isinstance(given, dt.date):
        text = given.isoformat()
    else:
        try:
            text = repr(given)
        except ValueError:  # a whole number beyond sys.get_int_max_str_digits()
            text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def plain(record: Any) -> Any:
    """Return a record as plain mappings, lists and scalars, with keys as they are written."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        pairs = ((field_key(f.name), getattr(record, f.name)) for f in dataclasses.fields(record))
        optional = {"from", "to"}
        return {k: plain(v) for k, v in pairs if not (k in optional and v is None)}
    if isinstance(record, tuple):
        return [plain(item) for item in record]
    return record
