"""One material as the site shows it."""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from tasks.chirality import ChiralitySettings
from tasks.chirality.bands import BandStructure, band_structure
from tasks.crystals.cells import atoms_of_cell
from tasks.crystals.rows import atoms_of
from tasks.phonons.rows import interpolation_of
from tasks.site.animation import SpecialModes, special_modes
from tasks.site.caveats import caveats
from tasks.site.limits import potential_note
from tasks.site.plain import packed, plain, rounded
from tasks.site.sources import Details, Row, run_settings
from tasks.site.sphere import HelicitySphere, helicity_sphere
from tasks.sources import safe_id

Json = dict[str, Any]

_PATHS = ("source", "source_record")
_CONVERGENCE: Mapping[str, tuple[str, ...]] = {
    "relaxations": (
        "converged",
        "n_evaluations",
        "energy",
        "max_force",
        "max_stress",
        "volume_change",
        "c_over_a_change",
        "tolerances",
        "space_groups",
    ),
    "phonons": (
        "n_supercell_atoms",
        "supercell_matrix",
        "image_distance",
        "n_displacements",
        "displacement_distance",
        "boundary_shift",
        "n_enlargements",
        "sum_rule_residual",
        "symmetrisation",
    ),
    "chirality": (
        "mesh_numbers",
        "n_q_points",
        "n_stars",
        "translation_frequency",
        "sum_rule_violation",
        "imaginary_fraction",
        "degenerate_fraction",
        "near_degenerate_fraction",
        "tensor_violation",
        "tensor_largest_share",
    ),
}


def phonon_behind(found: Details) -> Phonopy | None:
    """Phonons, fit for all q-points, that everything drawn on the site is computed from.

    Parameters
    ----------
    found : Details
        All there is of a material.

    Returns
    -------
    phonopy.Phonopy or None
        None where there are no force constants.
    """
    constants = found.force_constants
    return None if constants is None else interpolation_of(constants).phonon


def crystal_of(found: Details, phonon: Phonopy | None) -> Atoms | None:
    """Crystal shown: the primitive cell of the phonons, or the furthest that was reached.

    Parameters
    ----------
    found : Details
        All there is of a material.
    phonon : phonopy.Phonopy or None
        Its phonons.

    Returns
    -------
    ase.Atoms or None
        None for a record that could not be read, and where no coordinates are stored.
    """
    if phonon is not None:
        return atoms_of_cell(phonon.primitive)
    # Released tables have no coordinates of their inputs.
    rows = [row for row in (found.relaxation, found.material) if row and row["numbers"] is not None]
    return atoms_of(rows[0]) if rows else None


def material_page(found: Details, phonon: Phonopy | None) -> tuple[Json, Json | None]:
    """Content of a material's page.

    Parameters
    ----------
    found : Details
        All there is of the material.
    phonon : phonopy.Phonopy or None
        From `phonon_behind`.

    Returns
    -------
    page : dict
        Row, structure, bands, sphere, warnings and provenance.
    modes : dict or None
        Displacements of the modes at named q-points, which are larger and rarely wanted.
    """
    atoms = crystal_of(found, phonon)
    page: Json = {
        "material_id": safe_id(found.row["material_id"]),
        "potential": found.variant,
        "row": _row(found.row),
        "structure": None if atoms is None else _structure(atoms),
        "convergence": _convergence(found),
        "warnings": caveats(found),
        "provenance": _provenance(found),
    }
    if phonon is None or not found.row["chirality_key"]:
        return page, None
    settings = ChiralitySettings(**run_settings(found.run).get("chirality", {}))
    bands = band_structure(phonon, settings)
    special = special_modes(phonon, bands, settings.degeneracy_tolerance)
    page["bands"] = _bands(bands)
    page["special"] = [_labels(modes) for modes in special]
    page["sphere"] = _sphere(helicity_sphere(phonon, settings.degeneracy_tolerance))
    return page, _displacements(special)


def _row(row: Row) -> Json:
    """Cells that are not empty; paths of the machine are cut to their last part."""
    cells = {name: plain(value) for name, value in row.items() if value is not None}
    absolute = [name for name in _PATHS if PurePath(row[name] or "").is_absolute()]
    return cells | {name: PurePath(row[name]).name for name in absolute}


def _structure(atoms: Atoms) -> Json:
    return {
        "cell": rounded(atoms.cell.array, 6),
        "numbers": atoms.numbers.tolist(),
        "positions": rounded(atoms.get_scaled_positions(), 6),
    }


def _bands(bands: BandStructure) -> Json:
    """Bands of all q-points; first index q-point, second band."""
    return {
        "q_points": rounded(bands.q_points, 6),
        "labels": list(bands.labels),
        "segments": bands.segments.tolist(),
        "distances": rounded(bands.distances, 6),
        "ticks": [[round(distance, 6), name] for distance, name in bands.ticks],
        "frequencies": rounded(bands.frequencies),
        "sets": bands.sets.tolist(),
        "momentum": rounded(bands.momentum),
        "helicity": rounded(bands.helicity),
        "cycloidicity": rounded(bands.cycloidicity),
        "pam": rounded(bands.pam_integer, 0),
        "pam_raw": rounded(bands.pam_raw),
        "pam_order": bands.pam_order.tolist(),
        "pam_screw": bands.pam_screw.tolist(),
    }


def _labels(modes: SpecialModes) -> Json:
    """What the list of modes says beyond the bands."""
    return {
        "label": modes.label,
        "row": modes.row,
        "axis": rounded(modes.axis, 6),
        "circulation": rounded(modes.circulation),
        "pam": rounded(modes.pam, 0),
        "channels": list(modes.channels),
    }


def _displacements(special: tuple[SpecialModes, ...]) -> Json:
    """Displacements; order: band, atom, Cartesian component, real and imaginary part."""
    return {
        mode.label: packed(np.stack([mode.displacements.real, mode.displacements.imag], axis=-1))
        for mode in special
    }


def _sphere(sphere: HelicitySphere) -> Json:
    return {
        "radius": round(sphere.radius, 6),
        "n_polar": len(sphere.polar),
        "n_azimuth": len(sphere.azimuth),
        "helicity": packed(sphere.helicity),
    }


def _convergence(found: Details) -> Json:
    """Numbers that tell how far each stage is converged, by table."""
    rows = {"relaxations": found.relaxation, "phonons": found.phonons, "chirality": found.row}
    return {
        table: {name: plain(row[name]) for name in _CONVERGENCE[table] if row.get(name) is not None}
        for table, row in rows.items()
        if row is not None
    }


def _provenance(found: Details) -> Json:
    """Where the numbers come from."""
    note = potential_note(found.row["potential"], found.computed_by)
    run = found.run or {}
    return {
        "citation": note.citation,
        "licence": note.licence,
        "limits": list(note.limits),
        "settings": run_settings(found.run),
        "versions": json.loads(run.get("versions") or "{}"),
        "started_at": plain(run.get("started_at")),
    }
