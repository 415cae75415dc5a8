"""Verdicts of a screening about stability against the phonon database (PBEsol).

    python -m benchmarks.validation.released_stability DATASET --reference DIR

DIR holds ``lists/ffonons_phonondb_summary.csv.gz``. The list has the lowest frequency of the whole
zone, with the false instabilities of interpolation near the zone centre. Where the database calls
unstable what is stable here, our own force constants are interpolated likewise, as they come; what
is then imaginary here too decides nothing. DATASET holds the force constants. Rows that are in the
output already are not computed again.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.validation.crystals import MESH_LENGTH, STABILITY_TOLERANCE
from benchmarks.validation.materials import NOISE, RESULTS
from tasks.phonons.rows import read_phonon
from tasks.storage import TableFolder

OUTPUT = RESULTS / "released_stability.parquet"
_SUMMARY = "lists/ffonons_phonondb_summary.csv.gz"
_COLUMNS = ("material_id", "chirality_key", "n_atoms_primitive", "stable", "reliable")


def read_pairs(dataset: Path, reference: Path) -> pd.DataFrame:
    """Screened crystals that the database lists, with both verdicts."""
    listed = pd.read_csv(reference / _SUMMARY)
    # The label of this list; the calculations are PBEsol.
    lowest = listed[listed["model"] == "pbe"].drop_duplicates("material_id")
    ours = pd.read_parquet(dataset / "catalog" / "chirality.parquet", columns=list(_COLUMNS))
    theirs = lowest[["material_id", "min_freq_thz"]]
    found = ours[ours["stable"].notna()].merge(theirs, on="material_id")
    return found.rename(columns={"min_freq_thz": "min_frequency_dft"}).astype({"stable": bool})


def interpolate_lowest(dataset: Path, material_id: str) -> float:
    """Lowest frequency of the whole zone by the force constants as they come (THz)."""
    rows = TableFolder(dataset).read("force_constants", material_ids=[material_id])
    phonon = read_phonon(rows.to_pylist()[0])
    phonon.run_mesh(MESH_LENGTH, is_gamma_center=True)
    return float(phonon.mesh.frequencies.min())


def decide(found: pd.DataFrame) -> pd.DataFrame:
    """Rows with whether they decide anything, and whether both verdicts are one."""
    noise = found["min_frequency_dft"].between(NOISE, -STABILITY_TOLERANCE, inclusive="neither")
    stable_dft = found["min_frequency_dft"] >= -STABILITY_TOLERANCE
    by_interpolation = found["min_frequency_between"] < -STABILITY_TOLERANCE
    return found.assign(
        stable_dft=stable_dft,
        decidable=~noise & ~by_interpolation,
        agrees=stable_dft == found["stable"],
    )


def main() -> None:
    """Interpolate what is contradicted, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    found = read_pairs(given.dataset, given.reference).assign(min_frequency_between=np.nan)
    old = pd.read_parquet(given.output) if given.output.exists() else found.head(0)
    known = old.dropna().set_index("chirality_key")["min_frequency_between"]
    contradicted = found["stable"] & (found["min_frequency_dft"] <= NOISE)
    found["min_frequency_between"] = [
        (known.get(key) or interpolate_lowest(given.dataset, name)) if asked else np.nan
        for key, name, asked in zip(
            found["chirality_key"], found["material_id"], contradicted, strict=True
        )
    ]
    decide(found).to_parquet(given.output, index=False)


if __name__ == "__main__":
    main()
