"""Snippets of Python on the pages: all compile, and those that convert files are carried out."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines import published_rates
from tests.docs.pages import ROOT, Block, blocks, pages
from tests.fixtures.commands import nunatak

HOWTO = ROOT / "docs" / "howto"


def snippets(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


def carried_out(page: Path, folder: Path) -> None:
    """Run the only snippet of a page in a folder, in a program of its own."""
    (snippet,) = snippets(page)
    command = [sys.executable, "-c", snippet.text]
    done = subprocess.run(
        command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [s for page in pages() for s in snippets(page)], ids=str)
def test_a_snippet_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_basins_as_text_become_a_collection(tmp_path: Path) -> None:
    """27 wedges around the pole, as Zwally's file has them: seven lines, then lat, lon, basin."""
    lines = [f"heading {number}" for number in range(7)]
    for basin in range(1, 28):
        west, east = 360.0 * (basin - 1) / 27.0, 360.0 * basin / 27.0
        # Along the coast from west to east, and back near the pole.
        edge = [(-70.0, lon) for lon in np.linspace(west, east, 40)]
        edge += [(-89.0, lon) for lon in np.linspace(east, west, 40)]
        lines += [f"{lat:11.5f} {lon:11.5f} {basin:4d}" for lat, lon in [*edge, edge[0]]]
    name = "Ant_Grounded_DrainageSystem_Polygons.txt"
    (tmp_path / name).write_text("\n".join(lines) + "\n")

    carried_out(HOWTO / "gravimetry.md", tmp_path)
    done = nunatak(
        "ingest", "basins", tmp_path / "zwally2012.gpkg",
        "--catalogue", tmp_path / "catalogue", "--collection", "zwally2012",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    assert "zwally2012: 1 added, 0 present, 0 failed" in done.output


def test_the_result_of_imbie_becomes_rates(tmp_path: Path) -> None:
    header = (
        "Year,Mass balance (Gt/yr),Mass balance uncertainty (Gt/yr),"
        "Cumulative mass balance (Gt),Cumulative mass balance uncertainty (Gt)"
    )
    months = [f"{1992 + n / 12:.4f},{-50.0 - n},{40.0 + n},{-4.0 * n},{3.0 * n}" for n in range(24)]
    (tmp_path / "imbie_antarctica_2021_Gt.csv").write_text("\n".join([header, *months]) + "\n")

    carried_out(HOWTO / "comparison.md", tmp_path)
    (series,) = published_rates.read((tmp_path / "imbie-2021.csv").read_bytes(), name="imbie-2021")

    assert [each.value for each in series.intervals] == [-50.0 - n for n in range(24)]
    assert [each.sigma for each in series.intervals] == [40.0 + n for n in range(24)]
    assert {each.region for each in series.intervals} == {"AIS"}
    assert str(series.intervals[0].first) == "1992-01-01"
    assert str(series.intervals[-1].after) == "1994-01-01"
