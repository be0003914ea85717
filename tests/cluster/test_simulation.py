"""Simulated runs against what queues and arithmetic say of them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import simpy

from cluster import simulated_work, unit_costs
from cluster.prices import Prices
from cluster.simulated_cores import Cores
from cluster.simulated_work import Work, spread
from cluster.simulation import Fleet, SimulationError, simulate
from cluster.unit_costs import CostsError, Engine, Nodes, Store, UnitCosts

FREE = Engine(0, 0, 0, 0, 0, 0, 0, 0)
INSTANT = Nodes(start=0.0, preempted=0.0, noticed=0.0)
IDEAL = UnitCosts(FREE, Store(latency=0.0), INSTANT)
PRICES = Prices()


def run(works, workers, costs=IDEAL, **choices):
    works = works if isinstance(works, list) else [works]
    return simulate(works, Fleet(workers, **choices), costs=costs, prices=PRICES)


class TestCores:
    def ended(self, given, asked):
        clock = simpy.Environment()
        cores, times = Cores(clock, given), {}

        def one(name, start, seconds):
            yield clock.timeout(start)
            yield cores.use(seconds)
            times[name] = clock.now

        for name, (start, seconds) in enumerate(asked):
            clock.process(one(name, start, seconds))
        clock.run()
        return [times[n] for n in range(len(asked))]

    def test_one_process_has_one_core(self):
        assert self.ended((1.0, 2.0), [(0.0, 3.0)]) == [3.0]

    def test_three_processes_share_two_cores(self):
        # Each has 2/3 of a core until all end together.
        assert self.ended((1.0, 2.0), [(0.0, 2.0)] * 3) == pytest.approx([3.0] * 3)

    def test_who_comes_later_slows_who_is_there(self):
        # Alone for 1 s, then half a core each: the first has 1 s left, which takes 2 s.
        assert self.ended((1.0,), [(0.0, 2.0), (1.0, 3.0)]) == pytest.approx([3.0, 5.0])

    def test_work_is_conserved(self):
        rng = np.random.default_rng(3)
        asked = [(0.0, float(s)) for s in rng.uniform(0.1, 2.0, 40)]
        assert max(self.ended((1.0, 1.6), asked)) >= sum(s for _, s in asked) / 1.6


class TestRun:
    @pytest.mark.parametrize("workers", [1, 2, 5, 50])
    def test_equal_keys_take_as_long_as_the_busiest_worker(self, workers):
        found = run(Work("w", 100, (3.0,)), workers)

        assert found.seconds == pytest.approx(3.0 * math.ceil(100 / workers))
        assert sum(found.shares.values()) == pytest.approx(1.0)
        assert found.bottleneck == "keys"

    def test_a_stage_waits_for_the_one_before(self):
        found = run([Work("a", 3, (4.0,)), Work("b", 1, (1.0,))], 2)

        assert found.stages == pytest.approx((8.0, 9.0))
        assert found.shares["end of stages"] == pytest.approx(5.0 / 18.0)

    def test_more_workers_than_keys_wait_for_the_end(self):
        assert run(Work("w", 5, (10.0,)), 100).bottleneck == "end of stages"

    def test_a_scheduler_gives_so_many_tasks_a_second_and_no_more(self):
        costs = replace(IDEAL, engine=replace(FREE, scheduler_task=0.01))
        found = run(Work("w", 20_000, (1.0,)), 1000, costs)

        assert found.seconds == pytest.approx(20_000 * 0.01, rel=0.02)
        assert found.bottleneck == "scheduler"

    def test_a_driver_takes_in_so_many_keys_a_second_and_no_more(self):
        costs = replace(IDEAL, engine=replace(FREE, driver_task=0.02))
        found = run(Work("w", 10_000, (1.0,)), 1000, costs)

        assert found.seconds == pytest.approx(10_000 * 0.02, rel=0.02)
        assert found.bottleneck == "driver"

    def test_bandwidth_of_a_store_is_shared_by_all(self):
        store = Store(latency=0.0, worker_bandwidth=100e6, total_bandwidth=1e9)
        found = run(Work("w", 5000, (0.5,), bytes_read=50e6), 500, replace(IDEAL, store=store))

        assert found.seconds == pytest.approx(5000 * 50e6 / 1e9, rel=0.02)
        assert found.bottleneck == "store limits"

    def test_requests_to_a_prefix_are_limited(self):
        store = Store(latency=0.001, writes=100.0, prefixes=3)
        found = run(Work("w", 3000, (0.5,), writes=10.0), 500, replace(IDEAL, store=store))

        assert found.seconds == pytest.approx(3000 * 10 / 300.0, rel=0.02)
        assert found.bottleneck == "store limits"

    def test_latency_is_paid_for_each_request(self):
        found = run(
            Work("w", 10, (1.0,), reads=10.0), 1, replace(IDEAL, store=Store(0.2, at_once=2))
        )

        assert found.seconds == pytest.approx(10 * (1.0 + 1.0), rel=0.08)
        assert found.shares["store latency"] == pytest.approx(1 / 2, rel=0.1)

    def test_commits_keep_to_their_share_and_are_paid(self):
        costs = replace(IDEAL, engine=replace(FREE, commit=1.0))
        found = run(Work("w", 2000, (0.3,)), 1, costs, batch=1)

        assert found.commits == pytest.approx(found.seconds / 20.0, rel=0.15)
        assert found.seconds == pytest.approx(2000 * 0.3, rel=0.06)

    def test_workers_that_wait_share_cores_without_harm(self):
        cores = (1.0, 2.0)
        busy = run(Work("w", 200, (0.5,)), 4, shared=cores)
        idle = run(Work("w", 200, (0.5,), waiting=0.9), 4, shared=cores)

        assert busy.seconds == pytest.approx(200 * 0.5 / 2, rel=0.02)
        assert idle.seconds == pytest.approx(200 * 0.5 / 4, rel=0.10)

    def test_machines_that_are_taken_back_lose_time_and_no_key(self):
        nodes = Nodes(start=60.0, preempted=2.0, noticed=5.0)
        work = Work("w", 3000, (30.0,))
        kept = run(work, 50, replace(IDEAL, nodes=replace(nodes, preempted=0.0)))
        spot = run(work, 50, replace(IDEAL, nodes=nodes), spot=True)

        hours = 50 * spot.seconds / 3600.0
        assert spot.preempted == pytest.approx(2.0 * hours, rel=0.4)
        # Half a key and a start are lost each time.
        lost = spot.preempted * (15.0 + 60.0) / 50
        assert spot.seconds == pytest.approx(kept.seconds + lost, rel=0.03)
        assert spot.shares["keys"] * 50 * spot.seconds == pytest.approx(3000 * 30.0, rel=1e-6)
        assert spot.dollars < kept.dollars

    def test_several_tasks_as_one_event_change_little(self, monkeypatch):
        nodes = Nodes(start=30.0, preempted=0.2)
        costs = UnitCosts(nodes=nodes)
        work = Work("w", 12_000, spread(2.0, relative=0.5), reads=4.0, writes=4.0, bytes_read=5e6)
        exact = run(work, 40, costs, spot=True)
        monkeypatch.setattr(simulated_work, "MOST_LOTS", 1000)
        coarse = run(work, 40, costs, spot=True)

        assert coarse.lots < exact.lots / 5
        assert coarse.seconds == pytest.approx(exact.seconds, rel=0.02)
        for reason, share in exact.shares.items():
            assert coarse.shares[reason] == pytest.approx(share, abs=0.01)

    def test_cost_is_of_cores_and_requests(self):
        found = run(Work("w", 3600, (1.0,), reads=1000.0), 1, replace(IDEAL, store=Store(0.0)))

        cores = PRICES.core_hour * (1 + 4) * found.seconds / 3600.0
        assert found.dollars == pytest.approx(cores + 3600 * PRICES.thousand_reads)

    @pytest.mark.parametrize(
        ("works", "fleet", "message"),
        [
            ([], Fleet(1), "no stages"),
            ([Work("w", 0, (1.0,))], Fleet(1), "stage 'w' has 0 keys"),
            ([Work("w", 1, ())], Fleet(1), "0 times"),
            ([Work("w", 1, (1.0,))], Fleet(0), "0 workers"),
        ],
    )
    def test_what_cannot_be_simulated_is_refused(self, works, fleet, message):
        with pytest.raises(SimulationError, match=message):
            simulate(works, fleet, costs=IDEAL, prices=PRICES)


class TestUnitCosts:
    def test_a_file_comes_back_as_it_was(self, tmp_path):
        costs = replace(UnitCosts(), nodes=Nodes(start=7.0))
        path = tmp_path / "costs.json"
        path.write_text(costs.to_json())

        assert unit_costs.read(path) == costs

    def test_what_is_not_named_keeps_its_default(self, tmp_path):
        path = tmp_path / "costs.json"
        path.write_text(json.dumps({"store": {"latency": 0.5}}))

        assert unit_costs.read(path) == replace(UnitCosts(), store=Store(latency=0.5))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "cannot be read as unit costs"),
            ("[]", "holds a list"),
            ('{"stores": {}}', "has stores; expected some of engine, store, nodes"),
            ('{"store": 3}', "expected an object of latency"),
            ('{"store": {"late": 3}}', "has late"),
            ('{"store": {"latency": -1}}', "store.latency is -1; expected a number above zero"),
            ('{"store": {"reads": 0}}', "store.reads is 0"),
            ('{"store": {"reads": true}}', "store.reads is True"),
        ],
    )
    def test_what_is_no_cost_is_refused(self, tmp_path, text, message):
        path = tmp_path / "costs.json"
        path.write_text(text)

        with pytest.raises(CostsError, match=message):
            unit_costs.read(path)
