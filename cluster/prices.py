"""What machines and stores cost, to say it before a run begins.

Defaults are list prices of a large cloud's general-purpose machines and object store, as they stood
in 2025 in its region us-west-2, where USGS keeps Landsat. They differ between clouds, regions and
contracts: set ``NUNATAK_PRICE_...`` to yours.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from cluster.settings import EnvironmentSettingError

PREFIX = "NUNATAK_PRICE_"
_CORE_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Prices:
    """Prices in US dollars.

    Attributes
    ----------
    core_hour : float
        One virtual core with 4 GiB for an hour.
    thousand_reads, thousand_writes : float
        A thousand GET or PUT requests.
    gpu_hour : float
        One GPU for data centres of the smallest kind (NVIDIA L4) for an hour, without the cores and
        memory of its machine.
    gib_in : float
        A GiB read from the inputs; nothing within the region, some cents from another.
    gib_month : float
        A GiB kept for a month.
    """

    core_hour: float = 0.048
    thousand_reads: float = 0.0004
    thousand_writes: float = 0.005
    gpu_hour: float = 0.61
    gib_in: float = 0.0
    gib_month: float = 0.023

    def machine_hour(self, cores: float, memory: float, gpus: float = 0.0) -> float:
        """Return what a machine costs in an hour [$].

        Parameters
        ----------
        cores : float
            Virtual cores.
        memory : float
            Its memory [bytes]; what there is beyond 4 GiB a core is paid as more cores.
        gpus : float
            GPUs.

        Examples
        --------
        >>> round(Prices().machine_hour(2, 16 * 2**30), 3)
        0.192
        """
        return self.core_hour * max(cores, memory / _CORE_BYTES) + self.gpu_hour * gpus

    def describe(self) -> str:
        """Return the prices in words."""
        return (
            f"${self.core_hour:g} a core-hour, ${self.thousand_reads:g} and "
            f"${self.thousand_writes:g} a thousand reads and writes, ${self.gib_in:g} a GiB in, "
            f"${self.gib_month:g} a GiB and month; {PREFIX}CORE_HOUR and so on set yours"
        )


def read(environment: Mapping[str, str] | None = None) -> Prices:
    """Read prices from the environment.

    Raises
    ------
    EnvironmentSettingError
        A price that is no number from 0 up.

    Examples
    --------
    >>> read({"NUNATAK_PRICE_CORE_HOUR": "0.02"}).core_hour
    0.02
    """
    source = os.environ if environment is None else environment
    given = {}
    for field in fields(Prices):
        name = PREFIX + field.name.upper()
        text = source.get(name, "").strip()
        if text:
            given[field.name] = _price(name, text)
    return Prices(**given)


def _price(name: str, text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0.0 <= price < float("inf"):
        msg = f"{name} is {text!r}; expected a price in dollars such as 0.048; correct or unset it"
        raise EnvironmentSettingError(msg)
    return price
