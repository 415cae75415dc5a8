"""Sources of the released catalogue, with what others know of each crystal.

    python -m benchmarks.great_list --reference DIR --list phonondb --output phonondb.parquet
    python -m benchmarks.great_list --reference DIR --list beyond --output beyond.parquet

DIR of reference holds ``structures/phonondb_noncentro.parquet``, ``mp20.parquet`` and
``stability``. The first list has the crystals without inversion centre that the phonon database
(MDR) has computed by DFT, the second the others of at most 12 atoms of the Materials Project, the
observed ones and those near the hull first, and small ones before large ones.
"""

import argparse
from pathlib import Path

import pandas as pd

_CRYSTAL = ("material_id", "lattice", "atomic_numbers", "frac_coords")
_MAX_ATOMS = 12
_NEAR_HULL = 0.05  # eV/atom
_FIRST_OPTICAL = 2  # atoms; one atom has an inversion centre
_FLAGS = "ICSD, 2020"
_RELEASE = "Materials Project"


def read_evidence(reference: Path) -> pd.DataFrame:
    """Whether each crystal was observed, who says so, its gap (eV) and hull distance (eV/atom)."""
    folder = reference / "stability"
    flags = pd.read_parquet(folder / "mp_icsd_flags.parquet").set_index("material_id")["icsd"]
    known = pd.read_parquet(folder / "mp_hull_by_id.parquet").set_index("material_id")
    found = pd.DataFrame(index=flags.index.union(known.index))
    found["observed"] = flags.astype("boolean")
    found["observed_source"] = flags.map(lambda _: _FLAGS)
    # What is not theoretical was observed; the flag of the later table wins.
    seen = known.index[known["theoretical"].eq(False)]
    missing = seen[~found.loc[seen, "observed"].fillna(value=False)]
    found.loc[missing, ["observed", "observed_source"]] = [True, _RELEASE]
    return found.join(known[["band_gap", "e_above_hull"]]).rename(
        columns={"e_above_hull": "energy_above_hull"}
    )


def read_phonondb(reference: Path) -> pd.DataFrame:
    """Crystals with DFT phonons, with their page in the phonon database."""
    path = reference / "structures" / "phonondb_noncentro.parquet"
    return pd.read_parquet(path, columns=[*_CRYSTAL, "mdr_url", "nsites_primitive"])


def read_beyond(reference: Path) -> pd.DataFrame:
    """Small crystals without inversion centre that the phonon database has not."""
    columns = [*_CRYSTAL, "nsites_primitive", "symmetry_class"]
    rows = pd.read_parquet(reference / "mp20.parquet", columns=columns)
    small = rows["nsites_primitive"].between(_FIRST_OPTICAL, _MAX_ATOMS)
    held = rows["material_id"].isin(read_phonondb(reference)["material_id"])
    chosen = rows["symmetry_class"].ne("centrosymmetric") & small & ~held
    return rows[chosen].drop(columns="symmetry_class")


def order_by_evidence(rows: pd.DataFrame) -> pd.DataFrame:
    """Observed crystals and those near the hull first, then unknown ones; small before large."""
    seen = rows["observed"].fillna(value=False) | rows["energy_above_hull"].le(_NEAR_HULL)
    unlikely = ~seen & rows["observed"].notna()
    return (
        rows.assign(rank=(~seen).astype(int) + unlikely.astype(int))
        .sort_values(["rank", "nsites_primitive", "material_id"], ignore_index=True)
        .drop(columns=["rank", "nsites_primitive"])
    )


def main() -> None:
    """Write one list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--list", choices=["phonondb", "beyond"], required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    read = read_phonondb if given.list == "phonondb" else read_beyond
    rows = read(given.reference).merge(
        read_evidence(given.reference), how="left", left_on="material_id", right_index=True
    )
    told = {"database": _RELEASE, "licence": "CC BY 4.0"}
    order_by_evidence(rows.assign(**told)).to_parquet(given.output, index=False)
    print(len(rows), "crystals;", rows["observed"].value_counts(dropna=False).to_dict())


if __name__ == "__main__":
    main()
