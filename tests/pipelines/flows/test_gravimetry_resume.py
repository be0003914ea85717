"""`nunatak run` killed at any moment, then run again: the arrays are those of a quiet run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.fixtures.seaweed import S3Store

from .conftest import COLLECTIONS, WriteRun, run_document
from .test_gravimetry import arrays, assert_equal_bit_for_bit

NUNATAK = [str(Path(sys.executable).with_name("nunatak"))]
KILLS = 4


def nunatak(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NUNATAK, *arguments], cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )


def kill_after(seconds: float, path: Path) -> bool:
    """Start a run, kill its whole process group with SIGKILL; tell whether it was still going."""
    process = subprocess.Popen(
        [*NUNATAK, "run", str(path)],
        cwd=path.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    going = process.poll() is None
    if going:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    return going


@pytest.fixture(scope="module")
def quiet(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("quiet")
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(run_document(str(catalogue), "out")))
    done = nunatak("run", str(path), folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.slow
@pytest.mark.long
def test_a_run_killed_again_and_again_ends_with_the_arrays_of_a_quiet_one(
    write_run: WriteRun, tmp_path: Path, quiet: Path
) -> None:
    path = write_run(gravimetry={"batch": 2})
    draw = random.Random(20110201)

    killed = [kill_after(draw.uniform(2.0, 4.5), path) for _ in range(KILLS)]
    done = nunatak("run", str(path), folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert any(killed), "every run ended before its kill; shorten the delays"
    assert_equal_bit_for_bit(tmp_path / "out", quiet)
    one, other = (folder / "tables" / "regions.csv" for folder in (tmp_path / "out", quiet))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.long
def test_catalogue_and_output_in_a_bucket_give_the_numbers_of_a_disk(
    written: object, tmp_path: Path, quiet: Path, s3_environment: S3Store
) -> None:
    catalogue, output = s3_environment.url("worlds/catalogue"), s3_environment.url("worlds/out")
    for kind, (part, collection) in COLLECTIONS.items():
        sources = [str(path) for path in getattr(written, part)]
        done = nunatak(
            "ingest", kind, *sources, "--catalogue", catalogue, "--collection", collection,
            folder=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run_document(catalogue, output)))

    done = nunatak("run", str(path), folder=tmp_path)

    assert done.returncode == 0, done.stderr
    client = s3_environment.client()
    key = "worlds/out/tables/regions.csv"
    table = client.get_object(Bucket=s3_environment.bucket, Key=key)["Body"].read()
    assert table == (quiet / "tables" / "regions.csv").read_bytes()
    held, expected = arrays(output), arrays(quiet)
    assert held.keys() == expected.keys()
    assert all(held[name].tobytes() == expected[name].tobytes() for name in expected)
