"""Overlays as ``kubectl kustomize`` renders them, with files where a person's secrets would be."""

import copy
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).resolve().parents[2] / "infra" / "kubernetes"
OVERLAYS = tuple(sorted(each.name for each in (KUBERNETES / "overlays").iterdir() if each.is_dir()))
SECRETS = {
    "ca.crt": "certificate\n",
    "tls.crt": "certificate\n",
    "tls.key": "key\n",
    "ray-token": "token",
    "store.env": "AWS_ACCESS_KEY_ID=name\nAWS_SECRET_ACCESS_KEY=value\n",
}


def kubectl() -> str:
    """Return the kubectl of this environment, else any."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if beside.is_file() else "kubectl"


def copied_to(folder: Path) -> Path:
    """Copy the kustomization into ``folder`` and give each overlay that asks for them secrets."""
    copied = Path(shutil.copytree(KUBERNETES, folder, ignore=shutil.ignore_patterns("secrets")))
    for overlay in (copied / "overlays" / name for name in OVERLAYS):
        if "secretGenerator" not in (overlay / "kustomization.yaml").read_text():
            continue
        (overlay / "secrets").mkdir()
        for name, text in SECRETS.items():
            (overlay / "secrets" / name).write_text(text)
    return copied


@functools.cache
def render(overlay: str) -> str:
    """Return the manifests of an overlay as YAML."""
    with tempfile.TemporaryDirectory() as folder:
        copied = copied_to(Path(folder) / "kubernetes")
        done = subprocess.run(
            [kubectl(), "kustomize", str(copied / "overlays" / overlay)],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    if done.returncode != 0 or done.stderr:
        msg = f"kubectl kustomize {overlay}: {done.stderr}"
        raise RuntimeError(msg)
    return done.stdout


def documents(overlay: str) -> list[dict[str, Any]]:
    """Return the manifests of an overlay, new ones each time: a test may break them."""
    return copy.deepcopy(_parsed(overlay))


@functools.cache
def _parsed(overlay: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(render(overlay), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
