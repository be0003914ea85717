"""Run files: what to make, from what, where to put it. YAML in, frozen records out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import hashlib
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.redaction import redact
from pipelines.settings_altimetry import AltimetryChoices, AltimetryInputs
from pipelines.settings_combination import CombinationChoices, CombinationInputs
from pipelines.settings_comparison import ComparisonChoices, ComparisonInputs
from pipelines.settings_consistency import ConsistencyChoices, ConsistencyInputs
from pipelines.settings_document import (
    Document,
    Mistake,
    NotYamlError,
    is_within,
    read_document,
)
from pipelines.settings_evaluation import EvaluationChoices, EvaluationInputs
from pipelines.settings_gravimetry import GravimetryChoices, GravimetryInputs
from pipelines.settings_mass_budget import MassBudgetChoices, MassBudgetInputs
from pipelines.settings_reading import (
    Mistaken,
    full_keys,
    placed,
    plain,
    read_record,
    read_text,
    show,
    unknown_keys,
)
from pipelines.settings_restoration import RestorationChoices, RestorationInputs
from pipelines.settings_scenes import ScenesChoices, ScenesInputs
from pipelines.settings_shelf_damage import ShelfDamageChoices, ShelfDamageInputs
from pipelines.settings_training import TrainingChoices, TrainingInputs

LARGEST_FILE = 1_000_000
"""A run file is a page of text [B]; more is a mistake or an attack."""

PRODUCTS: Mapping[str, tuple[type[Any], type[Any]]] = {
    "gravimetry": (GravimetryInputs, GravimetryChoices),
    "altimetry": (AltimetryInputs, AltimetryChoices),
    "combination": (CombinationInputs, CombinationChoices),
    "mass_budget": (MassBudgetInputs, MassBudgetChoices),
    "scenes": (ScenesInputs, ScenesChoices),
    "training": (TrainingInputs, TrainingChoices),
    "evaluation": (EvaluationInputs, EvaluationChoices),
    "restoration": (RestorationInputs, RestorationChoices),
    "shelf_damage": (ShelfDamageInputs, ShelfDamageChoices),
    "consistency": (ConsistencyInputs, ConsistencyChoices),
    "comparison": (ComparisonInputs, ComparisonChoices),
}
"""Products that can be made, with the records of their roles and choices."""

COMMON = ("product", "catalogue", "output", "period", "regions", "inputs")

OWN_KEYS = ("batch", "overrides", "actors", "drawers")
"""Choices that do not make another run: how often it commits; what a person decides of single keys,
which stands in the names of these keys; how many actors serve them, and threads draw for them."""

LOCAL_KEYS = ("catalogue", "output")
"""Addresses: they do not change what is computed."""


class SettingsError(ValueError):
    """A run file that cannot be used, with everything that is wrong with it."""


@dataclass(frozen=True)
class Run:
    """A run file, read and checked.

    Attributes
    ----------
    product : str
        What to make.
    catalogue, output : str
        Addresses: absolute paths or URLs.
    period : tuple of date
        First and last day, both inclusive.
    regions : str
        Collection of polygons.
    inputs
        Role to collection, or to the address of a finished product; a record of ``PRODUCTS``.
    choices
        The product's own section; a record of ``PRODUCTS``.
    """

    product: str
    catalogue: str
    output: str
    period: tuple[dt.date, dt.date]
    regions: str
    inputs: Any
    choices: Any


def read(path: Path, overrides: Sequence[str] = ()) -> Run:
    """Read a run file.

    Parameters
    ----------
    path : Path
        The file; relative addresses in it are relative to its folder.
    overrides : sequence of str
        ``KEY=VALUE`` with dotted keys, applied on top; values are YAML.

    Returns
    -------
    Run

    Raises
    ------
    SettingsError
        With every mistake, one a line, and where it stands.
    """
    try:
        document = read_document(_text_of(path), overrides)
    except NotYamlError as error:
        msg = f"{path}: {error}"
        raise SettingsError(msg) from error
    run = _checked(document.values, path.resolve().parent, document.mistakes)
    if run is None or document.mistakes:
        raise SettingsError(_refusal(path, document))
    return run


def _text_of(path: Path) -> str:
    """Return the text of a file; never more of it than a run file may have."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            msg = f"{path}: found more than {LARGEST_FILE} bytes, expected at most {LARGEST_FILE}"
            raise SettingsError(msg)
        return data.decode()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); name an existing run file"
        raise SettingsError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: is not text in UTF-8; expected a YAML run file"
        raise SettingsError(msg) from error


def _refusal(path: Path, document: Document) -> str:
    """Return every mistake once: what is said of a key is not said again of what it holds."""
    told: list[Mistake] = []
    for each in document.mistakes:
        if not any(is_within(former.key, each.key) for former in told):
            told.append(each)
    lines = [f"{path}: {len(told)} mistake(s) in the run file"]
    for each in told:
        origin = document.origin(each.key)
        lines.append(f"  {each} ({origin})" if origin else f"  {each}")
    return "\n".join(lines)


def example(product: str) -> str:
    """Return a complete run file of a product, every key with its default and what it means.

    Parameters
    ----------
    product : str
        One of ``PRODUCTS``.

    Returns
    -------
    str
        YAML with comments, which :func:`read` accepts.

    Raises
    ------
    SettingsError
        No such product, or none that this version makes.

    Examples
    --------
    >>> print(example("gravimetry").splitlines()[2])
    product: gravimetry
    """
    refused = _no_product(product)
    if refused:
        msg = f"--example: {refused}"
        raise SettingsError(msg)
    source = importlib.resources.files("pipelines") / f"settings_{product}_example.yaml"
    return source.read_text(encoding="utf-8")


def _no_product(product: object) -> str:
    """Return why a product cannot be made, with the nearest one that can; empty if it can."""
    if isinstance(product, str) and product in PRODUCTS:
        return ""
    if product is None:
        return f"is missing, expected one of {', '.join(PRODUCTS)}"
    near = _near_product(product)
    hint = f"; did you mean {near!r}?" if near and near != product else ""
    return f"{show(product)} is no product; expected one of {', '.join(PRODUCTS)}{hint}"


def _near_product(product: object) -> str:
    near = difflib.get_close_matches(str(product), [*PRODUCTS], n=1)
    return near[0] if near else ""


def _checked(given: Mapping[str, Any], folder: Path, mistakes: list[Mistake]) -> Run | None:
    """Return the run that the values stand for; None if mistakes keep it from being one."""
    refused = _no_product(given.get("product"))
    if refused:
        mistakes.append(Mistake("product", refused))
    product = _near_product(given.get("product"))
    is_made = product in PRODUCTS
    found = unknown_keys(given, (*COMMON, *((product,) if is_made else PRODUCTS)), "")
    told = {key for key in LOCAL_KEYS if not _may_lack(given, key, product)}
    addresses = {
        key: _address(_text(given, key, mistakes), key, folder, mistakes) if key in told else ""
        for key in LOCAL_KEYS
    }
    lacks_regions = _may_lack(given, "regions", product)
    regions = "" if lacks_regions else _text(given, "regions", mistakes)
    period = _period(given.get("period"), mistakes)
    if not is_made:
        mistakes += found
        return None
    roles, choices = PRODUCTS[product]
    inputs = read_record(roles, _section(given, "inputs"), "inputs", found)
    inputs = _with_addresses(inputs, "inputs", folder, found)
    section = read_record(choices, _section(given, product), product, found)
    section = _with_addresses(section, product, folder, found)
    mistakes += [placed(each, _keys(product)) for each in found]
    return Run(product, **addresses, period=period, regions=regions, inputs=inputs, choices=section)


def _keys(product: str) -> list[str]:
    """Return every full key that a run file of a product may have."""
    roles, choices = PRODUCTS[product]
    return [*COMMON, *full_keys(roles, "inputs"), *full_keys(choices, product)]


def _section(given: Mapping[str, Any], key: str) -> Any:
    """Return a section; one that is left out or empty holds the defaults."""
    return {} if given.get(key) is None else given[key]


def _may_lack(given: Mapping[str, Any], key: str, product: str) -> bool:
    """Return whether a key is left out that the product can do without."""
    optional = getattr(PRODUCTS[product][0], "OPTIONAL", ()) if product in PRODUCTS else ()
    return key in optional and given.get(key, "") in ("", None)


def _text(given: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> str:
    try:
        if key in given:
            return read_text(given[key])
        mistakes.append(Mistake(key, "is missing, expected text"))
    except Mistaken as mistake:
        mistakes.append(Mistake(key, str(mistake)))
    return ""


def _period(value: object, mistakes: list[Mistake]) -> tuple[dt.date, dt.date]:
    try:
        first, last = (_day(day) for day in (value if isinstance(value, list) else ()))
    except ValueError:
        said = f"found {show(value)}, expected two dates, [2011-02-01, 2017-06-30]"
        mistakes.append(Mistake("period", said))
        return (dt.date.min, dt.date.max)
    if last < first:
        mistakes.append(Mistake("period", f"ends {last} before it begins {first}; exchange them"))
    return (first, last)


def _day(value: object) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    return dt.date.fromisoformat(str(value))


def _with_addresses(section: Any, name: str, folder: Path, mistakes: list[Mistake]) -> Any:
    """Return a section with the addresses in it, of finished products or files, made absolute."""
    names = [each for each in _product_roles(section) if getattr(section, each)]
    placed_at = {
        each: _addresses(getattr(section, each), f"{name}.{each}", folder, mistakes)
        for each in names
    }
    return dataclasses.replace(section, **placed_at) if placed_at else section


def _addresses(
    given: str | tuple[str, ...], key: str, folder: Path, mistakes: list[Mistake]
) -> str | tuple[str, ...]:
    """Return an address, or a list of them, made absolute."""
    if isinstance(given, str):
        return _address(given, key, folder, mistakes)
    return tuple(
        _address(each, f"{key}[{n}]", folder, mistakes) for n, each in enumerate(given) if each
    )


def _product_roles(inputs: object) -> tuple[str, ...]:
    return tuple(getattr(inputs, "ADDRESSES", ()))


def _address(text: str, key: str, folder: Path, mistakes: list[Mistake]) -> str:
    """Return an absolute path or a URL; it is published with the product, so it holds no secret."""
    if not text.isprintable():
        mistakes.append(Mistake(key, f"found {show(text)}, expected printable characters"))
        return ""
    if "://" not in text:
        return str((folder / text).resolve())
    if redact(text, {}) != text:
        said = (
            "holds a user name, password or token, and run.yaml would publish it; remove it and "
            "use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, ~/.netrc for https://"
        )
        mistakes.append(Mistake(key, said))
    return text


def resolved(run: Run) -> str:
    """Return the run file with every default written out, as YAML."""
    import yaml

    return yaml.safe_dump(_document(run), sort_keys=False, allow_unicode=True)


def _document(run: Run) -> dict[str, Any]:
    return {
        "product": run.product,
        "catalogue": run.catalogue,
        "output": run.output,
        "period": [day.isoformat() for day in run.period],
        "regions": run.regions,
        "inputs": plain(run.inputs),
        run.product: plain(run.choices),
    }


def run_id(run: Run, checksums: Mapping[str, str]) -> str:
    """Return the identity of a run: equal ids promise equal numbers.

    Parameters
    ----------
    run : Run
        The run; where its catalogue and output are, and ``OWN_KEYS``, do not count.
    checksums : mapping of str to str
        Checksums of its inputs.

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    document = _movable(run)
    document[run.product] = {k: v for k, v in document[run.product].items() if k not in OWN_KEYS}
    text = json.dumps([document, dict(sorted(checksums.items()))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def describe(run: Run) -> dict[str, str]:
    """Return the choices as flat text, ``gravimetry.members`` to ``30``, to name differences."""
    flat: dict[str, str] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                walk(item, f"{key}.{name}" if key else name)
        else:
            flat[key] = json.dumps(value)

    walk(_movable(run), "")
    return flat


def _movable(run: Run) -> dict[str, Any]:
    """Return the document without addresses: what is the same wherever the data lie."""
    document = {key: value for key, value in _document(run).items() if key not in LOCAL_KEYS}
    roles = _product_roles(run.inputs)
    document["inputs"] = {k: v for k, v in document["inputs"].items() if k not in roles}
    return document
