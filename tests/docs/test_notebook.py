"""The notebook opens products of a real bucket without our packages and finds their numbers."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.demo_products import publish
from tests.fixtures.seaweed import S3Store

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOK = FOLDER / "open_products.ipynb"
LARGEST = 300_000
OURS = {"pipelines", "cluster", "stac"}


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def told(path: Path) -> list[str]:
    """What the cells print and show as text."""
    outputs = [output for cell in cells(path) for output in cell["outputs"]]
    shown = [each["text"] if "text" in each else each["data"].get("text/plain") for each in outputs]
    return ["".join(lines) for lines in shown if lines]


def test_the_committed_notebook_was_executed_in_order_and_is_small() -> None:
    found = cells(NOTEBOOK)

    assert NOTEBOOK.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    pictures = [o for cell in found for o in cell["outputs"] if "image/png" in o.get("data", {})]
    assert len(pictures) == 2
    assert len(told(NOTEBOOK)) >= 5


def test_the_notebook_imports_nothing_of_ours() -> None:
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells(NOTEBOOK)))

    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module]
        )
        if name
    }

    assert imported
    assert not imported & OURS


def test_no_address_of_a_machine_is_in_the_outputs() -> None:
    outputs = json.dumps([cell["outputs"] for cell in cells(NOTEBOOK)])

    for trace in ("/root", "/tmp", "/home", "127.0.0.1", "http://", "s3://"):  # noqa: S108
        assert trace not in outputs


def test_a_notebook_that_imports_ours_is_refused(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "source": ["import stac\n"], "outputs": []}
    notebook = tmp_path / "bad.ipynb"
    notebook.write_text(json.dumps({"cells": [cell]}))

    done = execute(notebook, tmp_path / "done.ipynb", {})

    assert done.returncode == 1
    assert "imported ['stac']" in done.stderr
    assert not (tmp_path / "done.ipynb").exists()


def execute(
    notebook: Path, to: Path, environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Execute in a program of its own, where every warning is an error."""
    command = [sys.executable, "-W", "error", str(FOLDER / "execute.py"), str(notebook)]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.run(
        [*command, "--to", str(to)],
        env={**inherited, **environment},
        cwd=to.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.services
@pytest.mark.long
@pytest.mark.timeout(1200)  # a minute and a half alone on two cores
def test_the_notebook_says_again_what_it_says(s3_environment: S3Store, tmp_path: Path) -> None:
    """Machines differ in later digits than are printed; `make notebook` keeps new numbers."""
    root = s3_environment.url("demo")
    publish(root, tmp_path)

    again = tmp_path / "executed.ipynb"
    done = execute(NOTEBOOK, again, {**s3_environment.environment, "NUNATAK_PRODUCTS": root})

    assert done.returncode == 0, done.stderr
    assert not done.stderr
    if os.environ.get("NUNATAK_KEEP_NOTEBOOK"):
        shutil.copy(again, NOTEBOOK)
    assert told(again) == told(NOTEBOOK)
