"""The memory that a forward pass needs, and errors that say that it was too much."""

from dataclasses import dataclass

# Allocators of torch that raise a plain RuntimeError say one of these.
_COMPLAINTS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class MemoryModel:
    """Peak memory of a forward and backward pass, linear in the size of the graph.

    Attributes
    ----------
    bytes_per_atom, bytes_per_edge : float
        As ``benchmarks/memory_model.py`` measures them.
    """

    bytes_per_atom: float
    bytes_per_edge: float

    def estimate_bytes(self, n_atoms: int, n_edges: int) -> float:
        """Return the memory for a graph.

        Parameters
        ----------
        n_atoms, n_edges : int
            Size of the graph; an edge leads from an atom to one of its neighbours.

        Returns
        -------
        float
            Bytes.
        """
        return self.bytes_per_atom * n_atoms + self.bytes_per_edge * n_edges


def is_out_of_memory(error: object) -> bool:
    """Tell whether an error is a lack of memory, of the host or of a GPU.

    Parameters
    ----------
    error : object
        What was raised.

    Returns
    -------
    bool
        True for `MemoryError`, for ``torch.OutOfMemoryError``, known by its name so that torch is
        not imported for it, and for a `RuntimeError` with which torch reports a failed allocation.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _COMPLAINTS)
