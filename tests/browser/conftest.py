"""One browser for the tests of a module."""

import pytest

from tests.browser.chromium import Browser


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    try:
        yield made
    finally:
        made.close()
