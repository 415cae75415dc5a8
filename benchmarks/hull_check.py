"""How far the hull of the package is from that of the Materials Project.

    python -m benchmarks.hull_check --reference DIR --work DIR

DIR of reference holds ``stability/mp_hull_by_id.parquet``; the folder of work is that of
``benchmarks/hull.py``. A crystal counts with its relaxed energy where there is one. The last rows
tell what the crystals of more than 20 atoms do: distances of the smaller ones from a hull of the
smaller ones alone, and from that of all.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from pymatgen.core import Composition

from benchmarks.hull import SHIFTED, compute_distances, read_energies
from tasks.thermodynamics.evidence import load_hull

_LIMITS = (0.05, 0.1)  # eV/atom
_SMALL = 20  # atoms
_KINDS = {
    "oxides": {"O"},
    "halides": {"F", "Cl", "Br", "I"},
    "chalcogenides": {"S", "Se", "Te"},
    "pnictides": {"N", "P", "As", "Sb"},
}


def name_kind(formula: str) -> str:
    """Chemistry of a formula: the first kind whose anion it has."""
    symbols = set(Composition(formula).as_dict())
    return next((kind for kind, anions in _KINDS.items() if symbols & anions), "others")


def assess(rows: pd.DataFrame) -> pd.DataFrame:
    """Formation energy and distance from the hull of each crystal (eV/atom)."""
    hull = load_hull()
    energies = rows["energy"] + rows["correction"]
    pairs = zip(rows["formula"], energies, strict=True)
    found = [
        hull.gather(frozenset(Composition(formula).as_dict())).find_stability(formula, energy)
        for formula, energy in pairs
    ]
    return rows.assign(
        form=[one.formation_energy for one in found],
        above=[one.energy_above_hull for one in found],
        kind=[name_kind(formula) for formula in rows["formula"]],
    )


def describe(rows: pd.DataFrame) -> dict[str, float]:
    """Errors (meV/atom), and precision and recall of "within a distance"."""
    form, above = rows["form"] - rows["e_form"], rows["above"] - rows["e_above_hull"]
    told = {"n": len(rows), "MAE form": 1e3 * form.abs().mean()}
    told |= {"median form": 1e3 * form.abs().median(), "MAE above": 1e3 * above.abs().mean()}
    told |= {"median above": 1e3 * above.abs().median()}
    for limit in _LIMITS:
        ours, theirs = rows["above"] <= limit, rows["e_above_hull"] <= limit
        both = np.sum(ours & theirs)
        told |= {f"precision {limit}": both / ours.sum(), f"recall {limit}": both / theirs.sum()}
    return told


def compare_larger_cells(rows: pd.DataFrame, known: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Distances of the smaller crystals from the hull without and with the larger ones."""
    small = rows[rows["n_atoms"] <= _SMALL]
    hulls = {"hull of at most 20 atoms": small, "hull of all": rows}
    return {
        name: small.join(known, how="inner")
        .join(compute_distances(members).rename("above"), how="inner")
        .assign(form=np.nan)
        for name, members in hulls.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of reference data")
    parser.add_argument("--work", type=Path, required=True, help="folder of benchmarks/hull.py")
    parser.add_argument("--limit", type=int, help="so many crystals, taken at random")
    args = parser.parse_args()
    known = pd.read_parquet(args.reference / "stability" / "mp_hull_by_id.parquet")
    known = known.set_index("material_id")[["e_above_hull", "e_form"]]
    everything = read_energies(args.work)
    rows = everything.join(known, how="inner")
    if args.limit:
        rows = rows.sample(min(args.limit, len(rows)), random_state=1)
    found = assess(rows)
    larger = compare_larger_cells(everything, known)
    groups = {
        "all": found,
        "relaxed": found[found["relaxed"]],
        "with ytterbium": found[found["formula"].str.contains(SHIFTED)],
        **dict(list(found.groupby("kind"))),
        **larger,
    }
    print(
        pd.DataFrame({name: describe(part) for name, part in groups.items()}).T.round(2).to_string()
    )


if __name__ == "__main__":
    main()
