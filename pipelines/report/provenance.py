"""How each product was made: inputs with checksums, run file, versions, seeds, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.redaction import redact
from pipelines.report.cautions import receipts
from pipelines.report.lineage import input_links
from pipelines.summary_page import (
    Cell,
    Folded,
    Link,
    Page,
    Part,
    Section,
    Sentence,
    Table,
    Verbatim,
)

if TYPE_CHECKING:
    from pipelines.report.material import Material
    from pipelines.report.outputs import Output
    from pipelines.report.reached import Reached

FOLDER = "provenance"
MOST_INPUTS = 2000
"""Inputs that a page lists; the item has all."""
MOST_FAILURES = 500

_SHA256 = re.compile(r"1220([0-9a-f]{64})")


@dataclass(frozen=True)
class Told:
    """What is told of one product.

    Attributes
    ----------
    output : Output
    label, path : str
        What it is called, and its page in the report.
    reached : sequence of Reached
    receipts : sequence of dict
    """

    output: Output
    label: str
    path: str
    reached: Sequence[Reached]
    receipts: Sequence[Mapping[str, Any]]

    @property
    def properties(self) -> dict[str, Any]:
        """Properties of its item."""
        found = self.output.item["properties"]
        return dict(found) if isinstance(found, dict) else {}

    def keys(self, state: str) -> int:
        """Return how many of its keys are in a state."""
        return sum(each.get("state") == state for each in self.receipts)


def told(of: Material, reached: Mapping[str, Sequence[Reached]]) -> list[Told]:
    """Return what is told of every product."""
    return [
        Told(output, of.label(output), f"{FOLDER}/{of.in_folder[output.name]}.html",
             reached.get(output.name, ()), receipts(output))
        for output in of.outputs
    ]  # fmt: skip


def table(found: Sequence[Told]) -> Table:
    """Return a row for each product."""
    header = ("product", "made", "run", "version", "nunatak", "seed", "inputs", "keys done",
              "keys failed")  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        of = each.properties
        software = of.get("processing:software")
        ours = software.get("nunatak", "") if isinstance(software, dict) else ""
        rows.append((Link(each.label, each.path), str(of.get("created", "")),
                     str(of.get("nunatak:run_id", ""))[:12], str(of.get("nunatak:snapshot", "")),
                     str(ours), str(of.get("nunatak:seed", "")), len(input_links(each.output)),
                     each.keys("done"), each.keys("failed")))  # fmt: skip
    return Table(header, tuple(rows), caption="Products of this report", headed=True,
                 numbers=header[-3:])  # fmt: skip


def page(of: Told, *, style: str, policy: str, versions: Mapping[str, Any]) -> bytes:
    """Return the page of a product.

    Parameters
    ----------
    of : Told
    style, policy : str
    versions : mapping of str to str
        What the product itself says it read, by role and id.
    """
    sections = (
        Section("", (_facts(of),)),
        Section("Inputs", tuple(_inputs(of, versions))),
        Section("Run file", _run_file(of)),
        *_failures(of),
        Section("Files", (_files(of),)),
    )
    above = Sentence((Link("← report", "../index.html"),))
    title = f"How {of.label} was made"
    return Page(title, str(of.properties.get("title", "")), sections, style=style, policy=policy,
                above=above).html().encode()  # fmt: skip


def _facts(of: Told) -> Table:
    held = of.properties
    software = held.get("processing:software")
    versions = software.items() if isinstance(software, dict) else ()
    rows: list[tuple[Cell, ...]] = [
        ("output", redact(of.output.address)),
        ("made", str(held.get("created", ""))),
        ("run", str(held.get("nunatak:run_id", ""))),
        ("version of the arrays", str(held.get("nunatak:snapshot", ""))),
        ("keys", f"{of.keys('done'):,} done, {of.keys('failed'):,} failed"),
        ("software", ", ".join(f"{name} {found}" for name, found in versions)),
    ]
    known = {"nunatak:product", "nunatak:run_id", "nunatak:snapshot"}
    rows += [
        (name.partition(":")[2].replace("_", " "), _short(value))
        for name, value in held.items()
        if name.startswith("nunatak:") and name not in known
    ]
    return Table((), tuple(rows))


def _short(value: object) -> str:
    text = redact(str(value))
    return text if len(text) <= 300 else f"{text[:300]} …"


def _inputs(of: Told, versions: Mapping[str, Any]) -> Iterator[Part]:
    links = input_links(of.output)
    if not links:
        yield "The item names no inputs."
        return
    states: tuple[tuple[Cell, ...], ...] = tuple(
        (each.collection, each.items, each.state) for each in of.reached
    )
    yield Table(("collection", "inputs", "where it was"), states, headed=True,
                caption="Collections; whether their first item is where it was")  # fmt: skip
    by_id = {str(key).partition("/")[2]: str(value) for key, value in versions.items()}
    rows = tuple(_input(link, by_id) for link in links[:MOST_INPUTS])
    header = ("id", "collection", "SHA-256 of the source, or version", "address")
    listed = Table(header, rows, caption="Inputs", headed=True)
    more = len(links) - len(rows)
    said: tuple[Part, ...] = (f"{more:,} more are in item.json.",) if more > 0 else ()
    yield Folded(f"All {len(links):,} inputs with their checksums", (listed, *said))


def _input(link: Mapping[str, Any], versions: Mapping[str, str]) -> tuple[Cell, ...]:
    name = str(link.get("nunatak:id", ""))
    checksum = link.get("nunatak:source_checksum") or versions.get(name, "")
    return (name, str(link.get("nunatak:collection", "")), plain_checksum(str(checksum)),
            redact(str(link.get("href", ""))))  # fmt: skip


def plain_checksum(told: str) -> str:
    """Return a SHA-256 without what a multihash puts before it; any other as it is.

    >>> plain_checksum("1220" + 64 * "a") == 64 * "a", plain_checksum("V32ZG85T")
    (True, 'V32ZG85T')
    """
    found = _SHA256.fullmatch(told)
    return found[1] if found else told


def _run_file(of: Told) -> tuple[Part, ...]:
    return ("Every default is written out: nunatak run makes the same numbers from it.",
            Verbatim(redact(str(of.properties.get("processing:lineage", "not told")))))  # fmt: skip


def _failures(of: Told) -> Iterator[Section]:
    failed = [each for each in of.receipts if each.get("state") == "failed"]
    if failed:
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (str(each.get("key", "")).partition("@")[0], _short(each.get("reason", "")))
            for each in failed[:MOST_FAILURES]
        )
        yield Section(f"Failed keys ({len(failed):,})", (
            Table(("key", "reason"), rows, caption="Failed keys", headed=True),))  # fmt: skip


def _files(of: Told) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for path, asset in of.output.item["assets"].items():
        held = asset if isinstance(asset, dict) else {}
        size = held.get("file:size")
        checksum = plain_checksum(str(held.get("file:checksum", "")))
        rows.append((str(path), int(size) if isinstance(size, int) else "", checksum))
    return Table(("file", "bytes", "SHA-256"), tuple(rows), caption="Files of the product",
                 numbers=("bytes",), headed=True)  # fmt: skip
