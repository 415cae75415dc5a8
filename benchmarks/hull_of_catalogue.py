"""Evidence for the first crystals of a catalogue, and the time of finding their place on the hull.

python -m benchmarks.hull_of_catalogue data/catalogue
"""

import argparse
import time
from pathlib import Path
from statistics import median

import pandas as pd

from tasks.chirality import ScoreSettings
from tasks.results import rank_materials, read_catalog
from tasks.thermodynamics.evidence import load_hull, make_hull_columns

_DISTANCE = ScoreSettings().shortlist_hull


def print_first(chirality: pd.DataFrame, n: int = 25) -> None:
    """Print a line for each of the first, chiral and achiral ones together."""
    known = chirality.set_index("material_id")
    for name in rank_materials(chirality)["material_id"].head(n):
        row = known.loc[name]
        told = row["competing_phases"]
        # A distance that the record states comes without phases.
        phases = ", ".join(told) if pd.api.types.is_list_like(told) else row["hull_source"]
        above = row["energy_above_hull"]
        number = "" if pd.isna(above) else f"{round(above, 3) + 0.0:.3f}"
        kind = row["evidence"] if isinstance(row["evidence"], str) else "none"
        print(f"| {name} | {row['formula']} | {number} | {phases} | {kind} |")


def main() -> None:
    """Print the first crystals, and the time of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the tables")
    args = parser.parse_args()
    relaxed = read_catalog(args.folder, "relaxations").set_index("material_id").to_dict("index")
    load_hull()
    found, seconds = {}, []
    for name, row in relaxed.items():
        start = time.process_time()
        found[name] = make_hull_columns(None, row)
        seconds.append(time.process_time() - start)
    print_first(read_catalog(args.folder, "chirality"))
    distances = [told["energy_above_hull"] for told in found.values() if "hull_source" in told]
    within = sum(abs(distance) <= _DISTANCE for distance in distances)
    print(f"{within} of {len(distances)} within {_DISTANCE} eV/atom")
    # What the first crystals load for all is not in the median.
    print(f"{1e3 * median(seconds):.2f} ms per crystal (median), {sum(seconds):.1f} s in all")


if __name__ == "__main__":
    main()
