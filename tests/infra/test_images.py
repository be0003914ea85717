"""The Dockerfile: what it promises, and its cheap steps carried out without an engine.

The whole build takes minutes and is done by hand: docs/kubernetes.md has its figures.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest
import yaml

from tests.infra.rendering import KUBERNETES
from tests.infra.rules_pods import IMAGES

INFRA = KUBERNETES.parent
DOCKERFILE = (INFRA / "images" / "Dockerfile").read_text()
BASE = "python:3.11-slim-bookworm@sha256:" + 64 * "0"


def loaded(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, INFRA / "images" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


building = loaded("build_in_venv")
health_check = loaded("health_check")
STEPS = building.parse(DOCKERFILE)


def stages_of(keyword: str, prefix: str = "") -> set[str]:
    """Return the stages with such a step."""
    current, found = "", set()
    for step in STEPS:
        if step.keyword == "FROM":
            current = step.text.split(" AS ")[1]
        if step.keyword == keyword and step.text.startswith(prefix):
            found.add(current)
    return found


@pytest.fixture(scope="module")
def gpu(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModuleType, object]:
    folder = tmp_path_factory.mktemp("image")
    build = building.Build(folder, {"BASE": BASE, "TORCH_SPEC": "torch==2.13.0"}, quick=True)
    return build, build.run(building.wanted(STEPS, "gpu"))


def test_each_image_that_manifests_may_name_is_a_target():
    assert set(IMAGES.values()) <= {s.text.split(" AS ")[1] for s in STEPS if s.keyword == "FROM"}


def test_the_steps_give_an_image_that_is_healthy_and_answers(gpu):
    build, stage = gpu
    assert list(building.checks(build, stage)) == []


def test_every_cache_of_the_image_is_below_tmp(gpu):
    build, stage = gpu
    caches = {n: v for n, v in stage.environment.items() if re.search(r"CACHE|HOME|CONFIGDIR", n)}
    assert {"HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"} <= caches.keys()
    assert all(Path(value).is_relative_to(build.root / "tmp") for value in caches.values()), caches


def test_what_runs_is_no_root_and_has_a_health_check(gpu):
    assert gpu[1].user == "10001:10001"
    assert (
        stages_of("USER") == stages_of("HEALTHCHECK") == stages_of("ENTRYPOINT") == {"cpu", "store"}
    )


def test_the_context_holds_our_packages_and_nothing_private(gpu):
    build, _ = gpu
    copied = build.stages["build"].folder / "opt" / "source"
    assert (copied / "pipelines" / "cli.py").is_file()
    assert not list(copied.rglob("__pycache__"))
    for name in ("secrets/tls.key", ".git/config", "tests/conftest.py", "infra/kubernetes/base",
                 "infra/terraform/terraform.tfstate", "infra/images/build_in_venv.py"):  # fmt: skip
        assert building.ignored(name), name
    for name in ("pyproject.toml", "constraints.txt", "cluster/ledger.py",
                 "infra/images/health_check.py"):  # fmt: skip
        assert not building.ignored(name), name


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"TORCH_SPEC": "torch==2.13.0"}, "expected an image with its digest"),
        ({"BASE": "python:3.11", "TORCH_SPEC": "torch==2.13.0"}, "BASE is 'python:3.11'"),
        ({"BASE": BASE}, "TORCH_SPEC is empty"),
    ],
)
def test_a_build_without_its_arguments_says_what_is_missing(
    tmp_path: Path, given: dict[str, str], words: str
):
    with pytest.raises(building.BuildError, match=re.escape(words)):
        building.Build(tmp_path, given, quick=True).run(building.wanted(STEPS, "cpu"))


def test_every_base_is_the_argument_or_a_stage():
    bases = [step.text.split(" AS ") for step in STEPS if step.keyword == "FROM"]
    known = {"${BASE}", *(name for _, name in bases)}
    assert {base for base, _ in bases} <= known


def test_every_installation_is_held_by_the_constraints_and_names_no_index():
    installs = [s.text for s in STEPS if s.keyword == "RUN" and "pip install" in s.text]
    assert len(installs) == 4
    for text in installs:
        assert "--constraint" in text
        assert "index-url" not in text
        assert "--mount=type=secret,id=pip" in text
    assert not re.search(r"[a-z0-9-]+\.(io|com|org|dev)\b", DOCKERFILE)


def test_a_file_that_is_not_understood_is_refused():
    with pytest.raises(building.BuildError, match="line 2: SHELL is not read here"):
        building.parse("FROM a AS b\nSHELL sh")
    with pytest.raises(building.BuildError, match="no stage 'tpu'"):
        building.wanted(STEPS, "tpu")


def test_a_failing_step_is_named_with_what_it_said(tmp_path: Path):
    steps = building.parse("FROM ${BASE} AS x\nRUN echo lost >&2; false")
    with pytest.raises(building.BuildError, match=r"line 2: RUN echo lost(.|\n)*lost"):
        building.Build(tmp_path, {"BASE": BASE}, quick=True).run(steps)


@pytest.fixture
def server() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as served:
        thread = Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_health_is_what_the_addresses_answer(server: str):
    assert health_check.faults([f"{server}/health"]) == []
    assert "503" in health_check.faults([f"{server}/health", f"{server}/busy"])[0]
    assert "refused" in health_check.faults(["http://127.0.0.1:1/health"])[0]
    assert "expected http" in health_check.faults(["file:///etc/passwd"])[0]


def test_health_includes_a_place_to_write(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/proc/nothing", "w"))  # noqa: SIM115, PTH123
    assert "nothing can be written" in health_check.faults([])[0]


def test_compose_is_as_closed_as_the_pods():
    compose = yaml.safe_load((INFRA / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "ports" not in service, f"{name} is reachable from outside"
        assert name == "store" or (service["read_only"] and "10001" in service["user"])
        assert not [v for v in service.get("volumes", ()) if "ca.key" in v or v.endswith("tls:ro")]
    for name in ("scheduler", "worker"):
        assert "./kubernetes/base/engines.env" in compose["services"][name]["env_file"]
