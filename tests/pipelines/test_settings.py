"""Run files: what is read, what is refused, and in which words."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import settings as run_files
from pipelines.settings import SettingsError, read
from pipelines.settings_gravimetry import GravimetryChoices, GravimetryInputs, LowDegreePolicy
from pipelines.settings_reading import field_key

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = run_files.example("gravimetry")
C20 = "coefficients: [C20], source: low_degrees"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(path, overrides)
    return str(refused.value)


def test_the_example_reads_and_holds_the_defaults(write: Write) -> None:
    run = read(write(EXAMPLE))

    assert run.choices == GravimetryChoices()
    assert run.inputs.gia == ("ice6g-c", "ice6g-d")
    assert run.period == (dt.date(2011, 2, 1), dt.date(2017, 6, 30))


def test_the_example_names_every_key(write: Write) -> None:
    import yaml

    written, resolved = (
        yaml.safe_load(EXAMPLE),
        yaml.safe_load(run_files.resolved(read(write(EXAMPLE)))),
    )

    assert set(written["gravimetry"]) == set(resolved["gravimetry"])
    assert set(written["inputs"]) == set(resolved["inputs"])


def test_the_run_file_of_the_repository_is_the_example() -> None:
    assert (REPOSITORY / "infra/runs/gravimetry.yaml").read_text(encoding="utf-8") == EXAMPLE


def test_relative_addresses_belong_to_the_folder_of_the_run_file(write: Write) -> None:
    path = write(EXAMPLE)

    run = read(path, ["output=s3://bucket/out"])

    assert run.catalogue == str(path.parent / "catalogue" / "catalog.json")
    assert run.output == "s3://bucket/out"


def test_a_resolved_run_file_reads_as_the_same_run(write: Write) -> None:
    run = read(write(EXAMPLE), ["gravimetry.members=7", "gravimetry.terms=[bias, trend, s2]"])

    assert read(write(run_files.resolved(run))) == run


def test_overrides_are_yaml_with_dotted_keys(write: Write) -> None:
    run = read(
        write(EXAMPLE), ["inputs.gia=[]", "gravimetry.mask.inner_km=150", "inputs.gravity=a"]
    )

    assert (run.inputs.gia, run.choices.mask.inner_km, run.inputs.gravity) == ((), 150.0, ("a",))


def test_an_override_fills_a_section_that_is_empty(write: Write) -> None:
    text = EXAMPLE.partition("\ngravimetry:")[0] + "\ngravimetry:\n"

    assert read(write(text), ["gravimetry.members=5"]).choices.members == 5


def test_variables_of_the_environment_are_filled_in(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET", "ice")

    assert read(write(EXAMPLE), ["output=s3://${BUCKET}/out"]).output == "s3://ice/out"


def test_numbers_and_choices_may_come_from_the_environment(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"N": "7", "K": "null", "T": "true", "F": "CM", "DAY": "2011-03-01"}.items():
        monkeypatch.setenv(name, value)

    run = read(
        write(EXAMPLE),
        [
            "gravimetry.members=${N}",
            "gravimetry.k1=${K}",
            "gravimetry.destripe=${T}",
            "gravimetry.frame=${F}",
            "period=['${DAY}', 2017-06-30]",
        ],
    )

    assert (run.choices.members, run.choices.k1, run.choices.destripe) == (7, None, True)
    assert (run.choices.frame, run.period[0]) == ("CM", dt.date(2011, 3, 1))
    assert read(write(run_files.resolved(run))) == run


@pytest.mark.parametrize(
    "override",
    [
        "gravimetry.members=${PIN}",
        "gravimetry.k1=${PIN}",
        "gravimetry.centred=${PIN}",
        "gravimetry.frame=${PIN}",
        "gravimetry.low_degrees=[{coefficients: ['${PIN}'], source: low_degrees}]",
        "gravimetry.low_degrees=[{coefficients: [C20], source: low_degrees, from: '${PIN}'}]",
        "gravimetry.mask=${PIN}",
        "inputs.gravity={a: ['${PIN}']}",
        "period=['${PIN}', 2017-06-30]",
        "product=${PIN}",
        "catalogue=https://ann:${PIN}@stac.org",
    ],
)
def test_a_refusal_does_not_say_what_the_environment_holds(
    write: Write, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv("PIN", "hunter2")

    assert "hunter2" not in refusal(write(EXAMPLE), override)


def test_every_mistake_is_told_at_once(write: Write) -> None:
    said = refusal(
        write(EXAMPLE),
        "gravimetry.members=none",
        "inputs.gravty=a",
        "regions=3",
        "product=gravimetri",
        "output=s3://${NO_SUCH_NAME}/out",
        "gravimetry.seed",
        "gravimetry.mask.outer_km=100",
    )

    assert "7 mistake(s)" in said
    assert "inputs.gravty: unknown key; did you mean 'gravity'? (--set)" in said


def test_a_mistake_is_told_with_its_line(write: Write) -> None:
    lines = EXAMPLE.splitlines()
    path = write(
        EXAMPLE.replace("inner_km", "inner_m")
        .replace("members: 30", "members: many")
        .replace("  grounded_ice", "  grounded")
        .replace("missing: keep", "missing: kept")
    )

    said = refusal(path)

    def line(start: str) -> str:
        (found,) = (i for i, each in enumerate(lines, start=1) if each.strip().startswith(start))
        return f"(line {found})"

    mask = "gravimetry.mask.inner_m: unknown key; did you mean 'inner_km'?"
    assert f"{mask} {line('mask:')}" in said
    assert f"whole; the unit is in the key {line('members:')}" in said
    assert f"did you mean 'keep'? {line('- {coefficients: [C30]')}" in said
    assert f"inputs.grounded_ice: is missing, expected a value {line('inputs:')}" in said


def test_an_override_replaces_what_is_wrong_in_the_file(write: Write) -> None:
    path = write(EXAMPLE.replace("members: 30", "members: ${NO_SUCH_NAME}"))

    assert read(path, ["gravimetry.members=5"]).choices.members == 5


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("product=gravimetri", "did you mean 'gravimetry'?"),
        ("product=discharge", "is no product"),
        ("product=[gravimetry]", "is no product"),
        ("catalogue=3", "catalogue: found 3, expected text"),
        ("output=", "output: found None, expected text"),
        ("period=2011-02-01", "expected two dates"),
        ("period=[2011-02-01]", "expected two dates"),
        ("period=[2011-02-01, soon]", "expected two dates"),
        ("period=[2011-02-01 12:00:00, 2012-01-01]", "expected two dates"),
        ("period=[2011-02-30, 2012-01-01]", "found ['2011-02-30', 2012-01-01], expected two dates"),
        ("period=[2017-06-30, 2011-02-01]", "exchange them"),
        ("inputs=csr", "inputs: found 'csr', expected keys and values"),
        ("inputs.gravity=[]", "inputs.gravity: is empty"),
        ("inputs.gravity=''", "inputs.gravity: found '', which is empty"),
        ("inputs.gia=[a, a]", "inputs.gia: names a collection twice"),
        ("inputs.members=3", "did you mean 'gravimetry.members'?"),
        ("outer_km=3", "outer_km: unknown key here; did you mean 'gravimetry.mask.outer_km'?"),
        ('output="a\\0b"', "expected printable characters"),
        ("catalogue=https://ann:hunter2@stac.org/v1", "catalogue: holds a user name, password"),
        ("catalogue=https://stac.org/v1?token=hunter2", "catalogue: holds a user name, password"),
        ("inputs.gravity=3", "inputs.gravity: found 3, expected a list"),
        ("inputs.degree_one=[a, b]", "inputs.degree_one: found ['a', 'b'], expected text"),
        ("gravimetry.member=3", "did you mean 'members'?"),
        ("gravimetry.members=1", "found 1, expected a number of members from 2"),
        ("gravimetry.members=3.5", "whole"),
        (f"gravimetry.members=1{'0' * 400}", "gravimetry.members: found 1000"),
        (f"gravimetry.members=1{'0' * 5_000}", "gravimetry.members: found '1000"),
        (f"gravimetry.members=0x{'f' * 5_000}", "found a number of thousands of digits"),
        ("gravimetry.members=true", "found True"),
        ("gravimetry.members=30 km", "found '30 km'"),
        ("gravimetry.mask.inner_km=200 km", "the unit is in the key"),
        ("gravimetry.mask.inner_km=.nan", "found nan"),
        ("gravimetry.mask.inner_m=200", "did you mean 'inner_km'?"),
        ("gravimetry.mask.outer_km=200", "gravimetry.mask.outer_km: found 200, expected more"),
        ("gravimetry=false", "gravimetry: found False, expected keys and values"),
        ("gravimetry.mask=near", "expected keys and values"),
        ("gravimetry.centred=1", "expected true or false"),
        ("gravimetry.frame=CG", "expected CF | CE | CM"),
        ("gravimetry.latitude=geografic", "did you mean 'geographic'?"),
        ("gravimetry.terms=[bias]", "lacks trend"),
        ("gravimetry.terms=[bias, trend, trend]", "names a term twice"),
        ("gravimetry.terms=[bias, trend, anual]", "did you mean 'annual'?"),
        ("gravimetry.low_degrees=[{coefficients: [], source: low_degrees}]", "is empty"),
        ("gravimetry.low_degrees=[{coefficients: [C20], source: tn14}]", "expected degree_one"),
        ("gravimetry.low_degrees=[{source: low_degrees}]", "coefficients: is missing"),
        (
            "gravimetry.low_degrees=[{coefficients: [C20], source: low_degrees, from: 2012-3}]",
            "low_degrees[0].from: found '2012-3', expected a month, YYYY-MM",
        ),
        (
            "gravimetry.low_degrees=[{coefficients: [C2O], source: low_degrees}]",
            "low_degrees[0].coefficients[0]: found 'C2O', expected a coefficient such as C20",
        ),
        (
            "gravimetry.low_degrees=[{coefficients: [C20, C20], source: low_degrees}]",
            "low_degrees[0].coefficients: names a coefficient twice",
        ),
        (
            f"gravimetry.low_degrees=[{{{C20}, to: 2012-03}}, {{{C20}, from: 2012-03}}]",
            "low_degrees[1].coefficients: C20 has a source for the same months in low_degrees[0]",
        ),
        (
            f"gravimetry.low_degrees=[{{{C20}, from: 2012-03-01}}]",
            "low_degrees[0].from: found 2012-03-01, expected a month, YYYY-MM",
        ),
        (
            f"gravimetry.low_degrees=[{{{C20}, from: 2012-03, to: 2011-03}}]",
            "low_degrees[0].to: 2011-03 is before from 2012-03",
        ),
        ("output=s3://${NO_SUCH_NAME}/out", "the environment has no variable NO_SUCH_NAME"),
        ("output=s3://${NO-NAME}/out", "found '${NO-NAME}', expected a name in braces"),
        ("output=s3://${NO_END", "found '${NO_END', expected a name in braces"),
        ("gravimetry={seed: 1, seed: 2}", "gravimetry.seed: given twice"),
        ("gravimetry..members=3", "expected KEY=VALUE"),
        ("gravimetry.members", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("product.name=gravimetry", "'product' holds a value, not keys"),
        ("gravimetry.members=[1", "--set gravimetry.members: is not YAML"),
    ],
)
def test_what_cannot_be_used_is_refused(write: Write, override: str, expected: str) -> None:
    assert expected in refusal(write(EXAMPLE), override)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found NoneType, expected keys and values"),
        ("- a\n- b", "found list, expected keys and values"),
        ("product: [", "is not YAML"),
        (
            "product: gravimetry\nproduct: gravimetry",
            "product: given twice, in line 1 and in line 2; keep one",
        ),
        ("a: &a [1]\nb: *a", "found an alias"),
        ("a: !!python/object:os.system {}", "found a tag (tag:yaml.org,2002:python/object"),
        ("a: !!int ''", "found a tag"),
        ("? [a]\n: 1", "is not YAML"),
        ("output: here", "product: is missing, expected one of gravimetry"),
        ("[" * 5_000, "nested too deeply"),
        ("x" * 1_000_001, "expected at most 1000000"),
    ],
)
def test_a_file_that_is_no_run_file_is_refused(write: Write, text: str, expected: str) -> None:
    assert expected in refusal(write(text))


def test_a_missing_file_a_folder_and_binary_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    assert "name an existing run file" in refusal(tmp_path / "none.yaml")
    assert "cannot be read" in refusal(tmp_path)
    assert "is not text in UTF-8" in refusal(tmp_path / "binary")


def test_required_keys_are_named(write: Write) -> None:
    said = refusal(write("product: gravimetry"))

    for key in (
        "catalogue",
        "output",
        "regions",
        "period",
        "inputs.gravity",
        "inputs.grounded_ice",
    ):
        assert f"  {key}: " in said


def test_example_of_what_is_no_product_is_refused() -> None:
    with pytest.raises(SettingsError, match="did you mean 'gravimetry'"):
        run_files.example("gravimtry")
    with pytest.raises(
        SettingsError,
        match=r"is no product; expected one of gravimetry, altimetry, combination, mass_budget, "
        "scenes, training, evaluation, restoration, shelf_damage, consistency, comparison$",
    ):
        run_files.example("discharge")


KEYS = sorted(
    {f"inputs.{field_key(name)}" for name in GravimetryInputs.__dataclass_fields__}
    | {f"gravimetry.{field_key(name)}" for name in GravimetryChoices.__dataclass_fields__}
)


@st.composite
def misspellings(draw: st.DrawFn) -> tuple[str, str]:
    """A key of the run file, and the same with two letters exchanged, or one lost or doubled."""
    key = draw(st.sampled_from([key for key in KEYS if len(key.partition(".")[2]) >= 6]))
    section, _, name = key.partition(".")
    i = draw(st.integers(0, len(name) - 2))
    wrong = draw(
        st.sampled_from(
            [
                name[:i] + name[i + 1] + name[i] + name[i + 2 :],
                name[:i] + name[i + 1 :],
                name[:i] + name[i] + name[i:],
            ]
        )
    )
    return key, f"{section}.{wrong}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(misspellings())
def test_a_misspelt_key_is_refused_with_the_right_one(write: Write, pair: tuple[str, str]) -> None:
    right, wrong = pair
    if wrong in KEYS:
        return

    said = refusal(write(EXAMPLE), f"{wrong}=1")

    assert f"{wrong}: unknown key; did you mean {right.partition('.')[2]!r}?" in said


WORDS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["2011-02-30", "0b_", "._", "1:1.5", "~", "${HOME}", "${", "<<", "9" * 400]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def read_or_refuse(path: Path, *overrides: str) -> None:
    """Read; if that goes well, what is resolved must read as the same run."""
    try:
        run = read(path, overrides)
    except SettingsError:
        return
    path.write_text(run_files.resolved(run), encoding="utf-8")
    assert read(path) == run


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from([*KEYS, "product", "output", "period", "inputs", "gravimetry"]), VALUES)
def test_any_value_is_read_or_refused(write: Write, key: str, value: object) -> None:
    import yaml

    read_or_refuse(write(EXAMPLE), f"{key}={yaml.safe_dump(value, default_flow_style=True)}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(), st.integers(0, len(EXAMPLE)))
def test_a_damaged_file_is_read_or_refused(write: Write, noise: str, at: int) -> None:
    noise = noise.replace("\r", "")  # universal newlines would write another file

    read_or_refuse(write(EXAMPLE[:at] + noise + EXAMPLE[at + len(noise) :]))


def test_identity_follows_choices_and_inputs_but_not_addresses(write: Write) -> None:
    def identity(*overrides: str, checksum: str = "1") -> str:
        return run_files.run_id(read(write(EXAMPLE), overrides), {"gravity/a": checksum})

    same = identity()

    assert identity("output=/elsewhere", "catalogue=/other", "gravimetry.batch=3") == same
    assert identity("gravimetry.seed=2") != same
    assert identity("period=[2011-03-01, 2017-06-30]") != same
    assert identity(checksum="2") != same


def test_a_description_names_each_choice(write: Write) -> None:
    described = run_files.describe(read(write(EXAMPLE)))

    assert described["gravimetry.members"] == "30"
    assert described["gravimetry.mask.inner_km"] == "200.0"
    assert "output" not in described


def test_a_policy_lasts_to_the_end_of_its_last_month() -> None:
    policy = LowDegreePolicy(("C30",), "low_degrees", from_="2012-03", to="2015-12")  # type: ignore[arg-type]

    assert policy.start == 2012 + 60 / 366
    assert policy.end == 2016.0
    assert LowDegreePolicy(("C30",), "low_degrees").start is None
