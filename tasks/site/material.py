"""One material as the site shows it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import PurePath
from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from tasks.chirality import ChiralitySettings
from tasks.chirality.bands import BandStructure, compute_band_structure
from tasks.chirality.modes import compute_frequencies
from tasks.conditions import Conditions
from tasks.crystals.cells import make_atoms
from tasks.crystals.rows import read_atoms
from tasks.observables.rows import tabulate_observable
from tasks.phonons.charges import restore_charges
from tasks.phonons.rows import interpolate_row
from tasks.results.interchange import format_bibtex
from tasks.site.animation import SpecialModes, compute_special_modes
from tasks.site.caveats import list_caveats
from tasks.site.evidence import list_laboratory_facts, list_links
from tasks.site.json_values import pack_numbers, round_nested, to_json_value
from tasks.site.potential_notes import get_potential_note, list_works
from tasks.site.sources import MaterialDetails, Row, parse_run_settings
from tasks.site.sphere import HelicitySphere, compute_helicity_sphere
from tasks.site.validated import count_validated, find_nearest_validated
from tasks.sources import make_safe_id
from tasks.symmetry import classify_space_group

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


def read_page_phonon(found: MaterialDetails) -> Phonopy | None:
    """Phonons, fit for all q-points, that everything drawn on the site is computed from.

    Parameters
    ----------
    found : MaterialDetails
        All there is of a material.

    Returns
    -------
    phonopy.Phonopy or None
        None where there are no force constants.
    """
    constants = found.force_constants
    if constants is None:
        return None
    return interpolate_row(restore_charges(constants, found.row)).phonon


def read_shown_crystal(found: MaterialDetails, phonon: Phonopy | None) -> Atoms | None:
    """Crystal shown: the primitive cell of the phonons, or the furthest that was reached.

    Parameters
    ----------
    found : MaterialDetails
        All there is of a material.
    phonon : phonopy.Phonopy or None
        Its phonons.

    Returns
    -------
    ase.Atoms or None
        None for a record that could not be read, and where no coordinates are stored.
    """
    if phonon is not None:
        return make_atoms(phonon.primitive)
    # Released tables have no coordinates of their inputs.
    rows = [row for row in (found.relaxation, found.material) if row and row["numbers"] is not None]
    return read_atoms(rows[0]) if rows else None


def make_material_page(found: MaterialDetails, phonon: Phonopy | None) -> tuple[Json, Json | None]:
    """Content of a material's page.

    Parameters
    ----------
    found : MaterialDetails
        All there is of the material.
    phonon : phonopy.Phonopy or None
        From `read_page_phonon`.

    Returns
    -------
    page : dict
        Row, structure, bands, sphere, warnings, provenance and validated crystals like it.
    modes : dict or None
        Displacements of the modes at the q-points shown, which are larger and rarely wanted.
    """
    atoms = read_shown_crystal(found, phonon)
    page: Json = {
        "material_id": make_safe_id(found.row["material_id"]),
        "potential": found.variant,
        "row": _select_cells(found.row),
        "structure": None if atoms is None else _describe_structure(atoms),
        "convergence": _describe_convergence(found),
        "warnings": list_caveats(found),
        "facts": list_laboratory_facts(found.row),
        "links": [link._asdict() for link in list_links(found.row)],
        "provenance": _describe_provenance(found),
        "validated": _describe_validated(found.row),
    }
    if phonon is None or not found.row["chirality_key"]:
        return page, None
    settings = ChiralitySettings(**parse_run_settings(found.run).get("chirality", {}))
    bands = compute_band_structure(phonon, settings)
    special = compute_special_modes(phonon, bands, settings.degeneracy_tolerance)
    page["bands"] = _describe_bands(bands) | _describe_uncharged(found, bands)
    page |= _describe_infrared(phonon)
    page["special"] = [_describe_labels(modes) for modes in special]
    page["sphere"] = _describe_sphere(
        compute_helicity_sphere(phonon, settings.degeneracy_tolerance)
    )
    return page, _describe_displacements(special)


def _select_cells(row: Row) -> Json:
    """Cells that are not empty; paths of the machine are cut to their last part."""
    cells = {name: to_json_value(value) for name, value in row.items() if value is not None}
    absolute = [name for name in _PATHS if PurePath(row[name] or "").is_absolute()]
    return cells | {name: PurePath(row[name]).name for name in absolute}


def _describe_structure(atoms: Atoms) -> Json:
    return {
        "cell": round_nested(atoms.cell.array, 6),
        "numbers": atoms.numbers.tolist(),
        "positions": round_nested(atoms.get_scaled_positions(), 6),
    }


def _describe_bands(bands: BandStructure) -> Json:
    """Bands of all q-points; first index q-point, second band."""
    return {
        "q_points": round_nested(bands.q_points, 6),
        "labels": list(bands.labels),
        "segments": bands.segments.tolist(),
        "distances": round_nested(bands.distances, 6),
        "ticks": [[round(distance, 6), name] for distance, name in bands.ticks],
        "frequencies": round_nested(bands.frequencies),
        "sets": bands.sets.tolist(),
        "momentum": round_nested(bands.angular_momentum),
        "helicity": round_nested(bands.helicity),
        "cycloidicity": round_nested(bands.cycloidicity),
        "pam": round_nested(bands.pam_integer, 0),
        "pam_raw": round_nested(bands.pam_raw),
        "pam_order": bands.pam_order.tolist(),
        "pam_screw": bands.pam_screw.tolist(),
    }


def _describe_uncharged(found: MaterialDetails, bands: BandStructure) -> Json:
    """Frequencies without Born charges, where there are any."""
    if not found.row["nac"]:
        return {}
    phonon = read_page_phonon(replace(found, row={**found.row, "nac": False}))
    assert phonon is not None
    return {"without_charges": round_nested(compute_frequencies(phonon, bands.q_points))}


def _describe_infrared(phonon: Phonopy) -> Json:
    """Lines that the Born charges make, where there are any."""
    if phonon.nac_params is None:
        return {}
    shown = ("frequency", "strength_x", "strength_y", "strength_z")
    rows = tabulate_observable(phonon, "infrared", Conditions())
    return {"infrared": [{name: to_json_value(row[name]) for name in shown} for row in rows]}


def _describe_labels(modes: SpecialModes) -> Json:
    """What the list of modes says beyond the bands."""
    return {
        "label": modes.label,
        "row": modes.row,
        "axis": round_nested(modes.axis, 6),
        "circulation": round_nested(modes.circulation),
        "pam": round_nested(modes.pam, 0),
        "channels": list(modes.channels),
    }


def _describe_displacements(special: tuple[SpecialModes, ...]) -> Json:
    """Displacements; order: band, atom, Cartesian component, real and imaginary part."""
    return {
        mode.label: pack_numbers(
            np.stack([mode.displacements.real, mode.displacements.imag], axis=-1)
        )
        for mode in special
    }


def _describe_sphere(sphere: HelicitySphere) -> Json:
    return {
        "radius": round(sphere.radius, 6),
        "n_polar": len(sphere.polar),
        "n_azimuth": len(sphere.azimuth),
        "helicity": pack_numbers(sphere.helicity),
    }


def _describe_convergence(found: MaterialDetails) -> Json:
    """Numbers that tell how far each stage is converged, by table."""
    rows = {"relaxations": found.relaxation, "phonons": found.phonons, "chirality": found.row}
    return {
        table: {
            name: to_json_value(row[name])
            for name in _CONVERGENCE[table]
            if row.get(name) is not None
        }
        for table, row in rows.items()
        if row is not None
    }


def _describe_validated(row: Row) -> Json:
    """Crystals like it that were validated, and how many there are of its potential."""
    group = row["space_group_number_relaxed"] or row["space_group_number"]
    nearest = find_nearest_validated(row["formula"], group, row["potential"])
    return {
        "n": count_validated(row["potential"]),
        "nearest": [
            asdict(crystal) | {"symbol": classify_space_group(crystal.space_group).symbol}
            for crystal in nearest
        ],
    }


def _describe_provenance(found: MaterialDetails) -> Json:
    """Where the numbers come from."""
    note = get_potential_note(found.row["potential"], found.computed_by)
    run = found.run or {}
    return {
        "citation": note.citation,
        "licence": note.licence,
        "limits": list(note.limits),
        "bibtex": format_bibtex(
            version("chiralscreen"), list_works([note.citation], [found.row["database"]])
        ),
        "settings": parse_run_settings(found.run),
        "versions": json.loads(run.get("versions") or "{}"),
        "started_at": to_json_value(run.get("started_at")),
    }
