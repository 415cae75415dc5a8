"""New crystals from the chiral ones of a source."""

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tasks.crystals import Material
from tasks.crystals.structures import reduce_formula
from tasks.crystals.substitution import Substitution, substitute_ions
from tasks.failures import Failure
from tasks.sources import ParallelMap, Read, SourceSettings, make_read_failure, read_raw_records
from tasks.sources.materials import read_materials
from tasks.symmetry import classify_space_group, find_dataset


def generate_candidates(
    source: Path,
    symprec: float,
    threshold: float,
    limit: int,
    *,
    settings: SourceSettings | None = None,
    read: Read = read_raw_records,
    parallel_map: ParallelMap = map,
    exchange: ParallelMap = map,
) -> Iterator[Substitution | Failure]:
    """Exchange the ions of every chiral crystal of a source.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.read_raw_records` reads.
    symprec : float
        Tolerance of the symmetry search in Å.
    threshold : float
        Smallest conditional probability of all exchanges together.
    limit : int
        Most candidates made from one crystal.
    settings : SourceSettings, optional
        Meaning of columns, limits.
    read : callable
        Like `read_raw_records`; may use another process.
    parallel_map : callable
        Like `map`; may use other processes, and gives the results in order.
    exchange : callable
        The same for exchanges, which take seconds for a crystal.

    Yields
    ------
    Substitution or Failure
        Crystals whose formula and space group the source does not have already; records of the
        source that are no crystals, or whose ions could not be exchanged.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty.
    """
    known: set[tuple[str, int]] = set()
    prototypes: list[tuple[Material, int]] = []
    for item in read_materials(source, symprec, settings, read=read, parallel_map=parallel_map):
        if isinstance(item, Failure):
            yield item
            continue
        number = int(find_dataset(item.atoms, symprec).number)
        known.add((reduce_formula(item.atoms), number))
        if classify_space_group(number).chirality_class == "II":
            prototypes.append((item, number))
    related = partial(_substitute_in_material, threshold=threshold)
    relatives = exchange(related, (material for material, _ in prototypes))
    for (_, number), found in zip(prototypes, relatives, strict=True):
        if isinstance(found, Failure):
            yield found
            continue
        new = (made for made in found if (reduce_formula(made.atoms), number) not in known)
        yield from itertools.islice(new, limit)


def _substitute_in_material(
    material: Material | Failure, threshold: float
) -> list[Substitution] | Failure:
    """Exchange the ions of a crystal; a failure is passed on, and an error becomes one."""
    if isinstance(material, Failure):
        return material
    try:
        return list(substitute_ions(material.material_id, material.atoms, threshold))
    except Exception as error:  # noqa: BLE001 - one crystal must not end the search
        return make_read_failure(error, material.source_record)
