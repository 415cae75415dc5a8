"""Frequencies of binary compounds: potentials against density functional theory (PBE).

    python benchmarks/validation/pbe_frequencies.py --reference DIR --output pbe_frequencies.parquet

DIR holds ``phonondb103_pbe_frequencies.json.gz``, rocksalt, zincblende and wurtzite compounds of
the phonon database of A. Togo with all frequencies of a mesh, and optionally
``lists/matbench_kappa103_model_analysis.jsonl``, the figures that matbench-discovery publishes for
other potentials.

Each crystal is relaxed by the potential and its phonons are computed as the screening does it, in
the supercell that the settings choose. Neither side includes the non-analytical term, so what
differs is the potential (and the size of the supercell). Rows that are in the output already are
not computed again.
"""

import argparse
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_primitive
from rich.console import Console
from rich.progress import track
from scipy.stats import wasserstein_distance

from potentials import Potential, load_potential
from tasks.chirality import modes_at
from tasks.elasticity import strain_responses
from tasks.failures import RemediableError
from tasks.phonons import (
    PhononSettings,
    atoms_of_cell,
    cell_of_atoms,
    commensurate_frequencies,
    force_constants,
)
from tasks.relaxation import RelaxationSettings, relax
from tasks.sum_rules import impose_sum_rules

FREQUENCIES = "phonondb103_pbe_frequencies.json.gz"
PUBLISHED = "lists/matbench_kappa103_model_analysis.jsonl"
IMAGINARY = -0.1  # THz
Entry = Mapping[str, Any]


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
    return atoms_of_cell(get_primitive(cell, entry["primitive_matrix"]))


@cache
def potential_used(name: str) -> Potential:
    """The potential, once in a process."""
    return load_potential(name)


def compared(name: str, key: str, entry: Entry, settings: PhononSettings) -> dict[str, Any]:
    """One compound with one potential: numbers of both, or why there are none."""
    row = {"potential": name, "material_id": key, "formula": entry["name"]}
    row |= {"structure_type": entry["structure_type"]}
    try:
        return row | measured(entry, potential_used(name), settings)
    except (RemediableError, ValueError) as error:
        return row | {"error": str(error)}


def measured(entry: Entry, potential: Potential, settings: PhononSettings) -> dict[str, Any]:
    """Frequencies of the relaxed crystal, compared with those of the reference."""
    start = primitive_cell(entry)
    [relaxed] = relax([start], potential, RelaxationSettings())
    if not relaxed.converged:
        return {"error": f"not relaxed: {relaxed.reason}"}
    phonon = force_constants(relaxed.atoms, potential, settings).phonon
    same_basis = np.allclose(phonon.primitive.scaled_positions, cell_of(relaxed.atoms))
    if not same_basis:
        raise ValueError("phonopy chose another primitive cell")
    [response] = strain_responses([atoms_of_cell(phonon.primitive)], potential)
    found = modes_at(impose_sum_rules(phonon, response).phonon, entry["qpoints"]).frequencies
    expected = np.array(entry["frequencies_nonac_thz"])
    weights = np.array(entry["weights"], dtype=float)
    errors = np.abs(np.sort(found, axis=1) - np.sort(expected, axis=1))
    spread = np.repeat(weights, found.shape[1])
    return {
        "volume_error": relaxed.atoms.get_volume() / start.get_volume() - 1,
        "frequency_mae": float(np.average(errors.mean(axis=1), weights=weights)),
        "max_frequency": float(found.max()),
        "max_frequency_pbe": float(expected.max()),
        "mean_shift": float(np.average((found - expected).mean(axis=1), weights=weights)),
        "spectrum_distance": float(
            wasserstein_distance(found.ravel(), expected.ravel(), spread, spread)
        ),
        "min_commensurate": float(commensurate_frequencies(phonon).min()),
        "min_frequency_pbe": float(expected.min()),
        "n_supercell_atoms": len(phonon.supercell),
    }


def cell_of(atoms: Atoms) -> np.ndarray:
    """Fractional positions as phonopy receives them."""
    return cell_of_atoms(atoms).scaled_positions


def computed(
    names: Sequence[str], reference: Path, done: pd.DataFrame, settings: PhononSettings
) -> Iterator[dict[str, Any]]:
    """Rows that are not there yet, in two processes."""
    known = set(zip(done["potential"], done["material_id"], strict=True)) if len(done) else set()
    todo = [
        (name, key, entry, settings)
        for name in names
        for key, entry in entries(reference).items()
        if (name, key) not in known
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(compared, *zip(*todo, strict=True)) if todo else ()


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per potential."""
    good = rows[rows["error"].isna()]
    false = (good["min_commensurate"] < IMAGINARY) & (good["min_frequency_pbe"] >= IMAGINARY)
    highest = good["max_frequency"] / good["max_frequency_pbe"] - 1
    table = (
        good.assign(
            highest=100 * highest,
            highest_size=100 * highest.abs(),
            volume=100 * good["volume_error"],
            false_imaginary=false,
        )
        .groupby("potential")
        .agg(
            compounds=("material_id", "size"),
            frequency_mae=("frequency_mae", "mean"),
            mean_shift=("mean_shift", "mean"),
            spectrum_distance=("spectrum_distance", "mean"),
            highest=("highest", "mean"),
            highest_size=("highest_size", "mean"),
            volume=("volume", "mean"),
            false_imaginary=("false_imaginary", "sum"),
        )
    )
    failed = rows[rows["error"].notna()].groupby("potential").size()
    return table.assign(failed=failed).fillna({"failed": 0})


def published(reference: Path) -> pd.DataFrame:
    """Spectrum distances that matbench-discovery gives for these compounds, best first."""
    path = reference / PUBLISHED
    if not path.exists():
        return pd.DataFrame()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    kept = [(line["label"], [x for x in line["freq_w1"] if x is not None]) for line in lines]
    rows = [(label, len(values), float(np.mean(values))) for label, values in kept if values]
    frame = pd.DataFrame(rows, columns=["potential", "compounds", "spectrum_distance"])
    return frame.sort_values("spectrum_distance").set_index("potential")


def main() -> None:
    """Compute what is missing, write it, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of the data")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file of the rows")
    parser.add_argument("--potentials", nargs="+", default=["7net-0", "7net-l3i5"])
    parser.add_argument("--max-atoms", type=int, default=130, help="largest supercell")
    options = parser.parse_args()
    settings = PhononSettings(max_atoms=options.max_atoms, max_enlargements=0)
    rows = pd.read_parquet(options.output) if options.output.exists() else pd.DataFrame()
    found = computed(options.potentials, options.reference, rows, settings)
    for row in track(found, "compounds", console=Console(stderr=True)):
        rows = pd.concat([rows, pd.DataFrame([{"error": None, **row}])], ignore_index=True)
        rows.to_parquet(options.output)
    print(summary(rows).round(3).to_markdown())
    print("\n" + published(options.reference).round(3).to_markdown())


if __name__ == "__main__":
    main()
