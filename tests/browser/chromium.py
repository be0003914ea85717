"""A real headless Chromium, driven through playwright-core from Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.processes import bound_to_us

HERE = Path(__file__).resolve().parent
VIEWER = HERE.parents[1] / "pipelines" / "viewer"
MODULES = VIEWER / "node_modules"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SECONDS = 20


class BrowserError(AssertionError):
    """What Playwright says went wrong."""


def node() -> str:
    """Return where node is, or skip and say why."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node; install Node.js 20 or newer")
    return found


def require_modules(name: str) -> None:
    """Skip, and say why, where an npm module is not installed."""
    if not (MODULES / name / "package.json").is_file():
        pytest.skip(f"no npm module {name} in {MODULES}; run `make viewer`")


class Browser:
    """One Chromium; :meth:`open` gives it a new page."""

    def __init__(self) -> None:
        program = node()
        require_modules("playwright-core")
        if not CHROMIUM.exists():
            pytest.skip(f"no Chromium at {CHROMIUM}; install Debian's package chromium")
        command = [program, str(HERE / "chromium.mjs"), str(MODULES), str(CHROMIUM)]
        self._process = subprocess.Popen(
            bound_to_us(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the browser's driver ended with {self._process.wait()}"
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of Playwright's page, such as ``keyboard.press``."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": method, "with": list(arguments)}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            msg = f"{method}{arguments}: {answer['error']}"
            raise BrowserError(msg)
        return answer["found"]

    def open(self, url: str, *, shown: str = "regions", **options: Any) -> None:
        """Open a page of the map and wait until it shows what ``shown`` names."""
        self.call("open", options)
        self.call("goto", url)
        self.wait(f"document.body.dataset.shown === '{shown}'")

    def wait(self, condition: str) -> None:
        """Wait until a condition of the page holds.

        Playwright's own way evaluates texts within the page, which the page's policy forbids.
        """
        end = time.monotonic() + SECONDS
        while not self.get(condition):
            if time.monotonic() > end:
                msg = f"after {SECONDS} s not yet: {condition}; errors: {self.errors}"
                raise BrowserError(msg)
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        return str(self.call("innerText", selector))

    def get(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("evaluate", expression)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.call("keyboard.press", key)

    @property
    def errors(self) -> list[str]:
        """Errors and warnings of the console, uncaught exceptions, requests that failed."""
        return list(self.call("seen")["errors"])

    @property
    def requests(self) -> list[dict[str, Any]]:
        return list(self.call("seen")["requests"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=SECONDS)
        self._process.stdout.close()
