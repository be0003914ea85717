"""Numbers and words of a report: digits, signs, and nothing claimed that errors do not bear out."""

import datetime as dt
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report import methods, rounding
from pipelines.report.methods import Rate
from pipelines.report.sheets import Cited
from pipelines.report.summary import Facts, listed, summary
from pipelines.summary_page import Link
from pipelines.tables import Row

from .report_products import row

NUMBER = re.compile(r"[+−]?[\d,]+(?:\.\d+)?(?:e[+−]\d+)?")
VALUES = st.floats(-1e6, 1e6).filter(lambda v: v == 0.0 or abs(v) > 1e-6)
SIGMAS = st.floats(1e-4, 1e5)


def read(text: str) -> float:
    """Return a printed number."""
    return float(text.replace("−", "-").replace(",", ""))


def parts(text: str) -> tuple[float, float]:
    value, sigma = NUMBER.findall(text)
    return read(value), read(sigma)


def unit_of(text: str) -> float:
    """Return the worth of the last digit of a printed number: 10 for 120 of one or two digits."""
    digits = NUMBER.findall(text)[-1]
    if "." in digits:
        return 10.0 ** -len(digits.partition(".")[2])
    return 10.0 ** (len(digits) - len(digits.rstrip("0")))


@given(VALUES, SIGMAS)
def test_what_is_printed_is_near_what_was_measured(value: float, sigma: float) -> None:
    shown_value, shown_sigma = parts(rounding.pair(value, sigma))

    assert shown_sigma == pytest.approx(sigma, rel=0.15)  # one digit of 3.55 and more
    assert abs(shown_value - value) <= 0.151 * sigma + 1e-9  # half of that digit
    assert shown_value == 0.0 or math.copysign(1.0, shown_value) == math.copysign(1.0, value)


@given(VALUES, SIGMAS)
def test_value_and_sigma_end_at_one_digit_and_sigma_has_two_at_the_most(
    value: float, sigma: float
) -> None:
    for fine in (False, True):
        shown = rounding.pair(value, sigma, fine=fine)
        first, second = NUMBER.findall(shown)
        assert len(first.partition(".")[2]) == len(second.partition(".")[2])
        significant = second.replace(",", "").replace(".", "").lstrip("0").rstrip("0")
        # 0.0100 is 0.010 rounded up: a zero more than the two digits that it began with
        assert 1 <= len(significant) <= 2


@given(VALUES, SIGMAS)
def test_minus_is_a_minus_and_zero_has_no_sign(value: float, sigma: float) -> None:
    shown = rounding.pair(value, sigma, signed=True)

    assert "-" not in shown
    assert not re.match(r"[+−]0(\.0*)?(?!\d|[.,])", shown)


@pytest.mark.parametrize(
    ("value", "sigma", "shown"),
    [
        (-99.31, 4.1, "−99 ± 4"),
        (-118.74, 14.5, "−119 ± 15"),
        (1936.4, 21.3, "1,936 ± 21"),
        (0.0123, 0.0041, "0.012 ± 0.004"),
        (0.0123, 0.0034, "0.0123 ± 0.0034"),
        (12.3, 0.0, "12.3"),
        (-1234.5, math.nan, "−1,230"),
        (math.nan, 3.0, "not known"),
        (0.0, math.nan, "0"),
        (3e250, 1e249, "3e+250 ± 1e+249"),
    ],
)
def test_known_numbers(value: float, sigma: float, shown: str) -> None:
    assert rounding.pair(value, sigma).replace("\N{NO-BREAK SPACE}", " ") == shown


def rate(method: str, region: str, value: float, sigma: float) -> Rate:
    return Rate(
        method, method, Cited(row("x", "mass_rate", region, value, sigma), f"t.html#{method}")
    )


def text_of(facts: Facts) -> str:
    shown = " ".join(each.text for each in summary(facts))
    return shown.replace("\N{NO-BREAK SPACE}", " ")


METHODS = ("gravimetry", "altimetry", "combination", "mass budget")
ANY_RATES = st.lists(
    st.tuples(
        st.sampled_from(METHODS), st.sampled_from(methods.GROUPS),
        st.floats(-500.0, 500.0), st.one_of(st.floats(0.5, 200.0), st.just(math.nan)),
    ),
    min_size=1, max_size=12, unique_by=lambda each: each[:2],
)  # fmt: skip


@given(ANY_RATES)
def test_no_loss_or_gain_within_two_sigma(
    drawn: list[tuple[str, str, float, float]],
) -> None:
    """Each number that stands after "lost" or "gained" is a row beyond two of its sigmas."""
    rows = {
        f"t.html#{n}": Rate(method, method, Cited(row("x", "mass_rate", region, value, sigma),
                                                  f"t.html#{n}"))
        for n, (method, region, value, sigma) in enumerate(drawn)
    }  # fmt: skip
    verb = ""
    for sentence in summary(Facts(rates=list(rows.values()))):
        for part in sentence.parts:
            if isinstance(part, Link):
                found = rows[part.target].row
                if verb == "lost":
                    assert found.value < -2.0 * found.uncertainty
                elif verb == "gained":
                    assert found.value > 2.0 * found.uncertainty
                else:
                    assert not abs(found.value) > 2.0 * found.uncertainty
                shown = part.text.removesuffix("\N{NO-BREAK SPACE}Gt/yr")
                expected = abs(found.value) if verb in {"lost", "gained"} else found.value
                assert read(NUMBER.findall(shown)[0]) == pytest.approx(
                    expected, abs=max(0.151 * found.uncertainty, 0.005 * abs(expected), 5e-3)
                    if found.uncertainty == found.uncertainty else 0.0051 * abs(expected) + 5e-3
                )  # fmt: skip
            for word in re.findall(r"\b(lost|gained|no sure change|uncertainty)\b|([.;])", str(
                part if isinstance(part, str) else "")):  # fmt: skip
                verb = word[0] or ("" if word[1] == "." else verb)


@given(ANY_RATES)
def test_sentences_are_whole(drawn: list[tuple[str, str, float, float]]) -> None:
    facts = Facts(rates=[rate(*each) for each in drawn])
    for sentence in summary(facts):
        text = sentence.text
        assert re.fullmatch(r"[A-Z].*\.", text)
        assert not re.search(r"  | \.| ,|\( | \)|\.\.", text)
        assert text.count("(") == text.count(")")


def difference(z: float, *, region: str = "AIS") -> Cited:
    note = f"first=mass budget;second=gravimetry;z={z:.2f}"
    return Cited(row("report", "difference", region, 10.0 * z, 10.0, note=note), "d.html#row-1")


@given(st.floats(-6.0, 6.0))
def test_methods_disagree_beyond_two_sigma_alone(z: float) -> None:
    z = round(z, 2)
    text = text_of(
        Facts(rates=[rate("gravimetry", "AIS", -99.0, 4.0)], differences=[difference(z)])
    )

    assert ("disagree" in text) == (abs(z) > 2.0)
    assert ("agree within" in text) == (abs(z) <= 2.0)


def shelf(first: float, last: float, sigma: float) -> tuple[Cited, Cited, Cited]:
    def one(value: float, year: int) -> Cited:
        day = dt.date(year + 1, 1, 20)
        return Cited(row("shelf_damage", "damage_fraction", "Alder", value, sigma, unit="1",
                         note=f"summer={year}", period=(day, day)), f"s.html#{year}")  # fmt: skip

    change = row("report", "damage_fraction_change", "Alder", last - first, math.sqrt(2.0) * sigma)
    return one(first, 2005), one(last, 2014), Cited(change, "c.html#row-1")


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.floats(0.001, 0.2))
def test_damage_grows_beyond_two_sigma_alone(first: float, last: float, sigma: float) -> None:
    text = text_of(Facts(shelves=[shelf(first, last, sigma)]))

    beyond = abs(last - first) > 2.0 * math.sqrt(2.0) * sigma
    assert ("grew" in text or "shrank" in text) == beyond
    assert ("within two standard deviations" in text) != beyond
    assert not (beyond and ("grew" in text) != (last > first))
    assert re.search(r"in 2005/06 to .* in 2014/15", text)


def test_the_paragraph_of_known_numbers() -> None:
    rates = [
        rate("gravimetry", "AIS", -99.31, 4.1), rate("mass budget", "AIS", -20.0, 23.0),
        rate("gravimetry", "WAIS", -110.4, 1.34), rate("gravimetry", "EAIS", 11.0, 9.0),
    ]  # fmt: skip
    text = text_of(Facts(rates=rates, differences=[difference(1.4)], synthetic=True))

    assert text.startswith(
        "These are numbers of the demo’s synthetic ice sheet, not of Antarctica."
    )
    assert (
        "From February 2011 to January 2013, the Antarctic ice sheet lost 99 ± 4 Gt/yr by "
        "gravimetry; it shows no sure change by the mass budget (−20 ± 23 Gt/yr)." in text
    )
    assert (
        "For the Antarctic ice sheet the methods agree within their uncertainties; the mass "
        "budget less gravimetry is +14 ± 10 Gt/yr, 1.4 standard deviations." in text
    )
    assert (
        "By gravimetry, West Antarctica lost 110.4 ± 1.3 Gt/yr and East Antarctica shows no sure "
        "change (11 ± 9)." in text
    )


def test_of_nothing_nothing_is_said() -> None:
    assert text_of(Facts()) == "No product here tells a mass balance or damage of ice shelves."


def test_a_chance_above_a_twentieth_is_left_to_chance() -> None:
    def told(p: str) -> str:
        note = f"shelf=Alder;lag=1;p_family={p}"
        found = Cited(
            row("comparison", "lagged_correlation", "Alder", 0.9, math.nan, note=note), "r"
        )
        return text_of(Facts(dynamics=[found]))

    assert "beyond chance (r = 0.90 with discharge 1 year later, p = 0.01" in told("0.01")
    assert told("0.01").startswith("Damage of Alder goes with")
    assert told("0.2").startswith("Of no shelf does damage go with")
    assert told("no number").startswith("No product here")


@given(st.lists(st.text("ab", min_size=1), min_size=1, max_size=5))
def test_lists_read_as_lists(names: list[str]) -> None:
    text = "".join(str(each) for each in listed([[name] for name in names]))

    assert re.split(r", | and ", text) == names


@pytest.mark.parametrize(
    ("note", "pair"),
    [
        ("between=mass_budget-gravimetry", ("mass budget", "gravimetry")),
        ("between=imbie-2021-gravimetry", ("imbie-2021", "gravimetry")),
        ("between=gravimetry-imbie-2021", ("gravimetry", "imbie-2021")),
        ("first=a-b;second=c", ("a-b", "c")),
    ],
)
def test_names_of_methods_may_have_hyphens(note: str, pair: tuple[str, str]) -> None:
    assert methods.between(row("c", "closure", "AIS", 1.0, 1.0, note=note)) == pair


def test_z_that_is_no_number_is_not_known() -> None:
    day = dt.date(2011, 1, 1)
    held = Row("c", "closure", "r", "AIS", day, day, 5.0, 0.0, "Gt yr-1", "z=<script>")
    assert math.isnan(methods.standardised(held))


def test_shelves_beyond_a_few_are_counted() -> None:
    def told(shelves: int, single: int) -> str:
        lone = [shelf(0.1, 0.1, 0.02)[0]] * single
        return text_of(Facts(shelves=[shelf(0.1, 0.11, 0.02)] * shelves, single=lone))

    assert told(4, 0).count("Damage of Alder went") == 4
    assert "in the tables" not in told(4, 0)
    assert "2 more shelves are in the tables" in told(6, 0)
    assert "1 more shelf is in the tables" in told(3, 2)
    assert "Damage of Alder was (10.0 ± 2.0) % of its area in 2005/06." in told(0, 1)
