"""Tables of a report: what they leave out is told, and memory holds them once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.report import build, cautions, comparing, page, provenance, sheets, totals
from pipelines.report.sheets import Cited
from pipelines.summary_page import Link, Table
from pipelines.tables import write_rows

from . import report_products as made
from .test_report_sections import gathered, opened
from .test_report_sentences import compared


class TestCutTables:
    MORE = comparing.MOST_ROWS + 3

    def last(self, table: Table | None) -> tuple[Any, ...]:
        assert table is not None
        assert all(len(row) == len(table.header) for row in table.rows)
        return table.rows[-1]

    def found(self, region: str, note: str = "z=1.0") -> list[Cited]:
        row = made.row("c", "closure", region, 1.0, 1.0, note=note)
        return [Cited(row, f"tables/c/c.html#row-{n}") for n in range(self.MORE)]

    def test_the_last_row_tells_how_many_more_there_are_and_where(self) -> None:
        expected = Link("3 more, in the table", "tables/c/c.html")
        for table in (
            comparing.difference_table(self.found("1")), comparing.cause_table(self.found("all")),
            comparing.mover_table(self.found("AIS")), comparing.correlation_table(self.found("A")),
        ):  # fmt: skip
            assert self.last(table)[0] == expected
            assert table is not None
            assert len(table.rows) == comparing.MOST_ROWS + 1

    def test_whole_tables_have_no_such_row(self) -> None:
        whole = self.found("1")[: comparing.MOST_ROWS]
        assert self.last(comparing.difference_table(whole))[0] == "1"

    def test_basins_and_combined_estimates_too(self, tmp_path: Path) -> None:
        rates = {f"r{n:03}": (-float(n), 0.1) for n in range(self.MORE)}
        note = "by=imbie;weights=a:1"
        rows = [made.row("comparison", quantity, name, *numbers, note=note)
                for quantity in ("mass_balance", "mass_balance_combined")
                for name, numbers in rates.items()]  # fmt: skip
        of = gathered(compared(tmp_path, rows))

        expected = Link("3 more, in the table", "tables/comparison/comparison.html")
        assert self.last(totals.basin_table(of, []))[0] == expected
        assert self.last(comparing.combined_table(of))[0] == expected

    def test_notes_too(self, tmp_path: Path) -> None:
        noted = [{"key": str(n), "note": f"note {n}"} for n in range(page.MOST_NOTES + 7)]
        to = tmp_path / "to"
        build.build(opened(made.altimetry(tmp_path, receipts=noted)), str(to), map_page=False)

        assert "<p>7 more, in receipts.jsonl of the products</p>" in (to / "index.html").read_text()


class TestMemory:
    def test_a_sheet_keeps_its_lines_once(self) -> None:
        data = write_rows(made.rate_rows("altimetry", made.ALTIMETRY))
        sheet = sheets.sheet("a", "regions", "a", data)

        assert (sheet.length, len(sheet.rows), len(sheet.lines)) == (3, 3, 3)
        assert not [value for value in vars(sheet).values() if value == sheet.lines]
        foreign = sheets.sheet("a", "imbie", "a", b"x,y\n1,2\n3,4\n")
        assert (foreign.length, foreign.rows, foreign.lines[1]) == (2, (), ("3", "4"))
        assert sheets.sheet("a", "none", "a", b"").length == 0

    def test_receipts_of_what_was_done_without_a_word_are_not_kept(self, tmp_path: Path) -> None:
        given = [{"key": "a"}, {"key": "b"}, {"key": "c", "note": "slow"},
                 {"key": "d", "state": "failed", "reason": "gone"}]  # fmt: skip
        of = gathered(made.altimetry(tmp_path, receipts=given))
        found = cautions.receipts(of.outputs[0])

        assert found[0] is found[1]
        assert [each.get("key") for each in found[2:]] == ["c", "d"]
        (told,) = provenance.told(of, {})
        assert (told.keys("done"), told.keys("failed")) == (3, 1)
