"""Velocities put together from products, against loops over nodes and pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.kernels import geodesy
from pipelines.kernels.budget import velocity
from pipelines.kernels.budget.velocity import VelocityError

NAN = np.nan


def gappy(rng, *shape):
    values = rng.normal(0.0, 300.0, shape)
    values[rng.random(shape) < 0.4] = NAN
    return values


def filled_by_hand(candidates):
    """One node after the other, as a person would."""
    n = len(candidates[0][0])
    rows = []
    for i in range(n):
        for number, (v_x, v_y) in enumerate(candidates):
            if v_x[i] == v_x[i] and v_y[i] == v_y[i]:  # NaN differs from itself
                rows.append((v_x[i], v_y[i], number))
                break
        else:
            rows.append((NAN, NAN, -1))
    return [np.array(column) for column in zip(*rows, strict=True)]


def test_each_node_takes_both_components_of_the_first_product_that_has_both():
    rng = np.random.default_rng(1)
    candidates = [(gappy(rng, 500), gappy(rng, 500)) for _ in range(4)]

    found = velocity.fill(candidates)

    for ours, expected in zip(found, filled_by_hand(candidates), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert found.source.dtype == np.int8
    assert set(found.source) == {-1, 0, 1, 2, 3}


def test_a_velocity_of_zero_is_measured_and_half_a_velocity_is_not():
    annual = (np.array([0.0, 7.0]), np.array([0.0, NAN]))
    phase = (np.array([9.0, 1.0]), np.array([9.0, 2.0]))

    v_x, v_y, source = velocity.fill([annual, phase])

    assert v_x.tolist() == [0.0, 1.0]
    assert v_y.tolist() == [0.0, 2.0]
    assert source.tolist() == [0, 1]


def test_a_year_that_no_product_has_is_nan_with_no_source():
    empty = (np.full((2, 5), NAN), np.full((2, 5), NAN))

    v_x, v_y, source = velocity.fill([empty, empty])

    assert np.isnan(v_x).all()
    assert np.isnan(v_y).all()
    assert (source == velocity.NO_SOURCE).all()


def test_filling_leaves_its_inputs_alone():
    first, second = np.array([NAN, 1.0]), np.array([2.0, 2.0])
    velocity.fill([(first, first), (second, second)])
    np.testing.assert_array_equal(first, [NAN, 1.0])


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float64, (3, 2, 6), elements=st.sampled_from([NAN, 0.0, -4.0, 250.0])),
    st.permutations(range(3)),
)
def test_order_changes_who_fills_but_never_what_is_filled(values, order):
    candidates = [(v_x, v_y) for v_x, v_y in values]

    one = velocity.fill(candidates)
    other = velocity.fill([candidates[i] for i in order])

    np.testing.assert_array_equal(one.source >= 0, other.source >= 0)
    np.testing.assert_array_equal(np.isnan(one.v_x), one.source < 0)
    again = velocity.fill([(one.v_x, one.v_y), *candidates])
    np.testing.assert_array_equal(again.v_x, one.v_x)


def test_fill_refuses_no_products_and_products_at_different_nodes():
    with pytest.raises(VelocityError, match="found 0 products"):
        velocity.fill([])
    with pytest.raises(VelocityError, match=r"shapes \(2,\), \(3,\); sample all of them"):
        velocity.fill([(np.zeros(2), np.zeros(2)), (np.zeros(3), np.zeros(3))])


def test_central_antarctica_follows_the_line_through_1997_and_2009():
    v_1997, v_2009 = np.array([10.0, -6.0, NAN]), np.array([13.0, -6.0, 1.0])

    for year in (1997.0, 2000.9, 2009.0, 2019.5):
        found = velocity.trend(v_1997, v_2009, year_a=1997.0, year_b=2009.0, year=year)
        paper = v_2009 + (v_2009 - v_1997) / 12.0 * (year - 2009.0)
        np.testing.assert_allclose(found, paper, rtol=1e-14)
    np.testing.assert_array_equal(
        velocity.trend(v_1997, v_2009, year_a=1997.0, year_b=2009.0, year=1997.0),
        v_1997 + 0 * paper,
    )


def test_a_trend_needs_two_times():
    with pytest.raises(VelocityError, match="both maps are of 2009"):
        velocity.trend(np.ones(1), np.ones(1), year_a=2009.0, year_b=2009.0, year=2010.0)


def test_map_metres_at_65_degrees_south_are_two_percent_too_many():
    k = geodesy.map_scale(np.array([-65.0, -71.0, -90.0]))
    np.testing.assert_allclose(
        velocity.to_ground(np.full(3, 1000.0), k), [979.9, 1000.0, 1028.0], atol=0.06
    )
    with pytest.raises(VelocityError, match="scale factor of 0"):
        velocity.to_ground(np.ones(2), np.array([1.0, 0.0]))


def test_nearest_in_time_is_what_a_search_over_years_finds():
    rng = np.random.default_rng(2)
    times = np.array([2000.9, 2008.0, 2009.0, 2011.0, 2018.0])
    v_x, v_y = gappy(rng, 5, 200), gappy(rng, 5, 200)

    found = velocity.nearest_in_time(v_x, v_y, times, longest=9.5)

    for t in range(5):
        for i in range(200):
            have = [
                (abs(times[s] - times[t]), times[s], s)
                for s in range(5)
                if not np.isnan(v_x[s, i] + v_y[s, i]) and abs(times[s] - times[t]) <= 9.5
            ]
            year = min(have)[2] if have else -1
            assert found.source[t, i] == year
            np.testing.assert_equal(found.v_x[t, i], v_x[year, i] if have else NAN)
            np.testing.assert_equal(found.v_y[t, i], v_y[year, i] if have else NAN)


def test_nearest_in_time_refuses_years_without_times():
    with pytest.raises(VelocityError, match="expected \\(2,\\) different ones"):
        velocity.nearest_in_time(np.zeros((2, 1)), np.zeros((2, 1)), np.array([2000.0, 2000.0]))


def test_coverage_is_what_pandas_groups():
    rng = np.random.default_rng(3)
    source = rng.integers(-1, 3, (4, 1000)).astype(np.int8)
    region = rng.integers(-1, 5, 1000)
    weight = rng.random(1000)

    found = velocity.coverage(source, weight, region, n_regions=6, n_sources=3)

    for year in range(4):
        table = pd.DataFrame({"source": source[year], "region": region, "weight": weight})
        sums = table.groupby(["region", "source"])["weight"].sum().unstack(fill_value=0.0)
        sums = sums.drop(index=-1)[[0, 1, 2, -1]]
        expected = sums.div(sums.sum(axis=1), axis=0).to_numpy()
        np.testing.assert_allclose(found[year, :5], expected, rtol=1e-12)
    assert np.isnan(found[:, 5]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_parts_of_a_region_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    source, region = rng.integers(-1, 2, 30), rng.integers(0, 3, 30)
    found = velocity.coverage(source, rng.random(30), region, n_regions=3, n_sources=2)
    total = found.sum(axis=-1)
    np.testing.assert_allclose(total[~np.isnan(total)], 1.0, rtol=1e-12)


def test_coverage_by_flux_counts_the_trunk_and_by_length_the_banks():
    source = np.array([0, -1, -1])
    region = np.zeros(3, np.int64)
    length, flux = np.ones(3), np.array([8.0, 1.0, 1.0])
    by_length = velocity.coverage(source, length, region, n_regions=1, n_sources=1)
    by_flux = velocity.coverage(source, flux, region, n_regions=1, n_sources=1)
    np.testing.assert_allclose(by_length, [[1 / 3, 2 / 3]])
    np.testing.assert_allclose(by_flux, [[0.8, 0.2]])


def test_coverage_with_an_unknown_weight_is_unknown_in_that_region_alone():
    found = velocity.coverage(
        np.array([0, 0]), np.array([NAN, 1.0]), np.array([0, 1]), n_regions=2, n_sources=1
    )
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("source", "weight", "region", "message"),
    [
        ([0, 0], [1.0], [0, 0], "found weights"),
        ([0, 0], [1.0, -2.0], [0, 0], "weight of -2"),
        ([0, 3], [1.0, 1.0], [0, 0], "source index"),
        ([0, 0], [1.0, 1.0], [0, 9], "region index"),
    ],
)
def test_coverage_refuses(source, weight, region, message):
    arrays = (np.array(source), np.array(weight), np.array(region))
    with pytest.raises(VelocityError, match=message):
        velocity.coverage(*arrays, n_regions=1, n_sources=1)


def test_usual_flux_is_known_wherever_any_year_is_and_estimated_elsewhere():
    flux = np.array([[10.0, -4.0, NAN], [20.0, NAN, NAN]])
    length = np.array([1.0, 1.0, 2.0])
    np.testing.assert_allclose(velocity.usual_flux(flux, length), [15.0, 4.0, 19.0])
    assert np.isnan(velocity.usual_flux(np.full((2, 3), NAN), length)).all()


def test_one_bad_map_is_flagged_at_every_node_and_no_other_year_is():
    rng = np.random.default_rng(4)
    true = rng.uniform(200.0, 3000.0, 400)
    v_x = true + rng.normal(0.0, 5.0, (11, 400))
    v_y = 0.3 * true + rng.normal(0.0, 5.0, (11, 400))
    v_x[6] *= 0.9
    v_y[6] *= 0.9
    v_x[2, :50] = NAN

    found = velocity.screen(v_x, v_y, n_sigmas=6.0, floor=15.0)

    # A tenth of 200 m/yr is 21 m/yr, four times the noise: the slowest nodes stay below 6 σ.
    assert found.flagged[6] > 350
    assert np.delete(found.flagged, 6).max() <= 2
    assert found.measured[2] == 350
    assert not found.outlier[2, :50].any()
    assert np.isnan(found.departure[2, :50]).all()


def test_departures_are_those_of_pandas_medians():
    rng = np.random.default_rng(5)
    v_x, v_y = gappy(rng, 9, 60), gappy(rng, 9, 60)
    found = velocity.screen(v_x, v_y, n_sigmas=3.0, floor=1.0)
    both = np.isnan(v_x) | np.isnan(v_y)
    x, y = (pd.DataFrame(np.where(both, NAN, v)) for v in (v_x, v_y))
    departure = np.hypot(x - x.median(), y - y.median())
    sigma = departure.median() / np.sqrt(2.0 * np.log(2.0))
    judged = x.notna().sum() >= 4
    expected = (departure > np.maximum(3.0 * sigma, 1.0)) & judged
    np.testing.assert_array_equal(found.outlier, expected.to_numpy())


def test_the_robust_sigma_is_the_spread_of_each_component():
    rng = np.random.default_rng(6)
    v_x, v_y = rng.normal(0.0, 7.0, (2, 4001, 20))
    found = velocity.screen(v_x, v_y, n_sigmas=2.0, floor=1e-9)
    # P(|v| > 2 σ) of two normal components is exp(−2); 80 000 draws know it to 0.001.
    assert found.outlier.mean() == pytest.approx(np.exp(-2.0), abs=0.004)


def test_nothing_below_the_floor_is_flagged_and_few_years_are_not_judged():
    v = np.zeros((5, 1))
    v[3] = 10.0
    assert velocity.screen(v, v, n_sigmas=3.0, floor=20.0).flagged.sum() == 0
    assert velocity.screen(v, v, n_sigmas=3.0, floor=5.0).flagged.tolist() == [0, 0, 0, 1, 0]
    assert velocity.screen(v, v, n_sigmas=3.0, floor=5.0, least_years=6).flagged.sum() == 0


def test_screening_refuses_one_year_alone_and_no_floor():
    with pytest.raises(VelocityError, match=r"expected \(year, node\)"):
        velocity.screen(np.zeros(3), np.zeros(3), n_sigmas=3.0, floor=1.0)
    with pytest.raises(VelocityError, match="a floor of 0 m/yr"):
        velocity.screen(np.zeros((3, 1)), np.zeros((3, 1)), n_sigmas=3.0, floor=0.0)
