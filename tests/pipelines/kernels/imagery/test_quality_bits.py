"""Quality bits mean what USGS says they mean, on each platform and in each collection."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import quality_bits as q

NAMES = ("fill", "dilated", "cirrus", "cloud", "shadow", "snow", "clear", "water")


def names(word: int) -> set[str]:
    """What a word of Collection 2 says, read by its binary digits from the right."""
    digits = f"{word:016b}"[::-1]
    return {name for name, digit in zip(NAMES, digits, strict=False) if digit == "1"}


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        (30048, {"snow", "clear"}),
        (21824, {"clear"}),
        (21952, {"clear", "water"}),
        (22280, {"cloud"}),
        (23888, {"shadow", "clear"}),
        (55052, {"cloud", "cirrus"}),
        (1, {"fill"}),
    ],
)
def test_known_words_of_landsat_8(word, meaning):
    """Words and their meanings from the product guide's table (LSDS-1619)."""
    found = int(q.flags(np.array([word], np.uint16), collection=2, platform="landsat-8")[0])

    assert names(word) == meaning
    assert found == sum(getattr(q, name.upper()) for name in meaning)


@given(st.integers(0, 65535), st.sampled_from(q.PLATFORMS))
def test_the_low_byte_is_collection_2s_apart_from_cirrus_on_landsat_7(word, platform):
    found = int(q.flags(np.array([word], np.uint16), collection=2, platform=platform)[0])

    said = names(word) - ({"cirrus"} if platform == "landsat-7" else set())
    assert found < 256
    assert names(found) == said


@given(st.integers(0, 65535))
def test_confidences_are_pairs_of_bits(word):
    digits = f"{word:016b}"
    found = {
        what: int(q.confidence(np.array(word), what))
        for what in ("cirrus", "snow", "shadow", "cloud")
    }
    assert list(found.values()) == [int(digits[i : i + 2], 2) for i in (0, 2, 4, 6)]


def bqa(*, fill=0, second=0, saturation=0, cloud=0, cloud_c=0, shadow=0, snow=0, cirrus=0) -> int:
    """A word of Collection 1, written as the handbook's table lists its fields."""
    return int(f"000{cirrus:02b}{snow:02b}{shadow:02b}{cloud_c:02b}{cloud}{saturation:02b}"
               f"{second}{fill}", 2)  # fmt: skip


def test_the_truth_table_of_collection_1():
    levels = range(4)
    for platform in q.PLATFORMS:
        for fill, second, cloud in itertools.product((0, 1), repeat=3):
            for saturation, shadow, snow, cirrus in itertools.product(levels, repeat=4):
                word = bqa(fill=fill, second=second, saturation=saturation, cloud=cloud,
                           cloud_c=1, shadow=shadow, snow=snow, cirrus=cirrus)  # fmt: skip
                lost = bool(fill) or (bool(second) and platform == "landsat-7")
                expected = q.FILL if lost else (
                    (q.CLOUD if cloud else q.CLEAR)
                    | (q.SHADOW if shadow == 3 else 0)
                    | (q.SNOW if snow == 3 else 0)
                    | (q.CIRRUS if cirrus == 3 and platform != "landsat-7" else 0)
                    | (q.SATURATED if saturation else 0)
                    | (q.SATURATED_ALL if saturation == 3 else 0)
                )  # fmt: skip
                found = q.flags(np.array([word], np.uint16), collection=1, platform=platform)
                assert int(found[0]) == expected, (platform, bin(word))


def test_bits_are_those_of_the_contract_and_do_not_overlap():
    assert list(q.FLAG_MASKS) == [2**n for n in range(13)]
    assert len(q.FLAG_MEANINGS.split()) == 13
    assert (q.GAP, q.SATURATED, q.SATURATED_ALL, q.OPINION, q.SEAM) == (256, 512, 1024, 2048, 4096)


def test_the_paper_takes_dilated_cloud_and_cirrus_and_the_careful_do_not():
    mask = np.array([q.CLEAR, q.CLOUD, q.SHADOW, q.DILATED, q.CIRRUS, q.FILL, q.GAP], np.uint16)

    assert q.rejected(mask, q.PAPER).tolist() == [False, True, True, False, False, True, True]
    assert q.rejected(mask, q.CAREFUL).tolist() == [False] + [True] * 6
    assert q.rejected(mask | q.OPINION, q.PAPER | q.OPINION).all()


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.uint16])
def test_any_integers_will_do(kind):
    found = q.flags(np.array([96, 1], kind), collection=2, platform="landsat-9")
    assert found.dtype == np.uint16
    assert found.tolist() == [96, 1]


def test_what_is_not_understood_is_refused():
    word = np.array([1], np.uint16)
    with pytest.raises(q.QualityError, match="collection 3"):
        q.flags(word, collection=3, platform="landsat-8")
    with pytest.raises(q.QualityError, match="landsat-5"):
        q.flags(word, collection=2, platform="landsat-5")
    with pytest.raises(q.QualityError, match="integers"):
        q.flags(np.array([1.0, np.nan]), collection=2, platform="landsat-8")
    with pytest.raises(q.QualityError, match="water"):
        q.confidence(word, "water")  # type: ignore[arg-type]


def read(path: Path) -> np.ndarray:
    import rasterio

    with rasterio.open(path) as band:
        return band.read(1)


@pytest.mark.realdata
def test_the_real_greenland_scene_is_masked_as_its_own_words_say(data_root: Path):
    qa = read(next(data_root.glob("optical/imagery/*greenland*/*QA_PIXEL.TIF")))
    mask = q.flags(qa, collection=2, platform="landsat-8")
    rejected = q.rejected(mask, q.PAPER)

    words, times = np.unique(qa, return_counts=True)
    by_word = {int(word): int(n) for word, n in zip(words, times, strict=True)}
    kept = sum(n for word, n in by_word.items() if not names(word) & {"fill", "cloud", "shadow"})
    assert int((~rejected).sum()) == kept
    assert by_word[30048] == 52484  # clear snow
    assert int(((mask & q.FILL) > 0).sum()) == by_word[1] == 124772
    assert kept / (qa.size - by_word[1]) == pytest.approx(0.4031, abs=0.01)


@pytest.mark.realdata
def test_the_real_antarctic_scene_is_rejected_to_the_last_pixel(data_root: Path):
    qa = read(next(data_root.glob("optical/imagery/*antarctica*/*QA_PIXEL.TIF")))
    mask = q.flags(qa, collection=2, platform="landsat-8")

    assert q.rejected(mask, q.PAPER).all()
    assert set(np.unique(mask)) == {q.FILL, q.CLOUD | q.CIRRUS}
    assert (q.confidence(qa, "cloud")[qa != 1] == 3).all()


@pytest.mark.realdata
@pytest.mark.parametrize(("day", "cloud", "fill"), [("20110809", 14635, 68443),
                                                    ("19990925", 802, 45890)])  # fmt: skip
def test_real_words_of_collection_1_on_landsat_7(data_root: Path, day, cloud, fill):
    """752, 756, 760 and 764 are cloud; 928 and 960 its shadow; 672 and 704 are clear."""
    qa = read(next(data_root.glob(f"optical/slc_off/*{day}/*BQA.TIF")))
    mask = q.flags(qa, collection=1, platform="landsat-7")

    assert int(((mask & q.CLOUD) > 0).sum()) == cloud == np.isin(qa, (752, 756, 760, 764)).sum()
    assert int(((mask & q.FILL) > 0).sum()) == fill
    assert (mask[np.isin(qa, (672, 704))] == q.CLEAR).all()
    assert (mask[np.isin(qa, (928, 960))] == q.CLEAR | q.SHADOW).all()
    assert (mask[np.isin(qa, (756, 760, 764))] & q.SATURATED).all()
