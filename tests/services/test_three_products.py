"""A data centre of nine hosts makes three products, and they are those of a single process."""

import pytest

from tests.services.conftest import MakeWork
from tests.services.datacentre import Datacentre

pytestmark = [
    pytest.mark.services, pytest.mark.network, pytest.mark.long, pytest.mark.ray,
    pytest.mark.timeout(600),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _servers(centre: Datacentre) -> None:
    centre.start_dask()
    centre.start_head()
    for host in ("node1", "node2"):
        centre.start_node(host)


@pytest.mark.parametrize("product", ["gravimetry", "mass_budget", "evaluation"])
def test_a_product_is_that_of_a_single_process(
    centre: Datacentre, work: MakeWork, product: str
) -> None:
    made = work(product)
    path, output = made.run_file(centre, product)
    engines = ("--scheduler", centre.scheduler)
    if product == "evaluation":
        engines = ("--ray", centre.ray)

    driver = centre.drive(path, *engines, "--json")

    assert driver.ended() == 0, driver.text()
    made.require_equal(centre.audit(output))


def test_the_link_of_a_ray_node_is_cut(centre: Datacentre, work: MakeWork) -> None:
    made = work("evaluation")
    path, output = made.run_file(centre, "cut")
    driver = centre.drive(path, "--ray", centre.ray)
    centre.wait_for_keys(output, 4, driver)
    centre.network.cut("node1")

    assert driver.ended() == 0, driver.text()
    made.require_equal(centre.audit(output))


def test_first_results_are_in_the_bucket_before_the_run_ends(
    centre: Datacentre, work: MakeWork
) -> None:
    made = work("gravimetry")
    path, output = made.run_file(centre, "first")
    driver = centre.drive(path, "--scheduler", centre.scheduler)
    centre.wait_for_keys(output, 8, driver)

    months = int(centre.ask("desk2", "tests.services.first_results", output, "stokes"))

    assert driver.process.poll() is None
    assert months >= 4
    assert driver.ended() == 0, driver.text()
