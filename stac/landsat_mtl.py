"""The metadata file of a Landsat product (MTL) in its three encodings, read as text.

The agency writes the same groups of ``KEY = VALUE`` as JSON, XML and text (ODL). All become one
mapping of groups to keys to text, so that what the values mean is decided in one place
(`stac.landsat_metadata`) and cannot depend on the encoding. The files come from outside: their
size, their depth and what XML may declare are bounded.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.parsers import expat

LARGEST_BYTES = 1_000_000
DEEPEST_JSON = 8
DEEPEST_XML = 3
COLLECTION_2 = "LANDSAT_METADATA_FILE"
ROOTS = (COLLECTION_2, "L1_METADATA_FILE")
SUFFIXES = (".json", ".xml", ".txt")
"""Encodings, the most exact first: JSON says where text ends, ODL does not."""

Groups = dict[str, dict[str, str]]


class MetadataError(ValueError):
    """A metadata file that cannot be used: what was found, what was expected, what to do."""


def groups(data: bytes, *, name: str) -> tuple[str, Groups]:
    """Read the groups of an MTL file in any encoding.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        File name, for messages; what the bytes begin with tells the encoding.

    Returns
    -------
    root : str
        Name of the outermost group, one of `ROOTS`.
    groups : dict of str to dict of str to str
        Keys and values as written, without quotes, in each group.

    Raises
    ------
    MetadataError
        Too large, not UTF-8, cut short, nested too deep, declaring a document type, or no MTL.
    """
    if len(data) > LARGEST_BYTES:
        msg = f"{name} has {len(data)} bytes, expected an MTL file of {LARGEST_BYTES} at most"
        raise MetadataError(msg + "; is it the image?")
    try:
        text = data.decode("utf-8-sig").strip().rstrip("\x00").rstrip()
    except UnicodeDecodeError as error:
        msg = f"{name} is no UTF-8 text ({error.reason} at byte {error.start}); fetch it again"
        raise MetadataError(msg) from error
    root, found = _reader(text, name)(text, name)
    if root not in ROOTS:
        msg = (
            f"{name} holds {root[:60]!r}, expected the group {' or '.join(ROOTS)} of a Landsat MTL"
        )
        raise MetadataError(msg + "; give the file that ends with _MTL")
    return root, found


def _reader(text: str, name: str) -> Callable[[str, str], tuple[str, Groups]]:
    if text.startswith("{"):
        return _from_json
    if text.startswith("<"):
        return _from_xml
    if text.startswith("GROUP"):
        return _from_odl
    msg = f"{name} begins with {text[:20]!r}, expected a Landsat MTL as JSON, XML or text"
    raise MetadataError(msg + "; fetch it again")


def _from_json(text: str, name: str) -> tuple[str, Groups]:
    _require_shallow(text, name)
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except ValueError as error:
        msg = f"{name} is no JSON ({error}); is it whole? fetch it again"
        raise MetadataError(msg) from error
    if not isinstance(document, Mapping) or len(document) != 1:
        msg = (
            f"{name} holds a JSON {type(document).__name__} of {len(document)}, expected one group"
        )
        raise MetadataError(msg + f" {' or '.join(ROOTS)}; give the file that ends with _MTL.json")
    ((root, inner),) = document.items()
    if not isinstance(inner, Mapping) or not all(isinstance(g, Mapping) for g in inner.values()):
        msg = f"{name}: {root[:60]!r} holds no groups of keys; give the file that ends with _MTL"
        raise MetadataError(msg)
    return root, {
        group: {key: _scalar(value, key, name) for key, value in keys.items()}
        for group, keys in inner.items()
    }


def _require_shallow(text: str, name: str) -> None:
    """Refuse nesting before the recursive parser meets it."""
    depth = 0
    for sign in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if sign in "[{" else -1
        if depth > DEEPEST_JSON:
            msg = f"{name} is nested more than {DEEPEST_JSON} deep, expected groups of keys"
            raise MetadataError(msg + "; it is no Landsat MTL")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        msg = f"key {next(key for key in keys if keys.count(key) > 1)!r} comes twice"
        raise ValueError(msg)
    return found


def _scalar(value: Any, key: str, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        msg = f"{name}: {key[:60]} is a {type(value).__name__}, expected text or a number"
        raise MetadataError(msg + "; fetch the file again")
    return str(value).strip()


class _XmlGroups:
    """Collects root, groups and keys while expat reads; declarations of any kind stop it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path: list[str] = []
        self.words: list[str] = []
        self.root = ""
        self.found: Groups = {}

    def refuse(self, *_: object) -> None:
        msg = f"{self.name} declares a document type or entities, which no Landsat MTL does"
        raise MetadataError(msg + "; fetch it again from the agency")

    def start(self, tag: str, _: Mapping[str, str]) -> None:
        self.path.append(tag)
        self.words.clear()
        if len(self.path) > DEEPEST_XML:
            msg = f"{self.name} is nested more than {DEEPEST_XML} deep at {tag[:60]}"
            raise MetadataError(msg + ", expected groups of keys; it is no Landsat MTL")
        if len(self.path) == 1:
            self.root = tag
        elif len(self.path) == 2 and self.found.setdefault(tag, {}):
            raise self.twice(tag)

    def end(self, tag: str) -> None:
        if len(self.path) == DEEPEST_XML:
            keys = self.found[self.path[1]]
            if tag in keys:
                raise self.twice(tag)
            keys[tag] = "".join(self.words).strip()
        self.path.pop()

    def twice(self, tag: str) -> MetadataError:
        return MetadataError(f"{self.name}: {tag[:60]!r} comes twice; fetch the file again")


def _from_xml(text: str, name: str) -> tuple[str, Groups]:
    collected = _XmlGroups(name)
    parser = expat.ParserCreate(encoding="utf-8")
    parser.StartDoctypeDeclHandler = collected.refuse
    parser.EntityDeclHandler = collected.refuse
    parser.StartElementHandler = collected.start
    parser.EndElementHandler = collected.end
    parser.CharacterDataHandler = collected.words.append
    try:
        parser.Parse(text.encode(), True)  # noqa: FBT003 expat takes no keyword
    except expat.ExpatError as error:
        msg = f"{name} is no XML ({error}); is it whole? fetch it again"
        raise MetadataError(msg) from error
    return collected.root, collected.found


def _from_odl(text: str, name: str) -> tuple[str, Groups]:
    """Read ``GROUP = ROOT`` and its groups of ``KEY = VALUE``; all must end, ``END`` may lack."""
    path: list[str] = []
    found: Groups = {}
    root = ""
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines[:-1] if lines[-1] == "END" else lines, start=1):
        key, sign, value = (part.strip() for part in line.partition("="))
        if not line:
            continue
        if not sign or _misplaced(key, value, path, found):
            msg = f"{name}, line {number}: {line[:60]!r} is no new KEY = VALUE of a group"
            raise MetadataError(msg + "; fetch it again")
        if key == "GROUP":
            path.append(value)
            root = root or value
            found |= {value: {}} if len(path) == 2 else {}
        elif key == "END_GROUP":
            path.pop()
        else:
            found[path[1]][key] = _unquoted(value)
    if path:
        msg = f"{name}: group {path[-1]!r} does not end; it is cut short: fetch it again"
        raise MetadataError(msg)
    return root, found


def _misplaced(key: str, value: str, path: list[str], found: Groups) -> bool:
    """Tell whether a line cannot stand here, or stands here for the second time."""
    if key == "GROUP":
        return len(path) > 1 or value in found or bool(found and not path)
    if key == "END_GROUP":
        return not path or path[-1] != value
    return len(path) != 2 or key in found[path[1]]


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].strip()
    return value
