"""Datasets as the site reads them: rows of the catalogue, and all there is of one material."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.failures import RemediableError
from tasks.storage import TableFolder, TableSource, open_tables
from tasks.tables.declarations import PLANNED_KEYS

Row = Mapping[str, Any]

EXTERNAL = "external"
_DETAILS = ("materials", "relaxations", "phonons", "force_constants")


@dataclass(frozen=True)
class SiteSource:
    """One dataset of a site.

    Attributes
    ----------
    dataset : Dataset or TableFolder
        With a catalogue.
    label : str
        Told to readers as the potential where a row names none, and added to its name where two
        datasets have the same.
    """

    dataset: TableSource
    label: str


@dataclass(frozen=True)
class MaterialDetails:
    """All there is of one material in one dataset; rows that do not exist are None.

    Attributes
    ----------
    row : mapping
        Row of the catalogue.
    variant : str
        Potential, as the site tells it apart from the others.
    material, relaxation, phonons, force_constants, run : mapping or None
        Rows of these tables; of ``runs``, that of the newest decision.
    computed_by : mapping or None
        Row of ``runs`` that holds the card of the potential.
    """

    row: Row
    variant: str
    material: Row | None
    relaxation: Row | None
    phonons: Row | None
    force_constants: Row | None
    run: Row | None
    computed_by: Row | None


def open_sources(folders: Sequence[Path]) -> tuple[SiteSource, ...]:
    """Open the datasets of a site under labels that differ.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Folders of datasets.

    Returns
    -------
    tuple of SiteSource
        Labelled by the names of the folders, numbered where they repeat.

    Raises
    ------
    RemediableError
        When a folder has no catalogue.
    """
    labels: list[str] = []
    for folder in folders:
        if not TableFolder(folder).has_table("chirality"):
            message = f"{folder} has no catalogue"
            raise RemediableError(message, "give a folder that `chiralscreen screen` finished")
        name = folder.resolve().name
        repeated = sum(label.split(" ")[0] == name for label in labels)
        labels.append(f"{name} {repeated + 1}" if repeated else name)
    tables = map(open_tables, folders)
    return tuple(SiteSource(found, label) for found, label in zip(tables, labels, strict=True))


def read_catalogue_rows(source: SiteSource, columns: Sequence[str]) -> pa.Table:
    """Columns of the catalogue of materials.

    Parameters
    ----------
    source : SiteSource
        A dataset.
    columns : sequence of str
        Names in the schema.

    Returns
    -------
    pyarrow.Table
        Columns that an older program did not write are empty.
    """
    return TableFolder(source.dataset.root).read("chirality", columns=columns)


def read_catalogue_batches(source: SiteSource, size: int) -> Iterator[list[Row]]:
    """All columns of the catalogue of materials, a few rows at a time.

    Parameters
    ----------
    source : SiteSource
        A dataset.
    size : int
        Largest number of rows at a time.

    Yields
    ------
    list of dict
        Rows in the order of `read_catalogue_rows`.
    """
    for rows in TableFolder(source.dataset.root).scan("chirality", size):
        yield rows.to_pylist()


def name_variants(sources: Sequence[SiteSource], tables: Sequence[pa.Table]) -> list[list[str]]:
    """Name of the potential of each row, such that two datasets never share one.

    Parameters
    ----------
    sources : sequence of SiteSource
        Datasets.
    tables : sequence of pyarrow.Table
        Their catalogues.

    Returns
    -------
    list of list of str
        One name per row: the potential's, with the label of the dataset where others have it too.
    """
    names = [[name or EXTERNAL for name in _list_potentials(table)] for table in tables]
    owners: dict[str, set[int]] = {}
    for index, column in enumerate(names):
        for name in set(column):
            owners.setdefault(name, set()).add(index)
    return [
        [f"{n} ({source.label})" if len(owners[n]) > 1 else n for n in column]
        for source, column in zip(sources, names, strict=True)
    ]


def read_details(
    source: SiteSource, rows: Sequence[Row], names: Sequence[str]
) -> Iterator[MaterialDetails]:
    """Read all there is of some materials.

    Parameters
    ----------
    source : SiteSource
        Their dataset.
    rows : sequence of mapping
        Their rows of the catalogue.
    names : sequence of str
        Their variants.

    Yields
    ------
    MaterialDetails
        In the order of the rows.
    """
    found = {table: _read_by_key(source.dataset, table, rows) for table in _DETAILS}
    runs = {row["run_id"]: row for row in source.dataset.read("runs").to_pylist()}
    cards = read_runs_by_potential(source)
    for row, name in zip(rows, names, strict=True):
        parts = {table: found[table].get(row[PLANNED_KEYS[table]]) for table in _DETAILS}
        yield MaterialDetails(
            row=row,
            variant=name,
            material=parts["materials"],
            relaxation=parts["relaxations"],
            phonons=parts["phonons"],
            force_constants=parts["force_constants"],
            run=runs.get(row["run_id"]),
            computed_by=cards.get((row["potential"], row["checkpoint_digest"])),
        )


def read_runs_by_potential(source: SiteSource) -> dict[tuple[str, str], Row]:
    """Newest run that used each potential, which keeps its card.

    Parameters
    ----------
    source : SiteSource
        A dataset.

    Returns
    -------
    dict
        Rows of ``runs`` by name and digest of the potential.
    """
    runs = source.dataset.read("runs").sort_by("started_at").to_pylist()
    return {(row["potential"], row["checkpoint_digest"]): row for row in runs if row["potential"]}


def parse_run_settings(run: Row | None) -> dict[str, Any]:
    """Settings recorded with a run.

    Parameters
    ----------
    run : mapping or None
        Row of ``runs``.

    Returns
    -------
    dict
        Empty where there are none.
    """
    return json.loads(run["settings"]) if run and run.get("settings") else {}


def _list_potentials(table: pa.Table) -> list[str | None]:
    """Potential of each row; that of the dataset for rows that failed before they used one."""
    names: list[str | None] = table["potential"].to_pylist()
    used = {name for name in names if name is not None}
    only = used.pop() if len(used) == 1 else None
    computed = [bool(key) for key in table["chirality_key"].to_pylist()]
    return [
        name or (None if has_result and not used and only is None else only)
        for name, has_result in zip(names, computed, strict=True)
    ]


def _read_by_key(dataset: TableSource, table: str, rows: Sequence[Row]) -> dict[str, Row]:
    """Rows of a table by their keys."""
    keys = {row[PLANNED_KEYS[table]] for row in rows} - {None}
    found = dataset.read(table, keys=sorted(keys)).to_pylist() if keys else []
    return {row["key"]: row for row in found}
