"""Who imports whom where `lint-imports` cannot say it: flows, and what kernels may use at all."""

import ast
import graphlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "pipelines" / "flows"
SHARED = "shared"


def told() -> dict[str, set[str]]:
    """Return which flows each flow may import, as docs/architecture.md has it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    (block,) = re.findall(r"```text\n(gravimetry, .*?)```", text, re.DOTALL)
    found: dict[str, set[str]] = {}
    for line in block.splitlines():
        names, _, upstream = line.partition("→")
        for name in names.split(","):
            found[name.strip()] = {each.strip() for each in upstream.split(",") if each.strip()}
    return found


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file names in its imports, wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def flow_of(module: str, flows: set[str]) -> str:
    """Return the flow that a module belongs to: the longest name that it begins with."""
    found = [name for name in flows if module == name or module.startswith(f"{name}_")]
    return max(found, key=len, default=SHARED)


def found(flows: set[str]) -> dict[str, set[str]]:
    """Return which flows each flow imports."""
    edges: dict[str, set[str]] = {name: set() for name in (*flows, SHARED)}
    for path in FLOWS.glob("*.py"):
        for name in imported(path):
            if name.startswith("pipelines.flows.") and name.count(".") > 1:
                edges[flow_of(path.stem, flows)].add(flow_of(name.split(".")[2], flows))
    return {name: others - {name, SHARED} for name, others in edges.items()}


def test_flows_import_the_flows_that_the_architecture_names_and_no_others() -> None:
    expected = told()
    assert found(set(expected)) == {**expected, SHARED: set()}


def test_every_product_is_a_flow_of_the_architecture_and_none_imports_in_a_circle() -> None:
    flows = told()
    plans = {path.stem for path in FLOWS.glob("*.py") if "\ndef plan(run: Run" in path.read_text()}
    assert set(flows) == plans
    tuple(graphlib.TopologicalSorter(flows).static_order())


def test_kernels_import_numpy_and_scipy_and_each_other() -> None:
    allowed = {"numpy", "scipy", *sys.stdlib_module_names}
    for path in (ROOT / "pipelines" / "kernels").rglob("*.py"):
        for name in imported(path):
            known = name.startswith("pipelines.kernels") or name.partition(".")[0] in allowed
            assert known, f"{path} imports {name}"
