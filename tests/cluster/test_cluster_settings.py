"""Choices about the machine: read from the environment, refused by name."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import settings
from cluster.settings import ClusterSettings, EnvironmentSettingError

FIELD_OF = {f"NUNATAK_{field.name.upper()}": field for field in dataclasses.fields(ClusterSettings)}


def test_an_empty_environment_gives_the_defaults():
    assert settings.read({}) == ClusterSettings()
    assert settings.read({"NUNATAK_WORKERS": "  "}) == ClusterSettings()


def test_every_choice_has_its_variable():
    environment = dict.fromkeys(FIELD_OF, "13")
    assert set(dataclasses.astuple(settings.read(environment))) == {13}


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("NUNATAK_WORKERS", "3")
    assert settings.read().workers == 3


@given(st.integers(1, 10**6), st.sampled_from([("kB", 10**3), ("MiB", 2**20), ("GiB", 2**30)]))
def test_sizes_are_read_in_their_unit(number, unit):
    name, factor = unit
    assert settings.byte_count(f"{number}{name}") == number * factor
    assert settings.byte_count(f" {number} {name} ") == number * factor


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("NUNATAK_WORKERS", "many", "a whole number, 1 or more"),
        ("NUNATAK_WORKERS", "0", "a whole number, 1 or more"),
        ("NUNATAK_WORKERS", "2.5", "a whole number, 1 or more"),
        ("NUNATAK_WORKER_MEMORY", "4 gigs", "a size such as 4GiB or 500MB"),
        ("NUNATAK_WORKER_MEMORY", "0", "a size such as 4GiB or 500MB"),
        ("NUNATAK_WORKER_MEMORY", "-1GiB", "a size such as 4GiB or 500MB"),
        ("NUNATAK_CONNECT_TIMEOUT", "soon", "a time such as 30, 45s or 2min"),
        ("NUNATAK_WORKER_TTL", "0s", "a time such as 30, 45s or 2min"),
        ("NUNATAK_TCP_TIMEOUT", "11s", "12 s or longer"),
        ("NUNATAK_ALLOWED_FAILURES", "-3", "a whole number, 1 or more"),
        ("NUNATAK_STORE_TIMEOUT", "1 day", "a time such as 30, 45s or 2min"),
    ],
)
def test_a_bad_value_is_refused_with_name_value_and_expectation(name, text, expected):
    with pytest.raises(EnvironmentSettingError) as refusal:
        settings.read({name: text})
    message = str(refusal.value)
    assert message.startswith(f"{name} is {text!r}; expected ")
    assert expected in message
    assert message.endswith("correct it or unset it for the default")
