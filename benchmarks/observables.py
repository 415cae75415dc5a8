"""Compare observables with published numbers, and time them.

    python benchmarks/observables.py --reference DIR
    python benchmarks/observables.py --times DATASET MATERIAL ...

DIR holds ``spectroscopy/quartz_gamma_LDA.json.gz`` (modes, charges, infrared intensities and Raman
tensors of the quartz example of Phonopy-Spectroscopy) and
``chiral_phonons/wanniertools_198_FeSi.yaml.xz`` (force constants of FeSi, from the examples of
WannierTools put into phonopy's format).
"""

import argparse
import gzip
import json
import lzma
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
from ase.neighborlist import neighbor_list
from phonopy import Phonopy
from phonopy.file_IO import parse_BORN_from_strings
from phonopy.interface.vasp import read_vasp_from_strings

from tasks.chirality.axes import FloatArray, IntArray
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import Modes
from tasks.conditions import Conditions
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.observables.infrared import compute_mode_charges
from tasks.observables.topology import find_nodal_points
from tasks.results.observing import observe_crystal
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


def fit_bond_polarizabilities(path: Path) -> None:
    """Print Raman activities of a bond polarisability model, fitted to Raman tensors of quartz.

    Each Si-O bond of direction n and length r has the polarisability a 1 + b (n n - 1/3) (M. V.
    Wolkenstein, 1941); the parameters are da/dr, db/dr and b/r. Activities of a powder,
    45 mean^2 + 7 anisotropy^2, are summed over each set.
    """
    content = json.loads(gzip.decompress(path.read_bytes()))
    entries = content["raman_tensors"]["raman_activities"]
    bands = [entry["band_index"] - 1 for entry in entries]
    tensors = np.array([entry["raman_tensor"] for entry in entries])
    tensors = (tensors + tensors.swapaxes(1, 2)) / 2
    slopes = _differentiate_bonds(content)[bands]
    frequencies = np.array(content["gamma"]["frequencies_thz"])[bands]
    sets = find_degenerate_sets(frequencies[None])[0]
    expected = _sum_activities(tensors, sets)
    found = _sum_activities(_fit_tensors(slopes, tensors, slopes), sets)
    left_out = np.array(
        [
            _sum_activities(_fit_tensors(slopes[~own], tensors[~own], slopes[own]), 0 * sets[own])[
                0
            ]
            for own in (sets == label for label in range(sets.max() + 1))
        ]
    )
    print("Raman activities of quartz, A^4/u: cm-1, tensors, model, model fitted without this line")
    for label, row in enumerate(zip(expected, found, left_out, strict=True)):
        size, wave_number = (sets == label).sum(), frequencies[sets == label][0] * 33.35641
        print(f"  {'A1' if size == 1 else 'E '} {wave_number:7.1f}", *(f"{x:8.3f}" for x in row))
    for name, model in (("fitted", found), ("without", left_out)):
        ratios = model / expected
        weighted = np.abs(model - expected).sum() / expected.sum()
        print(f"  {name}: ratios {ratios.min():.2f} to {ratios.max():.2f}, mean of |ratio - 1|")
        print(f"    {np.abs(ratios - 1).mean():.2f}, weighted with the activities {weighted:.2f}")


def _differentiate_bonds(content: dict[str, Any]) -> FloatArray:
    """What each parameter gives each mode, shape (n_modes, 3 parameters, 3, 3)."""
    atoms = make_atoms(read_vasp_from_strings(content["poscar"]))
    silicon, oxygen, vectors, lengths = neighbor_list("ijDd", atoms, {("Si", "O"): 2.0})
    one = atoms.numbers[silicon] == 14
    n, r = (vectors / lengths[:, None])[one], lengths[one]
    vibrations = np.array(content["gamma"]["eigenvectors"])[..., 0]
    moved = vibrations / np.sqrt(atoms.get_masses())[:, None]
    moved = moved[:, oxygen[one]] - moved[:, silicon[one]]
    along = np.einsum("mpa,pa->mp", moved, n)
    outer = np.einsum("pa,pb->pab", n, n) - np.eye(3) / 3
    across = (moved - along[..., None] * n) * (r.mean() / r)[:, None]
    turned = np.einsum("pa,mpb->mpab", n, across)
    return np.stack(
        [
            np.einsum("mp,ab->mab", along, np.eye(3)),
            np.einsum("mp,pab->mab", along, outer),
            (turned + turned.swapaxes(2, 3)).sum(axis=1),
        ],
        axis=1,
    )


def _fit_tensors(slopes: FloatArray, tensors: FloatArray, wanted: FloatArray) -> FloatArray:
    """Tensors of the wanted modes with the parameters that suit some tensors best."""
    columns = np.moveaxis(slopes, 1, -1).reshape(-1, 3)
    parameters, *_ = np.linalg.lstsq(columns, tensors.reshape(-1))
    return np.asarray(np.einsum("i,miab->mab", parameters, wanted))


def _sum_activities(tensors: FloatArray, sets: IntArray) -> FloatArray:
    """Activity of each set in a powder."""
    mean = np.trace(tensors, axis1=1, axis2=2) / 3
    anisotropic = ((tensors - mean[:, None, None] * np.eye(3)) ** 2).sum(axis=(1, 2))
    return np.bincount(sets, 45 * mean**2 + 10.5 * anisotropic)


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
    """Print the processor time of reading a crystal and of each kind, loading a potential too."""
    tables, known = open_tables(folder), Conditions(refractive_index=1.5)
    for name in names:
        start = time.process_time()
        row = read_screened_material(tables, name)
        crystal = read_interpolation(tables, row).crystal
        print(f"{name:20} {'(reading)':12} {time.process_time() - start:8.2f} s")
        for kind in OBSERVABLES:
            start = time.process_time()
            try:
                rows = observe_crystal(tables, row, crystal, kind, known)
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
        quartz = options.reference / "spectroscopy" / "quartz_gamma_LDA.json.gz"
        compare_infrared(quartz)
        fit_bond_polarizabilities(quartz)
        count_charges(options.reference / "chiral_phonons" / "wanniertools_198_FeSi.yaml.xz")
    if options.times:
        measure_times(Path(options.times[0]), options.times[1:])


if __name__ == "__main__":
    main()
