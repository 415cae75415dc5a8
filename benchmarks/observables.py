"""Compare observables with published numbers, and time them.

    python benchmarks/observables.py --reference DIR
    python benchmarks/observables.py --times DATASET MATERIAL ...

DIR holds ``spectroscopy/quartz_gamma_LDA.json.gz`` (modes, charges and infrared intensities of the
quartz example of Phonopy-Spectroscopy) and ``chiral_phonons/wanniertools_198_FeSi.yaml.xz`` (force
constants of FeSi, from the examples of WannierTools put into phonopy's format).
"""

import argparse
import gzip
import json
import lzma
import tempfile
import time
from pathlib import Path

import numpy as np
import phonopy
from phonopy import Phonopy
from phonopy.file_IO import parse_BORN_from_strings
from phonopy.interface.vasp import read_vasp_from_strings

from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import Modes
from tasks.conditions import Conditions
from tasks.failures import RemediableError
from tasks.observables.infrared import compute_mode_charges
from tasks.observables.rows import tabulate_observable
from tasks.observables.topology import find_nodal_points
from tasks.results.stored_crystals import read_interpolation, read_screened_material
from tasks.storage import open_tables
from tasks.tables.observables import OBSERVABLES


def compare_infrared(path: Path) -> None:
    """Print the largest difference from published infrared intensities."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    phonon = Phonopy(read_vasp_from_strings(content["poscar"]), np.eye(3, dtype=int))
    born = parse_BORN_from_strings(content["born"]["LDA"], phonon.primitive)
    phonon.nac_params = born | {"factor": 14.4}
    frequencies = np.array(content["gamma"]["frequencies_thz"])
    vectors = np.array(content["gamma"]["eigenvectors"]) @ [1, 1j]
    modes = Modes(np.zeros((1, 3)), frequencies[None], vectors.reshape(len(vectors), -1).T[None])
    squares = (np.abs(compute_mode_charges(phonon, modes)[0]) ** 2).sum(axis=-1)
    sets = find_degenerate_sets(frequencies[None])[0]
    found = np.bincount(sets, squares)[1:]
    expected = np.array([row[2] for row in content["ir"]["LDA"]["rows"]])[1:]
    print(f"infrared intensities of quartz, {len(found)} sets, e^2/u")
    for one, other in zip(found, expected, strict=True):
        print(f"  {one:10.6f} {other:10.6f}")
    print(f"  largest difference {np.abs(found - expected).max():.1e}")


def count_charges(path: Path) -> None:
    """Print the charges of enforced nodal points of FeSi."""
    with tempfile.NamedTemporaryFile("wb", suffix=".yaml") as file:
        file.write(lzma.decompress(path.read_bytes()))
        file.flush()
        phonon = phonopy.load(file.name, produce_fc=False, log_level=0)
    print("nodal points of FeSi: point, bands, THz, charges")
    for node in find_nodal_points(phonon):
        if node.charge is not None and node.label in {"Γ", "R"}:
            bands = f"{node.first}-{node.last}"
            print(f"  {node.label} {bands:6} {node.frequency:7.3f} {node.charges}")


def measure_times(folder: Path, names: list[str]) -> None:
    """Print the processor time of each kind."""
    tables = open_tables(folder)
    for name in names:
        phonon = read_interpolation(tables, read_screened_material(tables, name)).crystal
        for kind in OBSERVABLES:
            start = time.process_time()
            try:
                rows = tabulate_observable(phonon, kind, Conditions(refractive_index=1.5))
            except RemediableError:
                continue
            print(f"{name:20} {kind:12} {time.process_time() - start:8.2f} s {len(rows):6} rows")


def main() -> None:
    """Read the options and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--times", nargs="+")
    options = parser.parse_args()
    if options.reference:
        compare_infrared(options.reference / "spectroscopy" / "quartz_gamma_LDA.json.gz")
        count_charges(options.reference / "chiral_phonons" / "wanniertools_198_FeSi.yaml.xz")
    if options.times:
        measure_times(Path(options.times[0]), options.times[1:])


if __name__ == "__main__":
    main()
