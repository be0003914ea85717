"""Help answers at once, because it imports nothing that computes."""

import json
import resource
import subprocess
import sys

import pytest

HEAVY = {
    "torch", "ray", "xarray", "zarr", "dask", "distributed", "geopandas", "numpy", "pandas",
    "scipy", "matplotlib", "icechunk", "pystac", "shapely",
}  # fmt: skip

SCRIPT = """
import json, sys
from pipelines.cli import main
try:
    main(sys.argv[1:], prog_name="nunatak")
except SystemExit as left:
    modules = sorted({name.split(".")[0] for name in sys.modules})
    print(json.dumps({"status": left.code, "modules": modules}))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["--version"], ["plan", "--example", "gravimetry"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )

    found = json.loads(done.stdout.splitlines()[-1])

    assert found["status"] == 0
    assert not HEAVY & set(found["modules"])


def test_help_answers_within_a_second() -> None:
    """By the processor's time: other work on the machine is not what is tested."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", SCRIPT, "--help"], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 1.0
