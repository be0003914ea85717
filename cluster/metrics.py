"""Prometheus metrics of one run: what :mod:`cluster.run_tally` counted, in its text format.

The registry is our own, so that neither what a library registers nor a second run in the same
process shows. Every metric has the labels ``product`` and ``run_id``; those of keys have ``stage``
too. The names are listed in docs/observability.md and are held by the dashboard and the alerts.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cluster.run_tally import RunTally, StageTally, core_seconds, core_seconds_left, spent

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

VARIABLE: Final = "NUNATAK_METRICS"
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PLACE = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+):)?(?P<port>\d{1,5})")
_LARGEST_PORT = 65535


class MetricsError(ValueError):
    """``NUNATAK_METRICS`` holds what cannot be a place to serve metrics at."""


@dataclass(frozen=True)
class Place:
    """Where metrics are served.

    Attributes
    ----------
    host : str
        Name or address to listen on.
    port : int
        0 for any that is free.
    """

    host: str
    port: int


def place(environment: Mapping[str, str] | None = None) -> Place | None:
    """Return where metrics are to be served, None for nowhere.

    Raises
    ------
    MetricsError
        If ``NUNATAK_METRICS`` is neither a port nor a host and a port.

    Examples
    --------
    >>> place({"NUNATAK_METRICS": "9108"}), place({"NUNATAK_METRICS": "0.0.0.0:9108"}), place({})
    (Place(host='127.0.0.1', port=9108), Place(host='0.0.0.0', port=9108), None)
    """
    source = os.environ if environment is None else environment
    text = source.get(VARIABLE, "").strip()
    if not text:
        return None
    match = _PLACE.fullmatch(text)
    if match is None or int(match["port"]) > _LARGEST_PORT:
        msg = f"{VARIABLE} is {text!r}; expected a port such as 9108 (on the loopback) or a host "
        msg += "and a port such as 0.0.0.0:9108; correct it, or unset it to serve no metrics"
        raise MetricsError(msg)
    return Place((match["host"] or "127.0.0.1").strip("[]"), int(match["port"]))


def registry(tally: RunTally, *, started: float) -> "CollectorRegistry":
    """Return a registry with the metrics of one run and of this process.

    Parameters
    ----------
    tally : RunTally
        Read whenever somebody asks.
    started : float
        When this run began [s since 1970].
    """
    from prometheus_client import CollectorRegistry, ProcessCollector

    made = CollectorRegistry(auto_describe=False)
    made.register(_Collector(tally, started))
    ProcessCollector(registry=made)
    return made


@contextmanager
def serving(tally: RunTally, where: Place, *, started: float) -> Iterator[str]:
    """Serve the metrics of a run while the block lasts; yield their address.

    Raises
    ------
    OSError
        If nobody can listen at ``where``.
    """
    from prometheus_client import generate_latest

    from cluster.metrics_server import listening

    source = registry(tally, started=started)

    def page() -> bytes:
        return generate_latest(source)

    with listening(page, where.host, where.port, media_type=MEDIA_TYPE) as port:
        host = f"[{where.host}]" if ":" in where.host else where.host
        yield f"http://{host}:{port}/metrics"


class _Collector:
    """Turns a tally into metrics each time it is asked."""

    def __init__(self, tally: RunTally, started: float) -> None:
        self._tally = tally
        self._started = started

    def collect(self) -> Iterator["Metric"]:
        """Yield every metric of the run."""
        tallies = self._tally.read()
        yield from self._of_run(tallies)
        yield from self._of_stages(tallies)
        yield self._seconds(tallies)

    def _of_run(self, tallies: Mapping[str, StageTally]) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily

        facts = self._tally.facts
        labels = {"product": facts.product, "run_id": facts.run_id}
        info = {**labels, "version": facts.version}
        yield _one(GaugeMetricFamily, "nunatak_run_info", "This run; always 1.", 1.0, info)
        for name, said, value in (
            ("nunatak_run_start_time_seconds", "When this driver began.", self._started),
            ("nunatak_last_receipt_time_seconds", "Last commit of this driver; its start before.",
             self._tally.last or self._started),
            ("nunatak_dollars", "Cost of the keys tried, by all runs.", spent(facts, tallies)),
            ("nunatak_core_seconds", "Work done by all runs.", core_seconds(facts, tallies)),
            ("nunatak_core_seconds_left", "Work expected to be left.",
             core_seconds_left(facts, tallies)),
        ):  # fmt: skip
            yield _one(GaugeMetricFamily, name, said, value, labels)

    def _of_stages(self, tallies: Mapping[str, StageTally]) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        planned = {stage.name: stage.keys for stage in self._tally.facts.stages}
        for name, said, value in _GAUGES:
            gauge = GaugeMetricFamily(name, said, labels=_LABELS)
            for stage, tally in tallies.items():
                if stage in planned:
                    gauge.add_metric(self._labels(stage), value(tally, planned[stage]))
            yield gauge
        for name, said, total in _COUNTERS:
            counter = CounterMetricFamily(name, said, labels=_LABELS)
            for stage, tally in tallies.items():
                counter.add_metric(self._labels(stage), total(tally))
            yield counter
        keys = CounterMetricFamily(
            "nunatak_keys", "Keys done and failures, by all runs.", labels=(*_LABELS, "state")
        )
        for stage, tally in tallies.items():
            for state, count in (("done", tally.done), ("failed", tally.failed)):
                keys.add_metric([*self._labels(stage), state], count)
        yield keys

    def _seconds(self, tallies: Mapping[str, StageTally]) -> "Metric":
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(
            "nunatak_key_seconds", "Time of keys, by all runs.", labels=_LABELS
        )
        for stage, tally in tallies.items():
            family.add_metric(self._labels(stage), tally.cumulative(), tally.seconds)
        return family

    def _labels(self, stage: str) -> list[str]:
        return [self._tally.facts.product, self._tally.facts.run_id, stage]


_LABELS: Final = ("product", "run_id", "stage")

_GAUGES: tuple[tuple[str, str, Callable[[StageTally, int], float]], ...] = (
    ("nunatak_keys_planned", "Keys of the plan.", lambda _, planned: planned),
    ("nunatak_keys_left", "Keys that this run has still to try.", lambda tally, _: tally.left),
    ("nunatak_keys_failing", "Keys that failed in this run.", lambda t, _: len(t.failing)),
)

# The library adds _total to their names.
_COUNTERS: tuple[tuple[str, str, Callable[[StageTally], float]], ...] = (
    ("nunatak_bytes_read", "Bytes that keys read, by all runs.", lambda t: t.bytes_read),
    ("nunatak_bytes_written", "Bytes that keys wrote, by all runs.", lambda t: t.bytes_written),
)


def _one(
    kind: "Callable[..., Metric]", name: str, said: str, value: float, labels: Mapping[str, str]
) -> "Metric":
    family = kind(name, said, labels=list(labels))
    family.add_sample(name, dict(labels), value)
    return family
