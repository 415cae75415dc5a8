"""Released tables: what of a dataset is worth publishing, and how a screening goes on from them.

A release is a folder of tables. What its rows were computed with stands beside them, in
`release.yaml`, and never changes. While it grows, each folder ``growing/0001``, ``growing/0002``,
... holds the same tables of further crystals, and no earlier file changes; a release of the whole
takes their place. Tables of a second opinion lie in ``second-opinion/NAME`` of each folder.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from tasks.failures import RemediableError
from tasks.folders import MATERIALS, SECOND_OPINION, get_table_file
from tasks.results.agreement import compare_datasets, keep_agreement
from tasks.results.building import build_catalog
from tasks.results.catalogue import UNNAMED, rank_materials, read_catalog
from tasks.results.ranking import PURPOSES, TERMS
from tasks.storage import CATALOG_TABLES, Dataset, TableFolder, hold_lease
from tasks.storage.durable import publish, stage_file
from tasks.tables.declarations import CATALOG_ORIGINS, SPECTRA, TABLES

FROZEN: Final = "release.yaml"
"""File with the settings and the versions of stages that all rows of a release share."""
SETTINGS: Final = "settings.yaml"
"""File of a dataset that goes on from a release, for ``screen --config``."""
N_MODES: Final = 100
_GROWING: Final = "growing"
_LEFT_OUT: Final[Mapping[str, Sequence[str]]] = {
    "materials": ("source", "born_charges", "dielectric_tensor"),
    "relaxations": ("born_charges", "dielectric_tensor"),
    "phonons": (),
    "failures": (),
    "runs": ("host", "source"),
    # Where it lies, its folder is complete.
    MATERIALS: (*SPECTRA, "source"),
}
# Columns of charges, which go with force constants.
_CHARGES: Final = ("born_charges", "dielectric_tensor")
# Settings that tell which crystals are computed, and not how.
_OF_SOURCE: Final = ("source", "curation")
_OF_RANKING: Final = "settings.score."
_STAGE_TABLES: Final[Mapping[str, Sequence[str]]] = {
    "run": ("runs",),
    "plan": ("plan", "materials"),
    "relaxation": ("relaxations",),
    "phonons": ("phonons", "force_constants"),
    "chirality": ("chirality", "modes"),
    "comparison": ("agreement",),
}


@dataclass(frozen=True)
class ReleaseReport:
    """What a release took.

    Attributes
    ----------
    n_materials : int
        Crystals written.
    n_waiting : int
        Crystals that a second opinion has not done: left out of a growth, and in a release of the
        whole without error bars.
    files : mapping from str to int
        Bytes by file written.
    """

    n_materials: int
    n_waiting: int
    files: Mapping[str, int]


def write_release(
    dataset: Dataset,
    folder: Path,
    stages: Mapping[str, int],
    *,
    n_modes: int = N_MODES,
    grow: bool = False,
) -> ReleaseReport:
    """Write the tables of a dataset that are worth publishing.

    Kept is what the program found; left out are spectra, force constants of all but the shortlist,
    and modes anywhere but at the named q-points of the materials that rank highest. Rows of a
    growth never change. So where the dataset has a second opinion, a growth takes only crystals
    that both potentials have done.

    Parameters
    ----------
    dataset : Dataset
        Finished, or as far as it is.
    folder : pathlib.Path
        Of the release.
    stages : mapping from str to int
        Versions of the stages.
    n_modes : int
        Ranked materials, the best first, whose modes are kept.
    grow : bool
        Add the crystals that the release lacks, and leave its files as they are.

    Returns
    -------
    ReleaseReport
        Without files when there is nothing to add.

    Raises
    ------
    RemediableError
        When other settings or versions are frozen in the release.
    """
    others = _compare_second_opinions(dataset)
    frozen = _freeze(dataset, stages)
    _require_same(folder, frozen)
    done = _list_done(dataset)
    complete = done.intersection(*map(_list_done, others))
    chosen = complete - _list_held(folder) if grow else done
    n_waiting = len(done) - len(complete)
    if grow and not chosen:
        return ReleaseReport(0, n_waiting, {})
    target = folder / _GROWING / f"{len(_list_folders(folder)):04d}" if grow else folder
    for other in others:
        _write_tables(other, target / SECOND_OPINION / other.root.name, chosen & complete)
    _write_ranking(dataset, target, chosen, n_modes)
    _write_tables(dataset, target, chosen)
    (folder / FROZEN).write_text(yaml.safe_dump(frozen, sort_keys=False), "utf-8")
    if not grow:
        shutil.rmtree(folder / _GROWING, ignore_errors=True)
    sizes = {p.relative_to(target).as_posix(): p.stat().st_size for p in target.rglob("*.parquet")}
    return ReleaseReport(len(chosen), n_waiting, dict(sorted(sizes.items())))


def begin_from_release(folder: Path, root: Path) -> tuple[int, int]:
    """Let a dataset hold what a release holds, so that a screening into it computes the rest.

    A crystal that waits for its second opinion is left out: the comparison of both needs force
    constants, which a release has of its shortlist alone.

    Parameters
    ----------
    folder : pathlib.Path
        Of the release.
    root : pathlib.Path
        Of the dataset; made where it is missing. What it has stays.

    Returns
    -------
    tuple of int
        Crystals taken over, and those left out.

    Raises
    ------
    RemediableError
        When the folder is no release that can be continued.
    """
    frozen, held = _read_frozen(folder), _list_held(folder)
    taken = held.intersection(*_list_held_opinions(folder))
    with hold_lease(root, "the beginning from a release", lambda _: None):
        for part in _list_folders(folder):
            _commit_tables(TableFolder(part), Dataset(root), taken)
            for other in (part / SECOND_OPINION).glob("*/"):
                opinion = Dataset(root / SECOND_OPINION / other.name)
                _commit_tables(TableFolder(other), opinion, taken)
        for dataset in (Dataset(root), *_list_second_opinions(root)):
            build_catalog(dataset)
        (root / SETTINGS).write_text(yaml.safe_dump(frozen["settings"], sort_keys=False), "utf-8")
    return len(taken), len(held) - len(taken)


def _list_second_opinions(root: Path) -> list[Dataset]:
    """Datasets of other potentials inside the folder of one."""
    return [Dataset(path) for path in sorted((root / SECOND_OPINION).glob("*/"))]


def _list_folders(folder: Path) -> list[Path]:
    """Folders of a release that hold tables, the first one and those by which it grew."""
    found = [folder, *sorted((folder / _GROWING).glob("*/"))]
    return [path for path in found if TableFolder(path).has_table(MATERIALS)]


def _list_held(folder: Path) -> set[str]:
    """Materials of a release."""
    return {name for path in _list_folders(folder) for name in _read_names(TableFolder(path))}


def _list_held_opinions(folder: Path) -> list[set[str]]:
    """Materials of each second opinion in a release."""
    found: dict[str, set[str]] = {}
    for part in _list_folders(folder):
        for path in (part / SECOND_OPINION).glob("*/"):
            found.setdefault(path.name, set()).update(_read_names(TableFolder(path)))
    return list(found.values())


def _read_names(tables: TableFolder) -> list[str]:
    names: list[str] = tables.read(MATERIALS, columns=["material_id"])["material_id"].to_pylist()
    return names


def _compare_second_opinions(dataset: Dataset) -> list[Dataset]:
    """Second opinions of a dataset; what was not compared with the first is compared now."""
    others = _list_second_opinions(dataset.root)
    for each in (dataset, *others):
        build_catalog(each)
    screened = _list_outcomes(dataset, "screened")
    for other in others:
        shared = screened & _list_outcomes(other, "screened")
        found = compare_datasets(dataset, other) if shared else ()
        kept = list(keep_agreement(dataset, found))
        if any(isinstance(item, dict) for item in kept):
            build_catalog(dataset)
    return others


def _list_done(dataset: Dataset) -> set[str]:
    """Materials that a run took up, whatever became of them."""
    return _list_outcomes(dataset, "screened", "failed")


def _list_outcomes(dataset: Dataset, *outcomes: str) -> set[str]:
    """Materials with one of some outcomes; a record that could not be read is none."""
    path = get_table_file(dataset.root, MATERIALS)
    table = pq.read_table(path, columns=["material_id", "outcome", "material_key"])
    taken = pc.and_(
        pc.is_in(table["outcome"], pa.array(outcomes)), pc.is_valid(table["material_key"])
    )
    return set(table.filter(taken)["material_id"].to_pylist())


def _freeze(dataset: Dataset, stages: Mapping[str, int]) -> dict[str, Any]:
    """Settings of the newest run that say how a crystal is computed, and versions of stages."""
    runs = dataset.read("runs", columns=["started_at", "settings"]).sort_by("started_at")
    settings = json.loads(runs["settings"][-1].as_py())
    kept = {name: value for name, value in settings.items() if name not in _OF_SOURCE}
    return {"settings": kept, "stages": dict(stages)}


def _require_same(folder: Path, found: Mapping[str, Any]) -> None:
    """Refuse rows that were computed otherwise than those of the release."""
    if not (folder / FROZEN).is_file():
        return
    present = _flatten(found)
    # What an older program did not know of the ranking changes no number that is computed.
    later = {name: value for name, value in present.items() if name.startswith(_OF_RANKING)}
    frozen = later | _flatten(_read_frozen(folder))
    differing = sorted(name for name, value in present.items() if frozen.get(name) != value)
    if differing:
        remedy = f"screen with --config {SETTINGS} of `chiralscreen continue`, or release elsewhere"
        names = ", ".join(differing[:5])
        raise RemediableError(f"{folder} was computed with another value of {names}", remedy)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by their path of names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{prefix}{name}"
        flat |= _flatten(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return flat


def _read_frozen(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = yaml.safe_load((folder / FROZEN).read_text("utf-8"))
    except FileNotFoundError:
        remedy = "give the folder that `chiralscreen release` wrote"
        raise RemediableError(f"{folder} has no {FROZEN}", remedy) from None
    return found


def _write_tables(dataset: Dataset, target: Path, chosen: set[str]) -> None:
    """Write the tables of some materials."""
    for name, left_out in _LEFT_OUT.items():
        table = pq.read_table(get_table_file(dataset.root, name)).drop_columns(list(left_out))
        found = _select(table, chosen)
        released = _leave_out_charges(found) if name == MATERIALS else found
        _write(released, target / f"{name}.parquet")


def _leave_out_charges(table: pa.Table) -> pa.Table:
    """Table of materials with the Born charges of its shortlist alone."""
    listed = pc.fill_null(table["shortlisted"], fill_value=False)
    places = pc.if_else(listed, pa.array(np.arange(len(table))), None)
    for name in _CHARGES:
        column = table.column_names.index(name)
        table = table.set_column(column, table.schema.field(name), table[name].take(places))
    return table


def _select(table: pa.Table, materials: set[str]) -> pa.Table:
    """Rows of some materials, and those that are of none."""
    if "material_id" not in table.column_names:
        return table
    return table.filter(pc.is_in(table["material_id"], pa.array(sorted(materials), pa.string())))


def _write_ranking(dataset: Dataset, target: Path, chosen: set[str], n_modes: int) -> None:
    """Write the ranking of some materials, modes of the best, force constants of the shortlist."""
    candidates = _select_candidates(dataset, chosen)
    best = list(candidates["material_id"][:n_modes])
    listed = list(candidates["material_id"][candidates["shortlisted"].eq(True)])
    _write(_choose_columns(candidates), target / "candidates.parquet")
    _write(_select_named_modes(dataset, best), target / "modes.parquet")
    _write(_read_some(dataset, "force_constants", listed), target / "force_constants.parquet")


def _select_candidates(dataset: Dataset, chosen: set[str]) -> pd.DataFrame:
    """Ranking among all crystals of the dataset, of some of them."""
    ranked = rank_materials(read_catalog(dataset.root, MATERIALS))
    chiral = ranked["chirality_class"].eq("II")
    ranked = ranked.assign(
        rank=range(1, len(ranked) + 1), rank_of_class=chiral.groupby(chiral).cumcount() + 1
    )
    return ranked[ranked["material_id"].isin(chosen)]


def _choose_columns(found: pd.DataFrame) -> pa.Table:
    """The ranking, with the numbers a reader looks at first."""
    names = [name for name in CATALOG_TABLES[MATERIALS].names if name in _RANKING]
    table = pa.Table.from_pandas(found[names], preserve_index=False)
    for place, name in enumerate(("rank", "rank_of_class")):
        table = table.add_column(place, name, pa.array(found[name], pa.int32()))
    # NaN stands for crystals without an axis.
    circular = pa.array(found["circular"], pa.float64(), from_pandas=True)
    largest = pa.array(found["largest_splitting"], pa.float64())
    return table.append_column("largest_circular_splitting", circular).append_column(
        "largest_splitting", largest
    )


_RANKING: Final = frozenset(
    (
        "material_id",
        "formula",
        "space_group_number",
        "space_group_symbol",
        "chirality_class",
        "helicity_wave_found",
        "score",
        "raw_score",
        "trust",
        "reliable",
        "shortlisted",
        "warnings",
        "mean_optical_angular_momentum",
        "mean_optical_helicity",
        "explanation",
        *(name for term in TERMS for name in term.reads),
        *(purpose.name for purpose in PURPOSES),
    )
)


def _select_named_modes(dataset: Dataset, materials: Sequence[str]) -> pa.Table:
    """Modes at the named q-points of some materials."""
    table = _read_some(dataset, "modes", materials)
    named = pc.invert(pc.is_in(table["q_label"], pa.array(UNNAMED)))
    return table.filter(named).drop_columns(["segment", "path_distance"])


def _read_some(dataset: Dataset, table: str, materials: Sequence[str]) -> pa.Table:
    """Rows of some materials in a large table."""
    chosen = pc.field("material_id").isin(pa.array(materials, pa.string()))
    return pq.read_table(get_table_file(dataset.root, table), filters=chosen)


def _write(table: pa.Table, path: Path) -> None:
    pack = partial(pq.write_table, table, compression="zstd", compression_level=19)
    publish(stage_file(path.parent, pack), path)


def _commit_tables(tables: TableFolder, dataset: Dataset, taken: set[str]) -> None:
    """Commit released tables of some materials, the rows of each stage as one chunk."""
    released = _read_rows(tables) | {"failures": tables.read("failures")}
    rows = {name: _select(table, taken) for name, table in released.items()}
    failures = rows.pop("failures")
    for stage, names in _STAGE_TABLES.items():
        chunk = {name: rows[name] for name in names}
        chunk["failures"] = failures.filter(pc.equal(failures["stage"], stage))
        keys = set(_list_keys(chunk))
        if keys:
            dataset.commit(stage, chunk, keys)


def _list_keys(chunk: Mapping[str, pa.Table]) -> Iterator[str]:
    for name, rows in chunk.items():
        yield from rows[TABLES[name].identity[-1]].to_pylist()


def _read_rows(tables: TableFolder) -> dict[str, pa.Table]:
    """Rows of the tables of a dataset; of those that nobody released, what the materials tell."""
    wide, runs = tables.read(MATERIALS), tables.read("runs")
    screened = wide.filter(pc.equal(wide["outcome"], "screened"))
    chirality = _take_back(screened, "chirality")
    undecided = pa.array([False] * len(chirality))
    return {
        "runs": _fill(_fill(runs, "source", tables.root.name), "host", ""),
        "plan": _make_plan(wide, runs),
        "materials": _fill(tables.read("materials"), "source", tables.root.name),
        "relaxations": tables.read("relaxations"),
        "phonons": tables.read("phonons"),
        "force_constants": tables.read("force_constants"),
        "chirality": chirality.append_column("shortlisted", undecided),
        "modes": tables.read("modes"),
        "agreement": _take_back(screened.filter(pc.is_valid(screened["other_key"])), "agreement"),
    }


def _take_back(wide: pa.Table, table: str) -> pa.Table:
    """Rows of a table of a dataset from the columns of the materials."""
    names = {name: column for name, (of, column) in CATALOG_ORIGINS.items() if of == table}
    taken = wide.select(["material_id", "chirality_key", *names])
    return taken.rename_columns(["material_id", "key", *names.values()])


def _make_plan(wide: pa.Table, runs: pa.Table) -> pa.Table:
    """Decisions that led to released rows, as old as their runs: later ones hold."""
    names = [name for name, (table, _) in CATALOG_ORIGINS.items() if table == "plan"]
    begun = pc.index_in(wide["run_id"], runs["run_id"])
    screened = pc.is_valid(wide["relaxation_key"])
    outcome = pc.if_else(screened, "screen", "failed")
    reason = pc.if_else(screened, pa.scalar(None, pa.string()), wide["reason"])
    # Stages have their own keys: one that failed must not be settled by a plan.
    key = pc.binary_join_element_wise("released", wide["run_id"], wide["material_id"], " ")
    return (
        wide.select(["material_id", *names])
        .append_column("key", key)
        .append_column("planned_at", runs["started_at"].take(begun))
        .append_column("outcome", outcome)
        .append_column("reason", reason)
    )


def _fill(rows: pa.Table, column: str, value: str) -> pa.Table:
    """Rows with one value in a column that was left out."""
    place = rows.column_names.index(column)
    return rows.set_column(place, column, pa.array([value] * len(rows), pa.string()))
