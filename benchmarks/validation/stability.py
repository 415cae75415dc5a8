"""Verdicts of stability: potentials against the phonon database (PBEsol).

    python -m benchmarks.validation.stability --reference DIR

DIR holds ``lists/ffonons_phonondb_summary.csv.gz``, lowest frequencies of the phonon database of
A. Togo, and ``mp20.parquet``, structures of the Materials Project with the same identifiers.
Drawn are crystals without inversion centre that have the same space group in both, in strata by
the number of atoms in the primitive cell (up to 6, 8, 12), in random order (seed 0) inside each.
However far the calculation has come, its rows are a random sample of the last stratum and all of
those before. Rows that are in the output already are not computed again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms

from benchmarks.validation.crystals import (
    SYMPREC,
    Job,
    Row,
    command_line_of_reference,
    compute,
    extend,
    load,
    phonon_settings,
)
from tasks.crystals.structures import standardize
from tasks.symmetry import find_space_group_number

SUMMARY, STRUCTURES = "lists/ffonons_phonondb_summary.csv.gz", "mp20.parquet"
STRATA = (0, 6, 8, 12)  # atoms in the primitive cell
SEED = 0
SMALLER = 100  # atoms in a supercell


def listed(reference: Path) -> pd.DataFrame:
    """Materials that the database and the structures share, with the same space group."""
    table = pd.read_csv(reference / SUMMARY)
    # The label of this list; the calculations are PBEsol.
    table = table[table["model"] == "pbe"].drop_duplicates("material_id")
    known = pd.read_parquet(reference / STRUCTURES).drop(columns="formula")
    merged = table.merge(known, on="material_id")
    return merged[merged["spacegroup_number"] == merged["phonondb_spacegroup"]]


def candidates(reference: Path) -> pd.DataFrame:
    """Listed materials without inversion centre."""
    table = listed(reference)
    return table[table["symmetry_class"] != "centrosymmetric"].reset_index(drop=True)


def drawn(table: pd.DataFrame, strata: Sequence[int] = STRATA, seed: int = SEED) -> pd.DataFrame:
    """Put materials into the order in which they are computed.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``nsites_primitive`` and ``material_id``.
    strata : sequence of int
        Edges: each stratum holds cells larger than one edge, up to the next.
    seed : int
        Of the random order inside a stratum.

    Returns
    -------
    pandas.DataFrame
        Small cells first, with the upper edge in the column ``stratum``.
    """
    edges = list(strata)
    upper = pd.cut(table["nsites_primitive"], edges, labels=edges[1:])
    inside = table.assign(stratum=upper).dropna(subset="stratum").sort_values("material_id")
    order = np.random.default_rng(seed).permutation(len(inside))
    shuffled = inside.iloc[order]
    return shuffled.sort_values("stratum", kind="stable").astype({"stratum": int})


def structure(row: Mapping[str, Any]) -> Atoms:
    """Idealised primitive cell of a row."""
    atoms = Atoms(
        numbers=row["atomic_numbers"],
        cell=np.reshape(row["lattice"], (3, 3)),
        scaled_positions=np.reshape(row["frac_coords"], (-1, 3)),
        pbc=True,
    )
    return standardize(atoms, SYMPREC)


def measured(job: Job) -> Row:
    """Verdict of one crystal."""
    row, start = job["row"], structure(job["row"])
    computed = compute(start, load(job["potential"]), phonon_settings(job["max_atoms"]))
    return {
        "formula": row["formula"],
        "n_atoms": len(start),
        "stratum": int(row["stratum"]),
        "space_group_dft": int(row["phonondb_spacegroup"]),
        "space_group": find_space_group_number(computed.atoms, SYMPREC),
        "volume_error": float(computed.atoms.get_volume() / start.get_volume() - 1),
        "min_frequency_dft": float(row["min_freq_thz"]),
        "max_frequency_dft": float(row["max_freq_thz"]),
        "imaginary_at_gamma_dft": bool(row["has_imaginary_gamma_phonon_freq"]),
        "supercell_dft": str(row["supercell"]),
        "min_frequency": computed.min_frequency(),
        "min_frequency_between": computed.extremes_between()[0],
        "least_stiffness": computed.least_stiffness(),
        "stable": computed.stable(),
        "n_supercell_atoms": len(computed.phonon.supercell),
    }


def main() -> None:
    """Compute what is missing and write it."""
    parser = command_line_of_reference(__doc__, "stability", max_atoms=SMALLER)
    options = parser.parse_args()
    table = drawn(candidates(options.reference))
    jobs: list[Job] = [
        {
            "potential": name,
            "material_id": row["material_id"],
            "row": row,
            "max_atoms": options.max_atoms,
        }
        for name in options.potentials
        for row in table.to_dict("records")
    ]
    rows = extend(options.output, jobs, measured, workers=options.workers, limit=options.limit)
    print(f"{len(rows)} of {len(jobs)} rows, {rows['error'].notna().sum()} without a verdict")


if __name__ == "__main__":
    main()
