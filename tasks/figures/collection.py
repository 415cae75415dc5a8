"""All figures of a material, and of a dataset, by name."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tasks.chirality.bands import BandStructure, compute_band_structure, find_most_chiral_mode
from tasks.chirality.modes import compute_frequencies
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.thermal import compute_thermal_properties
from tasks.figures.bands import (
    Colour,
    draw_band_structure,
    draw_charge_bands,
    select_band_values,
)
from tasks.figures.density_of_states import HelicityDos, draw_helicity_dos_figure
from tasks.figures.material import MaterialData
from tasks.figures.motion import compute_mode_motion, draw_motion_figure
from tasks.figures.overview import (
    draw_distributions,
    draw_outcomes,
    draw_parity,
    draw_periodic_table,
    draw_scores,
    draw_space_groups,
    draw_stability,
)
from tasks.figures.sunburst import draw_sunburst
from tasks.figures.tensor import draw_tensor_figure, read_tensor
from tasks.figures.texture import (
    compute_sphere_texture,
    compute_zone_cut,
    draw_cut_figure,
    draw_sphere_figure,
)
from tasks.figures.thermal import draw_thermal_figure
from tasks.results.catalogue import rank_candidates
from tasks.units import THZ, FrequencyUnit

# Finer than the stored path, so that crossings are drawn as crossings.
PATH_SPACING: Final = 0.004
# Bands whose numbers stay below this are drawn once, not for each number.
_LEAST_SHOWN: Final = 0.01

BAND_COLOURS: Final[Mapping[str, Colour]] = {
    "bands-helicity": "helicity",
    "bands-cycloidicity": "cycloidicity",
    "bands-lz": "l_z",
    "bands-pam": "pam",
}
CHARGE_BANDS: Final = "bands-charges"
MATERIAL_KINDS: Final = (
    *(*BAND_COLOURS, CHARGE_BANDS),
    *("density", "sphere", "cut", "motion", "tensor", "thermal"),
)
# Columns of the catalogue from which a figure is drawn; all others need force constants.
_FROM_COLUMN: Final[Mapping[str, str]] = {"density": "helicity_dos", "tensor": "tensor"}
PARITY_COLUMNS: Final = (
    "max_frequency",
    "min_frequency_commensurate",
    "mean_optical_angular_momentum",
    "mean_optical_helicity",
)


def draw_material_figures(
    material: MaterialData,
    kinds: Collection[str] = MATERIAL_KINDS,
    unit: FrequencyUnit = THZ,
) -> Iterator[tuple[str, Figure]]:
    """Draw the figures of one material, one after the other.

    Parameters
    ----------
    material : MaterialData
        From `tasks.figures.material.read_material_data`.
    kinds : collection of str
        Which ones, of `MATERIAL_KINDS`. Bands without any value of a kind (helicity and l_z of an
        achiral crystal may vanish on the whole path) are left out, unless it is the only kind;
        ``bands-charges`` of crystals analysed without Born charges always.
    unit : FrequencyUnit
        Of frequencies.

    Yields
    ------
    tuple of str and matplotlib.figure.Figure
        Kind and figure.

    Raises
    ------
    ValueError
        When there is no such kind of figure.
    RemediableError
        When what a figure needs is not stored; `list_drawable_kinds` tells.
    """
    _require_known(kinds)
    if chosen := [kind for kind in BAND_COLOURS if kind in kinds]:
        bands = _compute_fine_bands(material, unit)
        for kind in chosen:
            if len(kinds) == 1 or _has_nonzero_values(bands, BAND_COLOURS[kind]):
                yield kind, _draw_bands(material, bands, kind)
    if CHARGE_BANDS in kinds and material.row["nac"]:
        yield CHARGE_BANDS, _draw_charge_bands(material, unit)
    for kind, draw in _OTHERS.items():
        if kind in kinds:
            yield kind, draw(material, unit)


def list_drawable_kinds(
    material: MaterialData, kinds: Collection[str] = MATERIAL_KINDS
) -> tuple[str, ...]:
    """Tell which figures can be drawn from what is stored of a material.

    Parameters
    ----------
    material : MaterialData
        From `tasks.figures.material.read_material_data`.
    kinds : collection of str
        Those that are wanted.

    Returns
    -------
    tuple of str
        All of them, unless force constants or spectra are not stored.

    Raises
    ------
    ValueError
        When there is no such kind of figure.
    """
    _require_known(kinds)
    return tuple(kind for kind in kinds if _is_drawable(material, kind))


def _is_drawable(material: MaterialData, kind: str) -> bool:
    """Whether what a figure needs is stored."""
    column = _FROM_COLUMN.get(kind)
    return material.has_phonon if column is None else material.row[column] is not None


def _require_known(kinds: Collection[str]) -> None:
    """Refuse names of figures that do not exist."""
    if unknown := set(kinds) - set(MATERIAL_KINDS):
        msg = f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(MATERIAL_KINDS)}"
        raise ValueError(msg)


def draw_dataset_figures(
    chirality: pd.DataFrame, *, tolerance: float | None = None, unit: FrequencyUnit = THZ
) -> Iterator[tuple[str, Figure]]:
    """Draw the overviews of a dataset.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    tolerance : float, optional
        Of the stability (THz).
    unit : FrequencyUnit
        Of frequencies.

    Yields
    ------
    tuple of str and matplotlib.figure.Figure
        Name and figure; those of computed numbers only where something was computed.
    """
    computed, scored = chirality["stable"].notna().any(), rank_candidates(chirality)
    yield "outcomes", draw_outcomes(chirality)
    if computed:
        yield "stability", draw_stability(chirality, tolerance=tolerance, unit=unit)
    if chirality["space_group_number"].notna().any():
        yield "space-groups", draw_space_groups(chirality)
        yield "sunburst", draw_sunburst(chirality)
    if computed:
        yield "distributions", draw_distributions(chirality)
    if len(scored):
        yield "elements", draw_periodic_table(scored)
        yield "score", draw_scores(scored)


def draw_comparison_figures(
    first: pd.DataFrame,
    second: pd.DataFrame,
    names: tuple[str, str],
    unit: FrequencyUnit = THZ,
) -> Iterator[tuple[str, Figure]]:
    """Draw the numbers of two datasets against each other.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Catalogues of materials, as of two potentials.
    names : tuple of str
        Of the two datasets.
    unit : FrequencyUnit
        Of frequencies.

    Yields
    ------
    tuple of str and matplotlib.figure.Figure
        Name and figure.

    Raises
    ------
    ValueError
        When they share no material.
    """
    for column in PARITY_COLUMNS:
        yield f"parity-{column}", draw_parity(first, second, column, names, unit=unit)


def _compute_fine_bands(material: MaterialData, unit: FrequencyUnit) -> BandStructure:
    fine = ChiralitySettings(path_spacing=PATH_SPACING)
    return compute_band_structure(material.phonon, fine).convert_unit(unit)


def _draw_charge_bands(material: MaterialData, unit: FrequencyUnit) -> Figure:
    bands = _compute_fine_bands(material, unit)
    without = compute_frequencies(material.phonon_without_charges, bands.q_points)
    return draw_charge_bands(bands, unit.per_terahertz * without, title=material.title)


def _has_nonzero_values(bands: BandStructure, colour: Colour) -> bool:
    """Whether any band differs from zero; of labels, whether there are any."""
    values = select_band_values(bands, colour)
    if colour == "pam":
        return not np.isnan(values).all()
    return bool(np.abs(values).max() > _LEAST_SHOWN)


def _draw_bands(material: MaterialData, bands: BandStructure, kind: str) -> Figure:
    beside = kind == "bands-helicity" and _is_drawable(material, "density")
    density = _draw_helicity_dos(material, bands.unit) if beside else None
    return draw_band_structure(bands, BAND_COLOURS[kind], title=material.title, density=density)


def _draw_helicity_dos(material: MaterialData, unit: FrequencyUnit) -> HelicityDos:
    return HelicityDos.from_row(material.row).convert_unit(unit)


def _read_density(material: MaterialData, unit: FrequencyUnit) -> Figure:
    return draw_helicity_dos_figure(_draw_helicity_dos(material, unit), title=material.title)


def _draw_sphere(material: MaterialData, unit: FrequencyUnit) -> Figure:
    return draw_sphere_figure(
        compute_sphere_texture(material.phonon), title=material.title, unit=unit
    )


def _draw_cut(material: MaterialData, unit: FrequencyUnit) -> Figure:
    return draw_cut_figure(compute_zone_cut(material.phonon), title=material.title, unit=unit)


def _draw_motion(material: MaterialData, unit: FrequencyUnit) -> Figure:
    shares = material.row["atomic_polarization"]
    bands = compute_band_structure(material.crystal, material.settings)
    row, band = find_most_chiral_mode(bands)
    motion = compute_mode_motion(material.phonon, bands.q_points[row], band)
    return draw_motion_figure(motion, shares, title=material.title, unit=unit)


def _draw_tensor(material: MaterialData, _unit: FrequencyUnit) -> Figure:
    tensor, temperature = read_tensor(material.row)
    return draw_tensor_figure(tensor, title=f"{material.title}   {temperature:g} K")


def _draw_thermal(material: MaterialData, _unit: FrequencyUnit) -> Figure:
    thermal = compute_thermal_properties(material.phonon, settings=material.settings)
    return draw_thermal_figure(thermal, len(material.phonon.primitive), title=material.title)


_OTHERS: Final[Mapping[str, Callable[[MaterialData, FrequencyUnit], Figure]]] = {
    "density": _read_density,
    "sphere": _draw_sphere,
    "cut": _draw_cut,
    "motion": _draw_motion,
    "tensor": _draw_tensor,
    "thermal": _draw_thermal,
}
