"""Where a service does not answer, a plan estimates scenes, says so once, and cannot be run."""

import dataclasses
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pipelines.cli import main
from pipelines.flows.scenes_estimate import silence
from stac import landsat_services

RUN = {
    "product": "scenes",
    "catalogue": "./catalogue",
    "output": "out",
    "period": ["2014-11-01", "2015-03-31"],
    "regions": "nine",
    "inputs": {"landsat": ["landsat-c2l1"]},
    "scenes": {"shelves": ["Larsen B"], "service": "usgs"},
}
NOTE = (
    "usgs does not answer (Connection refused): scenes are estimated from Landsat's orbit (WRS-2), "
    "every sunlit pass over a ROI"
)


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run file whose service is where nobody listens."""
    gone = dataclasses.replace(landsat_services.SERVICES["usgs"], url="https://127.0.0.1:9")
    services = MappingProxyType({**landsat_services.SERVICES, "usgs": gone})
    monkeypatch.setattr(landsat_services, "SERVICES", services)
    path = tmp_path / "scenes.yaml"
    path.write_text(yaml.safe_dump(RUN))
    return path


def nunatak(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_a_plan_says_in_one_sentence_that_it_is_an_estimate(run_file: Path) -> None:
    result = nunatak("plan", run_file)

    assert result.exit_code == 0, result.output
    assert "estimated items" in result.stdout
    assert result.stdout.count("does not answer") == 1
    assert NOTE in result.stdout
    assert "AWS" not in result.output


def test_a_run_is_refused_and_says_so_once(run_file: Path) -> None:
    result = nunatak("run", run_file)

    assert result.exit_code == 2
    assert result.output.count("does not answer") == 1
    assert "usgs does not answer (Connection refused); check the network, or replay" in (
        result.stderr
    )


def test_a_search_advises_on_the_network(run_file: Path) -> None:
    result = nunatak("search", "--service", "usgs", "--bbox", "-5,-80,5,-78", "--summer", "2014")

    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith("check the address and the network")


def test_the_reason_of_the_system_is_told_where_there_is_one() -> None:
    long = "HTTPSConnectionPool(host='x', port=443): Max retries exceeded (Caused by "
    inner = "NameResolutionError(\"Failed to resolve 'x' ([Errno -2] Name or service not known)\"))"
    outer = ValueError("no STAC API answers")
    outer.__cause__ = RuntimeError(long + inner)

    assert silence("usgs", outer) == "usgs does not answer (Name or service not known)"
    assert silence("usgs", ValueError("HTTP 503")) == "usgs does not answer (HTTP 503)"
    assert len(silence("usgs", ValueError("x" * 999))) < 150
