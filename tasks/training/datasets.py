"""Labelled frames: read from extended XYZ and Parquet, written, and divided without leakage."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from numpy.typing import NDArray

from potentials.facet import Frame
from tasks.failures import RemediableError
from tasks.storage.durable import write_durably

_NUMBERS = pa.list_(pa.float64())
SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("atomic_numbers", pa.list_(pa.int32())),
        ("positions", _NUMBERS),
        ("cell", _NUMBERS),
        ("energy", pa.float64()),
        ("forces", _NUMBERS),
        ("stress", _NUMBERS),
        ("column_indices", pa.list_(pa.int64())),
        ("columns", _NUMBERS),
    ],
    metadata={"units": "Å, eV, eV/Å, eV/Å^3 (positive under tension), eV/Å^2; NaN: not known"},
)
# Structures that differ by less than this (Å) are the same one.
_SAME = 4


def make_frame(atoms: Atoms, group: str, **labels: float | NDArray[Any]) -> Frame:
    """Make a frame of the labels that are known.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic structure.
    group : str
        Its family.
    **labels
        Any of ``energy``, ``forces``, ``stress``, ``column_indices``, ``columns`` of `Frame`.

    Returns
    -------
    Frame
        NaN where nothing is known.
    """
    n_atoms = len(atoms)
    unknown: dict[str, Any] = {
        "energy": np.nan,
        "forces": np.full((n_atoms, 3), np.nan),
        "stress": np.full((3, 3), np.nan),
        "column_indices": np.zeros(0, dtype=np.int64),
        "columns": np.zeros((0, n_atoms, 3)),
    }
    return Frame(atoms, group, **{**unknown, **labels})


def read_frames(path: Path) -> list[Frame]:
    """Read labelled frames.

    Parameters
    ----------
    path : pathlib.Path
        Parquet of `SCHEMA`, or extended XYZ, plain or compressed; there ``group`` or
        ``config_type`` of a frame's comment names its family.

    Returns
    -------
    list of Frame
        In the order of the file.

    Raises
    ------
    RemediableError
        When the file cannot be read, holds no frame, or one that is not periodic.
    """
    try:
        if path.suffix == ".parquet":
            rows = pq.read_table(path, columns=SCHEMA.names).to_pylist()
            frames = [_read_frame_row(row) for row in rows]
        else:
            frames = [_make_frame_from_atoms(a) for a in ase.io.read(path, ":", format="extxyz")]
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        remedy = "give extended XYZ with energies or forces, or Parquet as docs/training.md says"
        raise RemediableError(f"cannot read frames from {path}: {error}", remedy) from error
    if not frames or not all(frame.atoms.cell.rank == 3 for frame in frames):
        raise RemediableError(f"{path} lacks frames with a cell", "give periodic structures")
    return frames


def write_frames(path: Path, frames: Sequence[Frame]) -> None:
    """Write labelled frames, so that the file is complete or absent."""
    table = pa.Table.from_pylist([_make_row(frame) for frame in frames], SCHEMA)
    write_durably(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def split_frames(
    frames: Sequence[Frame], share: float, split_by: str, seed: int
) -> tuple[list[Frame], list[Frame]]:
    """Divide frames into training and validation, so that neither knows the other.

    Families are ordered by a hash of seed and name, which does not depend on the order of the
    frames. Copies of a validation structure, by whatever family's name, are left out.

    Parameters
    ----------
    frames : sequence of Frame
        All frames.
    share : float
        Share of the frames for validation.
    split_by : {"frame", "group"}
        What is never divided.
    seed : int
        Changes the choice.

    Returns
    -------
    training, validation : list of Frame
        In the order given.

    Raises
    ------
    RemediableError
        When one of them would be empty.
    """
    digests = [compute_structure_digest(frame.atoms) for frame in frames]
    units = digests if split_by == "frame" else [frame.group for frame in frames]
    order = sorted(set(units), key=lambda u: hashlib.sha256(f"{seed}:{u}".encode()).digest())
    cumulated = np.cumsum([units.count(unit) for unit in order])
    n_units = int(np.searchsorted(cumulated, share * len(frames), side="right"))
    chosen = set(order[: max(n_units, 1)])
    validation = [i for i, unit in enumerate(units) if unit in chosen]
    held_out = {digests[i] for i in validation}
    training = [
        i for i, unit in enumerate(units) if unit not in chosen and digests[i] not in held_out
    ]
    if not training or not validation:
        message = f"{len(frames)} frames in {len(order)} families cannot be divided"
        raise RemediableError(message, "give more frames, or split_by: frame")
    return [frames[i] for i in training], [frames[i] for i in validation]


def compute_structure_digest(atoms: Atoms) -> str:
    """Name a structure by its content.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure.

    Returns
    -------
    str
        Equal for equal species, cells and positions, up to 1e-4 Å.
    """
    parts = (atoms.positions, np.asarray(atoms.cell))
    # Adding zero turns -0.0 into 0.0.
    content = [atoms.numbers.astype(np.int64), *(np.round(part, _SAME) + 0.0 for part in parts)]
    return hashlib.sha256(b"".join(part.tobytes() for part in content)).hexdigest()


def _make_frame_from_atoms(atoms: Atoms) -> Frame:
    """Frame of what a reader found."""
    results = atoms.calc.results if atoms.calc else {}
    labels = {name: results[name] for name in ("energy", "forces") if name in results}
    if "stress" in results:
        labels["stress"] = atoms.get_stress(voigt=False)
    group = atoms.info.get("group", atoms.info.get("config_type", ""))
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    return make_frame(bare, str(group), **labels)


def _read_frame_row(row: dict[str, Any]) -> Frame:
    """Frame of a row of a Parquet file."""
    atoms = Atoms(
        numbers=row["atomic_numbers"],
        positions=np.reshape(row["positions"], (-1, 3)),
        cell=np.reshape(row["cell"], (3, 3)),
        pbc=True,
    )
    shapes = {"forces": (-1, 3), "stress": (3, 3), "columns": (-1, len(atoms), 3)}
    labels: dict[str, Any] = {
        name: np.reshape(np.asarray(row[name], dtype=float), shape)
        for name, shape in shapes.items()
        if row[name]
    }
    if row["column_indices"]:
        labels["column_indices"] = np.asarray(row["column_indices"])
    if row["energy"] is not None:
        labels["energy"] = row["energy"]
    return make_frame(atoms, row["group"] or "", **labels)


def _make_row(frame: Frame) -> dict[str, Any]:
    """Row of a Parquet file."""
    return {
        "group": frame.group,
        "atomic_numbers": frame.atoms.numbers,
        "positions": frame.atoms.positions.ravel(),
        "cell": np.asarray(frame.atoms.cell).ravel(),
        "energy": frame.energy,
        "forces": frame.forces.ravel(),
        "stress": frame.stress.ravel(),
        "column_indices": frame.column_indices,
        "columns": frame.columns.ravel(),
    }
