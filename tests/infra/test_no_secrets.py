"""No key is among the tracked files, and what holds keys is kept from being added."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 20 * 2**20  # no key is in a file beyond; weights and rasters may be

# Whole shapes of keys, so that words about them, as in this file, are none.
SHAPES = {
    "private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{60,}"),
    "certificate": re.compile(rb"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]{60,}"),
    "AWS key": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "Slack token": re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "Google key": re.compile(rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    "signed link": re.compile(rb"X-Amz-Signature=[0-9a-f]{64}"),
    "token of Ray": re.compile(rb"RAY_AUTH_TOKEN[\"']?\s*[:=]\s*[\"']?[0-9a-f]{64}\b"),
}
NAMES = re.compile(r"(^|/)(ray-token|tls\.key|ca\.key|id_(rsa|ed25519)|\.env|nunatak-links\.json)$")


def _found(content: bytes) -> list[str]:
    return [name for name, shape in SHAPES.items() if shape.search(content)]


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if shutil.which("git") is None or _git("rev-parse", "--git-dir").returncode != 0:
        pytest.skip("not a git checkout, so nothing says which files are tracked")
    names = _git("ls-files", "-z").stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_no_tracked_file_holds_a_key(tracked):
    small = [path for path in tracked if path.stat().st_size < LARGEST]
    assert len(small) > 500
    found = {str(path): kinds for path in small if (kinds := _found(path.read_bytes()))}
    assert found == {}


def test_no_tracked_file_is_named_as_keys_are(tracked):
    assert not [path for path in tracked if NAMES.search(path.relative_to(ROOT).as_posix())]


@pytest.mark.parametrize("name", ["ca.key", "tls.key", "tls.crt", "ca.crt", "ray-token"])
def test_git_leaves_alone_what_certificates_puts_into_an_overlay(tracked, name):
    path = f"infra/kubernetes/overlays/local/secrets/{name}"
    assert _git("check-ignore", "--quiet", path).returncode == 0, f"{path} is not in .gitignore"


def test_keys_that_the_command_makes_would_be_found(tmp_path):
    from cluster import certificate_authority

    certificate_authority.make(tmp_path)
    kinds = {each.name: _found(each.read_bytes()) for each in tmp_path.iterdir()}
    token = (tmp_path / "ray-token").read_bytes()
    assert kinds["tls.key"] == kinds["ca.key"] == ["private key"]
    assert kinds["tls.crt"] == kinds["ca.crt"] == ["certificate"]
    assert _found(b'RAY_AUTH_TOKEN: "' + token + b'"') == ["token of Ray"]
    assert _found(b"aws_access_key_id = AKIA" + b"2" * 16) == ["AWS key"]
