"""The cap transform in torch: the numbers of NumPy's, on any device."""

import numpy as np
import pytest
import torch

from pipelines.kernels.gravity.cap_grid import CapGrid, cap_grid
from pipelines.kernels.gravity.cap_transform import CapTransform, CapTransformError
from pipelines.nets.torch_products import TorchEngine

GRID = cap_grid(1.0, north=-60.0)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def needed(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return device


def fields(members: int = 3, grid: CapGrid = GRID) -> np.ndarray:
    shape = members, len(grid.latitude), grid.n_lon
    return np.random.default_rng(1).standard_normal(shape)


def assert_close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("quadrature", ["cell", "fejer", "exact"])
def test_torch_gives_the_numbers_of_numpy(device, quadrature):
    plain = CapTransform(GRID, 120, quadrature)
    other = CapTransform(GRID, 120, quadrature, engine=TorchEngine(needed(device)))
    packed = plain.analyse(fields())
    assert_close(other.analyse(fields()), packed)
    assert_close(other.synthesise(packed), plain.synthesise(packed))
    assert_close(other.synthesise(packed, at="centres"), plain.synthesise(packed, at="centres"))
    assert_close(other.adjoint(fields()), plain.adjoint(fields()))


@pytest.mark.parametrize("device", DEVICES)
def test_the_shortest_wave_is_counted_once(device):
    grid = CapGrid(np.linspace(-90.0, 85.0, 36), 72)
    plain = CapTransform(grid, 36)
    other = CapTransform(grid, 36, engine=TorchEngine(needed(device)))
    packed = plain.analyse(fields(2, grid))
    assert_close(other.synthesise(packed), plain.synthesise(packed))


@pytest.mark.parametrize("device", DEVICES)
def test_tensors_stay_tensors_and_keep_no_history(device):
    transform = CapTransform(GRID, 60, engine=TorchEngine(needed(device)))
    given = torch.from_numpy(fields()).to(device).requires_grad_()
    packed = transform.analyse(given)
    assert isinstance(packed, torch.Tensor)
    assert packed.device.type == device
    assert packed.dtype == torch.complex128
    assert not packed.requires_grad
    back = transform.synthesise(packed)
    assert isinstance(back, torch.Tensor)
    assert_close(packed.cpu().numpy(), CapTransform(GRID, 60).analyse(fields()))


def test_results_go_where_they_are_wanted():
    transform = CapTransform(GRID, 30, engine=TorchEngine("cpu"))
    packed = np.empty((transform.layout.size, 3), complex)
    assert transform.analyse(fields(), out=packed) is packed
    tensor = torch.empty((3, 30, 360), dtype=torch.float64)
    assert transform.synthesise(packed, out=tensor) is tensor
    assert_close(tensor.numpy(), CapTransform(GRID, 30).synthesise(packed))


def test_the_kernel_is_brought_to_the_device_once():
    transform = CapTransform(GRID, 30, engine=TorchEngine("cpu"))
    transform.analyse(fields())
    kept = dict(transform.kept)
    transform.analyse(fields())
    assert list(transform.kept) == ["cpu analysis"]
    assert transform.kept["cpu analysis"] is kept["cpu analysis"]


def test_missing_values_are_refused():
    spoilt = fields()
    spoilt[1, 2, 3] = np.nan
    with pytest.raises(CapTransformError, match="found missing values"):
        CapTransform(GRID, 20, engine=TorchEngine("cpu")).analyse(spoilt)
