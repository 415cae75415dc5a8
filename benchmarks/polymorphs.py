"""Order of polymorphs by the default potential, against the Materials Project.

    python -m benchmarks.polymorphs --reference DIR --work DIR [--relax 100]

DIR of reference holds ``stability/mp_hull_by_id.parquet``; the folder of work is that of
``benchmarks/hull.py``, which has the energies of all crystals as given. A pair are two crystals of
one formula; its difference is that of the formation energies per atom. With ``--relax N`` both
crystals of N random pairs are relaxed briefly, and told beside what they give unrelaxed.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.hull import read_crystals, read_parts, relax_rows
from benchmarks.hull_check import name_kind

_EDGES = (0.0, 5.0, 10.0, 20.0, 50.0, 100.0, np.inf)  # meV/atom
_LEAST = 10.0  # meV/atom; nearer pairs are no question of chemistry
_SEED = 1


def list_pairs(known: pd.DataFrame, energies: pd.Series) -> pd.DataFrame:
    """Pairs of one formula, with both differences (meV/atom) and their chemistry."""
    groups = known.loc[known.index.intersection(energies.index)].groupby("formula")
    pairs = [pair for _, rows in groups for pair in combinations(rows.index, 2)]
    table = pd.DataFrame(pairs, columns=["first", "second"])
    theirs = known["e_form"]
    return table.assign(
        kind=[name_kind(formula) for formula in known.loc[table["first"], "formula"]],
        theirs=_subtract(table, theirs),
        ours=_subtract(table, energies),
    )


def _subtract(pairs: pd.DataFrame, energies: pd.Series) -> np.ndarray:
    """Energy of the second crystal of each pair over that of the first (meV/atom)."""
    first, second = (energies.loc[pairs[name]].to_numpy() for name in ("first", "second"))
    return 1e3 * (second - first)


def describe(pairs: pd.DataFrame) -> dict[str, float]:
    """Number of pairs, share with the right order, and error of the difference (meV/atom)."""
    error = (pairs["ours"] - pairs["theirs"]).abs()
    right = np.sign(pairs["ours"]) == np.sign(pairs["theirs"])
    return {
        "pairs": len(pairs),
        "right order": right.mean(),
        "median error": error.median(),
        "mean error": error.mean(),
    }


def describe_by_size(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each range of the difference that the Materials Project has."""
    ranges = pd.cut(pairs["theirs"].abs(), list(_EDGES), right=False)
    groups = pairs.groupby(ranges, observed=True)
    return pd.DataFrame({str(name): describe(rows) for name, rows in groups}).T


def describe_by_kind(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row for each chemistry, of pairs that are not too near."""
    far = pairs[pairs["theirs"].abs() >= _LEAST]
    groups = {"all": far, **dict(list(far.groupby("kind")))}
    return pd.DataFrame({name: describe(rows) for name, rows in groups.items()}).T


def relax_pairs(pairs: pd.DataFrame, reference: Path) -> pd.Series:
    """Corrected energies (eV/atom) of the crystals of some pairs, relaxed; by name."""
    names = pd.unique(pairs[["first", "second"]].to_numpy().ravel())
    rows = pd.DataFrame(relax_rows(read_crystals(reference).loc[names].to_dict("records")))
    done = rows[rows["reason"] == "converged"].set_index("material_id")
    return done["energy"] + done["correction"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of reference data")
    parser.add_argument("--work", type=Path, required=True, help="folder of benchmarks/hull.py")
    parser.add_argument("--relax", type=int, default=0, help="so many pairs, taken at random")
    args = parser.parse_args()
    known = pd.read_parquet(args.reference / "stability" / "mp_hull_by_id.parquet")
    known = known.set_index("material_id")
    single = read_parts(args.work / "single")
    pairs = list_pairs(known, single["energy"] + single["correction"])
    for table in (describe_by_size(pairs), describe_by_kind(pairs)):
        print(table.round(2).to_string(), end="\n\n")
    if args.relax:
        sample = pairs.sample(min(args.relax, len(pairs)), random_state=_SEED)
        energies = relax_pairs(sample, args.reference)
        both = sample[sample["first"].isin(energies.index) & sample["second"].isin(energies.index)]
        relaxed = both.assign(ours=_subtract(both, energies))
        for name, rows in (("as given", both), ("relaxed", relaxed)):
            print(name, describe_by_size(rows).round(2).to_string(), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
