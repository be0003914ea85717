"""NeRD as it was published, one window and one angle at a time: the oracle of the operator.

Written from the description of Izeboud and Lhermitte (2023) and the behaviour of their code, in
words of ours; it does on purpose what theirs does: a triangulation for every window, a sort, a
table and a grouping for every angle. With ``NERD_HOME`` naming a checkout of the official code
(mizeboud/NormalisedRadonTransform), :func:`official` gives its own functions instead.
"""

import importlib.util
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import griddata
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

FLOAT = NDArray[np.float64]

NERD_HOME = "NERD_HOME"
"""Environment variable with the folder of the official repository."""
OFFICIAL_FILE = Path("python", "scripts", "nerd.py")
READERS_ONLY = ("rioxarray",)
"""What the official module imports for files, which windows do not need."""
APART_DEGREES = 10


def literal_deviations(window: FLOAT) -> FLOAT:
    """Return the deviation of the profile at each of 180 angles.

    Parameters
    ----------
    window : ndarray, shape (W, W)
        Gray values in rows from the north. The official code cuts windows with columns first, so
        it is turned over here.
    """
    given = np.asarray(window, dtype=np.float64).T
    values, m, n = _at_half_pixels(given)
    longest = int(np.ceil(np.sqrt(2.0) * m.max()) + 1)
    profiles = np.full((longest, 180), np.nan)
    for angle in range(180):
        profile = _profile(values, m, n, angle)
        before = int(np.ceil((longest - profile.size) / 2))
        profiles[before : before + profile.size, angle] = profile
    return np.asarray(np.nanstd(profiles, axis=0))


def _at_half_pixels(given: FLOAT) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Interpolate linearly to every half pixel; return values and both coordinates."""
    rows, columns = (np.arange(size) for size in given.shape)
    x, y = np.meshgrid(rows, columns)
    m, n = np.meshgrid(*(np.arange(0, size - 0.5, 0.5) for size in given.shape))
    places = np.column_stack([x.ravel(), y.ravel()])
    return griddata(places, given.ravel(), (m, n), method="linear"), m, n


def _profile(values: FLOAT, m: FLOAT, n: FLOAT, angle: int) -> FLOAT:
    """Turn the frame, round one coordinate, and average what falls on each whole number."""
    turn = np.radians(angle)
    across = -np.sin(turn) * m + np.cos(turn) * n
    across = (across + np.abs(across.min())).ravel()
    order = np.argsort(across)
    table = pd.DataFrame(
        {"strip": np.round(across[order]), "value": values.ravel()[order], "count": 1.0}
    )
    summed = table.groupby("strip").sum()
    return np.asarray((summed["value"] / summed["count"]).to_numpy())


def literal_signal(window: FLOAT) -> tuple[float, float]:
    """Return signal and angle θ [degrees] of a window: NaN with missing pixels.

    Without a peak, of which the official code says NaN too, the signal is 0 and the angle NaN.
    """
    if not np.isfinite(window).all():
        return float("nan"), float("nan")
    smooth = median_filter(literal_deviations(window), size=3, mode="wrap")
    at, _ = find_peaks(smooth, distance=APART_DEGREES)
    if at.size == 0:
        return 0.0, float("nan")
    # The last of equal ones, as a sort from the lowest read backwards gives.
    best = at[np.argsort(smooth[at], kind="stable")[-1]]
    return float(smooth[best]), float(best)


def official() -> Callable[[FLOAT], tuple[float, float]] | None:
    """Return the official code's signal of a window, or None without ``NERD_HOME``.

    Raises
    ------
    FileNotFoundError
        If the folder has no ``python/scripts/nerd.py``.
    """
    home = os.environ.get(NERD_HOME)
    if not home:
        return None
    path = Path(home) / OFFICIAL_FILE
    if not path.is_file():
        msg = f"{NERD_HOME} is {home}, which has no {OFFICIAL_FILE}; name a checkout of NeRD"
        raise FileNotFoundError(msg)
    for name in READERS_ONLY:
        if importlib.util.find_spec(name) is None:
            sys.modules.setdefault(name, types.ModuleType(name))
    spec = importlib.util.spec_from_file_location("nerd_official", path)
    if spec is None or spec.loader is None:
        msg = f"{path} cannot be loaded as a module; check the checkout"
        raise FileNotFoundError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def signal(window: FLOAT) -> tuple[float, float]:
        pairs = np.ravel(module.radonIce(np.asarray(window, dtype=np.float64).T))
        angle, height = float(pairs[0]), float(pairs[1])
        return (0.0, angle) if np.isnan(height) else (height, angle)

    return signal


def literal_map(image: FLOAT, window: int) -> tuple[FLOAT, FLOAT]:
    """Return signals and angles of all windows of an image, by :func:`literal_signal`."""
    rows, columns = (size // window for size in image.shape)
    found = [
        literal_signal(image[i * window : (i + 1) * window, j * window : (j + 1) * window])
        for i in range(rows)
        for j in range(columns)
    ]
    signal, angle = np.array(found).T
    return signal.reshape(rows, columns), angle.reshape(rows, columns)
