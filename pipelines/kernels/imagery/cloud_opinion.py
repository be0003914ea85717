"""A second opinion on cloud over snow and ice, where QA_PIXEL errs (Stillinger et al., 2019).

QA_PIXEL's cloud over snow has a precision of 0.70 and a recall of 0.86. An opinion looks at the
reflectances themselves, says cloud or not, and is named in a run file. Two are built in::

    snow_index   the normalised difference snow index (Dozier, 1989), :class:`SnowIndex`
    none         no second opinion

Others are installed as entry points of the group ``nunatak.cloud_opinions``: an object with the
attribute `needs` that is called as :class:`Opinion` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery import quality_bits

FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]

ENTRY_POINTS = "nunatak.cloud_opinions"
"""Group of entry points that opinions are installed under."""


class CloudOpinionError(LookupError):
    """An opinion that is not known, or bands that it needs and lacks."""


@runtime_checkable
class Opinion(Protocol):
    """Something that says where it is cloudy."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Common names of the bands it looks at, which the flow then reads."""
        ...

    def __call__(self, reflectance: Mapping[str, FLOAT], mask: NDArray[np.uint16]) -> BOOL:
        """Return where it is cloudy.

        Parameters
        ----------
        reflectance : mapping of band to ndarray, shape (y, x)
            ρ by common name, NaN where there is none.
        mask : ndarray of uint16, shape (y, x)
            Bits of :mod:`pipelines.kernels.imagery.quality_bits`.

        Returns
        -------
        ndarray of bool, shape (y, x)
        """
        ...


@dataclass(frozen=True)
class SnowIndex:
    """Cloud is bright at 1.6 µm, where snow and ice are dark.

    Ice absorbs at 1.6 µm, and the grains of snow are ten to a hundred times as large as the
    droplets and crystals of clouds (Dozier, 1989)::

        NDSI = (ρ_green − ρ_swir16) / (ρ_green + ρ_swir16)
        cloud where NDSI < ndsi, ρ_swir16 > swir16 and ρ_green > green

    Attributes
    ----------
    ndsi : float
        Snow lies above. Hall et al. (1995) map snow above 0.4, to keep it where forest darkens it;
        over ice sheets the limit between cloud and snow is higher and varies from scene to scene
        (Choi and Bindschadler, 2004). 0.65 was measured on the real Greenland scene of 2015-07-10:
        it calls 93 % of what QA_PIXEL says is surely cloud, and 0.1 % of its clear snow; 0.4
        would call 27 % of the cloud.
    swir16 : float
        Darker surfaces at 1.6 µm are no cloud: fine cold snow reaches 0.17 there, and its index
        stays above 0.7.
    green : float
        Darker surfaces are rock, sea or shadow, whose index says nothing.
    """

    ndsi: float = 0.65
    swir16: float = 0.16
    green: float = 0.35

    @property
    def needs(self) -> tuple[str, ...]:
        """Green and 1.6 µm."""
        return "green", "swir16"

    def __call__(self, reflectance: Mapping[str, FLOAT], mask: NDArray[np.uint16]) -> BOOL:
        """Return where the snow index says cloud; never where nothing was measured.

        Parameters
        ----------
        reflectance : mapping of band to ndarray, shape (y, x)
            ρ of green and swir16, NaN where there is none.
        mask : ndarray of uint16, shape (y, x)
            Bits in our layout; FILL and GAP are left out.

        Returns
        -------
        ndarray of bool, shape (y, x)

        Raises
        ------
        CloudOpinionError
            A band that is not there.

        Examples
        --------
        >>> band = {"green": np.array([0.95, 0.9], np.float32),
        ...         "swir16": np.array([0.08, 0.4], np.float32)}
        >>> SnowIndex()(band, np.zeros(2, np.uint16)).tolist()
        [False, True]
        """
        green, swir = _bands(self, reflectance)
        # NDSI < t, without dividing by what may be zero: NaN compares as no cloud
        cloudy = (1.0 - self.ndsi) * green < (1.0 + self.ndsi) * swir
        cloudy &= swir > self.swir16
        cloudy &= green > self.green
        cloudy &= (mask & np.uint16(quality_bits.FILL | quality_bits.GAP)) == 0
        return np.asarray(cloudy)


@dataclass(frozen=True)
class NoOpinion:
    """No second opinion: nothing is cloudy."""

    @property
    def needs(self) -> tuple[str, ...]:
        """No band."""
        return ()

    def __call__(self, reflectance: Mapping[str, FLOAT], mask: NDArray[np.uint16]) -> BOOL:
        """Return False everywhere."""
        del reflectance
        return np.zeros(mask.shape, bool)


OPINIONS: Mapping[str, Opinion] = {"none": NoOpinion(), "snow_index": SnowIndex()}
"""Opinions that are built in, by name."""


def known() -> tuple[str, ...]:
    """Return the names of all opinions, built in and installed.

    Examples
    --------
    >>> {"none", "snow_index"} <= set(known())
    True
    """
    return tuple(sorted({*OPINIONS, *metadata.entry_points(group=ENTRY_POINTS).names}))


def opinion(name: str) -> Opinion:
    """Return the opinion of a name; a built-in one is never replaced by an installed one.

    Parameters
    ----------
    name : str
        One of :func:`known`.

    Returns
    -------
    Opinion

    Raises
    ------
    CloudOpinionError
        An unknown name, or an entry point that is no opinion.

    Examples
    --------
    >>> opinion("snow_index").needs
    ('green', 'swir16')
    """
    if name in OPINIONS:
        return OPINIONS[name]
    installed = metadata.entry_points(group=ENTRY_POINTS)
    if name not in installed.names:
        msg = (
            f"found the cloud opinion {name!r}, expected one of {', '.join(known())}; install the "
            f"package that brings it (entry point group {ENTRY_POINTS!r})"
        )
        raise CloudOpinionError(msg)
    made: Any = installed[name].load()
    made = made() if isinstance(made, type) else made
    if not (isinstance(made, Opinion) and callable(made)):
        msg = (
            f"found {installed[name].value} behind the cloud opinion {name!r}, expected something "
            "with the attribute `needs` that can be called with reflectances and a mask"
        )
        raise CloudOpinionError(msg)
    return made


def _bands(asking: Opinion, reflectance: Mapping[str, FLOAT]) -> list[FLOAT]:
    """Return the bands that an opinion needs, in its order."""
    missing = [band for band in asking.needs if band not in reflectance]
    if missing:
        msg = (
            f"found the bands {', '.join(reflectance) or 'none'}, expected also "
            f"{', '.join(missing)} for a second opinion on cloud; choose scenes that have them, "
            "or the opinion 'none'"
        )
        raise CloudOpinionError(msg)
    return [reflectance[band] for band in asking.needs]
