"""The tutorial's commands on the real months, as they stand, print what the tutorial shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.fixtures.seaweed import S3Store

PAGE = ROOT / "docs" / "tutorial.md"
FIRST = "nunatak ingest grace-l2"
"""Where the commands begin that need neither a clone nor a download."""


def steps() -> list[tuple[str, list[str]]]:
    """Commands, each with the lines that the page shows after them; ``…`` stands for more."""
    found: list[tuple[str, list[str]]] = []
    shown = list(blocks(PAGE))
    begin = next(number for number, block in enumerate(shown) if block.text.startswith(FIRST))
    for block in shown[begin:]:
        if block.language == "sh":
            found.append((block.text, []))
        elif found and not block.text.startswith("$"):
            found[-1][1].extend(_whole_lines(block))
    return found


def _whole_lines(block: Block) -> list[str]:
    lines = (" ".join(line.split()) for line in block.text.splitlines())
    return [line for line in lines if line and "…" not in line and not line.startswith("fits")]


def test_the_tutorial_shows_results_of_its_commands() -> None:
    found = steps()

    commands = [text.split()[1] for text, _ in found]
    assert commands == ["ingest", "plan", "run", "run", "report", "run", "share"]
    assert sum(len(lines) for _, lines in found) > 15


@pytest.mark.realdata
@pytest.mark.services
@pytest.mark.long
@pytest.mark.timeout(1200)  # two minutes alone on two cores
def test_the_tutorial_word_for_word(
    s3_environment: S3Store, tmp_path: Path, data_root: Path
) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **s3_environment.environment, "PATH": path, "D": str(data_root)}

    for commands, expected in steps():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = {" ".join(line.split()) for line in done.stdout.splitlines()}

        assert done.returncode == 0, done.stderr
        assert not [line for line in expected if line not in printed], done.stdout
    tables = "gravimetry/tables/regions.csv"
    stored = s3_environment.client().get_object(Bucket="ice", Key=tables)["Body"].read()
    assert stored == (tmp_path / "out" / tables).read_bytes()
