"""How many structures share one forward pass."""

from collections.abc import Sequence

import torch

# On a CPU packing pays for the smallest cells only: twofold up to 4 atoms, a loss from 9.
_ATOMS_PER_BATCH = {"cpu": 16, "cuda": 4096}


def atoms_per_batch(device: torch.device) -> int:
    """Return the number of atoms a forward pass should hold on a device.

    Parameters
    ----------
    device : torch.device
        The device of the model.

    Returns
    -------
    int
        Upper bound on the atoms of a batch; a larger structure is a batch of its own.
    """
    return _ATOMS_PER_BATCH.get(device.type, _ATOMS_PER_BATCH["cpu"])


def pack(sizes: Sequence[int], limit: int) -> list[list[int]]:
    """Cut a sequence of structures into consecutive batches of bounded size.

    Parameters
    ----------
    sizes : sequence of int
        Number of atoms of each structure.
    limit : int
        Largest number of atoms in a batch; a larger structure is a batch of its own.

    Returns
    -------
    list of list of int
        Indices of the structures in each batch, in order.
    """
    batches: list[list[int]] = []
    room = 0
    for index, size in enumerate(sizes):
        if size > room or not batches:
            batches.append([])
            room = limit
        batches[-1].append(index)
        room -= size
    return batches
