"""Which crystal of one dataset is which of another one, under any name.

The same structure comes first, then the same name, then formula, space group (or that of the mirror
image) and arrangement. A crystal with several possible counterparts gets none.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd

from tasks.crystals.alignment import align_crystals
from tasks.failures import RemediableError
from tasks.results.catalogue import read_overview
from tasks.results.stored_crystals import read_crystal
from tasks.storage import TableSource
from tasks.symmetry import classify_space_group

Row = Mapping[str, Any]
Found = Literal["structure", "name", "formula and symmetry"]

# Results of two methods differ more than repetitions in databases do: twice the default of these.
DISTANCE: Final = 0.2
_MAX_TOLD: Final = 3


@dataclass(frozen=True)
class CrystalPair:
    """A crystal and its counterpart.

    Attributes
    ----------
    here, there : mapping
        Rows of both catalogues.
    found_by : {"structure", "name", "formula and symmetry"}
        What they have in common.
    mirrored : bool
        Whether the counterpart is a chiral crystal of the other hand.
    """

    here: Row
    there: Row
    found_by: Found
    mirrored: bool = False


@dataclass(frozen=True)
class Unmatched:
    """A crystal without a counterpart.

    Attributes
    ----------
    material_id : str
        Its name.
    reason : str
        Why it has none.
    ambiguous : bool
        Whether it could have several.
    """

    material_id: str
    reason: str
    ambiguous: bool = False


class Counterparts:
    """Screened crystals of a dataset, to be found by what they are.

    Parameters
    ----------
    first, second : Dataset or TableFolder
        With catalogues; crystals of the second one are found.
    """

    def __init__(self, first: TableSource, second: TableSource) -> None:
        self.first, self.second = first, second
        self._by: dict[tuple[str, str], list[Row]] = defaultdict(list)
        overview = read_overview(second.root)
        screened, another = _select_screened(overview), _select_class_changes(overview)
        if not (screened or another):
            raise _make_no_results_error(second, overview)
        for row in screened:
            for column in ("structure_hash", "material_id", "formula"):
                self._by[column, row[column]].append(row)
        for row in another:
            self._by["structure_hash", row["structure_hash"]].append(row)

    def find(self, row: Row) -> CrystalPair | Unmatched:
        """Find the counterpart of a crystal.

        Parameters
        ----------
        row : mapping
            Row of the first catalogue.

        Returns
        -------
        CrystalPair or Unmatched
            An achiral crystal lies on its counterpart by motions and by reflections alike, a chiral
            one by motions alone; the other hand is taken where there is none of the same. Released
            tables lack the atoms of some crystals, of which nothing but the structure can be found.
        """
        try:
            return self._search(row)
        except RemediableError as error:
            return Unmatched(row["material_id"], str(error))

    def _search(self, row: Row) -> CrystalPair | Unmatched:
        """Look for the same structure, the same name and the same symmetry in turn."""
        same = self._select_equal(row, "structure_hash")
        if same:
            namesakes = [other for other in same if other["material_id"] == row["material_id"]]
            return CrystalPair(row, [*namesakes, *same][0], "structure")
        for found_by, others in self._list_candidates(row):
            pairs = list(self._select_aligned(row, others, found_by))
            pairs = [pair for pair in pairs if not pair.mirrored] or pairs
            if len(pairs) == 1:
                return pairs[0]
            if pairs:
                names = ", ".join(str(pair.there["material_id"]) for pair in pairs)
                return Unmatched(row["material_id"], f"{len(pairs)} are like it: {names}", True)
        return Unmatched(row["material_id"], self._explain_failure(row))

    def _list_candidates(self, row: Row) -> Iterator[tuple[Found, list[Row]]]:
        """Crystals of the same formula that the name, or else the symmetry, speaks for."""
        same = self._select_equal(row, "formula")
        yield "name", [other for other in same if other["material_id"] == row["material_id"]]
        yield (
            "formula and symmetry",
            [other for other in same if _identify_group(other) == _identify_group(row)],
        )

    def _select_aligned(
        self, row: Row, others: Sequence[Row], found_by: Found
    ) -> Iterator[CrystalPair]:
        """Those that have the same arrangement of atoms."""
        atoms = read_crystal(self.first, "materials", row) if others else None
        for other in others:
            there = read_crystal(self.second, "materials", other)
            found = atoms and align_crystals(atoms, there, DISTANCE)
            if found:
                chiral = row["chirality_class"] == "II"
                yield CrystalPair(row, other, found_by, chiral and not found.is_proper)

    def _explain_failure(self, row: Row) -> str:
        """Say what comes nearest."""
        others = self._select_equal(row, "formula")
        text = [
            f"{other['material_id']} ({_describe_symmetry(other)})" for other in others[:_MAX_TOLD]
        ]
        if not text:
            return f"no {row['formula']} there"
        return (
            f"it is {row['formula']} ({_describe_symmetry(row)}), but there it is {', '.join(text)}"
        )

    def _select_equal(self, row: Row, column: str) -> list[Row]:
        """Crystals there with the same value, which old tables may lack."""
        return self._by.get((column, row[column]), []) if row[column] else []


def pair_crystals(
    first: TableSource, second: TableSource
) -> tuple[list[CrystalPair], list[Unmatched]]:
    """Find the counterparts of all screened crystals of a dataset.

    Parameters
    ----------
    first, second : Dataset or TableFolder
        With catalogues.

    Returns
    -------
    pairs : list of CrystalPair
        In the order of the first catalogue; at least one.
    unmatched : list of Unmatched
        Crystals of the first dataset without a counterpart.

    Raises
    ------
    RemediableError
        When there is no pair; it says why.
    """
    counterparts = Counterparts(first, second)
    found = [counterparts.find(row) for row in read_screened_rows(first)]
    pairs = [item for item in found if isinstance(item, CrystalPair)]
    unmatched = [item for item in found if isinstance(item, Unmatched)]
    if not pairs:
        reasons = [f"{item.material_id}: {item.reason}" for item in unmatched]
        raise _make_no_counterpart_error(first, second, reasons)
    return pairs, unmatched


def align_overviews(pairs: Sequence[CrystalPair]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put the rows of pairs into two tables, each row of the second one beside its counterpart.

    Parameters
    ----------
    pairs : sequence of CrystalPair
        From `pair_crystals`.

    Returns
    -------
    first, second : pandas.DataFrame
        Rows of both catalogues, under the names of the first one.
    """
    here = pd.DataFrame([pair.here for pair in pairs])
    return here, pd.DataFrame([pair.there for pair in pairs]).assign(
        material_id=here["material_id"]
    )


def read_screened_rows(dataset: TableSource) -> list[Row]:
    """Rows of the catalogue with results.

    Parameters
    ----------
    dataset : TableSource
        With a catalogue.

    Returns
    -------
    list of mapping
        Values by column.

    Raises
    ------
    RemediableError
        When there are none.
    """
    overview = read_overview(dataset.root)
    if not (rows := _select_screened(overview)):
        raise _make_no_results_error(dataset, overview)
    return rows


def _make_no_results_error(dataset: TableSource, overview: pd.DataFrame) -> RemediableError:
    """Error about a dataset with nothing to compare."""
    counts = _count_without_results(overview) or "it is empty"
    message = f"{dataset.root} has no screened crystal to compare: {counts}"
    return RemediableError(message, f"see `chiralscreen status {dataset.root}`")


def _select_screened(overview: pd.DataFrame) -> list[Row]:
    """Rows with results, maybe none."""
    return _list_records(overview[overview["outcome"] == "screened"])


def _select_class_changes(rows: pd.DataFrame) -> list[Row]:
    """Crystals that failed because the potential took them into another chirality class."""
    changed = rows["symmetry_changed"].eq(True) & rows["relaxation_converged"].eq(True)
    groups = rows["space_group_number_relaxed"].fillna(0).astype(int)
    classes = [classify_space_group(n).chirality_class if n else None for n in groups]
    failed = rows["outcome"].eq("failed") & (rows["chirality_class"] != classes)
    return _list_records(rows[(changed & failed).fillna(value=False)])


def _list_records(rows: pd.DataFrame) -> list[Row]:
    """Rows with their columns by name; None where pandas has a number that is none."""
    plain = rows.astype(object).where(rows.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _count_without_results(overview: pd.DataFrame) -> str:
    """Count the crystals that are not screened, by outcome."""
    counts = overview["outcome"].value_counts().sort_index()
    return ", ".join(f"{count} {name}" for name, count in counts.items() if name != "screened")


def _identify_group(row: Row) -> tuple[int, int]:
    """Atoms, and the space group of the crystal or its mirror image, whichever is less."""
    number = int(row["space_group_number"])
    return row["n_atoms"], min(
        number, classify_space_group(number).enantiomorphic_partner or number
    )


def _describe_symmetry(row: Row) -> str:
    return f"{row['space_group_symbol']}, {row['n_atoms']:.0f} atoms"


def _make_no_counterpart_error(
    first: TableSource, second: TableSource, reasons: Sequence[str]
) -> RemediableError:
    """Error that says why no crystal has a counterpart."""
    left = len(reasons) - _MAX_TOLD
    text = "; ".join(reasons[:_MAX_TOLD]) + (f"; and {left} more" if left > 0 else "")
    for dataset in (first, second):
        if others := _count_without_results(read_overview(dataset.root)):
            text += f"; without results in {dataset.root}: {others}"
    message = f"no crystal of {first.root} can be compared with one of {second.root}: {text}"
    remedy = (
        "give datasets of the same crystals: they are matched by structure, by name, or by "
        "formula, space group and arrangement"
    )
    return RemediableError(message, remedy)
