"""What headers of gravity fields say: degree, constants, window, tides, who and which release.

Three kinds: YAML (Level-2 of RL06), FIRST/CMMNT/EARTH/SHM (RL05 and before), ICGEM (``.gfc``). They
are read line by line: a YAML loader takes longer than the coefficients, and gets untrusted text.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from stac.gravity_text import GravityFormatError, number

TIDES = {"inclusive": "zero_tide", "exclusive": "tide_free"}
TIDE_SYSTEMS = {"zero_tide", "tide_free", "mean_tide"}
METRES = {"m", "meter", "meters", "metre", "metres"}
GM_UNITS = {"m3/s2", "m^3/s^2", "m3 s-2", "m**3/s**2"}
EARTH_RADIUS = (6.3e6, 6.4e6)
EARTH_GM = (3.98e14, 3.99e14)

_YAML_LINE = re.compile(r"( *)([^\s:#][^:]*?)\s*:(?:\s+(.*))?$")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d*)?)?Z?)?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:\.(\d\d)(\d\d)\d*)?")
_DAYS = re.compile(r"_(\d{4})(\d{3})-(\d{4})(\d{3})(?:_|$)")
_MONTH = re.compile(r"_(\d{4})-(\d\d)(?:-(\d\d))?$")
_DAY = dt.timedelta(days=1)
_CENTRES = (
    ("COST-?G", "COST-G"),
    ("CSR", "CSR"),
    ("GFZ|EIGEN", "GFZ"),
    ("JPL", "JPL"),
    ("ITSG|GRAZ", "ITSG"),
    ("CNES|GRGS", "CNES"),
    ("AIUB", "AIUB"),
)


@dataclass(frozen=True)
class FieldHeader:
    """What a header says of its field.

    Attributes
    ----------
    j_max : int
        Highest degree.
    product, centre, release, mission : str
        What it is; empty or ``unknown`` where the header does not say.
    gm : float
        Gravitational constant times mass [m³ s⁻²].
    radius : float
        Reference radius [m].
    tide_system : str
        ``zero_tide``, ``tide_free``, ``mean_tide`` or ``unknown``.
    time_start, time_end : str
        ISO dates, the end exclusive; empty for a static field.
    unused_days : str
        Days without data, as the header lists them.
    """

    j_max: int
    product: str
    centre: str
    release: str
    mission: str
    gm: float
    radius: float
    tide_system: str
    time_start: str = ""
    time_end: str = ""
    unused_days: str = ""


def read_yaml_header(header: str, *, name: str) -> FieldHeader:
    """Read the header of a Level-2 field of RL06; windows and units must be stated."""
    said = yaml_values(header.partition("\n  variables:")[0])

    def need(key: str, what: str) -> str:
        return _needed(said, key, f"{what} ({key})", name=name)

    require_normalised(need("normalization", "the normalisation"), name=name)
    start, end = need("time_coverage_start", "the window"), need("time_coverage_end", "the window")
    radius = need("mean_equator_radius.value", "the radius")
    _require_unit(need("mean_equator_radius.units", "the unit of the radius"), METRES, name=name)
    gm = need("earth_gravity_param.value", "GM")
    _require_unit(need("earth_gravity_param.units", "the unit of GM"), GM_UNITS, name=name)
    institution = said.get("institution", "")
    return FieldHeader(
        j_max=whole(need("dimensions.degree", "the degree"), name=name, what="the degree"),
        product=said.get("product_id", ""),
        centre=centre_of(institution, otherwise=institution or "unknown"),
        release=said.get("product_version", ""),
        mission=mission_of(said.get("platform", "")) or mission_of(said.get("title", "")),
        gm=gm_of(gm, name=name),
        radius=radius_of(radius, name=name),
        tide_system=TIDES.get(said.get("permanent_tide_flag", "").lower(), "unknown"),
        unused_days=said.get("unused_days", "").strip("[] "),
        **window(moment(start, name=name), moment(end, name=name), name=name),
    )


def yaml_values(header: str) -> dict[str, str]:
    r"""Return ``key: value`` lines by key, and by ``parent.key``; lists are passed over.

    >>> yaml_values("a:\n  b : 1 2\n  c: x: y")
    {'b': '1 2', 'a.b': '1 2', 'c': 'x: y', 'a.c': 'x: y'}
    """
    said: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    for line in header.splitlines():
        match = _YAML_LINE.match(line)
        if match is None:
            continue
        indent, key, value = len(match[1]), match[2], (match[3] or "").strip(" \"'")
        while parents and parents[-1][0] >= indent:
            parents.pop()
        if value:
            said.setdefault(key, value)
            said.setdefault(f"{parents[-1][1]}.{key}" if parents else key, value)
        else:
            parents.append((indent, key))
    return said


def read_old_header(header: str, window_of_rows: dict[str, str], *, name: str) -> FieldHeader:
    """Read the lines FIRST, CMMNT, EARTH and SHM of RL05 and before; rows give the window."""
    said: dict[str, str] = {}
    for line in header.splitlines():
        key, _, value = line.strip().partition(" ")
        said[key] = f"{said[key]} {value}" if key in said else value.strip()
    earth = _needed(said, "EARTH", "GM and radius (EARTH)", name=name).split()
    shape = _needed(said, "SHM", "degree and normalisation (SHM)", name=name)
    require_normalised(shape, name=name)
    if len(earth) < 2:
        msg = f"{name}: found EARTH {' '.join(earth)!r}, expected GM [m3/s2] and radius [m]"
        raise GravityFormatError(msg)
    label = f"{said.get('FIRST', '')} {said.get('CMMNT', '')} {name}"
    tides = [system for flag, system in TIDES.items() if flag in shape.lower()]
    product = re.search(r"\bG(?:SM|A[A-D])-2", label)
    return FieldHeader(
        j_max=whole(shape.split()[0], name=name, what="the degree (SHM)"),
        product=product.group() if product else "",
        centre=centre_of(label, otherwise="unknown"),
        release=_old_release(label),
        mission=mission_of(label) or ("GRACE" if window_of_rows else ""),
        gm=gm_of(earth[0], name=name),
        radius=radius_of(earth[1], name=name),
        tide_system=tides[0] if len(tides) == 1 else "unknown",
        **window_of_rows,
    )


def _old_release(label: str) -> str:
    found = re.search(r"\bRL0?(\d{1,2})\b|_00(\d\d)\b|_00(\d)[a-z]\b", label)
    return f"RL{int(next(filter(None, found.groups()))):02d}" if found else ""


def read_icgem_header(header: str, *, name: str) -> tuple[FieldHeader, dict[str, str]]:
    """Read the header of a ``.gfc``; also returns all its keys."""
    said: dict[str, str] = {}
    for line in header.rpartition("begin_of_head")[2].splitlines():
        key, _, value = line.strip().partition(" ")
        said.setdefault(key, value.strip())
    require_normalised(said.get("norm", "fully_normalized").replace("_", " "), name=name)
    if said.get("product_type", "gravity_field") != "gravity_field":
        msg = f"{name}: holds a {said['product_type']!r}, expected product_type gravity_field"
        raise GravityFormatError(msg)
    gm = said.get("gravity_constant") or _needed(said, "earth_gravity_constant", "GM", name=name)
    model = _needed(said, "modelname", "modelname", name=name)
    degree = _needed(said, "max_degree", "the degree (max_degree)", name=name)
    tide = said.get("tide_system", "")
    return FieldHeader(
        j_max=whole(degree.split()[0], name=name, what="max_degree"),
        product=model,
        centre=centre_of(model, otherwise="unknown"),
        release="",
        mission=mission_of(model),
        gm=gm_of(gm.split()[0], name=name),
        radius=radius_of(_needed(said, "radius", "the radius", name=name).split()[0], name=name),
        tide_system=tide if tide in TIDE_SYSTEMS else "unknown",
        **_icgem_window(said, model, name=name),
    ), said


def _icgem_window(said: Mapping[str, str], model: str, *, name: str) -> dict[str, str]:
    """Return the window of a monthly ``.gfc``; ICGEM has no key that all centres use."""
    if "time_coverage_start" in said and "time_coverage_end" in said:
        ends = (said["time_coverage_start"], said["time_coverage_end"])
        return window(*(moment(end, name=name) for end in ends), name=name)
    if found := _DAYS.search(model):
        first, last = _day_of_year(found[1], found[2]), _day_of_year(found[3], found[4])
        return window(first, last + _DAY, name=name)
    if found := _MONTH.search(model):
        first = moment(f"{found[1]}-{found[2]}-{found[3] or '01'}", name=name)
        after = first + _DAY if found[3] else (first + 31 * _DAY).replace(day=1)
        return window(first, after, name=name)
    days = re.findall(r"\b\d{8}\b", said.get("time_period_of_data", ""))
    if len(days) >= 2:
        return window(moment(days[0], name=name), moment(days[1], name=name) + _DAY, name=name)
    return {}


def _day_of_year(year: str, day: str) -> dt.datetime:
    return dt.datetime(int(year), 1, 1, tzinfo=dt.UTC) + (int(day) - 1) * _DAY


def _needed(said: Mapping[str, str], key: str, what: str, *, name: str) -> str:
    if not said.get(key):
        msg = (
            f"{name}: the header does not state {what}; expected the header of a published gravity "
            "field; fetch the file again"
        )
        raise GravityFormatError(msg)
    return said[key]


def require_normalised(text: str, *, name: str) -> None:
    """Refuse coefficients that are not fully normalised (4π)."""
    if not re.search(r"\bfully[ _-]*normali[sz]ed", text.lower()):
        msg = (
            f"{name}: the normalisation is {text!r}, expected 'fully normalized' (4π); convert the "
            "coefficients, or take the published file"
        )
        raise GravityFormatError(msg)


def _require_unit(unit: str, known: set[str], *, name: str) -> None:
    if unit.lower() not in known:
        msg = f"{name}: found the unit {unit!r}, expected {min(known)}; convert the header"
        raise GravityFormatError(msg)


def radius_of(text: str, *, name: str) -> float:
    """Return a reference radius [m], refused where it cannot be the Earth's."""
    return _within(number(text, name=name, what="the radius"), EARTH_RADIUS, "radius", "m", name)


def gm_of(text: str, *, name: str) -> float:
    """Return GM [m³ s⁻²], refused where it cannot be the Earth's."""
    return _within(number(text, name=name, what="GM"), EARTH_GM, "GM", "m3/s2", name)


def _within(value: float, limits: tuple[float, float], what: str, unit: str, name: str) -> float:
    if not limits[0] <= value <= limits[1]:
        msg = (
            f"{name}: the {what} is {value:g}, expected {limits[0]:g} to {limits[1]:g} {unit} for "
            "the Earth; it may be in another unit, convert the header"
        )
        raise GravityFormatError(msg)
    return value


def whole(text: str, *, name: str, what: str) -> int:
    """Return a whole number of a header."""
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        msg = f"{name}: found {text!r} for {what}, expected a whole number; correct the header"
        raise GravityFormatError(msg)
    return int(text)


def centre_of(label: str, *, otherwise: str) -> str:
    """Return the processing centre that a text names."""
    known = (centre for signs, centre in _CENTRES if re.search(signs, label.upper()))
    return next(known, otherwise)


def mission_of(label: str) -> str:
    """Return GRACE, GRACE-FO, or nothing where a text names neither.

    >>> [mission_of(text) for text in ("GRACE-C, GRACE-D", "GSM-2_2002095-2002120_GRAC_UTCSR", "")]
    ['GRACE-FO', 'GRACE', '']
    """
    if re.search(r"GRACE-?FO|GRACE-[CD]\b|_GRFO_|GRACEFO", label.upper()):
        return "GRACE-FO"
    return "GRACE" if re.search(r"GRACE|_GRAC_|GSM-2_\d{7}-\d{7}_\d{4}_", label.upper()) else ""


def moment(text: str, *, name: str) -> dt.datetime:
    """Return a moment written as ISO 8601 or ``yyyymmdd.hhmm``; hour 24 is the next day's 0."""
    found = _ISO.fullmatch(text.strip()) or _COMPACT.fullmatch(text.strip())
    numbers = [int(part or 0) for part in found.groups()] if found else [0, 0, 0]
    clock = [*numbers[3:], 0, 0, 0][:3]
    try:
        day = dt.datetime(numbers[0], numbers[1], numbers[2], tzinfo=dt.UTC)
        within = clock[0] < 24 or clock == [24, 0, 0]
        dt.time(clock[0] % 24, clock[1], min(clock[2], 59))
    except ValueError:
        within = False
    if not within:
        msg = f"{name}: found {text!r} for a date, expected YYYY-MM-DD or yyyymmdd.hhmm; correct it"
        raise GravityFormatError(msg)
    return day + dt.timedelta(hours=clock[0], minutes=clock[1], seconds=clock[2])


def window(start: dt.datetime, end: dt.datetime, *, name: str) -> dict[str, str]:
    """Return whole days from a start to an exclusive end.

    >>> day = dt.datetime(2011, 2, 1)
    >>> window(day, dt.datetime(2011, 2, 28, 23, 59, 59), name="a.gz")
    {'time_start': '2011-02-01', 'time_end': '2011-03-01'}
    """
    if end <= start:
        msg = (
            f"{name}: the window ends {end:%Y-%m-%d %H:%M}, not after its start "
            f"{start:%Y-%m-%d %H:%M}; expected a start before the end, correct the header"
        )
        raise GravityFormatError(msg)
    midnight = end.replace(hour=0, minute=0, second=0)
    after = end if midnight == end else midnight + _DAY
    return {"time_start": f"{start:%Y-%m-%d}", "time_end": f"{after:%Y-%m-%d}"}
