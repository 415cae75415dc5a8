"""False instabilities near Γ: how large they are, where they come from, and what removes them.

    python benchmarks/false_instabilities.py survey [--only TEXT]
    python benchmarks/false_instabilities.py chains [--only TEXT]
    python benchmarks/false_instabilities.py supercells
    python benchmarks/false_instabilities.py softest --only srsi2
    python benchmarks/false_instabilities.py reference --reference DIR [--only TEXT]

Everywhere *usual* is phonopy's division of force constants among periodic images, *rules* the one
of `tasks.phonons.sum_rules`, and *sound* the same with the measured response to strain.

- survey: the demo crystals in supercells of at most 100 atoms. Violation of the rotational rule
  (eV/Å) and of Huang's (GPa), lowest frequency (THz) at commensurate q-points and near Γ, change of
  the commensurate frequencies (THz), and the smallest eigenvalue of the elastic constants (GPa).
- chains: supercells long in one direction make q-points commensurate that are interpolated in the
  usual ones. Root mean square deviation from them (THz), acoustic and optical branches.
- supercells: velocity-angular-momentum tensor of quartz at 300 K in supercells of several sizes
  (10^-7 J s m^-2 K^-1 per s), xx and zz.
- softest: energy (meV per cell) of a crystal strained along the softest eigenvector of its elastic
  constants, atoms relaxed, and what the eigenvalue predicts.
- reference: force constants of DFT, DIR holds ``<tag>.yaml.xz`` as for ``reference_modes.py``.

Potential 7net-0 in float64. On one core, survey and chains take about a quarter of an hour each.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import phonopy
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
from phonopy.harmonic.force_constants import full_fc_to_compact_fc

from potentials import Potential, load_potential
from tasks.chirality import ChiralitySettings, analyze_force_constants
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.phonons import (
    PhononSettings,
    compute_commensurate_frequencies,
    compute_force_constants,
    make_phonopy,
)
from tasks.phonons.elasticity import (
    MANDEL,
    compute_elastic_constants,
    find_smallest_elastic_eigenvalue,
    measure_strain_responses,
    transform_to_mandel_basis,
)
from tasks.phonons.phonopy_objects import symmetrize
from tasks.phonons.sum_rules import SumRules, impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax
from tasks.sources.materials import read_materials

DEMO = Path(__file__).parents[1] / "data" / "demo"
CENTROSYMMETRIC = {"al2o3-corundum", "diamond", "mgo", "nacl", "si", "tio2-rutile"}
SURVEY = PhononSettings(max_atoms=100)
TIGHT = RelaxationSettings(max_force=1e-6, max_stress=1e-7)
# Length of the chain along a and along c.
CHAINS = {
    "quartz-152": (8, 8),
    "geo2": (8, 8),
    "fesi": (8, 0),
    "hgs-cinnabar": (9, 6),
    "zno": (12, 8),
    "gaas": (12, 0),
}
QUARTZ_SUPERCELLS = ((2, 2, 2), (3, 3, 2), (3, 3, 3))
ALPHA_UNIT = 1e-7


def potential_used() -> Potential:
    """The potential of all tables."""
    return load_potential("7net-0", dtype="float64")


def relaxed_crystal(name: str) -> Atoms:
    """Relaxed demo crystal."""
    [material] = read_materials(DEMO / f"{name}.cif", 1e-3)
    [result] = relax([material.atoms], potential_used(), TIGHT)
    return result.atoms


def phonon_in(atoms: Atoms, matrix: NDArray[np.int64]) -> Phonopy:
    """Force constants in a given supercell."""
    phonon = make_phonopy(make_phonopy_cell(atoms), matrix)
    phonon.generate_displacements(distance=0.01)
    cells = [make_atoms(cell) for cell in phonon.supercells_with_displacements]
    found = potential_used().evaluate([make_atoms(phonon.supercell), *cells])
    phonon.forces = np.array(found.forces[1:]) - found.forces[0]
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    symmetrize(phonon)
    return phonon


def near_gamma() -> NDArray[np.float64]:
    """Random q-points at several distances from Γ."""
    q = np.random.default_rng(0).normal(size=(100, 3))
    q /= np.abs(q).max(axis=1, keepdims=True)
    return np.concatenate([scale * q for scale in (0.001, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2)])


def lowest(phonon: Phonopy) -> float:
    """Lowest frequency near Γ in THz."""
    return float(phonon.run_qpoints(near_gamma()).frequencies.min())


def commensurate_change(phonon: Phonopy, found: SumRules) -> float:
    """Largest change of a commensurate frequency other than those at Γ, in THz."""
    matrix = np.rint(np.linalg.inv(phonon.primitive_matrix) @ phonon.supercell_matrix)
    points = get_commensurate_points(matrix.astype(np.int64))
    points = points[np.abs(points).max(axis=1) > 1e-6]
    here, there = (p.run_qpoints(points).frequencies for p in (phonon, found.phonon))
    return float(np.abs(here - there).max(initial=0.0))


def survey(only: str) -> None:
    """Print one row for each demo crystal."""
    print("crystal          atoms  rotat. Huang | commens.  usual   rules   sound | change  stiff")
    for path in sorted(DEMO.glob("*.cif")):
        if only not in path.stem or path.stem in CENTROSYMMETRIC:
            continue
        atoms = relaxed_crystal(path.stem)
        phonon = compute_force_constants(atoms, potential_used(), SURVEY).phonon
        response = measure_strain_responses([atoms], potential_used())[0]
        rules, sound = (impose_sum_rules(phonon, known) for known in (None, response))
        stiffness = find_smallest_elastic_eigenvalue(compute_elastic_constants(phonon, response))
        change = max(commensurate_change(phonon, found) for found in (rules, sound))
        print(
            f"{path.stem:16s} {len(phonon.supercell):4d}  {rules.rotational_before:6.2f} "
            f"{rules.huang_before:6.2f} | {compute_commensurate_frequencies(phonon).min():7.3f} "
            f"{lowest(phonon):7.3f} {lowest(rules.phonon):7.3f} {lowest(sound.phonon):7.3f} | "
            f"{change:.0e} {stiffness:6.1f}",
            flush=True,
        )


def chain_points(length: int, axis: int) -> NDArray[np.float64]:
    """q-points commensurate with a chain of cells, without Γ."""
    return np.outer(np.arange(1, length // 2 + 1) / length, np.eye(3)[axis])


def between(q_points: NDArray[np.float64], phonon: Phonopy) -> NDArray[np.float64]:
    """Those of the q-points that are not commensurate with the supercell of `phonon`."""
    turns = q_points @ phonon.supercell_matrix
    return q_points[np.abs(turns - np.rint(turns)).max(axis=1) > 1e-6]


def deviations(phonon: Phonopy, chain: Phonopy, q_points: NDArray[np.float64]) -> str:
    """Deviation of acoustic and optical frequencies from those of the chain."""
    error = phonon.run_qpoints(q_points).frequencies - chain.run_qpoints(q_points).frequencies
    acoustic, optical = (np.sqrt(np.mean(part**2)) for part in (error[:, :3], error[:, 3:]))
    return f"{acoustic:7.3f} {optical:6.3f}"


def chains(only: str) -> None:
    """Print one row for each crystal and direction."""
    print("crystal       axis | usual: acoustic optical | rules | sound")
    for name, lengths in CHAINS.items():
        if only not in name:
            continue
        atoms = relaxed_crystal(name)
        phonon = compute_force_constants(atoms, potential_used(), SURVEY).phonon
        response = measure_strain_responses([atoms], potential_used())[0]
        divided = [phonon, *(impose_sum_rules(phonon, known).phonon for known in (None, response))]
        for axis, length in zip((0, 2), lengths, strict=True):
            if length:
                chain = phonon_in(atoms, np.diag(np.where(np.arange(3) == axis, length, 1)))
                q_points = between(chain_points(length, axis), phonon)
                rows = " | ".join(deviations(p, chain, q_points) for p in divided)
                print(f"{name:14s} {'abc'[axis]}  | {rows}", flush=True)


def supercells() -> None:
    """Print the tensor of quartz for several supercells."""
    atoms = relaxed_crystal("quartz-152")
    response = measure_strain_responses([atoms], potential_used())[0]
    print("supercell | usual: xx zz, imaginary modes | rules | sound")
    for repeats in QUARTZ_SUPERCELLS:
        phonon = phonon_in(atoms, np.diag(repeats))
        divided = [phonon, *(impose_sum_rules(phonon, known).phonon for known in (None, response))]
        print(f"{repeats} | " + " | ".join(map(tensor_of, divided)), flush=True)


def tensor_of(phonon: Phonopy) -> str:
    """Elements xx and zz of the tensor at 300 K, and the number of imaginary modes."""
    record = analyze_force_constants(phonon, ChiralitySettings()).record
    index = int(np.argmin(np.abs(np.array(record.temperatures) - 300)))
    tensor = np.reshape(record.tensor, (-1, 3, 3))[index] / ALPHA_UNIT
    return f"{tensor[0, 0]:7.2f} {tensor[2, 2]:7.2f} {record.n_imaginary:5d}"


def softest(only: str) -> None:
    """Print one row for each strain of each crystal."""
    print("crystal        strain    energy  predicted")
    for path in sorted(DEMO.glob("*.cif")):
        if only not in path.stem or path.stem in CENTROSYMMETRIC:
            continue
        atoms = relaxed_crystal(path.stem)
        phonon = compute_force_constants(atoms, potential_used(), SURVEY).phonon
        constants = compute_elastic_constants(
            phonon, measure_strain_responses([atoms], potential_used())[0]
        )
        values, vectors = np.linalg.eigh(transform_to_mandel_basis(constants))
        strain = np.einsum("p,pab->ab", vectors[:, 0], MANDEL)
        for size in (0.002, 0.005, 0.01, 0.02):
            for signed in (size, -size):
                energy = 1e3 * strained_energy(atoms, phonon, signed * strain)
                predicted = 500 * values[0] * size**2 * atoms.get_volume()
                print(f"{path.stem:14s} {signed:6.3f} {energy:9.4f} {predicted:9.4f}", flush=True)


def strained_energy(atoms: Atoms, phonon: Phonopy, strain: NDArray[np.float64]) -> float:
    """Energy (eV per cell) that a strain costs after the atoms have followed it."""
    matrix = phonon.run_qpoints([[0, 0, 0]], with_dynamical_matrices=True).dynamical_matrices[0]
    root = np.repeat(np.sqrt(phonon.primitive.masses), 3)
    compliance = np.linalg.pinv(matrix.real * np.outer(root, root), rcond=1e-6, hermitian=True)
    strained, potential = atoms.copy(), potential_used()
    strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    for _ in range(10):
        found = potential.evaluate([strained])
        strained.positions += (compliance @ found.forces[0].ravel()).reshape(-1, 3)
    return float(found.energies[0] - potential.evaluate([atoms]).energies[0])


def published(folder: Path, only: str) -> Iterator[tuple[str, Phonopy]]:
    """Force constants of DFT, symmetrised."""
    for path in sorted(folder.glob("*.yaml.xz")):
        if only in path.name:
            phonon = phonopy.load(path, log_level=0)
            constants = phonon.force_constants
            if constants.shape[0] == constants.shape[1]:
                phonon.force_constants = full_fc_to_compact_fc(phonon.primitive, constants)
            symmetrize(phonon)
            yield path.name.removesuffix(".yaml.xz"), phonon


def reference(folder: Path, only: str) -> None:
    """Print one row for each compound."""
    print(
        "compound                             atoms charges  rotat.  Huang | commens. usual rules"
    )
    for tag, phonon in published(folder, only):
        rules = impose_sum_rules(phonon)
        charges = "yes" if phonon.nac_params is not None else "no"
        print(
            f"{tag:36s} {len(phonon.supercell):5d} {charges:7s} {rules.rotational_before:7.2f} "
            f"{rules.huang_before:6.1f} | {compute_commensurate_frequencies(phonon).min():7.3f} "
            f"{lowest(phonon):7.3f} {lowest(rules.phonon):7.3f} {rules.skipped}",
            flush=True,
        )


TABLES = {"survey": survey, "chains": chains, "softest": softest}


def main() -> int:
    """Print the table asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=(*TABLES, "supercells", "reference"))
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    parser.add_argument("--reference", type=Path, help="folder of force constants of DFT")
    arguments = parser.parse_args()
    if arguments.table == "reference":
        if arguments.reference is None:
            parser.error("reference needs --reference DIR")
        reference(arguments.reference, arguments.only)
    elif arguments.table == "supercells":
        supercells()
    else:
        TABLES[arguments.table](arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
