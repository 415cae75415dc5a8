"""Results as notebooks want them: a dataset by the names of its crystals."""

import difflib
import html
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd
from ase import Atoms
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from phonopy import Phonopy

from tasks.chirality.thermal import compute_thermal_properties
from tasks.conditions import Conditions
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.figures.collection import draw_material_figures, list_drawable_kinds
from tasks.figures.material import MaterialData, read_material_data
from tasks.results import read_catalog, read_overview
from tasks.results.catalogue import list_missing
from tasks.results.observing import observe_crystal
from tasks.results.stored_crystals import describe_computation, read_crystal
from tasks.storage import CATALOG_TABLES, Dataset, TableFolder, TableSource, open_tables
from tasks.units import UNITS, UnitName

_SHOWN_COLUMNS: Final = (
    "material_id",
    "formula",
    "space_group_symbol",
    "chirality_class",
    "outcome",
    "stable",
    "helicity_wave_found",
    "mean_optical_angular_momentum",
    "mean_optical_helicity",
    "score",
    "explanation",
)


def load(folder: str | Path) -> "Results":
    """Open what `chiralscreen screen`, `analyze` or `show` wrote, or a released catalogue.

    Parameters
    ----------
    folder : str or pathlib.Path
        Folder of the dataset, or of tables alone.

    Returns
    -------
    Results
        Read as it is asked for.

    Raises
    ------
    RemediableError
        When the folder has no catalogue.
    """
    path = Path(folder)
    if not TableFolder(path).has_table("chirality"):
        message = f"{path} has no catalogue"
        remedy = "give the folder that `chiralscreen screen` wrote, or one of its tables"
        raise RemediableError(message, remedy)
    return Results(path)


@dataclass(frozen=True, eq=False, repr=False)
class Results(Mapping[str, "ScreenedCrystal"]):
    """A dataset: a mapping from names of crystals to what was found.

    Attributes
    ----------
    folder : pathlib.Path
        Folder of the dataset, or of tables alone.
    """

    folder: Path

    @property
    def not_stored(self) -> tuple[str, ...]:
        """What these tables lack of what a screening computes, a line each; empty of a dataset."""
        return () if isinstance(open_tables(self.folder), Dataset) else list_missing(self.folder)

    @cached_property
    def overview(self) -> pd.DataFrame:
        """One row per crystal, without spectra and tensors; indexed by their names."""
        return read_overview(self.folder).set_index("material_id", drop=False)

    def table(self, name: str = "chirality") -> pd.DataFrame:
        """Read a table of the catalogue.

        Parameters
        ----------
        name : str
            Such as ``chirality``, ``modes``, ``failures`` or ``runs``.

        Returns
        -------
        pandas.DataFrame
            All its rows and columns; those that are not stored are empty.

        Raises
        ------
        RemediableError
            When there is no such table.
        """
        tables = TableFolder(self.folder)
        if not tables.has_table(name):
            there = ", ".join(table for table in CATALOG_TABLES if tables.has_table(table))
            raise RemediableError(f"{self.folder} stores no table {name!r}", f"there are {there}")
        return read_catalog(self.folder, name)

    def __getitem__(self, material_id: str) -> "ScreenedCrystal":
        """Crystal of a name; a name that is not there is told with those that resemble it."""
        if material_id not in self.overview.index:
            near = difflib.get_close_matches(material_id, list(self), 3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {len(self)} others"
            raise KeyError(f"no crystal {material_id!r} in {self.folder}; {hint}")
        return ScreenedCrystal(self.folder, material_id)

    def __iter__(self) -> Iterator[str]:
        """Names in the order of the catalogue."""
        return iter(self.overview.index)

    def __len__(self) -> int:
        """Number of crystals."""
        return len(self.overview)

    def __repr__(self) -> str:
        counts = self.overview["outcome"].value_counts().sort_index()
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        return f"<{len(self)} crystals of {self.folder}: {told}>"

    def _repr_html_(self) -> str:
        """Table of a notebook, the best score first."""
        shown = self.overview[[name for name in _SHOWN_COLUMNS if name in self.overview]]
        best = shown.sort_values("score", ascending=False, kind="stable")
        return f"<p>{html.escape(repr(self))}</p>{best.to_html(index=False, max_rows=20)}"


@dataclass(frozen=True, eq=False, repr=False)
class ScreenedCrystal:
    """What was found about one crystal; each part is read when it is first asked for.

    Attributes
    ----------
    folder : pathlib.Path
        Folder of the dataset.
    material_id : str
        Name of the crystal.
    """

    folder: Path
    material_id: str

    @cached_property
    def row(self) -> "pd.Series[Any]":
        """Its row of the catalogue ``chirality``, with all columns."""
        return read_catalog(self.folder, "chirality", self.material_id).iloc[0]

    @cached_property
    def modes(self) -> pd.DataFrame:
        """Its modes along the band path, rows of the table ``modes``."""
        found = read_catalog(self.folder, "modes", self.material_id)
        if found.empty and self.row["outcome"] == "screened":
            message = f"modes of {self.material_id!r} are not stored in {self.folder}"
            raise RemediableError(
                message, describe_computation(self.folder, self.material_id, self.row["potential"])
            )
        return found

    @cached_property
    def given(self) -> Atoms:
        """The crystal as it was read, in its primitive cell (Å)."""
        return read_crystal(self._tables, "materials", {**self.row})

    @cached_property
    def atoms(self) -> Atoms:
        """The relaxed crystal whose phonons were computed, in its primitive cell (Å)."""
        material = self._material
        if material.has_phonon:
            return make_atoms(material.phonon.primitive)
        return read_crystal(self._tables, "relaxations", material.row)

    @property
    def phonon(self) -> Phonopy:
        """Its force constants, fit for all q-points, as the analysis of the modes took them."""
        return self._material.phonon

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the figures that what is stored suffices for."""
        return list_drawable_kinds(self._material)

    def figure(self, kind: str = "bands-helicity", unit: str = UnitName.THZ) -> Figure:
        """Draw a figure.

        Parameters
        ----------
        kind : str
            One of `kinds`.
        unit : {"THz", "cm-1", "meV"}
            Unit of frequencies.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it, and `savefig` writes it.
        """
        return next(draw_material_figures(self._material, [kind], UNITS[UnitName(unit)]))[1]

    def thermal(self, temperatures: ArrayLike | None = None) -> pd.DataFrame:
        """Compute thermal properties from the mesh of modes that was analysed.

        Parameters
        ----------
        temperatures : array_like, optional
            In K; 0 to 1000 K in steps of 10 K if left out.

        Returns
        -------
        pandas.DataFrame
            ``free_energy`` (kJ/mol, zero-point energy included), ``entropy`` and ``heat_capacity``
            (J K^-1 mol^-1), by ``temperature`` (K), per mole of primitive cells. Imaginary modes
            are left out, with a warning.
        """
        material = self._material
        found = compute_thermal_properties(material.phonon, temperatures, material.settings)
        if found.imaginary_fraction:
            share = f"{100 * found.imaginary_fraction:.2g} %"
            warnings.warn(f"{share} of the modes are imaginary and left out", stacklevel=2)
        names = ("free_energy", "entropy", "heat_capacity")
        index = pd.Index(found.temperatures, name="temperature")
        return pd.DataFrame({name: getattr(found, name) for name in names}, index)

    def observe(self, kind: str, **conditions: Any) -> pd.DataFrame:  # noqa: ANN401 - of many kinds
        """Compute what an instrument sees, as `chiralscreen observe` does.

        Parameters
        ----------
        kind : str
            ``infrared``, ``dichroism``, ``raman``, ``scattering``, ``moments``, ``response``,
            ``topology`` or ``strain``, which takes the potential.
        **conditions
            Fields of ``tasks.observables.Conditions``, such as ``temperature=10.0``.

        Returns
        -------
        pandas.DataFrame
            With the columns that the data dictionary describes; frequencies in THz.
        """
        material = self._material
        known = Conditions(**conditions)
        rows = observe_crystal(material.tables, material.row, material.crystal, kind, known)
        return pd.DataFrame(rows)

    @cached_property
    def _material(self) -> MaterialData:
        """Force constants and row; an error says why there are none."""
        return read_material_data(self._tables, self.material_id)

    @property
    def _tables(self) -> TableSource:
        """Where its rows are."""
        return open_tables(self.folder)

    def __repr__(self) -> str:
        row = self.row
        outcome = row["explanation"] if row["outcome"] == "screened" else row["reason"]
        what = f"{row['formula']}, {row['space_group_symbol']}"
        return f"<{self.material_id}: {what}; {row['outcome']}: {outcome}>"

    def _repr_html_(self) -> str:
        """List of a notebook."""
        shown = self.row.reindex(_SHOWN_COLUMNS)
        return shown.to_frame("").to_html(header=False, na_rep="")
