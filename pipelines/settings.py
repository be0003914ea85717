"""Run files: what to make, from what, where to put it. YAML in, frozen records out."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import importlib.resources
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.settings_gravimetry import GravimetryChoices, GravimetryInputs
from pipelines.settings_reading import Mistake, plain, read_record, unknown_keys

LARGEST_FILE = 1_000_000
"""A run file is a page of text [B]; more is a mistake or an attack."""

PRODUCTS = {"gravimetry": (GravimetryInputs, GravimetryChoices)}
"""Products that can be made, with the records of their roles and choices."""

CONTRACTED = (
    "gravimetry", "altimetry", "combination", "mass_budget", "scenes", "restoration",
    "shelf_damage", "consistency", "training", "evaluation", "comparison",
)  # fmt: skip
"""Products named in the contract, whether or not this version makes them."""

COMMON = ("product", "catalogue", "output", "period", "regions", "inputs")

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
    inputs : GravimetryInputs
        Role to collection.
    choices : GravimetryChoices
        The product's own section.
    """

    product: str
    catalogue: str
    output: str
    period: tuple[dt.date, dt.date]
    regions: str
    inputs: GravimetryInputs
    choices: GravimetryChoices


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
        With every mistake, one a line.
    """
    given = _load(path)
    for override in overrides:
        _override(given, override)
    return _checked(_expanded(given), path)


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
    name = _product(product, "--example")
    source = importlib.resources.files("pipelines") / f"settings_{name}_example.yaml"
    return source.read_text(encoding="utf-8")


def _product(product: object, where: str) -> str:
    """Return the name of a product; refuse what is none, with the nearest one that is."""
    if isinstance(product, str) and product in PRODUCTS:
        return product
    near = difflib.get_close_matches(str(product), (*PRODUCTS, *CONTRACTED), n=1)
    hint = f"; did you mean {near[0]!r}?" if near and near[0] != product else ""
    said = "is not made by this version" if product in CONTRACTED else "is no product"
    msg = f"{where}: product: {product!r} {said}; expected one of {', '.join(PRODUCTS)}{hint}"
    raise SettingsError(msg)


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            msg = f"{path}: found {path.stat().st_size} bytes, expected at most {LARGEST_FILE}"
            raise SettingsError(msg)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); name an existing run file"
        raise SettingsError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: is not text in UTF-8; expected a YAML run file"
        raise SettingsError(msg) from error
    given = _parse(text, str(path))
    if not isinstance(given, dict):
        msg = f"{path}: found {type(given).__name__}, expected keys and values (YAML)"
        raise SettingsError(msg)
    return given


def _parse(text: str, name: str) -> Any:
    """Return YAML as plain objects; keys given twice and aliases are refused.

    Aliases multiply: a page of them stands for more memory than there is.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                msg = f"{name}: found an alias (*name), expected plain values; write them out"
                raise SettingsError(msg)
            return super().compose_node(parent, index)

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [str(loader.construct_object(key)) for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            line = node.start_mark.line + 1
            msg = f"{name}: {', '.join(twice)} given twice from line {line} on; keep one"
            raise SettingsError(msg)
        return dict(loader.construct_mapping(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except SettingsError:
        raise
    except yaml.YAMLError as error:
        msg = f"{name}: is not YAML: {error}"
        raise SettingsError(msg) from error
    except ValueError as error:  # the constructor of dates, of 2011-02-30
        msg = f"{name}: holds a date that is none ({error}); expected YYYY-MM-DD"
        raise SettingsError(msg) from error
    except RecursionError as error:
        msg = f"{name}: is nested too deeply; expected three or four levels of keys"
        raise SettingsError(msg) from error


def _override(given: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        msg = f"--set {override}: expected KEY=VALUE, such as gravimetry.members=60"
        raise SettingsError(msg)
    *path, last = name.split(".")
    here = given
    for part in path:
        if here.get(part) is None:
            here[part] = {}
        here = here[part]
        if not isinstance(here, dict):
            msg = f"--set {override}: {part!r} holds a value, not keys; see the run file"
            raise SettingsError(msg)
    here[last] = _parse(text, f"--set {name}")


def _expanded(value: Any) -> Any:
    """Return the value with ``${NAME}`` replaced by environment variables, in all its texts."""
    if isinstance(value, dict):
        return {key: _expanded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return re.sub(r"\$\{(\w+)\}", _variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    name = match.group(1)
    if name not in os.environ:
        msg = f"${{{name}}}: the environment has no variable {name}; set it, or write the value"
        raise SettingsError(msg)
    return os.environ[name]


def _checked(given: dict[str, Any], path: Path) -> Run:
    product = _product(given.get("product"), str(path))
    roles, choices = PRODUCTS[product]
    mistakes = unknown_keys(given, (*COMMON, product), "")
    texts = {key: _text(given, key, mistakes) for key in ("catalogue", "output", "regions")}
    period = _period(given.get("period"), mistakes)
    inputs = read_record(roles, given.get("inputs", {}), "inputs", mistakes)
    section = read_record(choices, given.get(product) or {}, product, mistakes)
    if not mistakes:
        mistakes += [Mistake(f"{product}.{key}", said) for key, said in section.conflicts()]
        mistakes += [Mistake(f"inputs.{key}", said) for key, said in inputs.conflicts()]
    if mistakes:
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        msg = f"{path}: {len(mistakes)} mistake(s) in the run file\n{listed}"
        raise SettingsError(msg)
    folder = path.resolve().parent
    addresses = {key: _address(texts[key], folder) for key in LOCAL_KEYS}
    return Run(
        product=product,
        catalogue=addresses["catalogue"],
        output=addresses["output"],
        period=period,
        regions=texts["regions"],
        inputs=inputs,
        choices=section,
    )


def _text(given: Mapping[str, Any], key: str, mistakes: list[Mistake]) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value:
        mistakes.append(Mistake(key, f"found {value!r}, expected text"))
        return ""
    return value


def _period(value: object, mistakes: list[Mistake]) -> tuple[dt.date, dt.date]:
    try:
        first, last = (_day(day) for day in (value if isinstance(value, list) else ()))
    except ValueError:
        said = f"found {value!r}, expected two dates, [2011-02-01, 2017-06-30]"
        mistakes.append(Mistake("period", said))
        return (dt.date.min, dt.date.max)
    if last < first:
        mistakes.append(Mistake("period", f"ends {last} before it begins {first}; exchange them"))
    return (first, last)


def _day(value: object) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    return dt.date.fromisoformat(str(value))


def _address(text: str, folder: Path) -> str:
    return text if "://" in text else str((folder / text).resolve())


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
        The run; where its catalogue and output are, and how often it commits, do not count.
    checksums : mapping of str to str
        Checksums of its inputs.

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    document = {key: value for key, value in _document(run).items() if key not in LOCAL_KEYS}
    document[run.product] = {k: v for k, v in document[run.product].items() if k != "batch"}
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

    walk({k: v for k, v in _document(run).items() if k not in LOCAL_KEYS}, "")
    return flat
