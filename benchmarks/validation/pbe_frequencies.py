"""Frequencies of binary compounds: potentials against density functional theory (PBE).

    python -m benchmarks.validation.pbe_frequencies --reference DIR

DIR holds ``phonondb103_pbe_frequencies.json.gz``, rocksalt, zincblende and wurtzite compounds of
the phonon database of A. Togo with all frequencies of a mesh.

Each crystal is relaxed by the potential and its phonons are computed as the screening does it, in
a supercell of at most ``--max-atoms`` atoms. Neither side includes the non-analytical term, so what
differs is the potential (and the size of the supercell). Rows that are in the output already are
not computed again.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_primitive
from scipy.stats import wasserstein_distance

from benchmarks.validation.crystals import (
    LENGTH,
    Computed,
    Job,
    Row,
    command_line_of_reference,
    compute,
    extend,
    load,
    phonon_settings,
)
from tasks.chirality import compute_modes
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.symmetry.zone import find_zone_images

FREQUENCIES = "phonondb103_pbe_frequencies.json.gz"
N_SAMPLED = 40
Entry = Mapping[str, Any]
FloatArray = NDArray[np.float64]


def entries(reference: Path) -> dict[str, Entry]:
    """Compounds by their names."""
    with gzip.open(reference / FREQUENCIES, "rt", encoding="utf-8") as stream:
        return dict(json.load(stream))


def primitive_cell(entry: Entry) -> Atoms:
    """Primitive cell in whose reciprocal basis the q-points are given."""
    cell = PhonopyAtoms(
        numbers=entry["atomic_numbers"],
        cell=entry["lattice"],
        scaled_positions=entry["frac_coords"],
    )
    return make_atoms(get_primitive(cell, entry["primitive_matrix"]))


def measured(job: Job) -> Row:
    """Numbers of one compound with one potential."""
    entry, start = job["entry"], primitive_cell(job["entry"])
    settings = phonon_settings(job["max_atoms"], job["length"])
    computed = compute(start, load(job["potential"]), settings)
    as_given = make_phonopy_cell(computed.atoms).scaled_positions
    if not np.allclose(computed.phonon.primitive.scaled_positions, as_given):
        raise ValueError("phonopy chose another primitive cell")
    found = compute_modes(computed.interpolated(), np.array(entry["qpoints"])).frequencies
    return {
        "formula": entry["name"],
        "space_group": entry["spacegroup"],
        "structure_type": entry["structure_type"],
        **cell_errors(start, computed.atoms),
        **frequency_numbers(found, entry),
        **top_shifts(found, entry, start),
        **stability_numbers(computed, entry),
    }


def cell_errors(start: Atoms, relaxed: Atoms) -> Row:
    """Relative deviations of volume and of the lengths of the first and the last cell vector."""
    before, after = start.cell.lengths(), relaxed.cell.lengths()
    return {
        "volume_error": float(relaxed.get_volume() / start.get_volume() - 1),
        "a_error": float(after[0] / before[0] - 1),
        "c_error": float(after[2] / before[2] - 1),
    }


def frequency_numbers(found: FloatArray, entry: Entry) -> Row:
    """Deviations over the mesh, each star with its weight."""
    expected = np.array(entry["frequencies_nonac_thz"])
    weights = np.array(entry["weights"], dtype=float)
    found, expected = np.sort(found, axis=1), np.sort(expected, axis=1)
    spread = np.repeat(weights, found.shape[1])
    some = np.random.default_rng(0).choice(found.size, N_SAMPLED, p=spread / spread.sum())
    return {
        "frequency_mae": float(np.average(np.abs(found - expected).mean(axis=1), weights=weights)),
        "mean_shift": float(np.average((found - expected).mean(axis=1), weights=weights)),
        "spectrum_distance": float(
            wasserstein_distance(found.ravel(), expected.ravel(), spread, spread)
        ),
        "max_frequency": float(found.max()),
        "max_frequency_dft": float(expected.max()),
        "sampled_frequencies": found.ravel()[some],
        "sampled_frequencies_dft": expected.ravel()[some],
    }


def top_shifts(found: FloatArray, entry: Entry, start: Atoms) -> Row:
    """Shift of the highest branch as a share of its top, near the zone centre and beyond.

    Near are the q-points no farther from it than half the farthest one.
    """
    expected, weights = np.array(entry["frequencies_nonac_thz"]), np.array(entry["weights"])
    shift = (found.max(axis=1) - expected.max(axis=1)) / expected.max()
    radius = np.linalg.norm(find_zone_images(entry["qpoints"], start.cell).vectors[:, 0], axis=1)
    near = radius <= radius.max() / 2
    return {
        f"top_shift_{name}": float(np.average(shift[chosen], weights=weights[chosen]))
        for name, chosen in (("near", near), ("beyond", ~near))
    }


def stability_numbers(computed: Computed, entry: Entry) -> Row:
    """Lowest frequencies, and the verdict."""
    lowest = float(np.min(entry["frequencies_nonac_thz"]))
    return {
        "min_frequency": computed.min_frequency(),
        "min_frequency_dft": lowest,
        "least_stiffness": computed.least_stiffness(),
        "stable": computed.stable(),
        "n_supercell_atoms": len(computed.phonon.supercell),
    }


def jobs(
    names: Sequence[str],
    found: Mapping[str, Entry],
    only: Sequence[str],
    max_atoms: int,
    length: float = LENGTH,
) -> list[Job]:
    """Each compound with each potential, in random order: what has run is a random sample."""
    keys = np.random.default_rng(0).permutation(sorted(found))
    return [
        {
            "potential": name,
            "material_id": str(key),
            "entry": found[key],
            "max_atoms": max_atoms,
            "length": length,
        }
        for name in names
        for key in keys
        if not only or found[key]["name"] in only
    ]


def main() -> None:
    """Compute what is missing and write it."""
    parser = command_line_of_reference(__doc__, "pbe_frequencies")
    parser.add_argument("--only", nargs="+", default=(), help="formulas")
    parser.add_argument("--length", type=float, default=LENGTH, help="of a supercell (Å)")
    options = parser.parse_args()
    limits = options.max_atoms, options.length
    todo = jobs(options.potentials, entries(options.reference), options.only, *limits)
    rows = extend(options.output, todo, measured, workers=options.workers, limit=options.limit)
    shown = ["frequency_mae", "top_shift_near", "top_shift_beyond"]
    print(rows.groupby("potential")[shown].mean().round(3).to_markdown())


if __name__ == "__main__":
    main()
