"""Keys dated by scope: what is done late changes the dates of what was made without it, only."""

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ledger import Receipt
from pipelines.lifecycle import Stage, dated_keys

SHELVES = ("amery", "brunt")


def scope(key: str) -> str:
    parts = key.split("/")
    return parts[1] if len(parts) > 2 else ""


def stage(name: str, *keys: str, scoped: bool = True) -> Stage:
    made = Stage(name, keys, lambda key, _: Receipt(key, "done"), 0, 0.0, "")
    return dataclasses.replace(made, scope=scope) if scoped else made


def stages(*, scoped: bool = True) -> tuple[Stage, ...]:
    """Return a whole-product key first, two scopes of two keys, a join of all last."""
    return (
        stage("ground", "ground", scoped=scoped),
        stage("screen", *(f"screen/{s}/{n}" for s in SHELVES for n in (0, 1)), scoped=scoped),
        stage("store", *(f"store/{s}/0" for s in SHELVES), scoped=scoped),
        stage("table", "table", scoped=scoped),
    )


def carried_out(
    plan: tuple[Stage, ...], receipts: dict[str, Receipt], *, failing: frozenset[str] = frozenset()
) -> dict[str, Receipt]:
    """Do stage after stage what is left, as a run does; return all receipts."""
    known = dict(receipts)
    for n in range(len(plan)):
        for key in dated_keys(plan, known)[n]:
            if key not in known or known[key].state == "failed":
                bad = key.partition("@")[0] in failing
                known[key] = (
                    Receipt(key, "failed", reason="broken") if bad else Receipt(key, "done")
                )
    return known


def done_again(before: dict[str, Receipt], after: dict[str, Receipt]) -> set[str]:
    """Return the bare keys that the second run did."""
    new = {k for k in after if after[k].state == "done" and before.get(k) != after[k]}
    return {key.partition("@")[0] for key in new}


def test_a_key_done_late_dates_its_own_scope_and_the_whole_product_again() -> None:
    plan = stages()
    before = carried_out(plan, {}, failing=frozenset({"screen/amery/1"}))

    after = carried_out(plan, before)

    assert done_again(before, after) == {"screen/amery/1", "store/amery/0", "table"}


def test_without_scopes_it_dates_everything_after_it_again() -> None:
    plan = stages(scoped=False)
    before = carried_out(plan, {}, failing=frozenset({"screen/amery/1"}))

    after = carried_out(plan, before)

    assert done_again(before, after) == {
        "screen/amery/1", "store/amery/0", "store/brunt/0", "table",
    }  # fmt: skip


def test_a_key_of_the_whole_product_dates_every_scope_again() -> None:
    plan = stages()
    before = carried_out(plan, {}, failing=frozenset({"ground"}))

    after = carried_out(plan, before)

    everything = {key for stage in plan for key in stage.keys}
    assert done_again(before, after) == everything


def test_keys_of_the_first_stage_bear_no_date() -> None:
    for scoped in (True, False):
        assert dated_keys(stages(scoped=scoped), {})[0] == ("ground",)


def test_dates_without_scopes_are_digests_of_the_keys_done_before_in_order() -> None:
    # So were they before there were scopes; versions begun then go on.
    plan = stages(scoped=False)
    receipts = carried_out(plan, {}, failing=frozenset({"screen/brunt/0"}))

    def digest(keys: list[str]) -> str:
        return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:8]

    first = digest(["ground"])
    screened = [f"{key}@{first}" for key in plan[1].keys]
    done = [key for key in screened if not key.startswith("screen/brunt/0")]
    assert dated_keys(plan, receipts)[1] == tuple(screened)
    assert dated_keys(plan, receipts)[2] == tuple(
        f"{key}@{digest(['ground', *done])}" for key in plan[2].keys
    )


@pytest.mark.parametrize("scoped", [True, False])
def test_a_run_that_is_done_has_nothing_left(scoped: bool) -> None:
    receipts = carried_out(stages(scoped=scoped), {})

    assert carried_out(stages(scoped=scoped), receipts) == receipts


KEYS = sorted({key for stage in stages() for key in stage.keys} - {"table"})


@given(st.lists(st.sets(st.sampled_from(KEYS)), max_size=4))
def test_whatever_failed_before_what_is_current_was_made_of_all_that_is_done(
    failures: list[set[str]],
) -> None:
    """After any failures, the dates of the last run are those of a run that never failed."""
    plan = stages()
    receipts: dict[str, Receipt] = {}
    for failing in failures:
        receipts = carried_out(plan, receipts, failing=frozenset(failing))
    receipts = carried_out(plan, receipts)

    quiet = carried_out(plan, {})
    assert dated_keys(plan, receipts) == dated_keys(plan, quiet)
    assert all(receipts[key].state == "done" for keys in dated_keys(plan, receipts) for key in keys)


@given(st.sets(st.sampled_from([key for key in KEYS if "amery" in key])))
def test_what_fails_in_one_scope_never_shows_in_the_keys_of_another(failing: set[str]) -> None:
    plan = stages()
    receipts = carried_out(plan, {}, failing=frozenset(failing))

    def of_brunt(found: tuple[tuple[str, ...], ...]) -> list[str]:
        return [key for keys in found for key in keys if scope(key.partition("@")[0]) == "brunt"]

    quiet = carried_out(plan, {})
    assert of_brunt(dated_keys(plan, receipts)) == of_brunt(dated_keys(plan, quiet))
