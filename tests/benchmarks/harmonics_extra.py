"""More of the harmonics benchmark: two threads, degree 4000 in a stream, a GPU if there is one."""

import statistics
import time
from typing import Any

import numpy as np

from pipelines.kernels.gravity.cap_grid import CapGrid, cap_grid
from pipelines.kernels.gravity.cap_transform import CapTransform, order_blocks
from pipelines.kernels.gravity.layouts import PackedLayout
from tests.benchmarks.statement import Statement, Timing

COEFFICIENTS_PER_BLOCK = 100_000
RADIUS = 25.0
"""About the radius of the polar cap whose coefficients are known: whole cells [degrees]."""


def two_threads(fields: np.ndarray, j_max: int, step: float, *, runs: int) -> dict[str, float]:
    """Return wall time of one thread over that of two, medians of alternating runs."""
    grid = cap_grid(step, north=-60.0)
    sides = {n: CapTransform(grid, j_max, threads=n) for n in (1, 2)}
    packed = np.zeros((PackedLayout.whole(j_max).size, len(fields)), complex)
    wall: dict[int, list[float]] = {n: [] for n in sides}
    cpu: dict[int, list[float]] = {n: [] for n in sides}
    for run in range(runs + 1):
        for n, transform in sides.items():
            started = time.perf_counter(), time.process_time()
            transform.analyse(fields, out=packed)
            if run:
                wall[n].append(time.perf_counter() - started[0])
                cpu[n].append(time.process_time() - started[1])
    one, two = (statistics.median(wall[n]) for n in (1, 2))
    return {
        "wall_ratio": round(one / two, 3),
        "best_wall_ratio": round(min(wall[1]) / min(wall[2]), 3),
        "cpu_ratio": round(statistics.median(cpu[2]) / statistics.median(cpu[1]), 3),
    }


def stream_statement(degree: int, *, fields: int, threads: int = 2) -> Statement:
    """Expand fields to a high degree a few orders at a time; nothing is kept but one member."""
    step = 180.0 / degree
    grid = cap_grid(step, north=round(30.0 / step) * step - 90.0)
    transform = CapTransform(grid, degree, threads=threads)
    noise = Rows(grid, fields)
    zonal, mass, count = np.empty(0), 0.0, 0
    started = time.perf_counter(), time.process_time()
    orders = order_blocks(degree, coefficients=COEFFICIENTS_PER_BLOCK)
    for some, packed in transform.analyse_stream(noise, orders):
        if some.start == 0:
            zonal, mass = packed[: degree + 1, 0].real, float(packed[0, 1].real)
        count += packed.size
    spent = Timing(
        "ours", time.perf_counter() - started[0], time.process_time() - started[1], runs=1
    )
    radius = noise.inside * grid.step
    expected = (-1.0) ** np.arange(degree + 1) * cap_coefficients(degree, radius)
    error = {
        "cap": float(np.abs(zonal - expected).max() / np.abs(expected).max()),
        "mass": abs(4.0 * np.pi * mass - noise.mass) / noise.size,
    }
    size = {"fields": fields, "degree": degree, "rows": len(grid.latitude), "threads": threads}
    more = {"relative_errors": error, "coefficients": count, "wall_s": round(spent.wall, 1)}
    more["cpu_s"] = round(spent.cpu, 1)
    return Statement("harmonics", [spent], max(error.values()), size, more=more)


class Rows:
    """Fields that are made row by row: the first is 1 on a polar cap, others are noise."""

    def __init__(self, grid: CapGrid, fields: int) -> None:
        self.grid, self.fields = grid, fields
        self.inside = round(RADIUS / grid.step)
        self.mass, self.size, self.seen = 0.0, 0.0, set[int]()

    def __call__(self, rows: slice) -> np.ndarray:
        shape = self.fields, rows.stop - rows.start, self.grid.n_lon
        values = np.random.default_rng(rows.start).random(shape, dtype=np.float32).astype(float)
        values[0] = (np.arange(rows.start, rows.stop) < self.inside)[:, None]
        if rows.stop - rows.start > 1 and rows.start not in self.seen:
            self.seen.add(rows.start)
            masses = values[1].sum(axis=1) * self.grid.solid_angles[rows]
            self.mass += float(masses.sum())
            self.size += float(masses.sum())
        return values


def cap_coefficients(j_max: int, radius: float) -> np.ndarray:
    """C_j0 of a polar cap: (P_{j−1}(cos α) − P_{j+1}(cos α)) / (2 √(2j + 1))."""
    from scipy.special import eval_legendre

    j, x = np.arange(1, j_max + 1), np.cos(np.radians(radius))
    tail = (eval_legendre(j - 1, x) - eval_legendre(j + 1, x)) / (2.0 * np.sqrt(2 * j + 1))
    return np.concatenate([[(1.0 - x) / 2.0], tail])


def gpu_statement(fields: np.ndarray, j_max: int, step: float) -> dict[str, Any]:
    """Return milliseconds on a GPU, fields resident and with transfer; nothing without one."""
    import torch

    if not torch.cuda.is_available():
        return {}
    from pipelines.nets.torch_products import TorchEngine

    grid = cap_grid(step, north=-60.0)
    transform = CapTransform(grid, j_max, engine=TorchEngine("cuda"))
    resident = torch.from_numpy(fields).cuda()
    found = {
        "device": torch.cuda.get_device_name(),
        "resident_ms": _milliseconds(lambda: transform.analyse(resident)),
        "with_transfer_ms": _milliseconds(lambda: transform.analyse(fields)),
    }
    return found | _torch_harmonics(fields, j_max)


def _milliseconds(work: Any, *, runs: int = 9) -> float:
    import torch

    spent = []
    for _ in range(runs + 2):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        spent.append(time.perf_counter() - started)
    return round(1e3 * statistics.median(spent[2:]), 3)


def _torch_harmonics(fields: np.ndarray, j_max: int) -> dict[str, float]:
    """Time torch-harmonics, where it is installed, on the globe that it needs."""
    try:
        from torch_harmonics import RealSHT
    except ImportError:
        return {}
    import torch

    rows = fields.shape[2] // 2
    globe = torch.zeros((len(fields), rows, fields.shape[2]), dtype=torch.float64, device="cuda")
    globe[:, -fields.shape[1] :] = torch.from_numpy(fields[:, ::-1].copy()).cuda()
    sht = RealSHT(rows, fields.shape[2], lmax=j_max + 1, mmax=j_max + 1, grid="equiangular")
    sht = sht.to("cuda", torch.float64)
    return {"torch_harmonics_resident_ms": _milliseconds(lambda: sht(globe))}
