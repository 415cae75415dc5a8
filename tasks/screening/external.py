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
from tasks.crystals.cells import make_atoms
from tasks.crystals.rows import read_atoms
from tasks.crystals.structures import compute_structure_hash
from tasks.failures import Failure, RemediableError, make_failure, raise_panics
from tasks.phonons.charges import Charges, choose_charges
from tasks.phonons.phonopy_files import (
    ExternalPhonons,
    find_calculations,
    name_calculation,
    read_phonopy,
)
from tasks.phonons.rows import make_cell_columns, make_phonon_columns, make_strain_columns
from tasks.screening.classification import make_material_row
from tasks.screening.costs import StageSeconds, count_mode_work, estimate_analysis_seconds
from tasks.screening.decisions import Decision, RunContext, make_plan_row, reject_record
from tasks.screening.plan import Plan, commit_decisions
from tasks.screening.planning import STAGE_VERSIONS, WorkItem, compute_chirality_key, compute_digest
from tasks.screening.settings import ScreenSettings
from tasks.sources import ParallelMap, make_safe_id

_READING: Final = 2  # raised when the same files give other force constants than before
_MORE_MEMORY: Final = "allow more with --memory, or give compact force constants"
_Rows = dict[str, dict[str, Any]]


def plan_analysis(
    context: RunContext, paths: Iterable[Path], parallel_map: ParallelMap = map
) -> Plan:
    """Read force constants from files, commit them, and plan the stage that analyses them.

    Parameters
    ----------
    context : RunContext
        Dataset and settings.
    paths : iterable of pathlib.Path
        phonopy YAML files, and folders of calculations.
    parallel_map : callable
        Like `map`; may read each file in a process of its own, and gives an exception in place of
        a result that did not come.

    Returns
    -------
    Plan
        The chirality stage of all files that could be read.
    """
    found = (file for path in paths for file in find_calculations(_make_absolute(path)))
    files = name_files(found, _read_taken_names(context))
    read = partial(read_file_rows, settings=context.settings)
    dataset = context.dataset
    done, succeeded = (
        f("chirality") for f in (dataset.list_done_keys, dataset.list_succeeded_keys)
    )
    decisions = (
        _decide_on_file(context, path, found, done, succeeded)
        for (path, _), found in zip(files, parallel_map(read, files), strict=True)
    )
    return commit_decisions(decisions, dataset, lambda _: None)


def name_files(paths: Iterable[Path], taken: Mapping[str, str]) -> list[tuple[Path, str]]:
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
        name = next(n for n in _list_names(path) if owners.setdefault(n, str(path)) == str(path))
        found.append((path, name))
    return found


def _list_names(path: Path) -> Iterator[str]:
    """Names that a file may have, the shortest first; the last one no other file can have."""
    parts = [part for part in path.parent.parts if part != path.anchor]
    own = name_calculation(path)
    parts += [own] if own else []
    yield from (make_safe_id("-".join(parts[-n:])) for n in range(1, len(parts) + 1))
    yield make_safe_id(str(path))


def _make_absolute(path: Path) -> Path:
    """Path from the root, without dots; links are kept, since their names are the user's."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def _read_taken_names(context: RunContext) -> dict[str, str]:
    """Materials of the dataset, with the files they were read from."""
    columns = ["material_id", "source_record"]
    rows = context.dataset.read("materials", columns=columns).to_pylist()
    return {row["material_id"]: str(_make_absolute(Path(row["source_record"]))) for row in rows}


def read_file_rows(file: tuple[Path, str], settings: ScreenSettings) -> _Rows | Failure:
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
        with raise_panics():
            found = read_phonopy(path)
            atoms = make_atoms(found.phonon.primitive)
            material = Material(name, atoms, compute_structure_hash(atoms), str(path))
            return _make_rows(material, found, settings)
    except MemoryError:
        message = f"{path.name} takes more memory than it may"
        return _make_failure(RemediableError(message, _MORE_MEMORY), path)
    except Exception as error:  # noqa: BLE001 - one file must not cost the others theirs
        return _make_failure(error, path)


def _decide_on_file(
    context: RunContext,
    path: Path,
    found: _Rows | Failure | Exception,
    done: frozenset[str],
    succeeded: frozenset[str],
) -> Decision:
    """Decision on one file, with the rows it brings."""
    if isinstance(found, Exception):
        found = _make_failure(found, path)
    if isinstance(found, Failure):
        return reject_record(context, found)
    name, phonons = found["materials"]["material_id"], found["phonons"]["key"]
    charges = _choose_charges(found, context.settings)
    keys = ("", phonons, compute_chirality_key(phonons, context.settings, charges))
    seconds = _estimate_seconds(found, context.settings, charges)
    work = WorkItem(name, found["materials"]["key"], keys, seconds, charges=charges)
    named = {"material_key": work.material_key, "phonon_key": keys[1], "chirality_key": keys[2]}
    plan_row = make_plan_row(context, name, "screen", None, *keys)
    open_stage = None if keys[2] in done else "chirality"
    finished = keys[2] in succeeded
    return Decision(plan_row | named, found, work=work, open_stage=open_stage, finished=finished)


def _choose_charges(found: _Rows, settings: ScreenSettings) -> Charges:
    """Born charges of the analysis; files tell no band gap."""
    return choose_charges(
        settings.phonons.nac,
        has_given=found["phonons"]["nac"],
        atoms=read_atoms(found["materials"]),
        band_gap=None,
    )


def _estimate_seconds(found: _Rows, settings: ScreenSettings, charges: Charges) -> StageSeconds:
    """Time of the analysis; whatever came before is done."""
    phonons, predicted = found["phonons"], charges == "predicted"
    given = phonons["nac"] and charges == "stored"
    modes = count_mode_work(
        read_atoms(found["materials"]),
        phonons["n_supercell_atoms"],
        settings,
        has_charges=given or predicted,
        is_predicted=predicted,
    )
    return StageSeconds(0.0, 0.0, estimate_analysis_seconds(modes))


def _make_rows(material: Material, found: ExternalPhonons, settings: ScreenSettings) -> _Rows:
    """Rows of ``materials``, ``phonons`` and ``force_constants``."""
    key = compute_digest(STAGE_VERSIONS["phonons"], _READING, material.material_id, found.digest)
    identity = {"material_id": material.material_id, "key": key}
    phonons = (
        identity
        | make_cell_columns(found.phonon, "file", found.nac_note)
        | {
            "n_displacements": 0,
            "sum_rule_residual": found.sum_rule_residual,
            "symmetrisation": found.symmetrisation,
            "boundary_shift": found.boundary_shift,
            "wall_time": 0.0,
            "potential_time": 0.0,
        }
    )
    strain = make_strain_columns(found.strain) if found.strain else {}
    return {
        "materials": make_material_row(material, Path(material.source_record), settings),
        "phonons": phonons,
        "force_constants": identity | make_phonon_columns(found.phonon) | strain,
    }


def _make_failure(error: Exception, path: Path) -> Failure:
    """Failure of a file, named by its path."""
    return make_failure(
        error,
        material_id=make_safe_id(str(path)),
        key=compute_digest(str(path), str(error)),
        stage="read",
        source_record=str(path),
    )
