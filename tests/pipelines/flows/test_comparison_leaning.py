"""Gravimetry leans on altimetry for what it does not see: when it does, and when it does not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines import settings, stored
from pipelines.flows import comparison, comparison_gravimetry, comparison_inputs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.comparison_leakage import alone, spectral_kernels, telling
from tests.fixtures.comparison import FIRST, LAST, Common, Done, plan_of, worked

from .conftest import RESULT_DEGREE, write_document
from .written_out import close

FLOAT = NDArray[np.float64]
SHORTER = ["2011-02-01", "2012-01-31"]


@pytest.fixture(scope="module")
def plain(common: Common, tmp_path_factory: pytest.TempPathFactory) -> Done:
    return worked(common.document(), tmp_path_factory.mktemp("plain"))


def found_of(document: Any, folder: Path) -> comparison_inputs.ComparisonInputs:
    return comparison_inputs.resolve(
        settings.read(write_document(folder, document, "comparison.yaml"))
    )


def method(found: comparison_inputs.ComparisonInputs, name: str) -> comparison_inputs.Method:
    return next(each for each in found.methods if each.name == name)


def test_an_altimetry_of_another_period_tells_nothing(common: Common, tmp_path: Path) -> None:
    found = found_of(common.document(), tmp_path)
    years_before = dataclasses.replace(
        method(found, "altimetry"), first=dt.date(2003, 1, 1), last=dt.date(2009, 12, 31)
    )
    others = tuple(each for each in found.methods if each.name != "altimetry")
    moved = dataclasses.replace(found, methods=(*others, years_before))

    told = telling(found, 0.75)

    assert told is not None
    assert told.name == "altimetry"
    said = f"what gravimetry does not see is told by altimetry, to its degree {RESULT_DEGREE}"
    assert said in plan_of(common.document(), tmp_path / "plan").notes
    assert telling(moved, 0.75) is None


def test_what_an_own_field_may_have_lost_is_no_matter_of_the_period(
    common: Common, tmp_path: Path
) -> None:
    found = found_of(common.document(), tmp_path)
    gravimetry = method(found, "gravimetry")
    shorter = dataclasses.replace(found.ground, last=dt.date(2012, 1, 31))
    kernels = spectral_kernels(gravimetry, found.ground, len(found.rows))
    done = worked(common.document("gravimetry", period=SHORTER), tmp_path / "shorter")

    own = alone(gravimetry, found.ground, kernels)

    np.testing.assert_array_equal(alone(gravimetry, shorter, kernels), own)
    # The trend of half the months differs from that of all by far more than what is lost, and is
    # no part of the error.
    fitted = done.of("mass_rate", "gravimetry")
    whole = worked(common.document("gravimetry"), tmp_path / "whole").of("mass_rate", "gravimetry")
    assert np.abs(fitted - whole).max() > 20.0 * np.abs(own[0]).max()
    spread = np.diag(done.of("mass_rate_covariance", "gravimetry"))
    assert (np.abs(fitted - whole) > 2.0 * np.sqrt(spread)).any()


def test_a_combined_estimate_without_altimetry_takes_gravimetry_alone(
    common: Common, plain: Done, tmp_path: Path
) -> None:
    chosen = ["gravimetry", "mass_budget"]
    done = worked(common.document(comparison={"combine": chosen}), tmp_path)

    assert np.abs(done.of("mass_rate_lost", "gravimetry")).max() > 0.0
    rates = done.of("mass_rate_alone", "gravimetry"), done.of("mass_rate", "mass_budget")
    sigmas = (
        done.of("mass_rate_alone_sigma", "gravimetry"),
        np.sqrt(np.diag(done.of("mass_rate_covariance", "mass_budget"))),
    )
    weights = [1.0 / sigma**2 for sigma in sigmas]
    expected = sum(w * rate for w, rate in zip(weights, rates, strict=True)) / sum(weights)
    close(done["combined"][0], expected, part=1e-9)
    # What leaves altimetry out of all three is the same.
    estimates = plain.labels("estimate")
    close(plain["combined"][estimates.index("without:altimetry")], expected, part=1e-9)


def test_leaving_out_the_combination_leaves_gravimetry_as_it_is(
    common: Common, plain: Done, tmp_path: Path
) -> None:
    four = ["gravimetry", "altimetry", "combination", "mass_budget"]
    done = worked(common.document(comparison={"combine": four}), tmp_path)

    without = done.labels("estimate").index("without:combination")

    close(done["combined"][without], plain["combined"][0], part=1e-9)
    close(done["combined_sigma"][without], plain["combined_sigma"][0], part=1e-9)


def shared(done: Done, one: str, other: str) -> FLOAT:
    names = done.labels("method")
    return np.asarray(done["mass_rate_shared"][names.index(one), names.index(other)])


def test_two_gravimetries_share_what_altimetry_told_both(common: Common, tmp_path: Path) -> None:
    shutil.copytree(common.address("gravimetry"), tmp_path / "another")
    both = [common.address("gravimetry"), str(tmp_path / "another")]
    document = common.document("gravimetry", "altimetry", inputs={"gravimetry": both})

    done = worked(document, tmp_path)
    one, other = (Path(each).name for each in both)

    # One product twice: what they share is all that altimetry adds to the error of either.
    alone = worked(common.document("gravimetry", "altimetry"), tmp_path / "one")
    own = alone.of("mass_rate_covariance", "gravimetry")
    without = alone.of("mass_rate_alone_sigma", "gravimetry")
    close(done.of("mass_rate_covariance", one), own, part=1e-12)
    assert (shared(done, other, one) == 0.0).all()
    close(np.diag(shared(done, one, other)), np.diag(told_spread(alone)), part=1e-9)
    assert (np.diag(shared(done, one, other)) < np.diag(own)).all()
    assert (without > 0.0).all()
    assert "count as independent but for what they do not see" in " ".join(done.plan.notes)


def told_spread(done: Done) -> FLOAT:
    """Return what altimetry adds to the covariance of gravimetry, by its causes and shares."""
    job = done.plan.stages[-2].job.jobs["sum/gravimetry"]  # type: ignore[attr-defined]
    kernels = spectral_kernels(job.method, job.ground, len(done.labels("row")))
    return np.asarray(job.leakage(job.method, kernels, done.group).spread)


def test_without_altimetry_two_gravimetries_share_what_both_may_have_lost(
    common: Common, tmp_path: Path
) -> None:
    shutil.copytree(common.address("gravimetry"), tmp_path / "another")
    both = [common.address("gravimetry"), str(tmp_path / "another")]
    document = common.document("gravimetry", inputs={"gravimetry": both})

    done = worked(document, tmp_path)

    found = found_of(document, tmp_path)
    first = found.methods[0]
    own = alone(first, found.ground, spectral_kernels(first, found.ground, len(found.rows)))
    close(shared(done, first.name, found.methods[1].name), own.T @ own, part=1e-12)


def test_gravimetry_covers_the_days_from_its_first_month_to_its_last(
    common: Common, tmp_path: Path
) -> None:
    longer = [FIRST, "2014-01-31"]
    document = common.document("gravimetry", period=longer, comparison={"least_covered": 0.3})

    done = worked(document, tmp_path)

    # Masses on both sides of a gap tell what it brought; nothing is told of what follows the last.
    days = (np.datetime64("2014-02-01") - np.datetime64(FIRST)).astype(int)
    product = found_of(document, tmp_path).methods[0].product.open()
    there = np.isfinite(stored.read(product, "stokes")[:, 0, 2, 0])
    assert there.sum() == 21
    covered = (np.datetime64("2013-01-01") - np.datetime64(FIRST)).astype(int) / days
    assert done.at("covered", "gravimetry", "AIS") == pytest.approx(covered)
    assert done.notes["sum/gravimetry"].startswith("21 months")


def test_a_run_asked_for_more_years_than_there_are_months_covers_these() -> None:
    """A run to the end of 2023 over months to 2016 is no gravimetry of 2011 to 2023."""
    group = zarr.open_group(MemoryStore(), mode="w")
    epochs = 2011.0 + (np.arange(60) + 1.5) / 12.0
    group.create_array("epoch", shape=epochs.shape, dtype="f8")[...] = epochs
    found = SimpleNamespace(
        role="gravimetry",
        attributes={"nunatak:period": ["2011-02-01", "2023-12-31"]},
        source=SimpleNamespace(open=lambda: group),
    )

    days = comparison_inputs._days_of(found)  # type: ignore[arg-type]

    assert days == (dt.date(2011, 2, 1), dt.date(2016, 1, 31))


@pytest.mark.parametrize(
    ("last", "step"), [(2020.0, 2018.5), (2018.0, None)], ids=["both missions", "one mission"]
)
def test_a_step_between_missions_is_fitted_where_there_are_both(
    last: float, step: float | None
) -> None:
    epoch = np.arange(2015.0, last, 1.0 / 12.0)
    choices = {"terms": ["bias", "trend", "mission_bias"], "mission_change": 2018.5}

    model = comparison_gravimetry._time_model(choices, epoch, 2017.25)

    assert model.mission_change == step
    assert ("mission_bias" in model.terms) == (step is not None)
    assert model.reference_epoch == 2017.25


def test_a_trend_of_another_epoch_is_fitted_again(common: Common, tmp_path: Path) -> None:
    """With an acceleration, the product's own rate is that of the epoch that its run named."""
    found = found_of(common.document("gravimetry"), tmp_path)
    run = comparison.stages_of(
        settings.read(write_document(tmp_path, common.document("gravimetry"), "c.yaml")),
        found,
        comparison.layout_of(
            settings.read(write_document(tmp_path, common.document("gravimetry"), "c.yaml")), found
        ),
    )[0]
    job = run.job.jobs["sum/gravimetry"]  # type: ignore[attr-defined]
    choices = job.method.run["gravimetry"]
    assert "acceleration" in choices["terms"]

    def alike(**changes: Any) -> bool:
        held = {**job.method.run, "gravimetry": {**choices, **changes}}
        moved = dataclasses.replace(job.method, run=held)
        return bool(dataclasses.replace(job, method=moved)._is_fitted_alike())

    assert alike(reference_epoch=None)
    assert not alike(reference_epoch=2005.0)
    assert alike(reference_epoch=2005.0, terms=["bias", "trend"])


def test_a_mask_that_leaves_nothing_is_refused(
    common: Common, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files of other continents: the mask is real, its polygons are put far from the ice."""
    from pipelines.flows.comparison_inputs import Ground

    polygons = Ground.polygons
    monkeypatch.setattr(Ground, "polygons", lambda self: polygons(self).iloc[:0])
    document = common.document("altimetry", inputs={"grounded_ice": "east"})

    with pytest.raises(InputError, match=r"inputs\.grounded_ice: east leaves nothing of the"):
        plan_of(document, tmp_path)


def test_regions_that_a_mask_takes_are_named(common: Common, tmp_path: Path) -> None:
    document = common.document("altimetry", regions="few", inputs={"grounded_ice": "east"})

    notes = plan_of(document, tmp_path).notes

    (gone,) = (note for note in notes if "leaves nothing" in note)
    kept = found_of(document, tmp_path).rows
    names = gone.rpartition(" of ")[2].split(", ")
    assert names
    assert not set(names) & set(kept)


def test_a_method_that_tells_groups_only_leaves_causes_of_regions_to_the_others(
    common: Common, tmp_path: Path
) -> None:
    (tmp_path / "groups.csv").write_text("basin,MB_2011-2012,MB_2011-2012_sigma\nAIS,-90,20\n")
    chosen = ["altimetry", "mass_budget", "groups"]
    document = common.document(
        "altimetry", "mass_budget", inputs={"published": ["groups.csv"]},
        comparison={"combine": chosen, "least_covered": 0.4},
    )  # fmt: skip

    done = worked(document, tmp_path)

    assert np.isfinite(done.at("mass_rate", "groups", "AIS"))
    assert done.notes["together"].startswith("likeliest cause")
    fewer = common.document(
        "altimetry", "mass_budget", comparison={"combine": chosen[:2], "least_covered": 0.4}
    )
    np.testing.assert_array_equal(
        worked(fewer, tmp_path / "fewer")["cause_evidence"], done["cause_evidence"]
    )


def test_rates_say_what_they_weigh(common: Common, tmp_path: Path) -> None:
    from pipelines.flows import comparison_tables

    done = worked(common.document(comparison={"rate": "mean"}), tmp_path)
    held = done.plan.tell.keywords  # type: ignore[attr-defined]

    told = {
        (row.told["method"], row.told["rate"])
        for row in comparison_tables.comparison_rows(done.group, held["run"], held["found"])
        if row.quantity == "mass_balance"
    }

    assert told == {("gravimetry", "trend"), ("altimetry", "steady"), ("combination", "steady"),
                    ("mass_budget", "mean")}  # fmt: skip


def test_causes_that_make_more_than_all_of_a_variance_are_refused(tmp_path: Path) -> None:
    shares = [{"name": name, "methods": ["gravimetry", "altimetry"], "shares": [0.9, 0.1]}
              for name in ("gia", "snow")]  # fmt: skip
    document = {
        "product": "comparison", "catalogue": "c", "output": "o", "period": [FIRST, LAST],
        "regions": "basins", "inputs": {"gravimetry": ["g"]}, "comparison": {"shared": shares},
    }  # fmt: skip

    with pytest.raises(settings.SettingsError, match=r"1\.62 of the variance of gravimetry"):
        settings.read(write_document(tmp_path, document, "comparison.yaml"))
