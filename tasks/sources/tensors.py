"""Crystals from generators that save tensors, as CDVAE and its kin do.

The file is unpickled by torch with ``weights_only=True``, which admits tensors and plain containers
and refuses everything that could run.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from tasks.failures import Failure, RemediableError
from tasks.sources.cells import lattice_of
from tasks.sources.documents import Document
from tasks.sources.mappings import record_of
from tasks.sources.records import RawRecord, read_failure, unreadable
from tasks.sources.settings import SourceSettings

_KEYS: Final = ("num_atoms", "atom_types", "frac_coords", "lengths", "angles")


def cut_tensors(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give the crystals of a file of tensors.

    Parameters
    ----------
    document : Document
        With ``num_atoms`` (n,), ``atom_types`` (m,), ``frac_coords`` (m, 3), ``lengths`` (n, 3)
        in Å and ``angles`` (n, 3) in degrees, m being the sum of all ``num_atoms``; axes of length
        1 before these are dropped.
    settings : SourceSettings
        Limits.

    Yields
    ------
    RawRecord or Failure
        In the order of the tensors.

    Raises
    ------
    RemediableError
        When the file is larger than the limit, holds other objects than tensors, or tensors that
        do not belong together.
    """
    if document.path is None or document.size > settings.max_record_bytes:
        raise RemediableError("tensors in an archive or beyond the limit", "extract or divide it")
    try:
        found = torch.load(document.path, map_location="cpu", weights_only=True)
    except Exception as error:
        message = f"unreadable: no plain tensors: {str(error).splitlines()[0][:200]}"
        raise RemediableError(message, "give a file of tensors alone, or CIF files") from error
    counts, types, positions, lengths, angles = _checked(found)
    start = 0
    for index, count in enumerate(counts):
        atoms = slice(start, start + count)
        start += count
        place = f"{document.name}#{index}"
        try:
            row = {
                "lattice": lattice_of([*lengths[index], *angles[index]]).matrix.tolist(),
                "numbers": types[atoms],
                "frac_coords": positions[atoms],
            }
            yield record_of(row, f"{document.stem}-{index}", place, settings)
        except Exception as error:  # noqa: BLE001 - a defective crystal is a row
            yield read_failure(unreadable(error), place)


def _checked(found: Any) -> tuple[Sequence[Any], ...]:  # noqa: ANN401
    """Values of the five tensors as lists; refuse those that do not belong together."""
    if not (isinstance(found, Mapping) and all(torch.is_tensor(found.get(key)) for key in _KEYS)):
        message = f"unreadable: no tensors {', '.join(_KEYS)}"
        raise RemediableError(message, "give the file of a crystal generator, or CIF files")
    shapes = {"frac_coords": (-1, 3), "lengths": (-1, 3), "angles": (-1, 3)}
    tensors = [found[key].reshape(shapes.get(key, (-1,))) for key in _KEYS]
    n_crystals, n_atoms = len(tensors[0]), int(tensors[0].sum())
    expected = (n_crystals, n_atoms, n_atoms, n_crystals, n_crystals)
    if tuple(map(len, tensors)) != expected or bool((tensors[0] < 0).any()):
        message = f"unreadable: lengths {[len(t) for t in tensors]} do not belong together"
        raise RemediableError(message, "give the file as the generator wrote it")
    return tuple(tensor.tolist() for tensor in tensors)
