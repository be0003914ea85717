"""The record gives the truth back to a plain least-squares fit, if its low degrees are replaced."""

import numpy as np
import pytest

from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.geodesy import geocentric_latitude
from pipelines.kernels.gravity import harmonics, love_numbers
from pipelines.kernels.gravity.sphere import solid_angle
from pipelines.kernels.gravity.stokes import decimal_years
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.earth import kelvin_love_numbers
from pipelines.worlds.gravity_record import Record, measure
from pipelines.worlds.regions import by_region
from pipelines.worlds.signals import resolved_mass_rates

J_MAX = 40


@pytest.fixture(scope="module")
def record(world: Antarctica) -> Record:
    return measure(world, start="2011-02", span=60, j_max=J_MAX)


@pytest.fixture(scope="module")
def kernels(world: Antarctica) -> np.ndarray:
    nodes = world.nodes
    angle = MEAN_RADIUS**2 * solid_angle(nodes.area, nodes.latitude, reading="geocentric")
    psi = geocentric_latitude(nodes.latitude)
    return np.stack([
        harmonics.project_from(angle[r], psi[r], nodes.longitude[r], j_max=J_MAX)
        for r in range(len(angle))
    ])  # fmt: skip


def fitted_rates(fields: np.ndarray, record: Record, kernels: np.ndarray) -> dict[str, float]:
    start, stop = (
        decimal_years(np.array(days, dtype="datetime64[s]"))
        for days in zip(*((w.start, w.stop) for w in record.windows), strict=True)
    )
    t = (start + stop) / 2.0 - record.epoch
    phases = [2.0 * np.pi * (t + record.epoch), 2.0 * np.pi * t * 365.25 / 161.0]
    waves = [wave(phase) for phase in phases for wave in (np.cos, np.sin)]
    design = np.stack([np.ones_like(t), t, t**2, *waves], axis=-1)
    solved = np.linalg.lstsq(design, fields.reshape(len(t), -1), rcond=None)[0]
    rate = solved[1].reshape(fields.shape[1:]) - record.rebound
    k = love_numbers.in_frame(*kelvin_love_numbers(J_MAX), frame="CF")
    mass = rate * love_numbers.surface_mass_factors(k, j_max=J_MAX)[:, None]
    return by_region(np.einsum("rpjm,pjm->r", kernels, mass) / 1e12)


def replaced(record: Record) -> np.ndarray:
    fields = record.fields.copy()
    fields[:, 0, 1, 0], fields[:, 0, 1, 1], fields[:, 1, 1, 1] = record.degree_one.T
    fields[:, 0, 2, 0] = record.low_degrees[:, 0]
    late = np.isfinite(record.low_degrees[:, 1])
    fields[late, 0, 3, 0] = record.low_degrees[late, 1]
    return fields


def test_a_plain_fit_recovers_what_the_degree_resolves(
    world: Antarctica, record: Record, kernels: np.ndarray
) -> None:
    found = fitted_rates(replaced(record), record, kernels)
    resolved = resolved_mass_rates(world, j_max=J_MAX)

    # Three standard errors of the drawn noise over 56 months: 5.5, 4.6, 1.6 and 2.0 Gt/yr.
    for group, tolerance in (("AIS", 17.0), ("EAIS", 14.0), ("WAIS", 5.0), ("AP", 6.0)):
        assert found[group] == pytest.approx(resolved[group], abs=tolerance)


def test_the_fields_own_low_degrees_spoil_the_trend(record: Record, kernels: np.ndarray) -> None:
    good = replaced(record)
    bad = good.copy()
    bad[:, 0, 2:4, 0] = record.fields[:, 0, 2:4, 0]

    difference = (
        fitted_rates(bad, record, kernels)["AIS"] - fitted_rates(good, record, kernels)["AIS"]
    )

    assert abs(difference) > 15.0


def test_the_epoch_is_the_middle_of_the_calendar_period(record: Record) -> None:
    # 2011-02-01 to 2016-02-01: 913 days after the start.
    middle = decimal_years(np.datetime64("2011-02-01", "s") + np.timedelta64(913 * 86_400, "s"))

    assert record.epoch == pytest.approx(float(middle), abs=1e-9)
