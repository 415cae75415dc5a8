"""Force constants computed elsewhere, by DFT for example, as the beginning of an analysis.

What comes in: paths of phonopy's files. What goes out: rows of ``materials``, ``phonons`` and
``force_constants``, and the plan of the stage that analyses them. `tasks.phonons.phonopy_files`
reads.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from tasks.crystals import Material
from tasks.crystals.cells import atoms_of_cell
from tasks.crystals.rows import atoms_of
from tasks.crystals.structures import structure_hash
from tasks.failures import Failure, RemediableError, failure_of, panics_as_errors
from tasks.phonons.phonopy_files import (
    ExternalPhonons,
    calculation_name,
    calculations_in,
    read_phonopy,
)
from tasks.phonons.rows import cell_columns, phonon_columns, strain_columns
from tasks.screening.classification import material_row
from tasks.screening.costs import StageSeconds, analysis_seconds, count_modes
from tasks.screening.decisions import Decision, Intake, plan_row_of, rejected
from tasks.screening.intake import Plan, carried_out
from tasks.screening.planning import STAGE_VERSIONS, Work, chirality_key, digest
from tasks.screening.settings import ScreenSettings
from tasks.sources import Spread, safe_id

_READING: Final = 2  # raised when the same files give other force constants than before
_MORE_MEMORY: Final = "allow more with --memory, or give compact force constants"
_Rows = dict[str, dict[str, Any]]


def plan_analysis(intake: Intake, paths: Iterable[Path], spread: Spread = map) -> Plan:
    """Read force constants from files, commit them, and plan the stage that analyses them.

    Parameters
    ----------
    intake : Intake
        Dataset and settings.
    paths : iterable of pathlib.Path
        phonopy YAML files, and folders of calculations.
    spread : callable
        Like `map`; may read each file in a process of its own, and gives an exception in place of
        a result that did not come.

    Returns
    -------
    Plan
        The chirality stage of all files that could be read.
    """
    found = (file for path in paths for file in calculations_in(_absolute(path)))
    files = named_files(found, _names_taken(intake))
    read = partial(rows_of_file, settings=intake.settings)
    dataset = intake.dataset
    done, succeeded = (f("chirality") for f in (dataset.done_keys, dataset.succeeded_keys))
    decisions = (
        _decision(intake, path, found, done, succeeded)
        for (path, _), found in zip(files, spread(read, files), strict=True)
    )
    return carried_out(decisions, dataset, lambda _: None)


def named_files(paths: Iterable[Path], taken: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Give each file the name of a material of its own.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Absolute paths; repetitions are left out.
    taken : mapping from str to str
        Names of materials that a dataset has, and the paths they were read from.

    Returns
    -------
    list of tuple
        Path and name: that of the file, or of its folder where phonopy named the file. Where
        another file has it already, folders are put before it.
    """
    owners = dict(taken)
    found: list[tuple[Path, str]] = []
    for path in dict.fromkeys(paths):
        name = next(n for n in _names(path) if owners.setdefault(n, str(path)) == str(path))
        found.append((path, name))
    return found


def _names(path: Path) -> Iterator[str]:
    """Names that a file may have, the shortest first; the last one no other file can have."""
    parts = [part for part in path.parent.parts if part != path.anchor]
    own = calculation_name(path)
    parts += [own] if own else []
    yield from (safe_id("-".join(parts[-n:])) for n in range(1, len(parts) + 1))
    yield safe_id(str(path))


def _absolute(path: Path) -> Path:
    """Path from the root, without dots; links are kept, since their names are the user's."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def _names_taken(intake: Intake) -> dict[str, str]:
    """Materials of the dataset, with the files they were read from."""
    columns = ["material_id", "source_record"]
    rows = intake.dataset.read("materials", columns=columns).to_pylist()
    return {row["material_id"]: str(_absolute(Path(row["source_record"]))) for row in rows}


def rows_of_file(file: tuple[Path, str], settings: ScreenSettings) -> _Rows | Failure:
    """Read one file into rows of tables.

    Parameters
    ----------
    file : tuple
        Path, and the name of its material.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    dict or Failure
        Row by name of the table. Depends on nothing but the arguments and the files, so that it
        can be found in any process.
    """
    path, name = file
    try:
        with panics_as_errors():
            found = read_phonopy(path)
            atoms = atoms_of_cell(found.phonon.primitive)
            material = Material(name, atoms, structure_hash(atoms), str(path))
            return _rows(material, found, settings)
    except MemoryError:
        message = f"{path.name} takes more memory than it may"
        return _failure(RemediableError(message, _MORE_MEMORY), path)
    except Exception as error:  # noqa: BLE001 - one file must not cost the others theirs
        return _failure(error, path)


def _decision(
    intake: Intake,
    path: Path,
    found: _Rows | Failure | Exception,
    done: frozenset[str],
    succeeded: frozenset[str],
) -> Decision:
    """Decision on one file, with the rows it brings."""
    if isinstance(found, Exception):
        found = _failure(found, path)
    if isinstance(found, Failure):
        return rejected(intake, found)
    name, phonons = found["materials"]["material_id"], found["phonons"]["key"]
    score, chirality = intake.settings.score, intake.settings.chirality
    keys = ("", phonons, chirality_key(phonons, chirality, score))
    seconds = _seconds(found, intake.settings)
    work = Work(name, found["materials"]["key"], keys, seconds)
    named = {"material_key": work.material_key, "phonon_key": keys[1], "chirality_key": keys[2]}
    plan_row = plan_row_of(intake, name, "screen", None, *keys)
    open_stage = None if keys[2] in done else "chirality"
    finished = keys[2] in succeeded
    return Decision(plan_row | named, found, work=work, open_stage=open_stage, finished=finished)


def _seconds(found: _Rows, settings: ScreenSettings) -> StageSeconds:
    """Time of the analysis; whatever came before is done."""
    crystal, phonons = found["materials"], found["phonons"]
    atoms, n_atoms, charged = atoms_of(crystal), phonons["n_supercell_atoms"], phonons["nac"]
    modes = count_modes(atoms, n_atoms, settings, has_charges=charged)
    return StageSeconds(0.0, 0.0, analysis_seconds(modes))


def _rows(material: Material, found: ExternalPhonons, settings: ScreenSettings) -> _Rows:
    """Rows of ``materials``, ``phonons`` and ``force_constants``."""
    key = digest(STAGE_VERSIONS["phonons"], _READING, material.material_id, found.digest)
    identity = {"material_id": material.material_id, "key": key}
    phonons = (
        identity
        | cell_columns(found.phonon, "file", found.nac_note)
        | {
            "n_displacements": 0,
            "sum_rule_residual": found.sum_rule_residual,
            "symmetrisation": found.symmetrisation,
            "boundary_shift": found.boundary_shift,
            "wall_time": 0.0,
            "potential_time": 0.0,
        }
    )
    strain = strain_columns(found.strain) if found.strain else {}
    return {
        "materials": material_row(material, Path(material.source_record), settings),
        "phonons": phonons,
        "force_constants": identity | phonon_columns(found.phonon) | strain,
    }


def _failure(error: Exception, path: Path) -> Failure:
    """Failure of a file, named by its path."""
    return failure_of(
        error,
        material_id=safe_id(str(path)),
        key=digest(str(path), str(error)),
        stage="read",
        source_record=str(path),
    )
