"""Reading what a screening found."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from tasks.crystals.records import describe_observation
from tasks.failures import Failure
from tasks.storage import CATALOG_TABLES, TableFolder
from tasks.thermodynamics.evidence import NO_EVIDENCE, describe_distance

# Written beside the catalogue at the end of each run.
REPORT: Final = "report.html"

_TOLD_LISTS: Final = frozenset(
    {"circular_splitting", "splitting_linear", "tensor_components", "terms_left_out", "warnings"}
)
_HULL: Final = "energy_above_hull"
_OBSERVED: Final = ("observed", "observed_source")
_LISTED: Final = ("evidence", "shortlisted", "shortlist_reason")
_LATER: Final = (
    *("warnings", "same_crystal_as", "circular_splitting", "frequency_bar_90", _HULL),
    *(*_OBSERVED, *_LISTED),
)
_TOLD: Final = ("material_id", "explanation", "frequency_bar_90", _HULL, "warnings")
_BY_EVIDENCE: Final = {"observed": "observed", "hull": "near the hull"}
_SHORTLISTED: Final = {
    "observed": "on the shortlist: it was observed",
    "hull": "on the shortlist: it lies near the hull",
}
UNNAMED: Final = ("mesh", "path")
"""Labels of q-points that have no name."""


@dataclass(frozen=True)
class Restriction:
    """Which crystals a list is restricted to. What is not known of a crystal leaves it out.

    Attributes
    ----------
    observed : bool
        To those that are known to be observed.
    distance : float or None
        To those whose distance from the hull is at most this (eV/atom).
    """

    observed: bool = False
    distance: float | None = None

    def select(self, chirality: pd.DataFrame) -> pd.DataFrame:
        """Rows of the catalogue of materials that it leaves."""
        whole = _add_later_columns(chirality)
        chosen = pd.Series(data=True, index=whole.index)
        if self.observed:
            chosen &= whole["observed"].eq(True).fillna(False).astype(bool)
        if self.distance is not None:
            chosen &= whole[_HULL].astype(float).abs().le(self.distance)
        return chirality[chosen]

    def __str__(self) -> str:
        """Say it in words; nothing where it leaves all."""
        near = "" if self.distance is None else f"within {self.distance:g} eV/atom of the hull"
        return ", ".join(filter(None, ("observed" if self.observed else "", near)))


NO_RESTRICTION: Final = Restriction()


def read_catalog(folder: Path, table: str, material_id: str | None = None) -> pd.DataFrame:
    """Read a table of the catalogue.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset.
    table : str
        Name of the table.
    material_id : str, optional
        The material whose rows are wanted; all without it.

    Returns
    -------
    pandas.DataFrame
        Its rows, with all columns of the schema. Columns that are not stored are empty, and so are
        tables but that of the materials.
    """
    wanted = None if material_id is None else [material_id]
    found: pd.DataFrame = TableFolder(folder).read(table, material_ids=wanted).to_pandas()
    return found


def read_material(folder: Path, material_id: str) -> dict[str, Any] | None:
    """Read the row of a material in the catalogue.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset.
    material_id : str
        The material.

    Returns
    -------
    dict or None
        All columns of ``chirality``; None where there is no such material.
    """
    rows = read_catalog(folder, "chirality", material_id).to_dict("records")
    return {str(name): value for name, value in rows[0].items()} if rows else None


def read_overview(folder: Path) -> pd.DataFrame:
    """Read the catalogue of materials without its spectra and tensors, most of its memory.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset.

    Returns
    -------
    pandas.DataFrame
        One row per material; of the columns that hold lists those alone that tables tell.

    Raises
    ------
    RemediableError
        When the file is damaged.
    """
    columns = [
        column.name
        for column in CATALOG_TABLES["chirality"].columns
        if column.name in _TOLD_LISTS or not pa.types.is_list(column.type)
    ]
    found: pd.DataFrame = TableFolder(folder).read("chirality", columns=columns).to_pandas()
    return found


def list_missing(folder: Path) -> tuple[str, ...]:
    """Tell what a folder of tables lacks of what a screening computes.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of tables, as released or copied.

    Returns
    -------
    tuple of str
        One line each: tables, columns of each table, and modes.
    """
    return tuple(_find_missing(TableFolder(folder)))


def _find_missing(tables: TableFolder) -> Iterator[str]:
    """Tables that are not there, and what is not in those that are."""
    for name, table in CATALOG_TABLES.items():
        if not tables.has_table(name):
            yield f"table {name}: {table.description}"
        elif missing := tables.list_missing_columns(name):
            yield f"in table {name}: {', '.join(missing)}"
    for name in filter(tables.has_table, ("force_constants", "modes")):
        yield from _find_missing_crystals(tables, name)
    if tables.has_table("modes"):
        yield from _find_missing_points(tables)


def _find_missing_crystals(tables: TableFolder, name: str) -> Iterator[str]:
    """Crystals without rows in a table."""
    stored = len(tables.read(name, columns=["material_id"])["material_id"].unique())
    outcomes = tables.read("chirality", columns=["outcome"]).to_pandas()["outcome"]
    screened = int(outcomes.eq("screened").sum())
    if stored < screened:
        what = name.replace("_", " ")
        yield f"{what} of {screened - stored} of the {screened} screened crystals"


def _find_missing_points(tables: TableFolder) -> Iterator[str]:
    """Modes between the named q-points, where there are none."""
    # A coarse path may have named points alone, which then tell how far apart they are.
    if "path_distance" in tables.list_missing_columns("modes"):
        labels = tables.read("modes", columns=["q_label"]).to_pandas()["q_label"]
        if not labels.isin(UNNAMED).any():
            yield "modes between the named q-points"


def read_run_settings(folder: Path, run_id: str | None) -> dict[str, Any]:
    """Settings recorded with a run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset or of tables.
    run_id : str or None
        Name of the run.

    Returns
    -------
    dict
        Groups and fields of `tasks.screening.settings.ScreenSettings`; empty where there are none.
    """
    runs = read_catalog(folder, "runs").set_index("run_id")["settings"]
    settings = runs.get(run_id)
    found: dict[str, Any] = json.loads(settings) if isinstance(settings, str) else {}
    return found


def rank_materials(chirality: pd.DataFrame, by: str = "score") -> pd.DataFrame:
    """Materials with a score, the best first; warnings lower the rank.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    by : str
        The score, or one by purpose: a name in `ranking.PURPOSES`.

    Returns
    -------
    pandas.DataFrame
        One row per crystal: of those that became one by their relaxation the one that was changed
        the least. Added are the columns ``circular`` (largest circular splitting, meV ħ; NaN
        without an axis), ``largest_splitting`` (THz Å), and ``reasons``: why it stands there, what
        to be warned of, and which other materials it stands for.
    """
    found = rank_candidates(chirality, by)
    whole = _add_later_columns(chirality)
    others = whole.groupby("same_crystal_as")["material_id"].agg(sorted).to_dict()
    observations = _describe_observations(found, is_known=bool(whole["observed"].notna().any()))
    listings = [_describe_listing(*row) for row in found[list(_LISTED)].itertuples(index=False)]
    reasons = [
        _describe_verdict(text, bar, above, (seen, listed), warnings, others.get(name, ()))
        for seen, listed, name, text, bar, above, warnings in zip(
            observations, listings, *(found[column] for column in _TOLD), strict=True
        )
    ]
    return found.assign(
        circular=[_find_largest(values, float("nan")) for values in found["circular_splitting"]],
        largest_splitting=[_find_largest(values, 0.0) for values in found["splitting_linear"]],
        reasons=reasons,
    )


def rank_candidates(chirality: pd.DataFrame, by: str = "score") -> pd.DataFrame:
    """Rows of the materials with a score, the best first, each crystal once.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    by : str
        The score, or one by purpose.

    Returns
    -------
    pandas.DataFrame
        None where an older program made the catalogue, without this score.
    """
    whole = _add_later_columns(chirality, by)
    chosen = whole[by].notna() & whole["same_crystal_as"].isna()
    return whole[chosen].sort_values([by, "material_id"], ascending=[False, True])


def _add_later_columns(chirality: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Table with columns that catalogues of older programs lack, empty there."""
    missing = [name for name in (*_LATER, *names) if name not in chirality]
    return chirality.assign(**dict.fromkeys(missing))


def summarize_shortlist(chirality: pd.DataFrame) -> str:
    """Tell how many crystals are on the shortlist, by what evidence, and how many lack it.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.

    Returns
    -------
    str
        One line. Catalogues of older programs know no evidence, and ask for none.
    """
    whole = rank_candidates(chirality)
    listed = whole[whole["shortlisted"].eq(True).fillna(False).astype(bool)]
    by = ((listed["evidence"].eq(kind).sum(), text) for kind, text in _BY_EVIDENCE.items())
    kinds = ", ".join(f"{count} {text}" for count, text in by if count)
    lacking = whole["shortlist_reason"].astype(str).str.startswith(NO_EVIDENCE).sum()
    left = f"; {lacking} more have the score, but nothing says that they exist" if lacking else ""
    return f"{len(listed)}{f' ({kinds})' if kinds else ''}{left}"


def split_by_class(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide a ranking into chiral crystals and the others, which are no competitors.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `rank_materials`.

    Returns
    -------
    dict
        Rows by ``chiral`` and ``achiral``, in their order.
    """
    chiral = rows["chirality_class"].eq("II")
    return {"chiral": rows[chiral], "achiral": rows[~chiral]}


def _find_largest(values: Any, empty: float) -> float:  # noqa: ANN401 - a list or an empty cell
    """Largest size in a list."""
    return max(map(abs, values), default=empty) if pd.api.types.is_list_like(values) else empty


def _describe_observations(found: pd.DataFrame, *, is_known: bool) -> list[str | None]:
    """Whether each crystal was observed; nothing in a catalogue that knows it of none."""
    rows = zip(*(found[column] for column in _OBSERVED), strict=True)
    return [
        describe_observation(None if pd.isna(seen) else bool(seen), source) if is_known else None
        for seen, source in rows
    ]


def _describe_listing(kind: Any, shortlisted: Any, reason: Any) -> str | None:  # noqa: ANN401
    """Why a crystal is on the shortlist, or is kept from it by a lack of evidence alone."""
    if shortlisted is True:
        return _SHORTLISTED.get(kind, "on the shortlist, where no evidence is asked for")
    return f"not on the shortlist: {NO_EVIDENCE}" if str(reason).startswith(NO_EVIDENCE) else None


def _describe_verdict(
    explanation: str,
    bar: float | None,
    above: float | None,
    evidence: Sequence[str | None],
    warnings: Any,  # noqa: ANN401 - a list, or what stands for an empty cell
    others: Sequence[str],
) -> str:
    """The verdict in words, with error bar, hull, evidence, warnings, the same crystal."""
    parts = [explanation]
    if bar is not None and not pd.isna(bar):
        parts.append(f"frequencies to {bar:.2f} THz (90 %)")
    if above is not None and not pd.isna(above):
        parts.append(describe_distance(above))
    parts.extend(filter(None, evidence))
    if pd.api.types.is_list_like(warnings) and len(warnings):
        parts.append(f"warnings: {', '.join(warnings)}")
    if others:
        parts.append(f"the same crystal: {', '.join(others)}")
    return "; ".join(parts)


def read_failures(failures: pd.DataFrame) -> list[Failure]:
    """Failures of a catalogue as objects.

    Parameters
    ----------
    failures : pandas.DataFrame
        The table ``failures``.

    Returns
    -------
    list of Failure
        In the order of the table.
    """
    return [
        Failure(**{str(name): value for name, value in row.items()})
        for row in failures.to_dict("records")
    ]
