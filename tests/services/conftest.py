"""Run files on small synthetic worlds, what one process makes of them, and a data centre."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.gravity_files import write_gravity
from tests.pipelines.flows import budget_world, networks_world
from tests.pipelines.flows.conftest import DEGREE, MONTHS, Document, fill, run_document
from tests.services import datacentre
from tests.services.audit import audited
from tests.services.datacentre import Datacentre


@dataclass(frozen=True)
class Work:
    """A run file, and what a single process made of it.

    Attributes
    ----------
    document : dict
        The run file; its output is replaced.
    expected : dict
        See :mod:`tests.services.audit`.
    """

    document: Document
    expected: dict[str, Any]

    def run_file(self, centre: Datacentre, name: str) -> tuple[Path, str]:
        """Write the run file with an output of its own in the bucket; return both."""
        output = centre.output(name)
        path = centre.folder / "runs" / f"{name}.yaml"
        return datacentre.written({**self.document, "output": output}, path), output

    def require_equal(self, found: dict[str, Any]) -> None:
        """Compare what was made with the single process: every number, nothing lost or twice."""
        assert set(found["done"].values()) == {1}
        assert found["done"].keys() == self.expected["done"].keys()
        assert found["published"] == self.expected["published"]
        assert found["plain"] == self.expected["plain"]
        assert found["tables"] == self.expected["tables"]
        assert found["failed"] == {}


MakeWork = Callable[[str], Work]


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> MakeWork:
    """Return the work of a product, its world written and its single process run once."""
    made: dict[str, Work] = {}

    def of(product: str) -> Work:
        if product not in made:
            made[product] = _worked(_DOCUMENTS[product], tmp_path_factory.mktemp(product))
        return made[product]

    return of


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datacentre]:
    """Start the hosts and the store; other servers are started by who needs them."""
    with datacentre.opened(tmp_path_factory.mktemp("centre")) as opened:
        opened.start_store()
        yield opened


def _worked(document: Callable[[Path], Document], folder: Path) -> Work:
    asked = document(folder)
    asked_alone = {**asked, "output": str(folder / "alone")}
    outcome = networks_world.executed(networks_world.plan_of(asked_alone, folder))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return Work(asked, audited(str(folder / "alone")))


def _gravimetry(folder: Path) -> Document:
    gravity = write_gravity(
        Antarctica(seed=1), folder, start="2011-02", months=MONTHS, j_max=DEGREE
    )
    fill(folder / "catalogue", gravity)
    document = run_document(str(folder / "catalogue"), "")
    document["gravimetry"] |= {"batch": 1}
    return document


def _mass_budget(folder: Path) -> Document:
    return budget_world.made(Antarctica(seed=1), folder).document()


def _evaluation(folder: Path) -> Document:
    tiles = [networks_world.drawn(f"amery-{n}", "amery", side=192) for n in range(20)]
    networks_world.add_tiles(folder / "catalogue", tiles, folder / "in", "tiles")
    data = networks_world.segmenter_bytes()
    networks_world.add_weights(folder / "catalogue", data, "segmenter", folder / "in")
    return networks_world.document(
        "evaluation",
        folder / "catalogue",
        inputs={"labels": ["tiles"], "segmenter": "nets/segmenter"},
        evaluation={"backend": "torch", "patch": 64, "resamples": 50, "batch": 1},
    )


_DOCUMENTS = {
    "gravimetry": _gravimetry,
    "mass_budget": _mass_budget,
    "evaluation": _evaluation,
}
