"""Evidence for the first crystals of a catalogue, and the time of finding their place on the hull.

python -m benchmarks.hull_of_catalogue data/catalogue [--flags FILE]

FILE is a Parquet table with a flag (``icsd``) that tells observed crystals from computed ones, as
`benchmarks.score` takes it.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.score import read_flags
from tasks.chirality import ScoreSettings
from tasks.results import rank_materials, read_catalog
from tasks.thermodynamics.evidence import load_hull, make_hull_columns, weigh_evidence

_DISTANCE = ScoreSettings().shortlist_hull


def print_first(folder: Path, found: dict[str, dict[str, Any]], flags: "pd.Series[Any]") -> None:
    """Print a line for each of the first 25."""
    for row in rank_materials(read_catalog(folder, "chirality")).head(25).itertuples():
        told = {"energy_above_hull": None, "hull_reason": None} | found[row.material_id]
        seen = {"observed": flags.get(row.material_id), "observed_source": "ICSD, 2020"}
        phases = ", ".join(told.get("competing_phases", [told["hull_reason"] or ""]))
        above = told["energy_above_hull"]
        number = "" if above is None else f"{round(above, 3) + 0.0:.3f}"
        kind = weigh_evidence(told | seen, _DISTANCE).kind or "none"
        print(f"| {row.material_id} | {row.formula} | {number} | {phases} | {kind} |")


def main() -> None:
    """Print the first crystals, and the time of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the tables")
    parser.add_argument("--flags", type=Path, help="table that tells observed crystals")
    args = parser.parse_args()
    relaxed = read_catalog(args.folder, "relaxations").set_index("material_id").to_dict("index")
    load_hull()
    found, seconds = {}, []
    for name, row in relaxed.items():
        start = time.process_time()
        found[name] = make_hull_columns(None, row)
        seconds.append(time.process_time() - start)
    print_first(args.folder, found, read_flags(args.flags))
    distances = [told["energy_above_hull"] for told in found.values() if "hull_source" in told]
    within = sum(abs(distance) <= _DISTANCE for distance in distances)
    print(f"{within} of {len(distances)} within {_DISTANCE} eV/atom")
    # What the first crystals load for all is not in the median.
    print(f"{1e3 * median(seconds):.2f} ms per crystal (median), {sum(seconds):.1f} s in all")


if __name__ == "__main__":
    main()
