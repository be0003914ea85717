"""One small synthetic world, ingested once, and run files on it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.gravity_files import WrittenGravity, write_gravity
from stac.ingest import ingest

MONTHS, DEGREE = 48, 30
COLLECTIONS = {
    "grace-l2": ("gravity", "months"),
    "degree-one": ("degree_one", "degree-one"),
    "low-degrees": ("low_degrees", "low-degrees"),
    "love-numbers": ("love_numbers", "love"),
    "gia": ("gia", "gia"),
    "basins": ("basins", "basins"),
    "boundaries": ("grounded", "grounded"),
}

WriteRun = Callable[..., Path]


@pytest.fixture(scope="session")
def world() -> Antarctica:
    return Antarctica(seed=1)


@pytest.fixture(scope="session")
def written(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> WrittenGravity:
    folder = tmp_path_factory.mktemp("written")
    return write_gravity(world, folder, start="2011-02", months=MONTHS, j_max=DEGREE)


def fill(catalogue: Path, written: WrittenGravity) -> None:
    for kind, (part, collection) in COLLECTIONS.items():
        sources = [str(path) for path in getattr(written, part)]
        states = [
            done.state
            for done in ingest(kind, sources, catalogue=str(catalogue), collection=collection)
        ]
        assert states == ["added"] * len(sources)


@pytest.fixture(scope="session")
def catalogue(written: WrittenGravity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalogue")
    fill(folder, written)
    return folder


def run_document(catalogue: str, output: str) -> dict[str, object]:
    return {
        "product": "gravimetry",
        "catalogue": catalogue,
        "output": output,
        "period": ["2011-02-01", "2015-01-31"],
        "regions": "basins",
        "inputs": {
            "gravity": "months",
            "degree_one": "degree-one",
            "low_degrees": "low-degrees",
            "love_numbers": "love",
            "gia": ["gia"],
            "grounded_ice": "grounded",
        },
        "gravimetry": {
            "j_max": DEGREE,
            "result_degree": 60,
            "mask": {"degree": 60},
            "members": 12,
            "region_spacing_km": 10,
            "map": {"spacing_km": 160},
            "batch": 8,
        },
    }


@pytest.fixture
def write_run(catalogue: Path, tmp_path: Path) -> WriteRun:
    """Write a run file; keyword arguments replace or add sections."""

    def write(name: str = "run.yaml", *, output: str = "out", **changes: object) -> Path:
        document = run_document(str(catalogue), output)
        for key, value in changes.items():
            held = document.get(key)
            both = isinstance(held, dict) and isinstance(value, dict)
            document[key] = {**held, **value} if both else value  # type: ignore[dict-item]
        path = tmp_path / name
        path.write_text(yaml.safe_dump(document))
        return path

    return write
