"""Run files of altimetry and combination: examples are the defaults, mistakes are told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import settings
from pipelines.settings import SettingsError

Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_example(product: str, *changes: tuple[str, str]) -> Path:
        text = settings.example(product)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return write_example


@pytest.mark.parametrize("product", list(settings.PRODUCTS))
def test_the_example_of_every_product_shows_its_defaults(write: Write, product: str) -> None:
    run = settings.read(write(product))

    assert run.choices == settings.PRODUCTS[product][1]()


@pytest.mark.parametrize("product", list(settings.PRODUCTS))
def test_the_example_of_every_product_is_kept_as_a_run_file(product: str) -> None:
    kept = ROOT / "infra" / "runs" / f"{product}.yaml"

    assert kept.read_text() == settings.example(product)


def test_products_are_named_by_addresses_relative_to_the_run_file(
    write: Write, tmp_path: Path
) -> None:
    run = settings.read(write("combination"))

    assert run.inputs.gravimetry == str(tmp_path / "out" / "gravimetry")


def test_moving_the_products_that_are_combined_does_not_change_the_run(write: Write) -> None:
    here = settings.read(write("combination"))
    there = settings.read(write("combination", ("./out/gravimetry", "s3://bucket/gravimetry")))

    assert settings.run_id(here, {}) == settings.run_id(there, {})


@pytest.mark.parametrize(
    ("product", "change", "said"),
    [
        (
            "altimetry",
            ("j_max: 512", "j_max: 900"),
            r"cells of 0.2 degrees carry degrees up to 899",
        ),
        ("altimetry", ("[ice, mean, fast_or_lowering", "[ice, ice, fast_or_lowering"), "twice"),
        ("altimetry", ("elevation_rate: cryosat2-rates", "elevation_rate: []"), "is empty"),
        ("altimetry", ("gaps: refuse", "gaps: unoin"), "did you mean 'union'"),
        ("combination", ("width: 5", "width: 90"), "expected less than degree 90"),
        ("combination", ("reading: intent", "reading: intended"), "did you mean 'intent'"),
        ("combination", ("lowest_degree: 2 ", "lowest_degree: 61 "), "at most highest_degree 60"),
        (
            "combination",
            ("transects: []", "transects: [{name: A, longitudes: [0], latitudes: [-70, -71]}]"),
            "as many of each",
        ),
        (
            "combination",
            ("gravimetry: ./out/gravimetry", "gravimetry: 's3://me:secret@host/x'"),
            "holds a user name, password or token",
        ),
        (
            "combination",
            ("gravimetry: ./out/gravimetry", "gravimetry: 'https://host/x?sv=2020&sig=secret'"),
            "holds a user name, password or token",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    write: Write, product: str, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        settings.read(write(product, change))

    assert "secret" not in str(refused.value)
