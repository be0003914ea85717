"""Run files of networks: every kept one is read, every key is shown, mistakes are told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import settings
from pipelines.settings import SettingsError

RUNS = Path(__file__).parents[2] / "infra" / "runs"
KEPT = sorted(RUNS.rglob("*.yaml"))
NETWORKS = ("training", "evaluation")

Read = Callable[..., settings.Run]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def changed(product: str, **choices: Any) -> settings.Run:
        document = yaml.safe_load(settings.example(product))
        document[product] = choices
        path = tmp_path / "run.yaml"
        path.write_text(yaml.safe_dump(document))
        return settings.read(path)

    return changed


@pytest.mark.parametrize("path", KEPT, ids=lambda path: str(path.relative_to(RUNS)))
def test_every_kept_run_file_is_read_and_so_is_what_is_published_of_it(
    path: Path, tmp_path: Path
) -> None:
    run = settings.read(path)
    again = tmp_path / "run.yaml"
    again.write_text(settings.resolved(run))

    assert settings.read(again).choices == run.choices


def test_recipes_of_weights_are_among_the_kept_run_files() -> None:
    assert {path.name for path in KEPT if path.parent.name == "weights"} >= {"segmenter-b0.yaml"}


@pytest.mark.parametrize("product", NETWORKS)
def test_the_example_shows_every_key(read: Read, product: str) -> None:
    written = yaml.safe_load(settings.example(product))
    resolved = yaml.safe_load(settings.resolved(read(product)))

    assert set(written[product]) == set(resolved[product])
    assert set(written["inputs"]) == set(resolved["inputs"])


@pytest.mark.parametrize(
    ("product", "choices", "said"),
    [
        ("training", {"steps": 0}, r"training\.steps: found 0"),
        ("training", {"average": 1.0}, r"training\.average: found 1, which forgets nothing"),
        ("training", {"mean": [0.5]}, r"training\.mean: found 1 numbers for 3 channels"),
        ("training", {"std": [0.0, 1.0, 1.0]}, r"training\.std\[0\]: found 0"),
        ("training", {"name": "../../x"}, r"training\.name: found '../../x', expected letters"),
        ("training", {"channels": ["red", "red"]}, r"training\.channels: names a band twice"),
        ("training", {"size": "large"}, r"training\.size: is of the network kl, found b0"),
        ("training", {"device": "cuda", "actors": {"gpus": 0}}, r"actors\.gpus: found 0 where"),
        ("evaluation", {"device": "cuda", "actors": {"gpus": 0}}, r"actors\.gpus: found 0 where"),
        ("evaluation", {"patch": 100}, r"evaluation\.patch: found 100"),
    ],
)
def test_what_does_not_fit_is_refused(
    read: Read, product: str, choices: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        read(product, **choices)


def test_the_file_of_a_backbone_is_beside_the_run_file(read: Read, tmp_path: Path) -> None:
    found = read("evaluation", lpips="alex.safetensors").choices.lpips
    assert found == str((tmp_path / "alex.safetensors").resolve())
    url = "s3://nets/alex.safetensors"
    assert read("evaluation", lpips=url).choices.lpips == url


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"extras": ["nerd"]}, r"training\.extras: is of segmenters"),
        ({"detail": 4}, r"training\.detail: is of segmenters"),
        ({"magnify": 2}, r"training\.magnify: is of segmenters"),
        (
            {"restorer_steps": {"mean": 0, "texture": 0, "diffusion": 0, "harmoniser": 0}},
            "found 0 for each of mean, texture, diffusion, harmoniser",
        ),
    ],
)
def test_what_a_restorer_does_not_heed_is_refused(
    read: Read, choices: dict[str, Any], said: str
) -> None:
    assert read("training", task="restoration", network="lossless").choices.detail == 16
    with pytest.raises(SettingsError, match=said):
        read("training", task="restoration", network="lossless", **choices)


def test_threads_that_draw_ahead_do_not_make_another_run(read: Read) -> None:
    one, other, third = (
        settings.run_id(read("training", **choices), {})
        for choices in ({}, {"drawers": 4}, {"clip": 0.5})
    )

    assert one == other != third
