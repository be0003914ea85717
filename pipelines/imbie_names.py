"""Names of dialects and of drainage regions as IMBIE writes them.

Zwally et al. (2012) number 27 basins of Antarctica; Rignot's 18 basins have two letters, from
where they begin to where they end. Ice sheets have four letters in either set.
"""

from collections.abc import Mapping
from typing import Literal, get_args

Dialect = Literal["imbie-3", "imbie-2023", "imbie-2024"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)

ZWALLY = tuple(str(number) for number in range(1, 28))
RIGNOT = (
    "A-Ap", "Ap-B", "B-C", "C-Cp", "Cp-D", "D-Dp", "Dp-E", "E-Ep", "Ep-F", "F-G", "G-H", "H-Hp",
    "Hp-I", "I-Ipp", "Ipp-J", "J-Jpp", "Jpp-K", "K-A",
)  # fmt: skip
SHEETS = ("APIS", "EAIS", "WAIS", "AIS")

BASINS: Mapping[str, tuple[str, ...]] = {"Zwally": ZWALLY, "Rignot": RIGNOT}
"""Basins of each set."""

_OTHER_NAMES = {"AP": "APIS"}


class ImbieError(ValueError):
    """Something that cannot be said in a file of IMBIE."""


def dialect_of(name: str) -> Dialect:
    """Return a dialect by its name.

    Raises
    ------
    ImbieError
        There is none of this name.
    """
    for known in DIALECTS:
        if name == known:
            return known
    msg = f"found the IMBIE dialect {name!r}, expected one of {', '.join(DIALECTS)}"
    raise ImbieError(msg)


def has_extra(dialect: str) -> bool:
    """Return whether a dialect has the further column of 2023 and 2024."""
    return dialect_of(dialect) != "imbie-3"


def set_name(region_set: str) -> str:
    """Return ``Zwally`` or ``Rignot`` for a collection of regions.

    Examples
    --------
    >>> set_name("zwally2012"), set_name("imbie2-rignot2016")
    ('Zwally', 'Rignot')
    """
    name = region_set.lower()
    if "zwally" in name:
        return "Zwally"
    if "rignot" in name or "imbie" in name:
        return "Rignot"
    msg = (
        f"found the regions {region_set!r}; IMBIE knows Zwally and Rignot, so name a collection "
        "with one of these words in its name"
    )
    raise ImbieError(msg)


def is_region(region: str, region_set: str) -> bool:
    """Return whether IMBIE has a name for a region; it has none for sectors of the sea.

    Examples
    --------
    >>> [is_region(name, "zwally2012") for name in ("22", "AP", "AIS", "Amundsen", "28")]
    [True, True, True, False, False]
    """
    return _found(region, set_name(region_set)) is not None


def region_id(region: str, region_set: str) -> str:
    """Return IMBIE's name of a region.

    Raises
    ------
    ImbieError
        The set has no such region.

    Examples
    --------
    >>> region_id("AP", "zwally2012"), region_id("a-ap", "rignot2016")
    ('APIS', 'A-Ap')
    """
    name = set_name(region_set)
    found = _found(region, name)
    if found is None:
        known = f"{BASINS[name][0]} to {BASINS[name][-1]}, {', '.join(SHEETS)}"
        msg = f"found the region {region!r} of {name}; expected {known}; leave others out"
        raise ImbieError(msg)
    return found


def _found(region: str, name: str) -> str | None:
    cell = region.strip().upper()
    wanted = _OTHER_NAMES.get(cell, cell)
    return {each.upper(): each for each in (*BASINS[name], *SHEETS)}.get(wanted)
