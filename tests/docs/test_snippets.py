"""Snippets of Python on the pages: all compile, and those that convert files are carried out."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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
