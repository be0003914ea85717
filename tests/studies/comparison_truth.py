"""How often truth lies within the errors of each method, and whether a made error is named first.

``python -m tests.studies.comparison_truth coverage RESULTS.jsonl --seeds 50`` measures worlds of as
many seeds (half a minute each on one core), ``… causes …`` puts errors into their inputs (two
minutes). Each appends a line for a seed to its file, goes on where it was interrupted, and prints
what ``docs/comparison.md`` quotes. No number is drawn from what is
tested: truth is the world's own quadrature, made errors are put into inputs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.pipelines.flows import conftest
from tests.studies import comparison_world as worlds

REBOUNDS = ("gia", "gia-stronger", "gia-turned")
STRONGER, TURN = 2.0, 60.0
"""Factor of the stronger model of rebound, as published models of Antarctica differ by, and how far
the other is turned about the pole [degrees]."""


def main() -> None:
    """Measure, append, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    study, summary = STUDIES[options.study]
    done = {line["seed"] for line in read(options.results)}
    for number in range(options.first, options.first + options.seeds):
        if number not in done:
            with tempfile.TemporaryDirectory() as folder:
                line = {"seed": number, **study(worlds.make(number, Path(folder)))}
            with options.results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"seed {number}", flush=True)
    print("\n".join(summary(read(options.results))))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a results file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def coverage(seed: worlds.Seed) -> dict[str, Any]:
    """Return what every method says of one world, beside its truth."""
    documents = worlds.documents(seed)
    group = worlds.compare(seed, [worlds.product(seed, documents[n]) for n in worlds.METHODS])
    value, sigma = worlds.rates(group)
    rows = str(group["row"].attrs["flag_meanings"]).split()
    truth = seed.truth()
    return {
        "rows": rows, "truth": [truth[row] for row in rows],
        "rate": {name: each.tolist() for name, each in value.items()},
        "sigma": {name: each.tolist() for name, each in sigma.items()},
    }  # fmt: skip


def causes(seed: worlds.Seed) -> dict[str, Any]:
    """Return the causes that are named for each made error, the most likely first."""
    documents = worlds.documents(seed)
    methods = {name: worlds.product(seed, documents[name]) for name in worlds.METHODS}
    models = rebounds(seed)
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "none": dict,
        "gia-stronger": lambda: _gravimetry(seed, "gia-stronger"),
        "gia-turned": lambda: _gravimetry(seed, "gia-turned"),
        "gate_correction": lambda: _budget(seed, worlds.without_gate_correction),
        "mask": lambda: _budget(seed, worlds.on_wider_mask),
    }
    found = {}
    for name, changed in made.items():
        together = list({**methods, **changed()}.values())
        named = worlds.causes(worlds.compare(seed, together, causes=True, gia=models))
        found[name] = list(named.items())[:4]
    return {"causes": found}


def _gravimetry(seed: worlds.Seed, gia: str) -> dict[str, Any]:
    return {"gravimetry": worlds.product(seed, worlds.documents(seed, gia=gia)["gravimetry"])}


def _budget(seed: worlds.Seed, break_it: Any) -> dict[str, Any]:
    document = worlds.documents(seed)["mass_budget"]
    return {"mass_budget": worlds.product(seed, document, break_it=break_it)}


def rebounds(seed: worlds.Seed) -> tuple[str, ...]:
    """Catalogue two wrong models of rebound beside the right one; return all three."""
    path = seed.folder / "gravity" / "GIA.NUNAT.txt"
    for name, change in (("STRONGER", _stronger), ("TURNED", _turned)):
        lines = []
        for line in path.read_text().splitlines():
            cells = line.split("\t")
            if len(cells) == 4 and cells[0].isdigit():
                held = change(int(cells[1]), float(cells[2]), float(cells[3]))
                cells[2:] = [f"{each: .8e}" for each in held]
            lines.append("\t".join(cells))
        written = seed.folder / f"GIA.{name}.txt"
        written.write_text("\n".join(lines) + "\n")
        conftest.added("gia", [written], seed.catalogue, f"gia-{name.lower()}")
    return REBOUNDS


def _stronger(_order: int, cosine: float, sine: float) -> tuple[float, float]:
    return STRONGER * cosine, STRONGER * sine


def _turned(order: int, cosine: float, sine: float) -> tuple[float, float]:
    """Return coefficients of a field turned eastward about the pole."""
    angle = np.radians(order * TURN)
    return (
        float(cosine * np.cos(angle) - sine * np.sin(angle)),
        float(cosine * np.sin(angle) + sine * np.cos(angle)),
    )


def told(lines: list[dict[str, Any]]) -> Iterable[str]:
    """Yield how often truth is covered, and how large errors are."""
    rows = lines[0]["rows"]
    truth = np.array([line["truth"] for line in lines])
    basins = np.array([row.isdigit() for row in rows])
    yield (
        f"{len(lines)} seeds; truth within 1 and 2 sigma [%], root mean square error [Gt/yr], "
        "root mean square and mean of z"
    )
    for name in lines[0]["rate"]:
        rate = np.array([line["rate"][name] for line in lines])
        z = (rate - truth) / np.array([line["sigma"][name] for line in lines])
        groups = [(row, np.array(rows) == row) for row in rows if not row.isdigit()]
        for what, on in (("basins", basins), *groups):
            error = np.sqrt(np.mean((rate - truth)[:, on] ** 2))
            yield (
                f"{name:12} {what:7} {100 * np.mean(np.abs(z[:, on]) < 1):5.0f} "
                f"{100 * np.mean(np.abs(z[:, on]) < 2):5.0f} {error:8.2f} "
                f"{np.sqrt(np.mean(z[:, on] ** 2)):6.2f} {np.mean(z[:, on]):+6.2f}"
            )


def told_causes(lines: list[dict[str, Any]]) -> Iterable[str]:
    """Yield how often each made error is named first."""
    yield f"{len(lines)} seeds; errors made, how often they are named first, and what is"
    for made in lines[0]["causes"]:
        firsts = [line["causes"][made][0] for line in lines]
        names = [cause.partition("@")[0].partition(":")[0] for cause, _ in firsts]
        hits = sum(name == made.partition("-")[0] for name in names)
        said = ", ".join(f"{cause} {evidence:.1f}" for cause, evidence in firsts)
        yield f"{made:16} {hits} of {len(firsts)}: {said}"


STUDIES = {"coverage": (coverage, told), "causes": (causes, told_causes)}


if __name__ == "__main__":
    main()
