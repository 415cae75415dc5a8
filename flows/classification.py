"""Classification of a source by symmetry alone."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from flows.parallel_map import map_records
from flows.reading import read_records
from tasks.failures import Failure
from tasks.screening.classification import classify_record
from tasks.screening.decisions import SeenRecords, find_repeated_name
from tasks.screening.settings import ScreenSettings, SymmetrySettings

_COLUMNS = [
    "material_id",
    "formula",
    "n_atoms",
    "space_group_number",
    "space_group_symbol",
    "point_group",
    "chirality_class",
    "helicity_wave",
    "tensor_components",
    "hand",
    "allowed",
    "realised",
    "wyckoff_letters",
    "prototype",
    "charge_balance",
    "classes_differ",
    "tolerances",
    "space_groups",
    "database_id",
    "energy_above_hull",
    "observed",
    "observed_source",
    "notes",
    "skipped",
]


def classify_source(
    source: Path, symprec: float, workers: int = 1, settings: ScreenSettings | None = None
) -> tuple[pd.DataFrame, list[Failure]]:
    """Classify every crystal of a source.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.read_raw_records` reads.
    symprec : float
        Distance tolerance in Å.
    workers : int
        Processes for large sources.
    settings : ScreenSettings, optional
        Source and curation; the tolerance above holds.

    Returns
    -------
    table : pandas.DataFrame
        One row per crystal: its name, formula and symmetry, and why a screening would skip it.
    failures : list of Failure
        Records that are no usable crystals.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty.
    """
    searched = {"symmetry": SymmetrySettings(symprec=symprec)}
    settings = (settings or ScreenSettings()).model_copy(update=searched)
    rows: list[Mapping[str, Any]] = []
    failures: list[Failure] = []
    for item in classify_records(source, settings, workers):
        if isinstance(item, Failure):
            failures.append(item)
        else:
            rows.append({name: item.get(name) for name in _COLUMNS})
    return pd.DataFrame(rows, columns=_COLUMNS), failures


def classify_records(
    source: Path, settings: ScreenSettings, workers: int = 1
) -> Iterator[Mapping[str, Any] | Failure]:
    """Classify every crystal of a source, one at a time.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.read_raw_records` reads.
    settings : ScreenSettings
        Tolerances, meaning of columns, limits.
    workers : int
        Processes for large sources.

    Yields
    ------
    mapping or Failure
        Row of ``materials`` with the column ``skipped`` added: why a screening would skip the
        crystal, before it asks what the potential can treat.
    """
    classify = partial(classify_record, source=source, settings=settings)
    known = SeenRecords.from_settings(settings.curation)
    for item in map_records(
        classify, read_records(source, settings.source), workers=workers, limits=settings.source
    ):
        if isinstance(item, Failure):
            yield item
        elif repeated := find_repeated_name(item.material, known.names):
            yield repeated
        else:
            yield {**item.row, "skipped": item.skipped or known.find_repetition(item)}
