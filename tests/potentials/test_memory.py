"""Want of memory is told apart from other errors."""

import pytest
import torch

from potentials import is_out_of_memory
from potentials.memory import MemoryModel


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_want_of_memory_is_recognised(error):
    assert is_out_of_memory(error)


def test_a_failed_allocation_of_the_host_is_recognised():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**16)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), 3])
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)


def test_memory_is_linear_in_atoms_and_edges():
    model = MemoryModel(bytes_per_atom=10, bytes_per_edge=2)
    assert model.estimate_bytes(n_atoms=3, n_edges=100) == 230
