"""Weights that come with the project, and what an evaluation found of them. Imports no torch."""

import hashlib
import json
from importlib import resources
from typing import Any

SUFFIX = ".safetensors"
EVALUATIONS = "evaluations.json"
"""By SHA-256 of a segmenter what the item of its evaluation says of errors of areas; under
``restoration`` the factor of the restorer that comes with the project. Written from the run of
``infra/runs/weights/evaluation.yaml``."""


def names() -> list[str]:
    """Return the names of all."""
    folder = resources.files("pipelines.nets") / "weights"
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(each.name.removesuffix(SUFFIX) for each in files if each.name.endswith(SUFFIX))


def read(name: str) -> bytes:
    """Return the bytes of one, by its name without the suffix.

    Raises
    ------
    LookupError
        There is none of that name: says which there are.
    """
    if name not in names():
        msg = f"no weights {name!r} come with the project; there are {', '.join(names()) or 'none'}"
        raise LookupError(msg)
    return (resources.files("pipelines.nets") / "weights" / f"{name}{SUFFIX}").read_bytes()


def evaluation(sha256: str) -> dict[str, Any] | None:
    """Return what is known of the errors of a segmenter of this digest; None of any other."""
    found: dict[str, Any] | None = _evaluations().get(sha256)
    return found


def restoration_factor() -> dict[str, Any] | None:
    """Return the factor of uncertainty of the shipped restorer by gap fraction."""
    found: dict[str, Any] | None = _evaluations().get("restoration")
    return found


def _evaluations() -> dict[str, Any]:
    place = resources.files("pipelines.nets") / "weights" / EVALUATIONS
    return dict(json.loads(place.read_text())) if place.is_file() else {}


def digest(name: str) -> str:
    """Return the SHA-256 of weights that come with the project."""
    return hashlib.sha256(read(name)).hexdigest()
