"""The real CSR RL06 months of 2011-02 to 2017-06, ingested once and run under named choices."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
import zarr

from cluster import zarr_sink
from pipelines import settings
from pipelines.flows import gravimetry
from stac.ingest import ingest

PERIOD = ["2011-02-01", "2017-06-30"]
MEASURES = "basins/measures_imbie_basins_v02/Basins_IMBIE_Antarctica_v02.shp"
SOURCES = {
    "csr-rl06": ("grace-l2", "gravity/csr_rl06_96/GSM-2_201[1-7]*.gz"),
    "tn13-csr": ("degree-one", "gravity/auxiliary/TN-13_GEOC_CSR_RL0602.txt"),
    "tn14": ("low-degrees", "gravity/auxiliary/TN-14_C30_C20_GSFC_SLR.txt"),
    "han-wahr": ("love-numbers", "gravity/love_numbers/love_numbers"),
    "ice6g-d": ("gia", "gravity/gia/GIA.ICE-6G_D.txt"),
    "zwally2012": ("basins", "basins/zwally2012_grounded_27basins_simpl400m_epsg3031.gpkg"),
    "measures-grounded": ("boundaries", MEASURES),
}

Finish = Callable[..., zarr.Group]


@pytest.fixture(scope="session")
def real_catalogue(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    for collection, (kind, pattern) in SOURCES.items():
        source = str(data_root / pattern)
        for done in ingest(kind, [source], catalogue=str(folder), collection=collection):
            assert done.state == "added", done.reason
    return folder


@pytest.fixture(scope="session")
def finish(real_catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Finish:
    """Return a function that runs gravimetry on the real months and opens its arrays."""

    def run(*, gia: list[str], **choices: object) -> zarr.Group:
        folder = tmp_path_factory.mktemp("run")
        document = {
            "product": "gravimetry",
            "catalogue": str(real_catalogue),
            "output": "out",
            "period": PERIOD,
            "regions": "zwally2012",
            "inputs": {
                "gravity": "csr-rl06",
                "degree_one": "tn13-csr",
                "low_degrees": "tn14",
                "love_numbers": "han-wahr",
                "gia": gia,
                "grounded_ice": "measures-grounded",
            },
            "gravimetry": choices,
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(document))
        outcome = gravimetry.plan(settings.read(folder / "run.yaml")).execute(None)
        assert (outcome.failed, outcome.left) == (0, 0)
        store = zarr_sink.Repository.open(str(folder / "out/product.icechunk"), read_only=True)
        return zarr.open_group(store.read(), mode="r")

    return run
