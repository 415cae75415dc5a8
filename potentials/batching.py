"""How many structures share one forward pass."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from potentials.memory import is_out_of_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

# On a CPU packing pays up to some 150 atoms, where the cost of a pass is lost in that of its atoms;
# with the compiled convolution they take this much (docs/benchmarks.md).
_CPU_BYTES = 2.0**25
# Of the free memory of a GPU; the rest is for the workspace of kernels and for fragmentation.
_GPU_SHARE = 0.7


@dataclass
class Budget:
    """Memory that one forward pass may take on a device, and what experience says about it.

    Attributes
    ----------
    device : torch.device
        The device of the model.
    ceiling : float
        Bytes; lowered whenever a batch did not fit.
    """

    device: torch.device
    ceiling: float = math.inf

    def limit(self) -> float:
        """Return the bytes that a batch may take now.

        Returns
        -------
        float
            A share of what the GPU has free, or the constant of a CPU, at most `ceiling`.
        """
        return min(_count_free_bytes(self.device), self.ceiling)

    def lower(self, size: float) -> None:
        """Learn that a batch did not fit, and free unused memory.

        Parameters
        ----------
        size : float
            Bytes that the batch was expected to take.
        """
        self.ceiling = size / 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def run_in_batches(
    items: Sequence[Item],
    sizes: Sequence[float],
    budget: Budget,
    run: Callable[[list[Item]], Result],
) -> list[Result]:
    """Run batches within a budget, smaller ones after a batch that ran out of memory.

    Parameters
    ----------
    items : sequence
        What to run.
    sizes : sequence of float
        Expected memory of each item in bytes.
    budget : Budget
        Its ceiling sinks to half of each batch that does not fit, for all batches to come.
    run : callable
        Takes a list of consecutive items.

    Returns
    -------
    list
        What `run` returned, in the order of the items.

    Raises
    ------
    torch.OutOfMemoryError, MemoryError, RuntimeError
        When a single item does not fit.
    """
    results: list[Result] = []
    start = 0
    waiting = pack_batches(sizes, budget.limit())
    while waiting:
        count = len(waiting[0])
        found = _try_batch(run, items[start : start + count])
        if found:
            results += found
            start += count
            waiting = waiting[1:]
        else:
            budget.lower(sum(sizes[start : start + count]))
            waiting = pack_batches(sizes[start:], budget.limit())
    return results


def pack_batches(sizes: Sequence[float], limit: float) -> list[list[int]]:
    """Cut a sequence of structures into consecutive batches of bounded size.

    Parameters
    ----------
    sizes : sequence of float
        Size of each structure, in atoms or bytes.
    limit : float
        Largest size of a batch; a larger structure is a batch of its own.

    Returns
    -------
    list of list of int
        Indices of the structures in each batch, in order.
    """
    batches: list[list[int]] = []
    room = 0.0
    for index, size in enumerate(sizes):
        if size > room or not batches:
            batches.append([])
            room = limit
        batches[-1].append(index)
        room -= size
    return batches


def _try_batch(run: Callable[[list[Item]], Result], batch: Sequence[Item]) -> list[Result]:
    """Result of a batch; nothing when several items do not fit together.

    The error, and with it all tensors of the failed pass, is forgotten on return.
    """
    try:
        return [run(list(batch))]
    except Exception as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
        return []


def _count_free_bytes(device: torch.device) -> float:
    """Bytes that a batch may take, whatever happened before."""
    if device.type != "cuda":
        return _CPU_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return _GPU_SHARE * (free + idle)
