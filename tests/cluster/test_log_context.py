"""Whose line it is: run and key on every JSON line, of the driver, its threads and its workers."""

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zarr

from cluster import log_context, ray_cluster, redaction, telemetry
from cluster.ledger import Receipt
from cluster.log_context import RunContext
from cluster.work import process
from cluster.zarr_sink import Repository
from tests.fixtures.products import Template, keys


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch):
    for name in ("NUNATAK_LOG", log_context.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with log_context.running(RunContext()):
        yield
    root.handlers[:] = handlers
    root.setLevel(level)


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_within_a_key_name_run_product_and_key_and_others_only_the_run(capsys) -> None:
    telemetry.configure_logging(json=True)
    context = log_context.made("3fa8", "gravimetry")
    with log_context.running(context):
        logging.getLogger("cluster").info("before")
        with telemetry.working_on("month/2011-02", context):
            logging.getLogger("pipelines").info("within")
    logging.getLogger("cluster").info("after")

    before, within, after = said(capsys)
    assert (before["run_id"], before["product"], "key" in before) == ("3fa8", "gravimetry", False)
    assert (within["run_id"], within["key"]) == ("3fa8", "month/2011-02")
    assert "run_id" not in after


def test_threads_that_a_library_starts_know_the_run(capsys) -> None:
    telemetry.configure_logging(json=True)
    with log_context.running(log_context.made("3fa8", "scenes")):
        thread = threading.Thread(target=lambda: logging.getLogger("stac").info("of a thread"))
        thread.start()
        thread.join()

    assert said(capsys)[0]["run_id"] == "3fa8"


def test_two_runs_on_one_worker_sign_their_own_lines(capsys) -> None:
    telemetry.configure_logging(json=True)
    log_context.adopt(RunContext("last-to-come", "scenes"))
    both = threading.Barrier(2)

    def work(run: str) -> None:
        with log_context.working_on(f"key-of-{run}", RunContext(run, "gravimetry")):
            both.wait(10)
            logging.getLogger("pipelines").info("%s", run)
            both.wait(10)

    threads = [threading.Thread(target=work, args=(run,)) for run in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for line in said(capsys):
        assert line["run_id"] == line["message"]
        assert line["key"] == f"key-of-{line['message']}"


def test_plain_lines_stay_as_they_are(capsys) -> None:
    telemetry.configure_logging(json=False)
    with telemetry.working_on("k", log_context.made("3fa8", "gravimetry")):
        logging.getLogger("cluster").info("60 months")

    assert capsys.readouterr().err.endswith("INFO cluster: 60 months\n")


def test_an_extra_field_of_the_same_name_wins(capsys) -> None:
    telemetry.configure_logging(json=True)
    with telemetry.working_on("k", log_context.made("3fa8", "gravimetry")):
        logging.getLogger("cluster").info("of another", extra={"key": "other"})

    assert said(capsys)[0]["key"] == "other"


def test_secrets_do_not_hide_in_a_key_or_a_run(capsys, monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    telemetry.configure_logging(json=True)
    with telemetry.working_on("s3://wJalrXUtnFEMI@x", log_context.made("wJalrXUtnFEMI", "p")):
        logging.getLogger("cluster").info("read")

    text = capsys.readouterr().err
    assert "wJalrXUtnFEMI" not in text
    assert json.loads(text)["run_id"] == redaction.HIDDEN


def test_a_launcher_names_the_run_before_its_run_file_is_read(capsys, monkeypatch) -> None:
    monkeypatch.setenv("NUNATAK_RUN_ID", "gravimetry-7")
    telemetry.configure_logging(json=True)
    logging.getLogger("cluster").info("starting")
    with log_context.running(log_context.made("3fa8", "gravimetry")):
        logging.getLogger("cluster").info("planned")

    assert [line["run_id"] for line in said(capsys)] == ["gravimetry-7", "3fa8"]


WORKER = """
import logging, sys
from cluster import telemetry
from cluster.log_context import RunContext
context = RunContext("3fa8", "gravimetry", structured=True, origin="driver:1")
with telemetry.working_on("month/2011-02", context):
    logging.getLogger("pipelines").warning("password=hunter2secret")
logging.getLogger("cluster").warning("between keys")
assert "hunter2secret" not in str(sys.stdout)
"""


@pytest.mark.parametrize("choice", ["", "plain"])
def test_a_worker_that_nobody_prepared_logs_as_its_driver_unless_told_otherwise(
    choice: str,
) -> None:
    environment = {n: text for n, text in os.environ.items() if n != "NUNATAK_LOG"}
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        capture_output=True,
        text=True,
        check=True,
        env=environment | ({"NUNATAK_LOG": choice} if choice else {}),
    )

    assert "hunter2secret" not in done.stderr
    if choice:
        assert done.stderr.splitlines()[0].endswith("WARNING pipelines: password=***")
        return
    within, between = map(json.loads, done.stderr.splitlines())
    assert (within["run_id"], within["key"]) == ("3fa8", "month/2011-02")
    assert (between["run_id"], "key" in between) == ("3fa8", False)


def test_a_key_carried_out_by_the_driver_leaves_its_logging_alone() -> None:
    logging.getLogger().handlers[:] = []

    with telemetry.working_on("k", log_context.made("3fa8", "gravimetry")):
        pass

    assert not logging.getLogger().handlers


@dataclass(frozen=True)
class Telling:
    """A job that says something of its key."""

    context: RunContext

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        with telemetry.working_on(key, self.context):
            logging.getLogger("pipelines").warning("a scene is dark")
        group["rows"][int(key.split("/")[1])] = np.zeros(group["rows"].shape[1])
        return Receipt(key, "done")


@pytest.mark.ray
@pytest.mark.slow
def test_workers_of_ray_sign_their_lines_in_rays_own_logs(tmp_path: Path) -> None:
    import ray

    version = Repository.open(str(tmp_path / "product.icechunk")).begin("a")
    version.initialise(Template(2))
    job = Telling(RunContext("3fa8", "scenes", structured=True, origin="driver:1"))

    with ray_cluster.connect(workers=1) as cluster:
        process(keys(2), job, version=version, client=cluster)
        session = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
        found = [
            json.loads(line)
            for path in session.glob("worker-*.err")
            for line in path.read_text().splitlines()
            if "a scene is dark" in line
        ]

    told = sorted((each["run_id"], each["product"], each["key"]) for each in found)
    assert told == [("3fa8", "scenes", key) for key in keys(2)]
