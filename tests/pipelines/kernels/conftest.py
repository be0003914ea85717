"""The oracle of the gravity kernels: gravity-toolkit, imported once."""

import warnings
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def gravity_toolkit() -> ModuleType:
    """Import the oracle, which warns of optional packages that it goes without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import gravity_toolkit
    return gravity_toolkit
