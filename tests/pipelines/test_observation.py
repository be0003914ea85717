"""A run is watched: metrics while it works, signed log lines, a summary page however it ends."""

import json
import logging
import re
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import icechunk
import pytest

from cluster import log_context, telemetry
from cluster.lease import LeaseLost
from cluster.ledger import Receipt
from cluster.metrics import MetricsError
from cluster.object_store import StoreError
from pipelines import lifecycle
from pipelines.execution import _Workforces
from tests.fixtures.small_plan import HOSTILE, ROWS, small_plan


@pytest.fixture(autouse=True)
def _restored_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NUNATAK_LOG", "NUNATAK_METRICS", log_context.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def in_this_process() -> Iterator[None]:
    """Let keys be carried out here: workers are not what is tested."""
    with mock.patch.object(_Workforces, "of", return_value=None):
        yield


class Page(HTMLParser):
    """The tags of a page, its visible words, and its addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.words = ""
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._hidden = tag == "style"
        self.targets += [str(value) for name, value in attrs if name in {"href", "src", "action"}]

    def handle_endtag(self, tag: str) -> None:
        self._hidden = self._hidden and tag != "style"

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += f"{data} "


def page_of(output: Path) -> Page:
    return Page((output / "summary.html").read_text())


def value(page: str, name: str, **labels: str) -> float:
    for line in page.splitlines():
        found = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
        if found and found[1] == name:
            held = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
            if labels.items() <= held.items():
                return float(found[3])
    raise LookupError(name)


@pytest.mark.usefixtures("in_this_process")
class TestMetrics:
    @pytest.fixture
    def pages(self, monkeypatch, caplog) -> Iterator[list[str]]:
        """Collect what a monitor would see after each receipt."""
        monkeypatch.setenv("NUNATAK_METRICS", "0")
        caplog.set_level(logging.INFO, "pipelines")
        seen: list[str] = []
        self.look = lambda _receipt: seen.append(self._scraped(caplog))
        return seen

    @staticmethod
    def _scraped(caplog) -> str:
        url = re.findall(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", caplog.text)[-1]
        with urllib.request.urlopen(url, timeout=10.0) as answer:  # noqa: S310 - of this machine
            return bytes(answer.read()).decode()

    def test_counters_go_on_where_the_run_before_stopped(self, tmp_path, pages) -> None:
        small_plan(tmp_path, bad=2).execute(None, on_receipt=self.look)
        first = len(pages)
        small_plan(tmp_path).execute(None, on_receipt=self.look)

        counted = {
            (stage, state): [
                value(page, "nunatak_keys_total", stage=stage, state=state) for page in pages
            ]
            for stage in ("rows", "total")
            for state in ("done", "failed")
        }
        for series in counted.values():
            assert series == sorted(series)  # a counter that falls would be taken for a restart
        # The failure stays counted, and the total was computed again with the mended row.
        assert [series[-1] for series in counted.values()] == [ROWS, 1.0, 2.0, 0.0]
        left = [value(page, "nunatak_keys_left", stage="rows") for page in pages]
        # Of two keys a commit, both are told of after it.
        assert left[: first - 1] == [4.0, 3.0, 2.0, 1.0, 0.0]
        assert left[first] == 0.0
        failing = [value(page, "nunatak_keys_failing", stage="rows") for page in pages]
        assert (failing[first - 1], failing[-1]) == (1.0, 0.0)

    def test_what_is_spent_in_the_end_is_what_the_plan_says_at_the_times_measured(
        self, tmp_path, pages
    ) -> None:
        plan = small_plan(tmp_path)
        plan.execute(None, on_receipt=self.look)

        work = value(pages[-1], "nunatak_core_seconds")
        expected = lifecycle.dollars(plan, lifecycle.prices.read())
        priced = (work - lifecycle.core_seconds(plan)) * lifecycle.prices.read().core_hour / 3600
        assert value(pages[-1], "nunatak_dollars") == pytest.approx(expected + priced)
        assert value(pages[-1], "nunatak_core_seconds_left") == 0.0

    def test_a_port_that_is_taken_is_a_warning_and_the_run_goes_on(
        self, tmp_path, monkeypatch, caplog
    ) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as other:
            monkeypatch.setenv("NUNATAK_METRICS", str(other.getsockname()[1]))
            outcome = small_plan(tmp_path).execute(None)

        assert outcome.done == ROWS + 1
        assert "no metrics of this run" in caplog.text
        assert "NUNATAK_METRICS" in caplog.text

    def test_what_is_no_port_is_refused_before_anything_is_begun(
        self, tmp_path, monkeypatch
    ) -> None:
        monkeypatch.setenv("NUNATAK_METRICS", "everywhere")

        with pytest.raises(MetricsError, match="everywhere"):
            small_plan(tmp_path / "out").execute(None)
        assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("in_this_process")
class TestSummary:
    def test_the_page_tells_of_the_run_and_loads_nothing(self, tmp_path) -> None:
        small_plan(tmp_path, bad=2).execute(None)
        page = page_of(tmp_path)

        assert "5 keys done, 1 failed, 0 left" in page.words
        assert {"table", "svg", "h1"} <= page.tags
        assert not page.tags & {"script", "img", "iframe", "object", "link", "form"}
        assert {target for target in page.targets if not target.startswith("./")} == set()
        for words in ("run 5ma11", "nunatak 0.1.0", "3 MiB", "core-hours", "Slowest keys"):
            assert words in page.words

    def test_what_inputs_say_of_themselves_is_shown_as_text_without_secrets(self, tmp_path) -> None:
        small_plan(tmp_path, bad=2).execute(None)
        page = page_of(tmp_path)

        assert HOSTILE.partition(" token")[0] in page.words
        assert "<b>item</b>" in page.words
        assert "hunter2secret" not in page.words
        assert not page.tags & {"script", "b", "i"}

    def test_a_mended_run_has_a_page_without_failures_that_counts_both_runs(self, tmp_path) -> None:
        small_plan(tmp_path, bad=2).execute(None)
        small_plan(tmp_path).execute(None)

        words = page_of(tmp_path).words
        assert f"all {ROWS + 1} keys done" in words
        assert "Failed keys" not in words
        storage = icechunk.local_filesystem_storage(str(tmp_path / "product.icechunk"))
        history = icechunk.Repository.open(storage).ancestry(branch="main")
        carrying = [each for each in history if "keys done" in each.message]
        assert re.search(rf"commits\s+{len(carrying)}\b", words)
        assert len(carrying) >= 4  # rows and their total; the mended row and the total again

    def test_a_run_that_had_nothing_to_do_leaves_the_page_alone(self, tmp_path) -> None:
        small_plan(tmp_path).execute(None)
        path = tmp_path / "summary.html"
        before = (path.read_bytes(), path.stat().st_mtime_ns)

        small_plan(tmp_path).execute(None)
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before

        path.unlink()
        small_plan(tmp_path).execute(None)
        assert path.exists()

    @pytest.mark.parametrize(
        ("error", "words"),
        [(KeyboardInterrupt(), "small: interrupted"), (ZeroDivisionError(), "ended by ZeroDiv")],
    )
    def test_a_run_that_ended_early_has_a_page_too(self, tmp_path, error, words) -> None:
        def stop(receipt: Receipt) -> None:
            if receipt.key == "row/3":
                raise error

        with pytest.raises(type(error)):
            small_plan(tmp_path).execute(None, on_receipt=stop)

        assert words in page_of(tmp_path).words
        assert "no whole product" in page_of(tmp_path).words

    @pytest.mark.parametrize("error", [StoreError("gone"), LeaseLost("taken over")])
    def test_none_is_written_where_the_store_is_gone_or_another_driver_works(
        self, tmp_path, error
    ) -> None:
        def stop(_receipt: Receipt) -> None:
            raise error

        with pytest.raises(type(error)):
            small_plan(tmp_path).execute(None, on_receipt=stop)
        assert not (tmp_path / "summary.html").exists()

    def test_a_page_that_cannot_be_written_does_not_fail_the_run(self, tmp_path, caplog) -> None:
        (tmp_path / "summary.html").mkdir()

        outcome = small_plan(tmp_path, bad=0).execute(None)

        assert (outcome.done, outcome.failed) == (ROWS, 1)
        assert "no summary page of this run" in caplog.text

    def test_the_page_is_among_the_results(self, tmp_path) -> None:
        outcome = small_plan(tmp_path).execute(None)

        assert outcome.results["summary.html"] == str(tmp_path / "summary.html")
        assert Path(outcome.results["summary.html"]).exists()


def test_lines_of_dask_workers_name_run_product_and_key(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("NUNATAK_LOG", "json")
    monkeypatch.setenv("NUNATAK_WORKERS", "1")
    telemetry.configure_logging()

    small_plan(tmp_path).execute(None)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {line["run_id"] for line in lines} == {"5ma11"}
    assert {line["product"] for line in lines} == {"small"}
    of_keys = {line["key"] for line in lines if line["logger"] == "pipelines.tests.small_plan"}
    assert of_keys == {f"row/{number}" for number in range(ROWS)}
    assert "hunter2secret" not in json.dumps(lines)
