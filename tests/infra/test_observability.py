"""The dashboard, the alerts and the scrape configuration ask for what is really exported."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import jsonschema
import pytest
import ray
import yaml
from prometheus_client import generate_latest

from cluster import kubernetes_manifests, metrics
from cluster.prices import Prices
from cluster.run_tally import RunFacts, RunTally, StageFacts
from tests.infra import engine_metrics
from tests.infra.rendering import OVERLAYS, documents

FOLDER = Path(__file__).parents[2] / "infra" / "observability"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())
RECORD = json.loads(engine_metrics.RECORD.read_text())

# What Grafana refuses or silently drops without; from its dashboard JSON model, version 39.
PANEL: dict[str, Any] = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["row", "stat", "timeseries"]},
        "title": {"type": "string", "minLength": 1},
        "gridPos": {
            "type": "object",
            "required": ["h", "w", "x", "y"],
            "properties": {
                "h": {"type": "integer", "minimum": 1},
                "w": {"type": "integer", "minimum": 1, "maximum": 24},
                "x": {"type": "integer", "minimum": 0, "maximum": 23},
                "y": {"type": "integer", "minimum": 0},
            },
            "additionalProperties": False,
        },
    },
    "if": {"properties": {"type": {"const": "row"}}},
    "else": {
        "required": ["datasource", "targets", "fieldConfig", "options", "description"],
        "properties": {
            "datasource": {"$ref": "#/$defs/datasource"},
            "targets": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["refId", "expr", "datasource", "legendFormat"],
                    "properties": {"datasource": {"$ref": "#/$defs/datasource"}},
                },
            },
            "fieldConfig": {
                "type": "object",
                "required": ["defaults", "overrides"],
                "properties": {"defaults": {"required": ["unit"]}},
            },
        },
    },
}
MODEL: dict[str, Any] = {
    "$defs": {
        "datasource": {
            "const": {"type": "prometheus", "uid": "${datasource}"},
        }
    },
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "templating", "panels", "time", "refresh"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
        "id": {"type": "null"},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "panels": {"type": "array", "minItems": 1, "items": PANEL},
    },
}
UNITS = {
    "none", "s", "cps", "Bps", "bytes", "decmbytes", "percent", "percentunit", "currencyUSD",
}  # fmt: skip

_STRING = re.compile(r'"[^"]*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_NAME = re.compile(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
# Added to every sample by Prometheus.
_OF_TARGETS = {"job", "instance"}


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def asked(expression: str) -> tuple[set[str], dict[str, set[str]], set[str]]:
    """Return metrics of a query, the labels that select each, and the labels it groups by."""
    bare = _RANGE.sub("", _STRING.sub('""', expression))
    groups = {name.strip() for found in _GROUPING.findall(bare) for name in found.split(",")} - {""}
    bare = _GROUPING.sub("", bare)
    selected = {
        name: set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inside))
        for name, inside in _SELECTOR.findall(bare)
    }
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return set(_NAME.findall(bare)) - _WORDS, selected, groups


def ours() -> engine_metrics.Names:
    facts = RunFacts("r", "p", "v", (StageFacts("s", 1),), lambda _: "s", Prices())
    page = generate_latest(metrics.registry(RunTally(facts, (), {"s": 1}), started=1.0))
    return engine_metrics.names(page.decode())


def exported() -> dict[str, set[str]]:
    sources = (ours(), RECORD["scheduler"], RECORD["worker"], RECORD["ray"])
    found: dict[str, set[str]] = {}
    for source in sources:
        for name, labels in source.items():
            found.setdefault(name, set()).update(labels)
    return found


def test_the_reader_of_queries_finds_metrics_selectors_and_groups() -> None:
    query = 'sum by (le, stage) (rate(a_total{x=~"b.*",y="c"}[5m])) / (d > 0) and on (run) e:f'

    assert asked(query) == (
        {"a_total", "d", "e:f"},
        {"a_total": {"x", "y"}},
        {"le", "stage", "run"},
    )


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_query_asks_for_metrics_and_labels_that_are_exported(
    where: str, expression: str
) -> None:
    there = exported()
    names, selected, groups = asked(expression)

    assert names, where
    assert names <= there.keys()
    for name, labels in selected.items():
        assert labels <= there[name] | _OF_TARGETS, (where, name)
    assert groups <= set().union(*(there[name] for name in names)) | _OF_TARGETS, where
    assert expression.count("(") == expression.count(")")


def test_the_legends_name_labels_that_their_query_keeps() -> None:
    there = exported()
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            names, _, groups = asked(target["expr"])
            kept = groups or set().union(*(there[name] for name in names)) | _OF_TARGETS
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert legend <= kept, panel["title"]


def test_the_record_of_the_engines_is_of_the_releases_that_are_installed() -> None:
    found = {"dask": dask.__version__, "ray": ray.__version__}

    assert RECORD["releases"] == found, "run `python -m tests.infra.engine_metrics` and commit it"


def test_dask_exports_what_the_record_says() -> None:
    found = engine_metrics.of_dask()

    asked_for = set().union(*(asked(expression)[0] for _, expression in expressions()))
    for part in ("scheduler", "worker"):
        wanted = asked_for & RECORD[part].keys()
        assert any(name.startswith("dask_") for name in wanted)
        assert wanted <= found[part].keys()
        for name in wanted:
            assert set(RECORD[part][name]) <= set(found[part][name]), name


def test_rays_table_of_node_metrics_has_those_of_gpus() -> None:
    assert (
        engine_metrics.of_gpus().keys()
        == {f"ray_{name}" for name in engine_metrics.GPU_NAMES}
        <= RECORD["ray"].keys()
    )


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    jsonschema.validate(DASHBOARD, MODEL)

    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    units = {p["fieldConfig"]["defaults"]["unit"] for p in panels if p["type"] != "row"}
    assert units <= UNITS
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels))) - {"__rate_interval"}
    assert used == variables


def test_no_panel_lies_on_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert x < 24
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


@pytest.mark.parametrize(
    "wanted",
    [
        "nunatak_keys_total", "nunatak_keys_left", "nunatak_core_seconds_left", "nunatak_dollars",
        "nunatak_bytes_read_total", "nunatak_bytes_written_total", "nunatak_key_seconds_bucket",
        "dask_scheduler_workers", "dask_worker_memory_bytes", "ray_actors",
        "ray_node_gpus_utilization", "nunatak_last_receipt_time_seconds",
    ],
)  # fmt: skip
def test_the_dashboard_shows(wanted: str) -> None:
    assert any(wanted in asked(expression)[0] for _, expression in expressions())


def test_every_alert_says_what_to_do() -> None:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert set(rule["annotations"]) == {"summary", "description"}
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["for"]


def test_the_jobs_that_queries_name_are_scraped() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}

    named = set(re.findall(r'job="([^"]+)"', " ".join(text for _, text in expressions())))

    assert named
    assert named <= jobs
    for name in config["rule_files"]:
        assert (FOLDER / name).is_file()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_in_a_cluster_every_pod_of_ours_is_scraped_where_it_listens(overlay: str) -> None:
    listed = documents(overlay)
    for pod in [each for document in listed for each in kubernetes_manifests.pods(document)]:
        metadata, containers = pod["metadata"], pod["spec"]["containers"]
        if metadata["labels"][kubernetes_manifests.COMPONENT] == "object-store":
            continue
        listening = {p["containerPort"] for c in containers for p in c.get("ports", ())}
        assert metadata["annotations"]["prometheus.io/scrape"] == "true"
        assert int(metadata["annotations"]["prometheus.io/port"]) in listening


def test_in_a_cluster_jobs_have_the_names_that_queries_ask_for() -> None:
    (config,) = yaml.safe_load((FOLDER / "kubernetes.yml").read_text())["scrape_configs"]
    keep, address, job = config["relabel_configs"]
    pod = "__meta_kubernetes_pod_"
    assert keep["source_labels"] == [f"{pod}annotation_prometheus_io_scrape"]
    assert address["source_labels"] == ["__address__", f"{pod}annotation_prometheus_io_port"]
    for given in ("10.0.0.7:8789;8788", "10.0.0.7;8788"):
        match = re.fullmatch(address["regex"], given)  # Prometheus anchors at both ends
        assert match is not None
        assert match.expand(address["replacement"].replace("$", "\\")) == "10.0.0.7:8788"
    component = re.sub(r"[^a-zA-Z0-9_]", "_", kubernetes_manifests.COMPONENT)
    assert job["source_labels"] == [f"{pod}label_{component}"]
    named = set(re.findall(r'job="([^"]+)"', " ".join(text for _, text in expressions())))
    made = {job["replacement"].replace("$1", each) for each in kubernetes_manifests.OF_A_RUN}
    assert named <= made


def test_prometheus_itself_accepts_the_configuration_and_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("this machine has no promtool (Debian's package prometheus)")
    done = subprocess.run(
        [promtool, "check", "config", str(FOLDER / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
