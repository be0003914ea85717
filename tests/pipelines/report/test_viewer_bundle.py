"""The page that is committed: what it may do, whom it may ask, and that its sources make it."""

import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

VIEWER = Path(str(resources.files("pipelines") / "viewer"))
DIST = VIEWER / "dist"
NAMED_ONLY = {"www.w3.org", "www.opengis.net", "github.com"}
"""Hosts of names of formats and of a message; none is asked."""


def test_the_page_names_no_host_that_it_could_ask():
    for name in ("index.html", "viewer.css", "viewer.js", "icon.svg"):
        text = (DIST / name).read_text(encoding="utf-8")
        hosts = set(re.findall(r"(?:https?:|wss?:)?//([a-z0-9-]+(?:\.[a-z0-9-]+)+)", text))
        assert hosts <= NAMED_ONLY, name
        assert "@import" not in text
    assert "url(" not in (DIST / "viewer.css").read_text(encoding="utf-8")


def test_the_page_needs_no_more_than_its_policy_gives():
    page = (DIST / "index.html").read_text(encoding="utf-8")
    script = (DIST / "viewer.js").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", page)
    # `new Function` and WebAssembly would need words that the policy does not have.
    assert not re.search(r"\beval\(|new Function\(|WebAssembly\.(?:instantiate|compile)", script)


def test_texts_out_of_documents_never_become_markup():
    for path in (VIEWER / "src").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), path


def test_the_lock_names_no_host_and_pins_what_is_asked_for():
    text = (VIEWER / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    assert '"resolved"' not in text
    held = json.loads(text)["packages"]
    asked = json.loads((VIEWER / "package.json").read_text(encoding="utf-8"))
    for name, version in {**asked["dependencies"], **asked["devDependencies"]}.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+(-[a-z]+\.\d+)?", version), name
        assert held[f"node_modules/{name}"]["version"] == version
    modules = [each for path, each in held.items() if path and "link" not in each]
    assert all(each["integrity"].startswith("sha512-") for each in modules)


def test_licences_of_what_is_bundled_are_beside_it():
    text = (DIST / "LICENSES.txt").read_text(encoding="utf-8")
    asked = json.loads((VIEWER / "package.json").read_text(encoding="utf-8"))["dependencies"]
    for name, version in asked.items():
        assert re.search(
            rf"^{re.escape(name)} {re.escape(version)}: (?:MIT|BSD-2)", text, re.MULTILINE
        )
    found = set(re.findall(r"^\S+ \d\S*: (.+)$", text, re.MULTILINE))
    assert found <= {"MIT", "(MIT AND Zlib)", "BSD-2-Clause", "Apache-2.0", "CC0-1.0", "ISC"}


def test_built_again_it_is_the_same_to_the_last_byte(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node; install Node.js 20 or newer")
    if not (VIEWER / "node_modules" / "esbuild").is_dir():
        pytest.skip(f"no npm modules in {VIEWER}; run `make viewer`")
    command = [node, str(VIEWER / "build.mjs"), str(tmp_path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert made.returncode == 0, made.stderr
    names = sorted(path.name for path in DIST.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for name in names:
        assert (tmp_path / name).read_bytes() == (DIST / name).read_bytes(), name
