"""Reading Level-2 fields, against gravity-toolkit: milliseconds a file.

``python -m tests.benchmarks.reading [--quick]`` reads the real CSR months from ``NUNATAK_DATA`` or
``../shared/data``; where they are absent, months of degree 96 that it writes in their format.
"""

import argparse
import gzip
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.worlds.gravity_files import fortran_e
from pipelines.worlds.gravity_headers import FIELD
from stac.gravity import read_gravity_field
from tests.benchmarks.statement import Statement, alternate, per_item

DEGREE = 96


def main() -> None:
    """Compare both readers on the same files, held warm by the page cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer files")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        paths = real_months() or written_months(Path(folder))
        state(paths[:: 20 if quick else 4], runs=5 if quick else 7).tell()


def state(paths: list[Path], *, runs: int) -> Statement:
    """Time and compare both readers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        from gravity_toolkit import read_GRACE_harmonics

    def ours() -> None:
        for path in paths:
            read_gravity_field(path.read_bytes(), name=path.name)

    def peer() -> None:
        for path in paths:
            read_GRACE_harmonics(path, DEGREE)

    error = max(difference(path, read_GRACE_harmonics(path, DEGREE)) for path in paths)
    timings = alternate({"ours": ours, "gravity-toolkit": peer}, runs=runs)
    size = {"files": len(paths), "degree": DEGREE, "bytes": sum(p.stat().st_size for p in paths)}
    return Statement("reading", per_item(timings, len(paths)), error, size, unit="file")


def difference(path: Path, expected: dict[str, Any]) -> float:
    """Return the largest difference of coefficients and sigmas, over the value [1]."""
    found = read_gravity_field(path.read_bytes(), name=path.name)
    ours = np.concatenate([found.stokes.values, found.stokes_sigma.values])
    theirs = np.stack([expected[key] for key in ("clm", "slm", "eclm", "eslm")])
    scale = np.where(theirs == 0.0, 1.0, np.abs(theirs))
    return float((np.abs(ours - theirs) / scale).max())


def real_months() -> list[Path]:
    """Return the real months, if they are here."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    root = Path(os.environ.get("NUNATAK_DATA", beside))
    return sorted((root / "gravity" / "csr_rl06_96").glob("GSM-2_*.gz"))


def written_months(folder: Path, *, count: int = 20) -> list[Path]:
    """Write months of random coefficients in the format of CSR RL06."""
    rng = np.random.default_rng(1)
    paths = []
    for n in range(count):
        header = FIELD.format(
            j_max=DEGREE, start="2011-02-01", stop="2011-03-01", unused="[]", space=" "
        )
        c, s = rng.normal(scale=1e-9, size=(2, DEGREE + 1, DEGREE + 1))
        rows = [
            f"GRCOF2{j:5d}{m:5d}{fortran_e(c[j, m], 12):>19}{fortran_e(s[j, m] * (m > 0), 12):>19} "
            "0.1000E-12 0.1000E-12 20110201.0000 20110301.0000 yynn"
            for m in range(DEGREE + 1)
            for j in range(m, DEGREE + 1)
        ]
        path = folder / f"GSM-2_2011032-2011059_GRAC_UTCSR_BB01_{n:02d}00.gz"
        path.write_bytes(gzip.compress((header + "\n".join(rows) + "\n").encode()))
        paths.append(path)
    return paths


if __name__ == "__main__":
    main()
