"""What figures of one material need from a dataset."""

from dataclasses import dataclass
from functools import cached_property

from phonopy import Phonopy

from tasks.chirality.settings import ChiralitySettings
from tasks.crystals.rows import Row
from tasks.figures.labels import format_formula_tex, format_space_group_tex
from tasks.phonons.fourier import HarmonicCrystal
from tasks.phonons.sum_rules import SumRules
from tasks.results.stored_crystals import (
    has_force_constants,
    read_chirality_settings,
    read_interpolation,
    read_screened_material,
    read_stored_phonon,
)
from tasks.storage import TableSource


@dataclass(frozen=True, eq=False)
class MaterialData:
    """One material of a dataset; its force constants are read when they are first asked for.

    Attributes
    ----------
    tables : Dataset or TableFolder
        Where its results are.
    row : mapping
        Its row of the catalogue ``chirality``.
    """

    tables: TableSource
    row: Row

    @cached_property
    def _interpolation(self) -> SumRules:
        """Its force constants, fit for all q-points; an error says that they are not stored."""
        return read_interpolation(self.tables, self.row)

    @property
    def crystal(self) -> HarmonicCrystal:
        """What its modes are made of."""
        return self._interpolation.crystal

    @property
    def phonon(self) -> Phonopy:
        """The same as a phonopy object."""
        return self._interpolation.phonon

    @cached_property
    def phonon_without_charges(self) -> Phonopy:
        """The same without Born charges."""
        return read_stored_phonon(self.tables, {**self.row, "nac": False})

    @cached_property
    def has_phonon(self) -> bool:
        """Whether its force constants are stored."""
        return has_force_constants(self.tables, self.row["phonon_key"])

    @property
    def settings(self) -> ChiralitySettings:
        """Settings with which its modes were analysed."""
        return read_chirality_settings(self.tables, self.row)

    @property
    def title(self) -> str:
        """Formula and space group, typeset."""
        group = format_space_group_tex(self.row["space_group_symbol"])
        return f"{format_formula_tex(self.row['formula'])}  {group}"


def read_material_data(tables: TableSource, material_id: str) -> MaterialData:
    """Read one material.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue.
    material_id : str
        The material.

    Returns
    -------
    MaterialData
        Catalogue row, and force constants where they are stored.

    Raises
    ------
    RemediableError
        When the material is not there, or has no results.
    """
    return MaterialData(tables, read_screened_material(tables, material_id))
