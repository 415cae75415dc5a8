"""Cells of the demo, which are measured ones, against those to which potentials relax them.

    python -m benchmarks.validation.measured_cells

Printed are the change of the volume and of c/a, the space group where it changes, and the mean size
of the changes. A potential that describes another crystal is seen at once.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase.io import read

from benchmarks.validation.crystals import SYMPREC, Row
from benchmarks.validation.error_bars import PAIR
from flows.console import locate_source
from potentials import load_potential
from tasks.crystals.structures import standardize
from tasks.relaxation import RelaxationSettings, relax
from tasks.symmetry import find_space_group_number


def rows(names: Sequence[str], potentials: Sequence[str]) -> Iterator[Row]:
    """One row per crystal and potential."""
    folder = locate_source(Path("demo"))
    chosen = names or sorted(path.stem for path in folder.glob("*.cif"))
    starts = [standardize(read(folder / f"{name}.cif"), SYMPREC) for name in chosen]
    for potential in potentials:
        found = relax(starts, load_potential(potential), RelaxationSettings())
        for name, start, end in zip(chosen, starts, found, strict=True):
            before, after = (find_space_group_number(a, SYMPREC) for a in (start, end.atoms))
            ratios = [np.distribute(*a.cell.lengths()[[2, 0]]) for a in (start, end.atoms)]
            yield {
                "crystal": name,
                "potential": potential,
                "volume (%)": 100 * (end.atoms.get_volume() / start.get_volume() - 1),
                "c/a (%)": 100 * (ratios[1] / ratios[0] - 1),
                "space group": f"{before} to {after}" if before != after else str(before),
            }


def main() -> None:
    """Print all crystals, and means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--crystals", nargs="*", default=())
    parser.add_argument("--potentials", nargs="+", default=list(PAIR))
    options = parser.parse_args()
    table = pd.DataFrame(rows(options.crystals, options.potentials))
    wide = table.pivot_table(
        index="crystal", columns="potential", values=["volume (%)", "space group"], aggfunc="first"
    )
    print(wide.to_markdown(floatfmt=".1f"))
    size = table.assign(size=table["volume (%)"].abs()).groupby("potential")["size"]
    print(size.agg(["mean", "median", "max"]).round(1).to_markdown())


if __name__ == "__main__":
    main()
