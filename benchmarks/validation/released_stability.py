"""Verdicts of a screening about stability against the phonon database (PBEsol).

    python -m benchmarks.validation.released_stability DATASET --reference DIR

DIR holds ``lists/ffonons_phonondb_summary.csv.gz``. The list has the lowest frequency of the whole
zone, with the false instabilities of interpolation between the q-points of its supercell. Where the
database calls unstable what is stable here, our own force constants are interpolated likewise, as
they come; where they are stable still, force constants are computed anew in the supercell of the
database, which is often a single unit cell. What is then imaginary here too decides nothing.
DATASET holds relaxed crystals and force constants. What the output knows is not computed again.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from phonopy import Phonopy
from rich.progress import track

from benchmarks.validation.crystals import MESH_LENGTH, STABILITY_TOLERANCE, load
from benchmarks.validation.materials import NOISE, RESULTS
from tasks.crystals.rows import read_atoms
from tasks.phonons import PhononSettings
from tasks.phonons.driver import compute_all_force_constants
from tasks.phonons.rows import read_phonon
from tasks.storage import TableFolder
from tasks.symmetry import find_dataset

OUTPUT = RESULTS / "released_stability.parquet"
_SUMMARY = "lists/ffonons_phonondb_summary.csv.gz"
_COLUMNS = ("material_id", "chirality_key", "n_atoms_primitive", "stable", "reliable")
_POTENTIAL, _PRECISION = "nequix-mp-1-pft", "float64"  # those of the released catalogue


def read_pairs(dataset: Path, reference: Path) -> pd.DataFrame:
    """Screened crystals that the database lists, with both verdicts."""
    listed = pd.read_csv(reference / _SUMMARY)
    # The label of this list; the calculations are PBEsol.
    lowest = listed[listed["model"] == "pbe"].drop_duplicates("material_id")
    ours = pd.read_parquet(dataset / "catalog" / "chirality.parquet", columns=list(_COLUMNS))
    theirs = lowest[["material_id", "min_freq_thz", "supercell"]]
    found = ours[ours["stable"].notna()].merge(theirs, on="material_id")
    return found.rename(columns={"min_freq_thz": "min_frequency_dft"}).astype({"stable": bool})


def interpolate_own(dataset: Path, material_id: str, _: str) -> float:
    """Lowest frequency of the whole zone by the stored force constants as they come (THz)."""
    rows = TableFolder(dataset).read("force_constants", material_ids=[material_id])
    return find_lowest(read_phonon(rows.to_pylist()[0]))


def interpolate_in_cell(dataset: Path, material_id: str, supercell: str) -> float:
    """The same by force constants in the supercell of the database."""
    rows = TableFolder(dataset).read("relaxations", material_ids=[material_id])
    atoms = read_atoms(rows.to_pylist()[0])
    matrix = make_supercell_matrix(find_dataset(atoms, 1e-3).transformation_matrix, supercell)
    potential, settings = load(_POTENTIAL, _PRECISION), PhononSettings()
    [found] = compute_all_force_constants([atoms], potential, settings, matrix)
    if isinstance(found, Exception):
        raise found
    return find_lowest(found.phonon)


def make_supercell_matrix(transformation: NDArray[np.float64], supercell: str) -> NDArray[np.int64]:
    """Multiples of the conventional cell, as "1, 1, 2", in the basis of the primitive cell."""
    multiples = np.diag([round(float(word)) for word in supercell.split(",")])
    return np.asarray(np.rint(np.linalg.inv(transformation)) @ multiples, dtype=np.int64)


def find_lowest(phonon: Phonopy) -> float:
    """Lowest frequency on a fine mesh (THz)."""
    phonon.run_mesh(MESH_LENGTH, is_gamma_center=True)
    return float(phonon.mesh.frequencies.min())


def decide(found: pd.DataFrame) -> pd.DataFrame:
    """Rows with whether they decide anything, and whether both verdicts are one."""
    noise = found["min_frequency_dft"].between(NOISE, -STABILITY_TOLERANCE, inclusive="neither")
    stable_dft = found["min_frequency_dft"] >= -STABILITY_TOLERANCE
    lowest = found[["min_frequency_between", "min_frequency_in_cell"]].min(axis=1)
    return found.assign(
        stable_dft=stable_dft,
        decidable=~noise & ~(lowest < -STABILITY_TOLERANCE),
        agrees=stable_dft == found["stable"],
    )


def fill(
    found: pd.DataFrame,
    column: str,
    chosen: "pd.Series[bool]",
    compute: Callable[[str, str], float],
    output: Path,
) -> pd.DataFrame:
    """Rows with a column that some of them need; each number is kept as soon as it is there."""
    for index in track(found.index[chosen & found[column].isna()], description=column):
        found.loc[index, column] = compute(*found.loc[index, ["material_id", "supercell"]])
        decide(found).to_parquet(output, index=False)
    return found


def main() -> None:
    """Interpolate what is contradicted, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    found = read_pairs(given.dataset, given.reference)
    for column in ("min_frequency_between", "min_frequency_in_cell"):
        found[column] = found["chirality_key"].map(read_known(given.output, column))
    contradicted = found["stable"] & (found["min_frequency_dft"] <= NOISE)
    own, in_cell = (partial(f, given.dataset) for f in (interpolate_own, interpolate_in_cell))
    found = fill(found, "min_frequency_between", contradicted, own, given.output)
    still = contradicted & (found["min_frequency_between"] >= -STABILITY_TOLERANCE)
    found = fill(found, "min_frequency_in_cell", still, in_cell, given.output)
    decide(found).to_parquet(given.output, index=False)


def read_known(output: Path, column: str) -> "pd.Series[float]":
    """A column of an earlier output, by the key of the row; empty where there is none."""
    old = pd.read_parquet(output) if output.exists() else pd.DataFrame()
    known = old.reindex(columns=["chirality_key", column]).dropna()
    return known.set_index("chirality_key")[column].astype(float)


if __name__ == "__main__":
    main()
