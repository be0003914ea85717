"""``nunatak serve`` as people run it: a process, its address, Ctrl-C."""

import http.client
import json
import re
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.fixtures.commands import NUNATAK, nunatak
from tests.pipelines.report import viewer_products

STARTED_WITHIN = 60.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return viewer_products.write(tmp_path_factory.mktemp("products"))


def fetched(address, path, **headers):
    """Return what the server has at a path."""
    connection = http.client.HTTPConnection(address.split("/")[2], timeout=STARTED_WITHIN)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()


def started(*arguments):
    """Start the command; return the process and the address that it prints."""
    process = subprocess.Popen(
        [*NUNATAK, "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    found = re.search(r"http://\S+/", line)
    assert found, (line, process.stderr.read() if process.poll() is not None else "")
    return process, found.group()


@pytest.fixture
def report(tmp_path):
    """Return a folder as `nunatak report` leaves one."""
    folder = tmp_path / "report"
    folder.mkdir()
    told = {"made_by": "nunatak report", "whole": True, "products": ["gravimetry"]}
    (folder / "report.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "index.html").write_text("<!doctype html><title>a report</title>", encoding="utf-8")
    return folder


def test_it_serves_report_and_map_until_ctrl_c_and_ends_well(written, report):
    process, address = started(*written.addresses, str(report), "--port", "0", "--json")
    try:
        assert b"<title>a report</title>" in fetched(address, "/")
        scene = json.loads(fetched(address, "/map/scene.json"))
        assert len(scene["products"]) == len(viewer_products.WRITERS)
        for product in scene["products"]:
            item = json.loads(fetched(address, urljoin("/map/", f"{product['url']}/item.json")))
            assert item["properties"]["nunatak:product"] == product["product"]
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=STARTED_WITHIN)
    assert process.returncode == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert facts["exit_status"] == 0
    assert facts["address"] == address
    assert set(facts["products"]) == set(viewer_products.WRITERS)
    assert "Traceback" not in err


@pytest.mark.slow
def test_without_a_report_one_is_drawn_and_what_ends_a_job_ends_it(written):
    process, address = started(written.output("gravimetry"), "--port", "0")
    try:
        page = fetched(address, "/").decode()
        assert "map/index.html" in page
        assert b"viewer.js" in fetched(address, "/map/index.html")
    finally:
        process.terminate()
        _, err = process.communicate(timeout=STARTED_WITHIN)
    assert process.returncode == 0, err


@pytest.mark.parametrize(
    ("marks", "words"),
    [({"whole": False}, "whole"), ({"whole": True, "products": ["gravimetry"]}, "gravimetry")],
)
def test_half_a_report_or_one_alone_is_a_mistake(report, marks, words):
    (report / "report.json").write_text(json.dumps(marks), encoding="utf-8")
    result = nunatak("serve", report, "--port", "0")
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_taken_port_is_a_mistake_that_says_what_to_do(written):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = nunatak("serve", written.output("gravimetry"), "--port", str(port))
    assert result.exit_code == 2
    assert f"port {port}" in result.stderr
    assert "--port" in result.stderr


def test_an_output_without_a_product_is_a_mistake(tmp_path):
    result = nunatak("serve", tmp_path, "--port", "0")
    assert result.exit_code == 2
    assert "no finished product" in result.stderr


def test_above_finished_products_these_are_named(written):
    above = Path(written.output("gravimetry")).parent
    result = nunatak("serve", above, "--port", "0")
    assert result.exit_code == 2
    assert f"name those: {above}/altimetry {above}/" in result.stderr
    assert f" {above}/gravimetry" in result.stderr


def test_others_than_this_machine_are_warned_of(written, report):
    open_to_all = ("--port", "0", "--host", "0.0.0.0")  # noqa: S104 what is warned of
    process, address = started(written.output("gravimetry"), str(report), *open_to_all)
    try:
        assert b"<title>a report</title>" in fetched(address, "/")
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=STARTED_WITHIN)
    assert process.returncode == 0
    assert "no password" in err


def test_the_name_that_it_listens_by_is_its_own(written, report):
    # Another spelling of 127.0.0.1, which is no address as a Host header has them.
    arguments = ("--port", "0", "--host", "127.1")
    process, address = started(written.output("gravimetry"), str(report), *arguments)
    try:
        assert b"<title>a report</title>" in fetched(address, "/", Host="127.1")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STARTED_WITHIN)
    assert process.returncode == 0
