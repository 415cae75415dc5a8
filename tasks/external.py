"""Force constants computed elsewhere, by DFT for example, read from phonopy's files."""

import contextlib
import hashlib
import io
import lzma
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
from phonopy import Phonopy
from phonopy.harmonic.force_constants import full_fc_to_compact_fc
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from tasks.columns import cell_columns, phonon_columns
from tasks.failures import Failure, RemediableError, failure_of
from tasks.intake import (
    Decision,
    Intake,
    Plan,
    carried_out,
    material_row,
    plan_row_of,
    rejected,
)
from tasks.phonons import FloatArray, atoms_of_cell, phonopy_of, symmetrize
from tasks.planning import STAGE_VERSIONS, Work, chirality_key, digest
from tasks.sources import require_new, safe_id
from tasks.structures import Material, structure_hash

_MAX_BYTES = 2**31
_SECONDS = 5.0  # typical time of an analysis; enters the progress bar only
_FORCE_SETS, _FORCE_CONSTANTS, _BORN = "FORCE_SETS", "FORCE_CONSTANTS", "BORN"


def plan_analysis(intake: Intake, paths: Iterable[Path]) -> Plan:
    """Read force constants from files, commit them, and plan the stage that analyses them.

    Parameters
    ----------
    intake : Intake
        Dataset and settings.
    paths : iterable of pathlib.Path
        phonopy YAML files.

    Returns
    -------
    Plan
        The chirality stage of all files that could be read.
    """
    done = intake.dataset.done_keys("chirality")
    seen: dict[str, str] = {}
    decisions = (_decision(intake, path, done, seen) for path in dict.fromkeys(paths))
    return carried_out(decisions, intake.dataset, lambda _: None)


@dataclass(frozen=True)
class ExternalPhonons:
    """Force constants read from files.

    Attributes
    ----------
    phonon : phonopy.Phonopy
        With symmetrised compact force constants, and Born charges where they were given.
    digest : str
        SHA-256 (hex) of all files that were read.
    sum_rule_residual : float
        Largest violation of the acoustic sum rule before symmetrisation (eV/Å^2).
    symmetrisation : float
        Largest change of a force constant by the symmetrisation (eV/Å^2).
    """

    phonon: Phonopy
    digest: str
    sum_rule_residual: float
    symmetrisation: float


def read_phonopy(path: Path) -> ExternalPhonons:
    """Read a phonopy YAML file, with the force and charge files beside it.

    ``phonopy_params.yaml`` holds everything itself. What ``phonopy.yaml`` lacks is taken from
    ``FORCE_SETS``, ``FORCE_CONSTANTS`` and ``BORN`` in the same folder.

    Parameters
    ----------
    path : pathlib.Path
        YAML file, plain or compressed (``.xz``).

    Returns
    -------
    ExternalPhonons
        Ready for analysis.

    Raises
    ------
    RemediableError
        When a file is unreadable or unsafe, or there are no forces.
    """
    phonon, used = _loaded(path)
    if phonon.force_constants is None:
        message = f"{path.name} has neither forces nor force constants"
        raise RemediableError(message, f"put {_FORCE_SETS} or {_FORCE_CONSTANTS} beside it")
    phonon = _in_standard_units(phonon)
    raw = phonon.force_constants.copy()
    symmetrize(phonon)
    return ExternalPhonons(
        phonon,
        digest=_digest([path, *used]),
        sum_rule_residual=float(np.abs(raw.sum(axis=1)).max()),
        symmetrisation=float(np.abs(phonon.force_constants - raw).max()),
    )


def _text(path: Path) -> str:
    """Text of a YAML file that constructs nothing but plain values.

    phonopy parses with a loader that obeys tags which run code. Every tag of YAML begins with an
    exclamation mark, which phonopy never writes. Comments are no exception: where one ends is a
    matter the parser is better not asked about.
    """
    opened = lzma.open if path.suffix == ".xz" else open
    try:
        with opened(path, "rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        text = content.decode()
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        message = f"unreadable: {path.name}: {error}"
        raise RemediableError(message, "give a YAML file written by phonopy") from error
    if len(content) > _MAX_BYTES:
        raise RemediableError(f"{path.name} is larger than 2 GiB", "use compact force constants")
    if "!" in text:
        message = f"{path.name} has a YAML tag (an exclamation mark), which could run code"
        raise RemediableError(message, "give a YAML file written by phonopy")
    return text


def _loaded(path: Path) -> tuple[Phonopy, list[Path]]:
    """Phonopy object of a YAML file, and the files beside it that it needed."""
    text = _text(path)
    phonon = _parsed(text, path, {})
    wanted: dict[str, str] = {}
    if phonon.force_constants is None:
        wanted |= {"force_sets_filename": _FORCE_SETS, "force_constants_filename": _FORCE_CONSTANTS}
    if phonon.nac_params is None:
        wanted |= {"born_filename": _BORN}
    beside = {option: (path.parent / name).resolve() for option, name in wanted.items()}
    present = {option: file for option, file in beside.items() if file.is_file()}
    return (_parsed(text, path, present) if present else phonon), list(present.values())


def _parsed(text: str, path: Path, files: Mapping[str, Path]) -> Phonopy:
    """Phonopy object of a YAML text and some files, and of no others.

    phonopy also looks into the working directory, which is therefore an empty one meanwhile.
    """
    try:
        with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
            return phonopy.load(io.StringIO(text), symmetrize_fc=False, **files)
    except Exception as error:
        message = f"phonopy cannot use {path.name}: {error or type(error).__name__}"
        raise RemediableError(message, "check the file with phonopy itself") from error


def _in_standard_units(phonon: Phonopy) -> Phonopy:
    """Same crystal in Å and eV, with compact force constants, whatever calculator it came from."""
    given, ours = (get_calculator_physical_units(name) for name in (phonon.calculator, "vasp"))
    cell = phonon.unitcell
    unit_cell = PhonopyAtoms(
        numbers=cell.numbers,
        cell=cell.cell * given.distance_to_A,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
    )
    result = phonopy_of(unit_cell, phonon.supercell_matrix, phonon.primitive_matrix)
    result.force_constants = _compact(phonon) * given.force_to_eVperA / given.distance_to_A
    if phonon.nac_params is not None:
        result.nac_params = phonon.nac_params | {"factor": ours.nac_factor}
    return result


def _compact(phonon: Phonopy) -> FloatArray:
    """Force constants between the atoms of the primitive cell and all of the supercell."""
    constants: FloatArray = phonon.force_constants
    if len(constants) > len(phonon.primitive):
        constants = full_fc_to_compact_fc(phonon.primitive, constants)
    return constants


def _digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of some files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _decision(intake: Intake, path: Path, done: frozenset[str], seen: dict[str, str]) -> Decision:
    """Decision on one file, with the rows it brings."""
    try:
        require_new(_name(path), str(path), seen)
        found = read_phonopy(path)
        atoms = atoms_of_cell(found.phonon.primitive)
        material = Material(_name(path), atoms, structure_hash(atoms), str(path))
        rows = _rows(intake, material, found)
    except Exception as error:  # noqa: BLE001 - one file must not cost the others theirs
        return rejected(intake, _failure(error, path))
    phonons = rows["phonons"]["key"]
    score, chirality = intake.settings.score, intake.settings.chirality
    keys = ("", phonons, chirality_key(phonons, chirality, score))
    work = Work(material.material_id, rows["materials"]["key"], keys, _SECONDS)
    named = {"material_key": work.material_key, "phonon_key": keys[1], "chirality_key": keys[2]}
    plan_row = plan_row_of(intake, material.material_id, "screen", None, *keys)
    open_stage = None if keys[2] in done else "chirality"
    return Decision(plan_row | named, rows, work=work, open_stage=open_stage)


def _rows(intake: Intake, material: Material, found: ExternalPhonons) -> dict[str, dict[str, Any]]:
    """Rows of ``materials``, ``phonons`` and ``force_constants``."""
    key = digest(STAGE_VERSIONS["phonons"], material.material_id, found.digest)
    identity = {"material_id": material.material_id, "key": key}
    phonons = (
        identity
        | cell_columns(found.phonon, "file")
        | {
            "n_displacements": 0,
            "sum_rule_residual": found.sum_rule_residual,
            "symmetrisation": found.symmetrisation,
            "wall_time": 0.0,
            "potential_time": 0.0,
        }
    )
    return {
        "materials": material_row(material, intake.source, intake.settings),
        "phonons": phonons,
        "force_constants": identity | phonon_columns(found.phonon),
    }


def _name(path: Path) -> str:
    """Name of a material by its file; a file with phonopy's own name takes its folder's."""
    stem = path.name.removesuffix(".xz").removesuffix(".yaml").removesuffix(".yml")
    generic = stem in {"phonopy", "phonopy_params", "phonopy_disp"}
    return safe_id(path.resolve().parent.name if generic else stem)


def _failure(error: Exception, path: Path) -> Failure:
    """Failure of a file, named by its path."""
    return failure_of(
        error,
        material_id=safe_id(str(path)),
        key=digest(str(path), str(error)),
        stage="read",
        source_record=str(path),
    )
