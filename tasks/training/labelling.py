"""A teacher's labels: energies, forces, stresses and Hessian columns around crystals."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from pydantic import BaseModel, ConfigDict, Field

from potentials import Evaluation, Potential
from potentials.facet import Frame
from tasks.failures import Failure, RemediableError
from tasks.relaxation import RelaxationSettings, relax
from tasks.screening.settings import PotentialSettings
from tasks.sources import ParallelMap, Read, SourceSettings, read_raw_records
from tasks.sources.materials import read_materials
from tasks.storage.durable import write_durably
from tasks.tolerances import AS_GIVEN
from tasks.training.datasets import make_frame, write_frames
from tasks.training.disagreement import select_most_disputed
from tasks.training.sampling import Samples, SamplingSettings, sample_crystal
from tasks.training.settings import TrainingSettings


class RefereeSettings(BaseModel):
    """Two potentials whose disagreement decides which rattled cells are labelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    potentials: tuple[PotentialSettings, PotentialSettings] = Field(
        description="two teachers, or students of two seeds"
    )
    candidates: int = Field(4, ge=1, description="rattled cells for each that is labelled")


class DistillationSettings(BaseModel):
    """Settings of a distillation: whom to ask, where, and whom to teach."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: SourceSettings = SourceSettings()
    teacher: PotentialSettings = PotentialSettings(name="7net-0")
    relaxation: RelaxationSettings = RelaxationSettings(
        max_force=1e-3, max_stress=1e-4, max_evaluations=60
    )
    sampling: SamplingSettings = SamplingSettings()
    referees: RefereeSettings | None = Field(
        None, description="default: label all cells that are drawn"
    )
    symprec: float = Field(AS_GIVEN, gt=0, description="tolerance of the symmetry search (Å)")
    chunk_size: int = Field(16, ge=1, description="crystals that are labelled together")
    training: TrainingSettings = TrainingSettings()


@dataclass(frozen=True)
class SourceCrystal:
    """A crystal of the source.

    Attributes
    ----------
    name : str
        Its identifier.
    atoms : ase.Atoms
        Primitive cell.
    """

    name: str
    atoms: Atoms


def read_usable_crystals(
    source: Path,
    settings: DistillationSettings,
    elements: frozenset[int],
    *,
    read: Read = read_raw_records,
    parallel_map: ParallelMap = map,
) -> Iterator[SourceCrystal]:
    """Read the crystals that a teacher can label.

    Parameters
    ----------
    source : pathlib.Path
        File or folder of structures.
    settings : DistillationSettings
        Size limits and tolerance.
    elements : frozenset of int
        What the teacher knows.
    read : callable
        Like `read_raw_records`; may use another process.
    parallel_map : callable
        Like `map`; may use other processes, and gives the results in order.

    Yields
    ------
    SourceCrystal
        In the order of the source; unreadable, larger and unknown ones are left out.
    """
    materials = read_materials(
        source, settings.symprec, settings.source, read=read, parallel_map=parallel_map
    )
    for found in materials:
        if isinstance(found, Failure) or len(found.atoms) > settings.sampling.max_atoms:
            continue
        if elements.issuperset(found.atoms.numbers.tolist()):
            yield SourceCrystal(found.material_id, found.atoms)


def label_chunk(
    folder: Path,
    crystals: Sequence[SourceCrystal],
    teacher: Potential,
    settings: DistillationSettings,
    referees: tuple[Potential, Potential] | None = None,
) -> int:
    """Label crystals into a file of their own, unless it is there.

    Parameters
    ----------
    folder : pathlib.Path
        Of the labels.
    crystals : sequence of SourceCrystal
        To be treated together; their names name the file.
    teacher : Potential
        An O(3)-invariant potential.
    settings : DistillationSettings
        Limits and samples.
    referees : tuple of Potential, optional
        Two potentials that choose among more candidates.

    Returns
    -------
    int
        Number of frames that were labelled now.
    """
    names = "\n".join(crystal.name for crystal in crystals)
    path = folder / f"{hashlib.sha256(names.encode()).hexdigest()[:16]}.parquet"
    if path.exists():
        return 0
    frames = label_crystals(crystals, teacher, settings, referees)
    write_frames(path, frames)
    return len(frames)


def merge_labels(folder: Path, target: Path) -> None:
    """Gather the frames of all chunks in one file.

    Parameters
    ----------
    folder : pathlib.Path
        Of the labels.
    target : pathlib.Path
        Parquet file.

    Raises
    ------
    RemediableError
        When there is no frame.
    """
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    if not sum(table.num_rows for table in tables):
        raise RemediableError("no crystal could be labelled", "give smaller or other crystals")
    merged = pa.concat_tables(tables)
    write_durably(target, lambda path: pq.write_table(merged, path, compression="zstd"))


def label_crystals(
    crystals: Sequence[SourceCrystal],
    teacher: Potential,
    settings: DistillationSettings,
    referees: tuple[Potential, Potential] | None,
) -> list[Frame]:
    """Relax crystals by the teacher and label cells around them.

    Crystals that leave their volume while they relax are left out.

    Parameters
    ----------
    crystals : sequence of SourceCrystal
        To be treated together.
    teacher : Potential
        An O(3)-invariant potential.
    settings : DistillationSettings
        Limits and samples.
    referees : tuple of Potential or None
        Two potentials that choose among more candidates.

    Returns
    -------
    list of Frame
        With the crystal's name as their group.
    """
    relaxed = relax([crystal.atoms for crystal in crystals], teacher, settings.relaxation)
    frames: list[Frame] = []
    for crystal, found in zip(crystals, relaxed, strict=True):
        if not np.isfinite(found.max_force) or "volume" in found.reason:
            continue
        samples = _sample_cells(crystal.name, found.atoms, settings, referees)
        cells = [samples.crystal, *samples.rattled, *samples.displaced]
        evaluation = teacher.evaluate(cells)
        step = settings.sampling.displacement
        frames += _make_frames(crystal.name, samples, cells, evaluation, step)
    return frames


def _sample_cells(
    name: str,
    atoms: Atoms,
    settings: DistillationSettings,
    referees: tuple[Potential, Potential] | None,
) -> Samples:
    """Cells to be labelled."""
    wanted = settings.sampling.n_rattled
    if referees is None or settings.referees is None:
        return sample_crystal(name, atoms, settings.sampling, wanted)
    pool = wanted * settings.referees.candidates
    samples = sample_crystal(name, atoms, settings.sampling, pool)
    kept = select_most_disputed(samples.rattled, referees, wanted)
    return Samples(samples.crystal, kept, samples.column_indices, samples.displaced)


def _make_frames(
    name: str, samples: Samples, cells: Sequence[Atoms], found: Evaluation, displacement: float
) -> list[Frame]:
    """Frames of the crystal, its rattled cells, and its cells displaced forth."""
    first = 1 + len(samples.rattled)
    forces = np.array(found.forces[first:]).reshape(-1, 2, len(samples.crystal), 3)
    known = {
        "column_indices": samples.column_indices,
        "columns": (forces[:, 1] - forces[:, 0]) / (2 * displacement),
    }
    return [
        make_frame(
            cells[i],
            name,
            energy=float(found.energies[i]),
            forces=found.forces[i],
            stress=found.stresses[i],
            **(known if i == 0 else {}),
        )
        for i in [*range(first), *range(first, len(cells), 2)]
    ]
