"""``nunatak serve`` as people run it: a process, its address, Ctrl-C."""

import http.client
import json
import re
import signal
import socket
import subprocess
from urllib.parse import urljoin

import pytest

from tests.fixtures.commands import NUNATAK, nunatak
from tests.pipelines.report import viewer_products

STARTED_WITHIN = 60.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return viewer_products.write(tmp_path_factory.mktemp("products"))


def fetched(address, path):
    """Return a JSON document of the server."""
    connection = http.client.HTTPConnection(address.split("/")[2], timeout=STARTED_WITHIN)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return json.load(answer)
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


def test_it_serves_the_map_until_ctrl_c_and_ends_well(written):
    process, address = started(*written.addresses, "--port", "0", "--json")
    try:
        scene = fetched(address, "/map/scene.json")
        assert len(scene["products"]) == len(viewer_products.WRITERS)
        for product in scene["products"]:
            item = fetched(address, urljoin("/map/", f"{product['url']}/item.json"))
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


def test_what_ends_a_job_ends_it_too(written):
    process, _ = started(written.output("gravimetry"), "--port", "0")
    process.terminate()
    _, err = process.communicate(timeout=STARTED_WITHIN)
    assert process.returncode == 0, err


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


def test_others_than_this_machine_are_warned_of(written):
    process, _ = started(written.output("gravimetry"), "--port", "0", "--host", "0.0.0.0")  # noqa: S104
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=STARTED_WITHIN)
    assert process.returncode == 0
    assert "no password" in err
