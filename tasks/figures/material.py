"""What figures of one material need from a dataset."""

from dataclasses import dataclass

from phonopy import Phonopy

from tasks.catalogue import read_catalog
from tasks.columns import Row, stored_phonon
from tasks.failures import RemediableError
from tasks.figures.labels import formula_tex, space_group_tex
from tasks.storage import Dataset


@dataclass(frozen=True, eq=False)
class MaterialData:
    """One material of a dataset.

    Attributes
    ----------
    phonon : phonopy.Phonopy
        Its force constants.
    row : mapping
        Its row of the catalogue ``chirality``.
    """

    phonon: Phonopy
    row: Row

    @property
    def title(self) -> str:
        """Formula and space group, typeset."""
        group = space_group_tex(self.row["space_group_symbol"])
        return f"{formula_tex(self.row['formula'])}  {group}"


def material_data(dataset: Dataset, material_id: str) -> MaterialData:
    """Read one material.

    Parameters
    ----------
    dataset : Dataset
        With a catalogue.
    material_id : str
        The material.

    Returns
    -------
    MaterialData
        Force constants and catalogue row.

    Raises
    ------
    RemediableError
        When the material is not there, or has no results.
    """
    rows = read_catalog(dataset.root, "chirality", material_id).to_dict("records")
    if not rows:
        message = f"the dataset has no material {material_id!r}"
        raise RemediableError(message, "see `chiralscreen status` for the names")
    row = {str(name): value for name, value in rows[0].items()}
    if row["outcome"] != "screened":
        message = f"{material_id!r} has no results: {row['outcome']}, {row['reason']}"
        raise RemediableError(message, "choose one that `chiralscreen status` lists")
    return MaterialData(stored_phonon(dataset, row["phonon_key"]), row)
