"""A data centre of nine hosts makes three products, and they are those of a single process."""

import pytest

from tests.services.conftest import MakeWork
from tests.services.datacentre import Datacentre

pytestmark = [
    pytest.mark.services, pytest.mark.network, pytest.mark.slow, pytest.mark.ray,
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
