"""What is known of a segmenter's errors, and from where: evaluations, what ships, cards."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
import zarr

from cluster.zarr_sink import Repository
from pipelines import settings
from pipelines.flows import network_inputs, shelf_damage_evaluated
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.evaluation_errors import DamageErrors, Judged
from pipelines.flows.shelf_damage_evaluated import Evaluated, student
from pipelines.kernels.damage.area_errors import AreaErrors
from pipelines.nets import checkpoints, shipped

from . import networks_world as networks
from . import shelf_damage_world as world

FACTOR = {"method": "mean", "fractions": [0.1, 0.3], "factors": [1.1, 1.3]}
ERRORS = DamageErrors(
    (Judged("pine", 0.8, 0.9), Judged("oak", 0.6, 0.5, seen=True)),
    AreaErrors(0.1, 0.9, 0.001, 40), 1.6, 108.0, ((0.1, 1.1), (0.3, 1.3)),
)  # fmt: skip


def known(
    folder: Path, catalogue: Path | str, segmenter: str, *, restorer: str = "", **inputs: Any
) -> Evaluated:
    """Return what a run file knows of its weights; scenes are not looked at."""
    run = {
        "product": "shelf_damage", "catalogue": str(catalogue), "output": "out",
        "period": ["2000-01-01", "2020-12-31"],
        "inputs": {"scenes": "scenes", "segmenter": segmenter, **inputs}, "shelf_damage": {},
    }  # fmt: skip
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    read = settings.read(path)
    weights = network_inputs.resolve(read.catalogue, (), {"segmenter": segmenter})
    return shelf_damage_evaluated.evaluated(read, weights.weights["segmenter"], restorer=restorer)[
        0
    ]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    networks.add_weights(folder / "catalogue", world.segmenter(), "tiny", folder)
    networks.add_weights(
        folder / "catalogue", world.segmenter(scores=False, seed=4), "mute", folder
    )
    return folder / "catalogue"


def write_evaluation(output: Path, sha256: str, **properties: Any) -> str:
    """Write a finished evaluation of weights as readers of it find it."""

    def template(group: zarr.Group) -> None:
        group.attrs.update({
            "nunatak:product": "evaluation",
            "nunatak:run": yaml.safe_dump({"product": "evaluation", "evaluation": {}}),
            "nunatak:inputs": {
                "segmenter/some": f"1220{sha256}", "tiles/one": "9f",
                "restorer/some": f"1220{RESTORER}",
            },
        })  # fmt: skip

    output.mkdir(parents=True)
    repository = Repository.open(str(output / "product.icechunk"))
    version = repository.begin("drawn")
    version.initialise(template)
    snapshot = repository.read(version.publish()).session.snapshot_id
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": "evaluation", "bbox": [0, -80, 1, -79],
        "geometry": {"type": "Polygon", "coordinates": [
            [[0, -80], [1, -80], [1, -79], [0, -79], [0, -80]]]},
        "properties": {"datetime": "2011-12-05T13:00:00Z", "nunatak:snapshot": snapshot,
                       **{f"nunatak:{name}": held for name, held in properties.items()}},
        "links": [], "assets": {},
    }  # fmt: skip
    (output / "item.json").write_text(json.dumps(item))
    return str(output)


SHA = checkpoints.digest(world.segmenter())
RESTORER = "5e" * 32


def test_an_evaluation_of_these_weights_tells_their_errors(catalogue, tmp_path):
    address = write_evaluation(
        tmp_path / "evaluated", SHA, damage_errors=ERRORS.to_json(), uncertainty_factor=FACTOR
    )
    found = known(tmp_path, catalogue, "nets/tiny", evaluation=address, restorer=RESTORER)

    assert found.errors == ERRORS
    assert found.source == f"the evaluation {address}"
    assert found.errors.factors.low == pytest.approx(0.8 / 0.9)
    assert found.errors.factors.high == pytest.approx(0.6 / 0.5)
    assert "oak 1.200 (learnt from)" in found.describe()


def test_the_factor_of_another_restorer_is_not_taken(catalogue, tmp_path):
    address = write_evaluation(
        tmp_path / "evaluated", SHA, damage_errors=ERRORS.to_json(), uncertainty_factor=FACTOR
    )

    for other in ("", "ab" * 32):
        found = known(tmp_path, catalogue, "nets/tiny", evaluation=address, restorer=other)
        assert found.errors.restoration == ()
        assert found.errors.restored_factor(0.3, assumed=1.2) == 1.2


def test_an_evaluation_of_other_weights_is_refused(catalogue, tmp_path):
    address = write_evaluation(tmp_path / "other", "ab" * 32, damage_errors=ERRORS.to_json())

    with pytest.raises(InputError, match="is of other weights than nets/tiny; evaluate these"):
        known(tmp_path, catalogue, "nets/tiny", evaluation=address)


def test_an_evaluation_that_tells_no_errors_of_areas_is_refused(catalogue, tmp_path):
    address = write_evaluation(tmp_path / "mute", SHA)

    with pytest.raises(InputError, match="does not tell errors of areas, for which it takes 8"):
        known(tmp_path, catalogue, "nets/tiny", evaluation=address)


def test_an_evaluation_that_is_not_there_is_refused(catalogue, tmp_path):
    with pytest.raises(InputError, match="holds no finished product"):
        known(tmp_path, catalogue, "nets/tiny", evaluation=str(tmp_path / "nowhere"))


def test_weights_that_ship_have_their_evaluation_beside_them(catalogue, tmp_path):
    name = "shipped:segmenter-b0"
    found = known(tmp_path, catalogue, name, restorer=shipped.digest("restorer-lossless"))
    table = json.loads((Path(shipped.__file__).parent / "weights/evaluations.json").read_text())
    sha = checkpoints.digest(
        (Path(shipped.__file__).parent / "weights/segmenter-b0.safetensors").read_bytes()
    )

    assert found.errors.to_json() == json.loads(json.dumps(table[sha]))
    assert {each.region for each in found.errors.judged if not each.seen} == {"cedar"}
    assert found.errors.restoration[0] == (
        table["restoration"]["fractions"][0], table["restoration"]["factors"][0],
    )  # fmt: skip
    assert found.source == f"the evaluation that comes with {name}"


def test_of_other_weights_the_card_is_all_there_is(catalogue, tmp_path):
    found = known(tmp_path, catalogue, "nets/tiny").errors

    assert [(each.region, each.precision, each.recall) for each in found.judged] == [
        ("pine", 0.8, 0.9)
    ]
    # Student's t of one degree of freedom is the Cauchy distribution: tan(π / 2 · 68.3 %).
    widened = math.tan(0.5 * math.pi * 0.682689492137)
    assert student(1) == pytest.approx(widened)
    expected = widened * abs(math.log(0.8 / 0.9))
    assert found.areas.sigma(100.0, 7.0, 999.0) == pytest.approx(100.0 * expected)
    assert (found.temperature, found.length_m) == (1.0, 300.0)


def test_weights_whose_card_says_nothing_are_refused(catalogue, tmp_path):
    with pytest.raises(InputError, match="the card of nets/mute has no precision and recall"):
        known(tmp_path, catalogue, "nets/mute")


def test_errors_come_back_from_json():
    plain = json.loads(json.dumps(ERRORS.to_json()))

    assert DamageErrors.from_json(plain, FACTOR) == ERRORS
    assert DamageErrors.from_json(plain).restoration == ()


def test_the_factor_of_filled_pixels_follows_how_much_was_missing():
    assert ERRORS.restored_factor(0.2, assumed=9.0) == pytest.approx(1.2)
    assert ERRORS.restored_factor(0.0, assumed=9.0) == pytest.approx(1.1)
    assert ERRORS.restored_factor(0.9, assumed=9.0) == pytest.approx(1.3)
    unknown = DamageErrors.from_json(ERRORS.to_json())
    assert unknown.restored_factor(0.2, assumed=1.044) == 1.044


@pytest.fixture(scope="module")
def evaluation(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carry out an evaluation of the tiny weights on nine tiles."""
    folder = tmp_path_factory.mktemp("evaluation")
    tiles = [networks.drawn(f"{region}{n}", region, side=64) for region in ("pine", "oak", "elm")
             for n in range(3)]  # fmt: skip
    networks.add_tiles(catalogue, tiles, folder / "tiles", "labels")
    document = networks.document(
        "evaluation", catalogue, inputs={"labels": ["labels"], "segmenter": "nets/tiny"},
        evaluation={"backend": "torch", "resamples": 20},
    )  # fmt: skip
    outcome = networks.executed(networks.plan_of(document, folder))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return folder / "out"


@pytest.mark.slow
def test_a_finished_evaluation_is_read_by_damage_maps(evaluation, catalogue, tmp_path):
    item = json.loads((evaluation / "item.json").read_text())
    held = item["properties"]["nunatak:damage_errors"]
    found = known(tmp_path, catalogue, "nets/tiny", evaluation=str(evaluation)).errors

    assert held["areas"]["tiles"] == 9
    assert found.to_json() == held
    assert {each.region for each in found.judged} <= {"pine", "oak", "elm"}
