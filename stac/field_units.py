"""Units of gridded fields as files write them, and the factor to ours; unknown ones are refused.

A unit is read as factors from left to right: ``m/yr``, ``m a-1``, ``metres per year``,
``kg m^-2 yr^-1`` and ``mm w.e. yr-1`` are understood. A year has 365.25 days.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

DAYS_PER_YEAR = 365.25
SECONDS_PER_DAY = 86_400.0

_LENGTHS = {
    "km": 1e3, "kilometer": 1e3, "kilometre": 1e3, "m": 1.0, "meter": 1.0, "metre": 1.0,
    "dm": 1e-1, "cm": 1e-2, "centimeter": 1e-2, "centimetre": 1e-2, "mm": 1e-3,
    "millimeter": 1e-3, "millimetre": 1e-3,
}  # fmt: skip
_YEARS = {
    "yr": 1.0, "a": 1.0, "y": 1.0, "year": 1.0, "annum": 1.0, "d": 1.0 / DAYS_PER_YEAR,
    "day": 1.0 / DAYS_PER_YEAR, "s": 1.0 / (DAYS_PER_YEAR * SECONDS_PER_DAY),
    "sec": 1.0 / (DAYS_PER_YEAR * SECONDS_PER_DAY),
    "second": 1.0 / (DAYS_PER_YEAR * SECONDS_PER_DAY),
}  # fmt: skip
_MASSES = {"kg": 1.0, "kilogram": 1.0, "g": 1e-3, "t": 1e3, "gt": 1e12}
_SYMBOLS: Mapping[str, tuple[str, float]] = {
    name: (dimension, size)
    for dimension, sizes in (("m", _LENGTHS), ("yr", _YEARS), ("kg", _MASSES))
    for name, size in sizes.items()
}
_WATER_EQUIVALENT = re.compile(r"\b(mm|cm|m)\s*w\.?\s*e(?:q|\b)\.?", re.IGNORECASE)
_WATER_EQUIVALENT_KG = {"mm": "kg m-2", "cm": "10 kg m-2", "m": "1000 kg m-2"}
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
_FACTOR = re.compile(r"([a-z]+)(?:\^|\*\*)?\s?([+-]?\d)?$")
_LEADING = re.compile(r"^(\d+(?:\.\d+)?)\s+(?=[a-z])")


class FieldFormatError(ValueError):
    """A file of fields that cannot be used: what was found, what was expected, what to change."""


@dataclass(frozen=True)
class _Unit:
    """Size in m, kg and yr, and the power of each."""

    size: float
    powers: Mapping[str, int]


def factor(unit: str, to: str, *, what: str) -> float:
    """Return what values in `unit` must be multiplied by to be in `to`.

    Parameters
    ----------
    unit : str
        Unit as the file writes it.
    to : str
        Unit that is wanted, such as ``m yr-1``.
    what : str
        File and variable, for messages.

    Raises
    ------
    FieldFormatError
        No unit, an unknown one, or one of another quantity.

    Examples
    --------
    >>> factor("cm/yr", "m yr-1", what="rates.nc")
    0.01
    >>> factor("mm w.e. a-1", "kg m-2 yr-1", what="rates.nc")
    1.0
    """
    if not unit.strip():
        msg = (
            f"{what} does not say its unit, expected {to!r} or one that converts to it; add it: "
            f'ncatted -a units,VARIABLE,c,c,"{to}" FILE, or rio edit-info --bidx BAND --units '
            f'"{to}" FILE'
        )
        raise FieldFormatError(msg)
    wanted, found = _parsed(to), _parsed(unit)
    if wanted is None or found is None or found.powers != wanted.powers:
        msg = (
            f"{what} is in {unit!r}, expected {to!r} or one that converts to it; correct the unit "
            "in the file, or name another variable"
        )
        raise FieldFormatError(msg)
    return found.size / wanted.size


def _parsed(unit: str) -> _Unit | None:
    """Return a unit as powers of m, kg and yr; None if a part of it is unknown."""
    text = _WATER_EQUIVALENT.sub(lambda m: _WATER_EQUIVALENT_KG[m[1].lower()], unit.strip())
    if "Mm" in text:
        return None
    text = text.translate(_SUPERSCRIPTS).lower()
    text = re.sub(r"\bper\b", "/", text)
    size, powers = 1.0, Counter[str]()
    if leading := _LEADING.match(text):
        size, text = float(leading[1]), text[leading.end() :]
    for part in re.sub(r"\s*/\s*", " /", text).replace("·", " ").replace(".", " ").split():
        matched = _FACTOR.fullmatch(part.removeprefix("/"))
        known = _symbol(matched[1]) if matched else None
        if matched is None or known is None:
            return None
        power = int(matched[2] or 1) * (-1 if part.startswith("/") else 1)
        powers[known[0]] += power
        size *= known[1] ** power
    return _Unit(size, {name: power for name, power in powers.items() if power})


def _symbol(name: str) -> tuple[str, float] | None:
    """Return dimension and size of a symbol or of the plural of a word."""
    return _SYMBOLS.get(name) or (_SYMBOLS.get(name.removesuffix("s")) if len(name) > 2 else None)
