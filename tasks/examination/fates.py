"""What becomes of known crystals, and how far frequencies are from those of PBE."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_primitive

from potentials import Potential
from tasks.chirality import compute_modes
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.examination.laws import Finding, Grade
from tasks.failures import RemediableError
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.phonons.elasticity import measure_strain_responses
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import Relaxation, RelaxationSettings, relax
from tasks.symmetry import find_space_group_number
from tasks.tolerances import AS_GIVEN

FREQUENCIES: Final = "phonondb103_pbe_frequencies.json.gz"
Entry = Mapping[str, Any]
FloatArray = NDArray[np.float64]
_N_COMPOUNDS = 20
_SETTINGS = PhononSettings(max_atoms=130, max_enlargements=0)


def measure_fates(potential: Potential, crystals: Mapping[str, Atoms]) -> Iterator[Finding]:
    """Relax known crystals.

    Parameters
    ----------
    potential : Potential
        The potential.
    crystals : mapping of str to ase.Atoms
        Primitive cells by name.

    Yields
    ------
    Finding
        The change of each volume, and the share of crystals that became others.
    """
    relaxed = relax(list(crystals.values()), potential, RelaxationSettings())
    found = [
        _describe_fate(name, *pair)
        for name, *pair in zip(crystals, crystals.values(), relaxed, strict=True)
    ]
    yield from found
    lost = [fate.subject for fate in found if fate.grade is not Grade.GOOD]
    yield Finding("lost_crystals", ", ".join(lost) or "none", 100 * len(lost) / len(found))


def _describe_fate(name: str, start: Atoms, relaxed: Relaxation) -> Finding:
    """What a crystal became: infinitely far where it did not come to rest."""
    if not relaxed.converged:
        return Finding("fate", name, np.inf, f"not relaxed: {relaxed.reason}")
    change = 100 * abs(float(relaxed.atoms.get_volume() / start.get_volume()) - 1)
    before, after = (find_space_group_number(a, AS_GIVEN) for a in (start, relaxed.atoms))
    if before == after:
        return Finding("fate", name, change)
    remark = f"space group {before} becomes {after}"
    return Finding("fate", name, change, remark, best=Grade.POOR)


def read_reference(folder: Path) -> dict[str, Entry]:
    """Read the binary compounds of the phonon database of A. Togo (PBE), by name.

    Parameters
    ----------
    folder : pathlib.Path
        Holds `FREQUENCIES`.

    Returns
    -------
    dict
        Cells, q-points with weights, and all frequencies without the non-analytical term.

    Raises
    ------
    RemediableError
        When the file is not there.
    """
    path = folder / FREQUENCIES
    if not path.is_file():
        message = f"{folder} holds no {FREQUENCIES}"
        raise RemediableError(message, "give the folder of that file, or leave --reference out")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return dict(json.load(stream))


def make_primitive_cell(entry: Entry) -> Atoms:
    """Primitive cell in whose reciprocal basis the q-points are given."""
    cell = PhonopyAtoms(
        numbers=entry["atomic_numbers"],
        cell=entry["lattice"],
        scaled_positions=entry["frac_coords"],
    )
    return make_atoms(get_primitive(cell, entry["primitive_matrix"]))


def compute_mean_error(found: FloatArray, entry: Entry) -> float:
    """Mean absolute error of frequencies (n_q, n_modes) in THz, each star with its weight."""
    expected = np.sort(np.array(entry["frequencies_nonac_thz"]), axis=1)
    errors = np.abs(np.sort(found, axis=1) - expected).mean(axis=1)
    return float(np.average(errors, weights=np.array(entry["weights"], dtype=float)))


def measure_frequencies(potential: Potential, folder: Path) -> Finding:
    """Compare frequencies of binary compounds with PBE.

    Parameters
    ----------
    potential : Potential
        The potential.
    folder : pathlib.Path
        As for `read_reference`.

    Returns
    -------
    Finding
        Mean over at most 20 of the compounds whose elements it knows, drawn evenly.

    Raises
    ------
    RemediableError
        When the folder has no frequencies, or the potential knows no compound.
    """
    entries = read_reference(folder)
    known = [
        name
        for name in sorted(entries)
        if set(entries[name]["atomic_numbers"]) <= potential.card.elements
    ]
    if not known:
        message = f"{potential.card.name} knows the elements of no compound in {folder}"
        raise RemediableError(message, "leave --reference out")
    chosen = known[:: max(1, len(known) // _N_COMPOUNDS)][:_N_COMPOUNDS]
    errors = [_compare_frequencies(potential, entries[name]) for name in chosen]
    return Finding("pbe_frequencies", f"{len(chosen)} compounds", float(np.mean(errors)))


def _compare_frequencies(potential: Potential, entry: Entry) -> float:
    """Mean error of one compound (THz), relaxed and computed as a screening does it."""
    [relaxed] = relax([make_primitive_cell(entry)], potential, RelaxationSettings())
    if not relaxed.converged:
        return np.inf
    phonon = compute_force_constants(relaxed.atoms, potential, _SETTINGS).phonon
    [response] = measure_strain_responses([make_atoms(phonon.primitive)], potential)
    interpolated = impose_sum_rules(phonon, response).phonon
    as_given = make_phonopy_cell(relaxed.atoms).scaled_positions
    if not np.allclose(phonon.primitive.scaled_positions, as_given):
        raise ValueError("phonopy chose another primitive cell")
    return compute_mean_error(
        compute_modes(interpolated, np.array(entry["qpoints"])).frequencies, entry
    )
