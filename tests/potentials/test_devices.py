"""A device is one that is here, and computes float32 as float32."""

import pytest
import torch

from potentials import load_potential, sevennet
from potentials.devices import resolve_device

pytestmark = pytest.mark.slow


@pytest.fixture(params=[0, 2])
def n_gpus(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_auto_is_a_gpu_where_there_is_one(n_gpus):
    assert resolve_device("auto") == ("cuda:0" if n_gpus else "cpu")


def test_cuda_is_the_first_gpu(n_gpus):
    if n_gpus:
        assert resolve_device("cuda") == resolve_device("cuda:0") == "cuda:0"
        assert resolve_device("cuda:1") == "cuda:1"
    else:
        with pytest.raises(ValueError, match=r"torch sees cpu$"):
            resolve_device("cuda")


def test_error_tells_which_devices_there_are(n_gpus):
    here = "cpu, cuda:0, cuda:1" if n_gpus else "cpu"
    for name in ("cuda:2", "mps"):
        with pytest.raises(ValueError, match=f"no device '{name}'; torch sees {here}$"):
            resolve_device(name)


def test_loading_switches_tf32_off():
    torch.set_float32_matmul_precision("high")
    load_potential("7net-0", parity=False)
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_fused_kernels_are_for_gpus_in_float32(monkeypatch):
    available = {"enable_flash": False, "enable_cueq": True, "enable_oeq": True}
    kernels = {option: lambda found=found: found for option, found in available.items()}
    monkeypatch.setattr(sevennet, "_KERNELS", kernels)
    gpu = torch.device("cuda")
    assert sevennet._find_gpu_kernels(gpu, torch.float32) == {"enable_cueq": True}
    assert sevennet._find_gpu_kernels(gpu, torch.float64) == {}
    assert sevennet._find_gpu_kernels(torch.device("cpu"), torch.float32) == {}
