import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ledger import KeyFailed, Receipt, ReceiptError, add, adds

texts = st.text(max_size=20)


@st.composite
def receipts(draw, key=texts):
    failed = draw(st.booleans())
    return Receipt(
        key=draw(key),
        state="failed" if failed else "done",
        seconds=draw(st.floats(0, 1e6)),
        bytes_read=draw(st.integers(0, 2**60)),
        bytes_written=draw(st.integers(0, 2**60)),
        inputs=tuple(draw(st.lists(texts, max_size=3))),
        reason=draw(st.text(min_size=1)) if failed else "",
        note=draw(texts),
        output_sha256=draw(texts),
        model=draw(texts),
        snapshot=draw(texts),
    )


@given(receipts())
def test_a_receipt_survives_its_line_of_json(receipt):
    line = receipt.to_json()

    assert "\n" not in line
    assert Receipt.from_json(line) == receipt


def test_fields_of_other_versions_may_come_and_lack():
    line = '{"key": "a", "state": "done", "carbon_grams": 3}'

    assert Receipt.from_json(line) == Receipt("a", "done")


@pytest.mark.parametrize("text", ["", "[]", "{", '"key"', '{"state": "done"}', "null"])
def test_what_is_no_receipt_is_refused(text):
    with pytest.raises(ReceiptError, match="not a receipt"):
        Receipt.from_json(text)


@pytest.mark.parametrize(("state", "reason"), [("lost", ""), ("done", "because"), ("failed", "")])
def test_a_receipt_that_contradicts_itself_is_refused(state, reason):
    with pytest.raises(ReceiptError, match="'a'"):
        Receipt("a", state, reason=reason)


@given(st.lists(receipts(key=st.sampled_from("abc")), max_size=12), st.integers(0, 12))
def test_the_first_done_receipt_of_a_key_stands(history, cut):
    ledger: dict[str, Receipt] = {}
    add(history, ledger)

    for key in {receipt.key for receipt in history}:
        own = [receipt for receipt in history if receipt.key == key]
        done = [receipt for receipt in own if receipt.state == "done"]
        if done:
            assert ledger[key] is done[0]
        else:
            assert ledger[key].reason == own[-1].reason
    in_parts: dict[str, Receipt] = {}
    add(history[:cut], in_parts)
    add(history[cut:], in_parts)
    assert in_parts == ledger


def test_failing_again_for_the_same_reason_is_no_news():
    held = Receipt("a", "failed", seconds=1.0, reason="truncated")

    assert not adds(Receipt("a", "failed", seconds=2.0, reason="truncated"), {"a": held})
    assert adds(Receipt("a", "failed", reason="missing"), {"a": held})


def test_a_failure_survives_the_way_back_from_a_worker():
    failure = pickle.loads(pickle.dumps(KeyFailed("truncated", ("item",))))  # noqa: S301

    assert (str(failure), failure.reason, failure.inputs) == ("truncated", "truncated", ("item",))
