"""Modes at Γ of quartz, tellurium and cinnabar: relaxed and measured cells against Raman lines.

    python -m benchmarks.validation.measured_modes --reference DIR

DIR holds ``spectroscopy/experimental_modes.json``, lines quoted in published abstracts. The cells
of the demo are measured ones. Each crystal is relaxed by the potential twice, with its cell and
with the cell fixed. Lines are assigned to computed modes, one to one and with the least sum of
distances: to modes of their irreducible representation where the source tells it, else to the
modes that Raman scattering sees (A1, E) down to four fifths of the lowest line. Of a pair split by
the field the lower one is taken: potentials know no charges.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from ase.io import read
from numpy.typing import NDArray
from scipy.constants import c, centi, tera
from scipy.optimize import linear_sum_assignment

from benchmarks.validation.error_bars import PAIR
from flows.console import locate_source
from potentials import load_potential
from tasks.chirality import compute_modes
from tasks.chirality.axes import find_crystal_operations
from tasks.crystals.structures import standardize
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.relaxation import RelaxationSettings, relax

FloatArray = NDArray[np.float64]
Cell = Literal["relaxed", "fixed"]
MODES = "spectroscopy/experimental_modes.json"
# Crystal of the demo: beginning of the material's name in the file, which its first entry has.
MATERIALS = {
    "quartz-154": "alpha-quartz",
    "te": "Te (trigonal)",
    "hgs-cinnabar": "alpha-HgS",
}
PER_CM = tera / (c / centi)  # cm^-1 per THz
PAIR_GAP = 1e-3  # THz, of the two modes of a doublet
LOWEST = 0.8  # of the lowest line


def measured_lines(reference: Path, beginning: str) -> dict[str, list[float]]:
    """Lines (cm^-1) of the first entry of a material, by irreducible representation, if told."""
    entries = json.loads((reference / MODES).read_text(encoding="utf-8"))["entries"]
    entry: Mapping[str, Any] = next(e for e in entries if e["material"].startswith(beginning))
    named = entry.get("modes_cm1") or {"A1, E": entry["lines_cm1"]}
    found: dict[str, list[float]] = {}
    for name, lines in named.items():
        key = "E" if name.startswith("E") else name
        found.setdefault(key, []).extend(float(str(line).split("-")[0]) for line in lines)
    return found


def computed_modes(name: str, potential: str, cell: Cell) -> tuple[dict[str, list[float]], float]:
    """Frequencies at Γ (cm^-1) by irreducible representation of 32, and change of the volume."""
    start = standardize(read(locate_source(Path("demo")) / f"{name}.cif"), 0.01)
    model = load_potential(potential)
    [relaxed] = relax([start], model, RelaxationSettings(cell=cell))
    phonon = compute_force_constants(relaxed.atoms, model, PhononSettings()).phonon
    modes, operations = compute_modes(phonon, np.zeros((1, 3))), find_crystal_operations(phonon)
    traces = np.trace(operations.cartesian, axis1=1, axis2=2)
    turn = int(np.flatnonzero(np.abs(traces + 1) < PAIR_GAP)[0])
    vectors = modes.eigenvectors[0].reshape(len(start), 3, -1)
    moved = np.einsum("ab,kbn->kan", operations.cartesian[turn], vectors)
    characters = np.einsum("kan,kan->n", vectors[operations.sites[turn]].conj(), moved).real
    found: dict[str, list[float]] = {"A1": [], "A2": [], "E": []}
    frequencies = modes.frequencies[0]
    for band in np.argsort(np.abs(frequencies))[3:]:
        others = np.delete(frequencies, band)
        is_pair = np.abs(others - frequencies[band]).min() < PAIR_GAP
        kind = "E" if is_pair else "A1" if characters[band] > 0 else "A2"
        found[kind].append(PER_CM * float(frequencies[band]))
    found["E"] = sorted(found["E"])[::2]
    change = relaxed.atoms.get_volume() / start.get_volume() - 1
    return {kind: sorted(values) for kind, values in found.items()}, change


def assigned(
    lines: Mapping[str, Sequence[float]], modes: Mapping[str, Sequence[float]]
) -> Iterator[tuple[str, float, float]]:
    """Representation, measured and computed wave number of each line that has a mode."""
    for names, wanted in lines.items():
        kinds = [(kind, value) for kind in names.split(", ") for value in modes.get(kind, ())]
        if "," in names:
            kinds = [(kind, value) for kind, value in kinds if value > LOWEST * min(wanted)]
        distances = np.abs(np.subtract.outer(wanted, [value for _, value in kinds]))
        for line, mode in zip(*linear_sum_assignment(distances), strict=True):
            yield kinds[mode][0], wanted[line], kinds[mode][1]


def rows(
    reference: Path, names: Sequence[str], potentials: Sequence[str]
) -> Iterator[dict[str, object]]:
    """One row per line, potential and cell."""
    cells: tuple[Cell, ...] = ("relaxed", "fixed")
    for name, potential, cell in product(names, potentials, cells):
        modes, change = computed_modes(name, potential, cell)
        for kind, line, mode in assigned(measured_lines(reference, MATERIALS[name]), modes):
            yield {
                "crystal": name,
                "potential": potential,
                "cell": cell,
                "volume": 100 * change,
                "irrep": kind,
                "measured": line,
                "computed": mode,
            }


def lines_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row per line: mode and wave number for each potential and cell."""
    modes = table["irrep"] + " " + table["computed"].round().astype(int).astype(str)
    shown = table.assign(measured=table["measured"].astype(int), mode=modes)
    wide = shown.pivot(index=["crystal", "measured"], columns=["potential", "cell"], values="mode")
    wide.columns = pd.Index([f"{potential}, {cell}" for potential, cell in wide.columns])
    return wide.fillna("-")


def means_table(table: pd.DataFrame) -> pd.DataFrame:
    """Change of the volume, mean error (cm^-1) and mean shift (%) of the lines."""
    shift = table["computed"] - table["measured"]
    numbers = table.assign(error=shift.abs(), shift=100 * shift / table["measured"])
    groups = numbers.groupby(["crystal", "potential", "cell"], sort=False)
    means = groups[["volume", "error", "shift"]].mean()
    units = {"volume": "volume (%)", "error": "error (cm⁻¹)", "shift": "shift (%)"}
    return means.rename(columns=units).reset_index()


def main() -> None:
    """Print all lines, and mean deviations."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of the data")
    parser.add_argument("--crystals", nargs="+", default=list(MATERIALS))
    parser.add_argument("--potentials", nargs="+", default=list(PAIR))
    options = parser.parse_args()
    table = pd.DataFrame(rows(options.reference, options.crystals, options.potentials))
    print(lines_table(table).reset_index().to_markdown(index=False))
    print(means_table(table).to_markdown(index=False, floatfmt=".1f"))


if __name__ == "__main__":
    main()
