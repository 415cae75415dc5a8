"""Modes of crystals: potentials against density functional theory, mode by mode.

    python -m benchmarks.validation.dft_modes --reference DIR

DIR holds ``dft_phonons/*.yaml.xz`` and ``chiral_phonons/*.yaml.xz``, phonopy files with forces or
force constants. Each crystal is relaxed by the potential; modes of both sides at the same random
q-points (fractional, in the primitive reciprocal basis) are matched by the overlap of their
eigenvectors. Force constants of both sides obey the sum rules. The analysis of the screening gives
waves, harmonics and tensors. Atoms may lie anywhere: how far the farthest has moved is told.

Where the reference has Born charges, three comparisons are made: without the non-analytical term
on either side; with it on both (``_nac``; the potential borrows the charges of the reference), and
with it in the reference only (``_nac_missing``), which is what a polar crystal screened without
charges suffers. The potential ``dft`` compares two references of one compound with each other.
Rows that are in the output already are not computed again.
"""

from pathlib import Path
from typing import Any

import numpy as np
from phonopy import Phonopy

from benchmarks.validation.agreement import align, cosine, mode_agreement
from benchmarks.validation.crystals import (
    STABILITY_TOLERANCE,
    SYMPREC,
    Computed,
    Job,
    Row,
    command_line_of_reference,
    compute,
    extend,
    load,
    phonon_settings,
)
from tasks.chirality import ChiralitySettings, analyze_force_constants, compute_modes
from tasks.crystals.cells import make_atoms
from tasks.phonons import compute_commensurate_frequencies
from tasks.phonons.phonopy_files import read_phonopy
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import RelaxationSettings
from tasks.symmetry import classify_space_group, find_space_group_number

FOLDERS = ("dft_phonons", "chiral_phonons")
N_Q_POINTS = 60
ANALYSIS = ChiralitySettings(mesh_spacing=0.015, temperatures=(300.0,))
# Two independent calculations of one compound.
REPEATED = {"phono3py_186_AlN332": "phono3py_186_AlN_PBEsol_rd200"}


def without_charges(phonon: Phonopy) -> Phonopy:
    """Copy force constants without the non-analytical term."""
    bare = phonon.copy()
    bare.force_constants = phonon.force_constants
    return bare


def with_charges_of(reference: Phonopy, phonon: Phonopy) -> Phonopy:
    """Copy force constants and give them the Born charges of a reference of the same cell."""
    charged = without_charges(phonon)
    order = align(make_atoms(phonon.primitive), make_atoms(reference.primitive)).order
    charges = reference.nac_params
    charged.nac_params = {**charges, "born": np.asarray(charges["born"])[order]}
    return charged


def random_q_points() -> np.ndarray:
    """The same generic q-points for all crystals, shape (60, 3)."""
    return np.random.default_rng(0).uniform(-0.5, 0.5, (N_Q_POINTS, 3))


def compared(reference: Phonopy, own: Phonopy) -> Row:
    """Agreement of modes and of what the analysis of the screening says."""
    q_points, start = random_q_points(), make_atoms(reference.primitive)
    laid = align(start, make_atoms(own.primitive))
    found = laid.carried(compute_modes(own, q_points))
    numbers = mode_agreement(compute_modes(reference, q_points), found, start.cell)
    first, second = (analyze_force_constants(p, ANALYSIS).record for p in (reference, own))
    tensors = np.array(first.tensor), np.array(second.tensor) * (-1 if laid.inverted else 1)
    allowed = classify_space_group(find_space_group_number(start, SYMPREC)).n_tensor_components
    return numbers | {
        "site_shift": laid.farthest,
        "wave_dft": first.helicity_wave_found,
        "wave": second.helicity_wave_found,
        "helicity_ratios_dft": list(first.helicity_ratios),
        "helicity_ratios": list(second.helicity_ratios),
        "mean_momentum_dft": first.mean_angular_momentum,
        "mean_momentum": second.mean_angular_momentum,
        "mean_helicity_dft": first.mean_helicity,
        "mean_helicity": second.mean_helicity,
        "tensor_size_dft": float(np.linalg.norm(tensors[0])),
        "tensor_size": float(np.linalg.norm(tensors[1])),
        "tensor_cosine": cosine(*tensors) if allowed else None,
    }


def with_suffix(row: Row, suffix: str) -> Row:
    """Numbers of a further comparison under names of their own, without samples for figures."""
    return {f"{k}{suffix}": v for k, v in row.items() if not k.startswith("sampled")}


def compared_with_charges(reference: Phonopy, own: Computed | Phonopy, bare: Phonopy) -> Row:
    """Numbers with the non-analytical term in both, and in the reference only."""
    if reference.nac_params is None:
        return {}
    ruled = impose_sum_rules(reference).phonon
    # The sum rules divide what is left beside the dipoles: charges come first.
    phonon, response = (own.phonon, own.response) if isinstance(own, Computed) else (own, None)
    charged = impose_sum_rules(with_charges_of(reference, phonon), response).phonon
    both, missing = compared(ruled, charged), compared(ruled, bare)
    return with_suffix(both, "_nac") | with_suffix(missing, "_nac_missing")


def measured(job: Job) -> Row:
    """Numbers of one crystal."""
    reference = read_phonopy(job["path"]).phonon
    bare = without_charges(reference)
    own = own_of(job, bare)
    ruled = impose_sum_rules(bare).phonon
    interpolated = own.interpolated() if isinstance(own, Computed) else impose_sum_rules(own).phonon
    return {
        "formula": make_atoms(reference.primitive).get_chemical_formula(),
        "n_atoms": len(reference.primitive),
        "has_charges": reference.nac_params is not None,
        **verdict_numbers(bare, own),
        **compared(ruled, interpolated),
        **compared_with_charges(reference, own, interpolated),
    }


def own_of(job: Job, reference: Phonopy) -> Computed | Phonopy:
    """What is compared with the reference: a potential, or a second reference."""
    if job["potential"] == "dft":
        return without_charges(read_phonopy(job["other"]).phonon)
    start = make_atoms(reference.primitive)
    relaxation = RelaxationSettings(cell=job.get("cell", "relaxed"))
    return compute(start, load(job["potential"]), phonon_settings(job["max_atoms"]), relaxation)


def verdict_numbers(reference: Phonopy, own: Computed | Phonopy) -> dict[str, Any]:
    """Space groups, lowest frequencies and verdicts of both."""
    lowest = float(compute_commensurate_frequencies(reference).min())
    row: Row = {
        "space_group_dft": find_space_group_number(make_atoms(reference.primitive), SYMPREC),
        "min_frequency_dft": lowest,
        "stable_dft": lowest >= -STABILITY_TOLERANCE,
    }
    if not isinstance(own, Computed):
        return row
    return row | {
        "space_group": find_space_group_number(own.atoms, SYMPREC),
        "volume_error": float(own.atoms.get_volume() / reference.primitive.volume - 1),
        "min_frequency": own.min_frequency(),
        "least_stiffness": own.least_stiffness(),
        "stable": own.stable(),
        "n_supercell_atoms": len(own.phonon.supercell),
    }


def jobs(names: list[str], reference: Path, only: str, max_atoms: int) -> list[Job]:
    """Each crystal with each potential, small files first."""
    found = (path for folder in FOLDERS for path in (reference / folder).glob("*.yaml.xz"))
    files = sorted(found, key=lambda path: path.stat().st_size)
    paths = {path.name.removesuffix(".yaml.xz"): path for path in files}
    repeated: list[Job] = [
        {"potential": "dft", "material_id": one, "path": paths[one], "other": paths[other]}
        for one, other in REPEATED.items()
        if {one, other} <= paths.keys() and only in one
    ]
    return repeated + [
        {"potential": name, "material_id": key, "path": path, "max_atoms": max_atoms}
        for name in names
        for key, path in paths.items()
        if only in key
    ]


def main() -> None:
    """Compute what is missing and write it."""
    parser = command_line_of_reference(__doc__, "dft_modes")
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    options = parser.parse_args()
    todo = jobs(options.potentials, options.reference, options.only, options.max_atoms)
    rows = extend(options.output, todo, measured, workers=options.workers, limit=options.limit)
    shown = ["potential", "material_id", "frequency_mae", "momentum_mae", "wave_dft", "wave"]
    print(rows[shown].round(3).to_markdown(index=False))


if __name__ == "__main__":
    main()
