"""Crystals from generators that save tensors, such as CDVAE.

The file is unpickled by torch with ``weights_only=True``, which admits tensors and plain containers
and refuses everything that could run.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tasks.failures import Failure, RemediableError
from tasks.sources.cells import build_lattice
from tasks.sources.documents import FREE_BYTES, Document
from tasks.sources.mappings import make_record
from tasks.sources.records import RawRecord, explain_parser_error, make_read_failure
from tasks.sources.settings import SourceSettings

_WHOLE: Final = ("num_atoms", "atom_types")
_TRIPLES: Final = ("frac_coords", "lengths", "angles")
_KEYS: Final = (*_WHOLE, *_TRIPLES)
_REMEDY: Final = "give the file as the generator wrote it"


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
    if not document.size:
        raise RemediableError("empty file", "correct or remove the file")
    import torch  # noqa: PLC0415 - slow to load

    try:
        found = torch.load(document.path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What torch says is advice to programmers, some of it dangerous.
        message = "unreadable: no plain tensors: damaged, of another kind, or with objects in it"
        raise RemediableError(message, "give a file of tensors alone, or CIF files") from error
    _require_stored(found, document.size * settings.max_expansion + FREE_BYTES)
    counts, types, positions, lengths, angles = _check_tensors(found)
    start = 0
    for index, count in enumerate(counts):
        atoms = slice(start, start + count)
        start += count
        place = f"{document.name}#{index}"
        try:
            row = {
                "lattice": build_lattice([*lengths[index], *angles[index]]).matrix.tolist(),
                "numbers": types[atoms],
                "frac_coords": positions[atoms],
            }
            yield make_record(row, f"{document.stem}-{index}", place, settings)
        except Exception as error:  # noqa: BLE001 - a defective crystal is a row
            yield make_read_failure(explain_parser_error(error), place)


def _require_stored(found: object, most: float) -> None:
    """Refuse tensors that repeat few stored numbers, or none, to many."""
    values = found.values() if isinstance(found, Mapping) else ()
    sizes = [int(v.numel()) * int(v.element_size()) for v in values if hasattr(v, "element_size")]
    if sum(sizes) > most:
        message = f"the tensors have {sum(sizes)} bytes, far more than the file"
        raise RemediableError(message, "give tensors that are stored in full")


def _check_tensors(found: Any) -> tuple[Sequence[Any], ...]:  # noqa: ANN401
    """Values of the five tensors as lists; refuse those that do not belong together."""
    import torch  # noqa: PLC0415 - as above

    if not (isinstance(found, Mapping) and all(torch.is_tensor(found.get(key)) for key in _KEYS)):
        message = f"unreadable: no tensors {', '.join(_KEYS)}"
        raise RemediableError(message, "give the file of a crystal generator, or CIF files")
    for key in _TRIPLES:
        if found[key].numel() % 3:
            message = f"unreadable: {key} has {found[key].numel()} numbers, no multiple of 3"
            raise RemediableError(message, _REMEDY)
    for key in _WHOLE:
        if not torch.equal(found[key], found[key].round()):
            message = f"unreadable: {key} has values that are no whole numbers"
            raise RemediableError(message, _REMEDY)
    tensors = [
        found[key].reshape(-1, 3) if key in _TRIPLES else found[key].reshape(-1).long()
        for key in _KEYS
    ]
    n_crystals, n_atoms = len(tensors[0]), int(tensors[0].sum())
    expected = (n_crystals, n_atoms, n_atoms, n_crystals, n_crystals)
    if tuple(map(len, tensors)) != expected or bool((tensors[0] < 0).any()):
        counts = ", ".join(f"{key} {len(t)}" for key, t in zip(_KEYS, tensors, strict=True))
        message = f"unreadable: numbers of entries do not belong together: {counts}"
        raise RemediableError(message, _REMEDY)
    return tuple(tensor.tolist() for tensor in tensors)
