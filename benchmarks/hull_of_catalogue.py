"""Distance from the hull of the first crystals of a catalogue, and the time of finding it.

python -m benchmarks.hull_of_catalogue data/catalogue
"""

import argparse
import time
from pathlib import Path
from statistics import median

from tasks.results import rank_materials, read_catalog
from tasks.thermodynamics.evidence import load_hull, make_hull_columns


def main() -> None:
    """Print a line for each of the first 25, and the mean time of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the tables")
    folder = parser.parse_args().folder
    relaxed = read_catalog(folder, "relaxations").set_index("material_id").to_dict("index")
    load_hull()
    found, seconds = {}, []
    for name, row in relaxed.items():
        start = time.process_time()
        found[name] = make_hull_columns(None, row)
        seconds.append(time.process_time() - start)
    for row in rank_materials(read_catalog(folder, "chirality")).head(25).itertuples():
        told = found[row.material_id]
        phases = ", ".join(told.get("competing_phases", [told.get("hull_reason", "")]))
        above = told.get("energy_above_hull", float("nan"))
        print(f"| {row.material_id} | {row.formula} | {round(above, 3) + 0.0:.3f} | {phases} |")
    distances = [told["energy_above_hull"] for told in found.values() if "hull_source" in told]
    within = sum(distance <= 0.05 for distance in distances)
    print(f"{within} of {len(distances)} within 0.05 eV/atom")
    # What the first crystals load for all is not in the median.
    print(f"{1e3 * median(seconds):.2f} ms per crystal (median), {sum(seconds):.1f} s in all")


if __name__ == "__main__":
    main()
