"""Modes of crystals: potentials against linear response (PBEsol) along band paths.

    python -m benchmarks.validation.dfpt_eigenvectors --reference DIR

DIR holds ``mp_dfpt_eigenvectors/*.npz``: q-points of a band path, frequencies and mass-weighted
eigenvectors that the Materials Project computed with ABINIT. Each crystal is relaxed by the
potential and its modes at the same q-points are matched with those of the reference by overlap.
The reference holds no Born charges and includes the non-analytical term, the potential does not:
deviations of polar crystals hold both errors. Rows that are in the output already are not computed
again.

The phases of the reference are those of the lattice vectors alone, exp(i q.R); `Reference.modes`
turns them into the convention of this project, with atomic positions. Angular momenta do not
depend on it, overlaps of modes do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from benchmarks.validation.agreement import mode_agreement
from benchmarks.validation.crystals import (
    STABILITY_TOLERANCE,
    SYMPREC,
    Job,
    Row,
    command_line_of_reference,
    compute,
    extend,
    load,
    phonon_settings,
)
from tasks.chirality import Modes, compute_modes
from tasks.crystals.cells import make_phonopy_cell
from tasks.symmetry import find_space_group_number

FloatArray = NDArray[np.float64]
N_Q_POINTS = 60


@dataclass(frozen=True)
class Reference:
    """A crystal with published modes.

    Attributes
    ----------
    atoms : ase.Atoms
        Primitive cell.
    formula : str
    space_group : int
    modes : Modes
        In the phase convention of this project.
    """

    atoms: Atoms
    formula: str
    space_group: int
    modes: Modes


def read_reference(path: Path) -> Reference:
    """Read one archive.

    Parameters
    ----------
    path : pathlib.Path
        ``qpoints`` (nq, 3) in the reciprocal basis of ``lattice`` (3, 3, rows, Å), ``frac`` (n, 3),
        ``numbers`` (n,), ``frequencies_thz`` (nq, 3n), ``eigenvectors`` (nq, 3n, n, 3): modes
        first, mass-weighted and normalised.

    Returns
    -------
    Reference
        Modes in ascending order of frequency.
    """
    with np.load(path, allow_pickle=False) as data:
        atoms = Atoms(
            numbers=data["numbers"],
            cell=data["lattice"],
            scaled_positions=data["frac"],
            pbc=True,
        )
        modes = modes_of(
            data["qpoints"], data["frequencies_thz"], data["eigenvectors"], data["frac"]
        )
        return Reference(atoms, str(data["formula"]), int(data["spacegroup"]), modes)


def modes_of(
    q_points: FloatArray,
    frequencies: FloatArray,
    eigenvectors: NDArray[np.complex64],
    positions: FloatArray,
) -> Modes:
    """Modes in the phase convention of this project: e_k exp(-i q.x_k), ascending."""
    phases = np.exp(-2j * np.pi * q_points @ positions.T)
    vectors = eigenvectors.astype(np.complex128) * phases[:, None, :, None]
    n_q, n_bands = frequencies.shape
    columns = np.swapaxes(vectors.reshape(n_q, n_bands, n_bands), 1, 2)
    order = np.argsort(frequencies, axis=1, kind="stable")
    return Modes(
        np.array(q_points, dtype=np.float64),
        np.take_along_axis(frequencies, order, axis=1),
        np.take_along_axis(columns, order[:, None], axis=2),
    )


def compared_points(q_points: FloatArray) -> NDArray[np.int64]:
    """Some of the q-points, evenly along the path, Γ left out."""
    away = np.flatnonzero(np.abs(q_points - np.rint(q_points)).max(axis=1) > 1e-6)
    picked = np.linspace(0, len(away) - 1, min(N_Q_POINTS, len(away))).round().astype(int)
    return np.asarray(away[picked])


def measured(job: Job) -> Row:
    """Numbers of one crystal."""
    reference = read_reference(job["path"])
    own = compute(reference.atoms, load(job["potential"]), phonon_settings(job["max_atoms"]))
    if not np.allclose(own.phonon.primitive.scaled_positions, _positions(own.atoms)):
        raise ValueError("phonopy chose another primitive cell")
    expected = reference.modes[compared_points(reference.modes.q_points)]
    lowest = float(reference.modes.frequencies.min())
    return {
        "formula": reference.formula,
        "n_atoms": len(reference.atoms),
        "space_group_dft": reference.space_group,
        "space_group": find_space_group_number(own.atoms, SYMPREC),
        "volume_error": float(own.atoms.get_volume() / reference.atoms.get_volume() - 1),
        "min_frequency_dft": lowest,
        "stable_dft": lowest >= -STABILITY_TOLERANCE,
        "min_frequency": own.min_frequency(),
        "least_stiffness": own.least_stiffness(),
        "stable": own.stable(),
        "n_supercell_atoms": len(own.phonon.supercell),
        **mode_agreement(
            expected, compute_modes(own.interpolated(), expected.q_points), reference.atoms.cell
        ),
    }


def _positions(atoms: Atoms) -> FloatArray:
    """Fractional positions as phonopy receives them."""
    return np.asarray(make_phonopy_cell(atoms).scaled_positions)


def jobs(names: Sequence[str], folder: Path, only: str, max_atoms: int) -> list[Job]:
    """Each crystal with each potential, small files first."""
    found = [path for path in folder.glob("*.npz") if only in path.stem]
    paths = sorted(found, key=lambda path: path.stat().st_size)
    return [
        {"potential": name, "material_id": path.stem, "path": path, "max_atoms": max_atoms}
        for name in names
        for path in paths
    ]


def main() -> None:
    """Compute what is missing and write it."""
    parser = command_line_of_reference(__doc__, "dfpt_eigenvectors")
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    options = parser.parse_args()
    folder = options.reference / "mp_dfpt_eigenvectors"
    todo = jobs(options.potentials, folder, options.only, options.max_atoms)
    rows = extend(options.output, todo, measured, workers=options.workers, limit=options.limit)
    shown = ["potential", "material_id", "formula", "frequency_mae", "overlap", "momentum_mae"]
    print(rows[shown].round(3).to_markdown(index=False))


if __name__ == "__main__":
    main()
