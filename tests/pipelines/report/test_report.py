"""A report as a reader finds it: whole, every number beside its row, nothing run or lost."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from pipelines.report import build, folder, outputs
from pipelines.report.outputs import ReportError

from . import report_products as made

NUMBER = re.compile(r"[+−]?[\d,]+(?:\.\d+)?")
HOSTILE = '<script>alert(1)</script>"onload=x $\\bad{$ ../../etc'


class Read(HTMLParser):
    """What a page holds: tags with their attributes, links with their words, rows by their name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.links: list[tuple[str, str]] = []
        self.rows: dict[str, list[str]] = {}
        self.words = ""
        self._open: list[str] = []
        self._row = ""
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        self.tags.append((tag, held))
        if tag == "a":
            self.links.append((held["href"], ""))
        if tag == "tr":
            self._row = held.get("id", "")
            self.rows.setdefault(self._row, [])
        if tag in {"td", "th"}:
            self.rows.setdefault(self._row, []).append("")
            self._cell = True
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in {"td", "th"}
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.words += data
        if "a" in self._open and self.links:
            href, text = self.links[-1]
            self.links[-1] = (href, text + data)
        if self._cell:
            self.rows[self._row][-1] += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [held for name, held in self.tags if name == tag]


def page(root: Path, name: str = "index.html") -> Read:
    return Read((root / name).read_text(encoding="utf-8"))


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*")) if path.is_file()}  # fmt: skip


def report(products: list[Path], to: Path, **more: Any) -> build.Facts:
    opened = outputs.open_outputs([str(each) for each in products])
    return build.build(opened, str(to), map_page=False, **more)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("products")
    receipts = [{"key": "month/2011-02@a", "note": "kept: C30"}, {
        "key": "month/2011-03@a", "state": "failed", "reason": "no <b>degree</b> one"}]  # fmt: skip
    gone = {
        "rel": "derived_from", "href": str(root / "gone.json"), "nunatak:id": "x1",
        "nunatak:collection": "months", "nunatak:source_checksum": "1220" + "ab" * 32,
    }  # fmt: skip
    return [
        made.gravimetry(
            root,
            receipts=receipts,
            links=[gone],
            attributes={"nunatak:notes": ["maps of <40 km> only"]},
        ),
        made.altimetry(root),
        made.damage(root),
    ]


@pytest.fixture(scope="module")
def whole(products: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A report of three products."""
    to = tmp_path_factory.mktemp("reports") / "report"
    report(products, to)
    return to


def test_every_link_leads_to_a_file_and_a_row_that_are_there(whole: Path) -> None:
    count = 0
    for name, data in files(whole).items():
        if not name.endswith(".html"):
            continue
        for href, _ in Read(data.decode()).links:
            parts = urlsplit(href)
            assert (parts.scheme, parts.netloc) == ("", ""), href
            target = (whole / name).parent / unquote(parts.path) if parts.path else whole / name
            assert target.is_file(), (name, href)
            if parts.fragment:
                assert f'id="{parts.fragment}"' in target.read_text(), (name, href)
            count += 1
    assert count > 100


def test_every_number_of_the_summary_and_the_tables_is_that_of_its_row(whole: Path) -> None:
    """The row is read from the copied CSV by its place alone, not by our reader of tables."""
    checked = 0
    for href, text in page(whole).links:
        found = re.fullmatch(r"(tables/.+)\.html#row-(\d+)", href)
        numbers = NUMBER.findall(text)
        if found is None or not numbers or "±" not in text:
            continue
        with (whole / f"{found[1]}.csv").open() as lines:
            line = list(csv.DictReader(lines))[int(found[2]) - 1]
        scale = 100.0 if "fraction" in line["quantity"] else 1.0
        value, sigma = (scale * float(line[name]) for name in ("value", "uncertainty"))
        shown = [float(number.replace("−", "-").replace(",", "")) for number in numbers]
        assert shown[1] == pytest.approx(sigma, rel=0.15)
        assert min(abs(shown[0] - value), abs(shown[0] - abs(value))) <= 0.151 * sigma
        checked += 1
    assert checked > 20


def test_rows_of_the_pages_are_those_of_the_files(whole: Path) -> None:
    for path in whole.glob("tables/*/*.csv"):
        lines = list(csv.reader(path.read_text().splitlines()))
        held = page(whole, str(path.with_suffix(".html").relative_to(whole))).rows
        for n, line in enumerate(lines[1:], start=1):
            shown = held[f"row-{n}"]
            assert shown[0] == str(n)
            values = [line[i] for i in (3, 6, 7)]
            assert [value for value in values if value in shown] == values


def test_tables_are_copied_byte_for_byte(whole: Path, products: list[Path]) -> None:
    for product in products:
        for path in product.glob("tables/*.csv"):
            copied = whole / "tables" / product.name / path.name
            assert copied.read_bytes() == path.read_bytes()


def test_pages_run_nothing_and_load_nothing_from_elsewhere(whole: Path) -> None:
    for name, data in files(whole).items():
        if not name.endswith(".html"):
            continue
        found = Read(data.decode())
        assert not {"script", "iframe", "object", "link", "form"} & {tag for tag, _ in found.tags}
        policy = next(held["content"] for held in found.named("meta")
                      if held.get("http-equiv") == "Content-Security-Policy")  # fmt: skip
        assert policy.startswith("default-src 'none'")
        assert not re.search("script|http", policy)
        assert not [held for _, held in found.tags for attribute in held
                    if attribute.startswith("on")]  # fmt: skip
        assert found.named("html") == [{"lang": "en"}]


def test_headings_are_in_order_and_the_contents_name_them(whole: Path) -> None:
    found = page(whole)
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
    assert [n for n, level in enumerate(levels) if level == 1] == [0]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    sections = [held["id"] for held in found.named("section") if "id" in held]
    assert sections[:3] == ["warnings", "summary", "totals"]
    assert sections[-1] == "left-out"
    assert [href for href, _ in found.links if href.startswith("#") and href != "#content"][
        : len(sections)
    ] == [f"#{name}" for name in sections]


def test_pictures_have_words_sizes_and_both_files(whole: Path) -> None:
    images = page(whole).named("img")
    assert len(images) == 6
    for held in images:
        png = (whole / held["src"]).read_bytes()
        assert int.from_bytes(png[16:20]) == int(held["width"])
        assert int.from_bytes(png[20:24]) == int(held["height"])
        assert (whole / held["src"]).with_suffix(".svg").read_bytes().startswith(b"<?xml")
        assert len(held["alt"]) > 40
    alt = " ".join(held["alt"] for held in images)
    assert "−99.3" in alt
    assert "10.0 % in 2005/06" in alt


def test_tables_can_be_scrolled_by_keys(whole: Path) -> None:
    scrolled = [held for held in page(whole).named("div") if held.get("class") == "wide"]
    assert scrolled
    assert all(held.get("tabindex") == "0" and held.get("aria-label") for held in scrolled)


def test_warnings_come_first_with_their_reasons(whole: Path) -> None:
    words = page(whole).words
    before = words[: words.index("Summary", words.index("Contents") + 200)]
    assert "gravimetry: 1 key of 2 failed: no <b>degree</b> one" in before
    assert "1 of 24 months lack: 2011-06" in before
    assert "the first input of months (1 input) cannot be read from here any more; of" in before
    assert "different sets of regions" not in before
    assert before.index("Problem:") < before.index("Caution:")
    assert "gravimetry, its plan: maps of <40 km> only" in before


def test_provenance_tells_checksums_keys_seeds_and_the_run_file(whole: Path) -> None:
    found = page(whole, "provenance/gravimetry.html")
    assert "ab" * 32 in found.words
    assert "1220abab" not in found.words
    assert "1 done, 1 failed" in found.words
    assert '"regions": "test-basins"' in found.words
    assert "no <b>degree</b> one" in found.words
    table = hashlib.sha256((whole / "tables/gravimetry/regions.csv").read_bytes()).hexdigest()
    assert table in found.words
    assert ["seed", "7"] in [found.rows[""][n : n + 2] for n in range(len(found.rows[""]))]


def test_the_same_products_make_the_same_report(
    whole: Path, products: list[Path], tmp_path: Path
) -> None:
    report(products, tmp_path / "again")

    assert files(tmp_path / "again") == files(whole)


@pytest.mark.parametrize(
    ("kinds", "anchors", "figures"),
    [
        (["gravimetry"], ["totals", "basins", "maps", "series"], 3),
        (["altimetry"], ["totals", "basins", "maps"], 1),
        (["shelf_damage"], ["damage"], 1),
    ],
)
def test_any_subset_makes_a_report(
    kinds: list[str], anchors: list[str], figures: int, products: list[Path], tmp_path: Path
) -> None:
    facts = report([each for each in products if each.name in kinds], tmp_path / "report")

    found = page(tmp_path / "report")
    sections = [held["id"] for held in found.named("section") if "id" in held]
    assert sections == ["warnings", "summary", *anchors, "provenance", "tables", "left-out"]
    assert facts.figures == figures
    assert len(facts.left_out) == 8 - len(anchors)
    for said in facts.left_out:
        assert said in found.words


def test_a_product_without_numbers_of_these_kinds_is_told_of(tmp_path: Path) -> None:
    rows = [made.row("training", "iou", "cedar", 0.29, float("nan"), unit="1")]
    facts = report([made.product(tmp_path / "weights", "training", {"scores": rows})],
                   tmp_path / "report")  # fmt: skip

    assert facts.summary == ("No product here tells a mass balance or damage of ice shelves.",)
    assert (facts.figures, facts.tables, facts.rows) == (0, 1, 1)
    assert page(tmp_path / "report", "tables/weights/scores.html").rows["row-1"]


def test_hostile_names_stay_text_and_in_the_folder(tmp_path: Path) -> None:
    rates = {"AIS": (-99.0, 4.0), HOSTILE: (-1.0, 0.2)}
    root = tmp_path / "in"
    bad = made.product(
        root / 'a"b<i>', "gravimetry",
        {"regions": made.rate_rows("gravimetry", rates, note=f"x={HOSTILE};javascript:alert(1)"),
         "series": made.month_rows("gravimetry", ["AIS"])},
        receipts=[{"key": HOSTILE, "state": "failed", "reason": HOSTILE, "note": HOSTILE}],
        links=[{"rel": "derived_from", "href": "javascript:alert(1)", "nunatak:id": HOSTILE,
                "nunatak:collection": HOSTILE}],
        title=HOSTILE, fill=made.maps,
    )  # fmt: skip
    shelf = [
        made.row("shelf_damage", quantity, HOSTILE, 0.1, 0.01, unit="1",
                 note="summer=2005;covered=nonsense")
        for quantity in ("damage_fraction", "damage_area")
    ]  # fmt: skip
    damage = made.product(root / "..x", "shelf_damage", {"shelves": shelf})
    outside = tmp_path / "secret.csv"
    outside.write_bytes(b"a,b\n1,2\n")

    def climb(held: dict[str, Any]) -> None:
        held["assets"]["tables/../../secret.csv"] = {"href": "../../secret.csv"}
        held["assets"]["tables/a;b.csv"] = {"href": "./a;b.csv"}

    made.change_item(bad, climb)
    before = files(tmp_path)
    facts = report([bad, damage], tmp_path / "out" / "report")

    after = files(tmp_path)
    assert {name for name in after if name not in before} == {
        f"out/report/{name}" for name in files(tmp_path / "out" / "report")
    }
    assert not [name for name in after if "secret" in name and name != "secret.csv"]
    assert facts.figures == 4
    for name, data in files(tmp_path / "out" / "report").items():
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", name), name
        if name.endswith(".html"):
            found = Read(data.decode())
            assert not [
                held for tag, held in found.tags if tag in {"script", "i"} or "onload" in held
            ]
            for href, _ in found.links:
                assert urlsplit(href).scheme == ""
        if name.endswith(".svg"):
            assert b"<script" not in data
    words = page(tmp_path / "out" / "report").words
    assert 'its name is none of a table: a"b<i>: tables/../../secret.csv' in words
    assert HOSTILE in words


def test_a_table_that_is_not_the_items_is_refused(tmp_path: Path) -> None:
    product = made.altimetry(tmp_path)
    path = product / "tables" / "regions.csv"
    path.write_bytes(path.read_bytes().replace(b"-118", b"-119"))

    with pytest.raises(ReportError, match=r"regions\.csv is not the file that item\.json tells of"):
        report([product], tmp_path / "report")
    assert not (tmp_path / "report").exists()
    path.unlink()
    with pytest.raises(ReportError, match=r"has lost tables/regions\.csv"):
        report([product], tmp_path / "report")


def test_an_item_of_another_version_than_the_arrays_is_refused(tmp_path: Path) -> None:
    product = made.altimetry(tmp_path)
    made.change_item(product, lambda held: held["properties"].update(
        {"nunatak:snapshot": "OTHER"}))  # fmt: skip

    with pytest.raises(ReportError, match=r"item\.json tells of version OTHER, the arrays are of"):
        report([product], tmp_path / "report")
    (product / "product.icechunk").rename(product / "elsewhere")
    with pytest.raises(ReportError, match="no arrays; run altimetry again"):
        report([product], tmp_path / "report")


def test_a_line_outside_the_schema_is_refused_with_its_number(tmp_path: Path) -> None:
    good = made.write_rows(made.rate_rows("altimetry", made.ALTIMETRY))
    product = made.product(tmp_path / "a", "altimetry", {"regions": good.replace(b"4.1", b"x")
                           .replace(b"14.5", b"fourteen")})  # fmt: skip

    with pytest.raises(ReportError, match=r"regions\.csv: line 2: could not convert"):
        report([product], tmp_path / "report")


@pytest.mark.parametrize("inside", ["", "report"])
def test_a_report_is_not_written_into_a_product(inside: str, tmp_path: Path) -> None:
    product = made.altimetry(tmp_path)

    with pytest.raises(ReportError, match=r"a product|lies in the product"):
        report([product], product / inside)
    assert not (product / "index.html").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    product = made.altimetry(tmp_path / "in")
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(ReportError, match=r"holds .* and no earlier report; choose another --to"):
        report([product], tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_report_that_breaks_off_leaves_no_page_and_the_next_replaces_it(
    products: list[Path], tmp_path: Path
) -> None:
    _, altimetry, damage = products
    to = tmp_path / "report"
    report([altimetry, damage], to)
    kept = to / "notes.txt"
    kept.write_text("mine")

    def interrupt(text: str) -> None:
        if text.startswith("drawn"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report([altimetry], to, say=interrupt)
    assert not (to / "index.html").exists()
    assert json.loads((to / "report.json").read_text())["whole"] is False

    report([altimetry], to)
    fresh = tmp_path / "fresh"
    report([altimetry], fresh)
    assert kept.read_text() == "mine"
    kept.unlink()
    assert files(to) == files(fresh)  # and nothing of the damage is left


def test_two_outputs_of_a_kind_are_told_apart(tmp_path: Path) -> None:
    both = [made.altimetry(tmp_path / "a", "first"), made.altimetry(tmp_path / "b", "second")]
    facts = report(both, tmp_path / "report")

    assert "by altimetry (first)" in facts.summary[0]
    assert "by altimetry (second)" in facts.summary[0]
    assert (tmp_path / "report/tables/second/regions.html").is_file()


def test_long_tables_are_cut_into_pages_that_links_know(tmp_path: Path) -> None:
    rates = {f"r{n}": (-float(n), 0.1) for n in range(4100)}
    rates["AIS"] = (-99.0, 4.0)
    product = made.product(tmp_path / "a", "altimetry", {
        "regions": made.rate_rows("altimetry", rates)})  # fmt: skip
    report([product], tmp_path / "report")

    links = {text: href for href, text in page(tmp_path / "report").links}
    href = links["−99.0\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}4.0"]
    assert href == "tables/a/regions.page-3.html#row-4101"
    assert page(tmp_path / "report", href.partition("#")[0]).rows["row-4101"][1] == "AIS"


class TestWhereProductsAre:
    @staticmethod
    def placed(report: str, product: str) -> str:
        output = outputs.Output(product, "altimetry", "a", {})
        return folder.locate(report)(output)

    def test_beside_each_other_they_can_be_moved_together(self) -> None:
        assert self.placed("/d/report", "/d/runs/a b") == "../../runs/a%20b"
        assert self.placed("s3://ice/x/report", "s3://ice/y/a") == "../../../y/a"

    def test_elsewhere_they_are_named_in_full(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        assert self.placed("/d/report", "/e/a") == "file:///e/a"
        assert self.placed("/report", "/a") == "file:///a"
        assert self.placed("s3://ice/r", "s3://snow/a") == (
            "https://snow.s3.eu-west-1.amazonaws.com/a"
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/")
        assert self.placed("/d/report", "s3://snow/a") == "http://127.0.0.1:9000/snow/a"
