"""One crystal in files that people open: structure, figures, table of modes, one page of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml
from ase.io import write

from tasks.crystals.cells import make_atoms
from tasks.crystals.rows import Row
from tasks.figures.collection import draw_material_figures
from tasks.figures.labels import format_formula_text, format_space_group_text
from tasks.figures.material import MaterialData, read_material_data
from tasks.figures.style import save_figure
from tasks.results import read_catalog
from tasks.results.catalogue import UNNAMED, read_run_settings
from tasks.site.evidence import list_laboratory_facts, list_links
from tasks.site.report import MATERIAL_TEXTS, Picture, embed_picture, load_template
from tasks.sources import make_safe_id
from tasks.storage import Dataset
from tasks.storage.durable import write_durably
from tasks.units import THZ, FrequencyUnit
from tasks.untrusted_text import escape_formulas

# `chiralscreen plot` draws the others, which take longer.
_KINDS: Final = ("bands-helicity", "bands-cycloidicity", "density", "thermal")


@dataclass(frozen=True, eq=False)
class CrystalReport:
    """What was written about a crystal.

    Attributes
    ----------
    row : mapping
        Its row of the catalogue.
    facts : mapping from str to str
        What matters most, with units.
    modes : pandas.DataFrame
        Its modes at special points, from `tabulate_special_modes`.
    page : pathlib.Path
        HTML file with everything.
    files : mapping from pathlib.Path to str
        The other files, and what each holds.
    """

    row: Row
    facts: Mapping[str, str]
    modes: pd.DataFrame
    page: Path
    files: Mapping[Path, str]


def write_crystal_report(
    dataset: Dataset, material_id: str, unit: FrequencyUnit = THZ
) -> CrystalReport:
    """Write crystal, figures, modes and page of a screened crystal into its dataset.

    Parameters
    ----------
    dataset : Dataset
        With a catalogue.
    material_id : str
        The crystal.
    unit : FrequencyUnit
        Of frequencies; files of data keep THz.

    Returns
    -------
    CrystalReport
        Files that lie in the folder of the dataset and begin with the name of the crystal.

    Raises
    ------
    RemediableError
        When there are no results of the crystal.
    DatasetError
        When the page cannot be written; an earlier one stays as it was.
    """
    material = read_material_data(dataset, material_id)
    modes = read_catalog(dataset.root, "modes", material_id)
    named = tabulate_special_modes(modes, unit)
    start = dataset.root / make_safe_id(material_id)
    files = {start.with_name(f"{start.name}.cif"): "the crystal whose phonons these are"}
    write(next(iter(files)), make_atoms(material.phonon.primitive))
    table = start.with_name(f"{start.name}-modes.csv")
    escape_formulas(modes.drop(columns="key")).to_csv(table, index=False)
    files[table] = "all modes along the band path, frequencies in THz"
    pictures, drawn = _draw_pictures(material, start, unit)
    page = start.with_name(f"{start.name}.html")
    facts = list_facts(material.row, unit) | {"largest optical |h|": _find_strongest(modes, unit)}
    text = _render_page(dataset, material, facts, named, pictures, files | drawn)
    write_durably(page, lambda place: place.write_text(text, encoding="utf-8"))
    return CrystalReport(material.row, facts, named, page, files | drawn)


def tabulate_special_modes(modes: pd.DataFrame, unit: FrequencyUnit = THZ) -> pd.DataFrame:
    """List the degenerate sets at the special points of the band path, each point once.

    Parameters
    ----------
    modes : pandas.DataFrame
        The modes of one crystal, rows of the table ``modes``.
    unit : FrequencyUnit
        Of frequencies.

    Returns
    -------
    pandas.DataFrame
        Texts, one row per set, in the order of the path: point, bands (counted from 0), frequency
        (in the unit), helicity, length of the angular momentum and cycloidicity (ħ), rotation axis
        along q, and pseudo-angular momenta of the set about it.
    """
    named = modes[~modes["q_label"].isin(UNNAMED)].sort_values(["path_distance", "band"])
    # A point where segments meet occurs more than once; its first mention counts.
    sets = named.drop_duplicates(["q_label", "band"]).groupby(
        ["q_label", "degenerate_set"], sort=False
    )
    return pd.DataFrame([_describe_set(str(label), rows, unit) for (label, _), rows in sets])


def _describe_set(label: str, rows: pd.DataFrame, unit: FrequencyUnit) -> dict[str, str]:
    """Numbers of a degenerate set."""
    first, last = int(rows["band"].min()), int(rows["band"].max())
    mean = rows.mean(numeric_only=True)
    axis = rows["pam_order"].iloc[0]
    screw = rows["pam_screw"].iloc[0]
    return {
        "point": label,
        "bands": str(first) if first == last else f"{first}-{last}",
        f"ν ({unit.text})": _format_number(unit.per_terahertz * mean["frequency"]),
        "h (ħ)": _format_number(mean["helicity"]),
        "|l| (ħ)": _format_number(np.linalg.norm(mean[["l_x", "l_y", "l_z"]].to_numpy(float))),
        "|q̂×l| (ħ)": _format_number(mean["cycloidicity"]),
        "axis": "-" if pd.isna(axis) else f"{axis:.0f}_{screw:.0f}" if screw else f"{axis:.0f}",
        "PAM": ", ".join(_format_label(value) for value in sorted(rows["pam_integer"])),
    }


def _find_strongest(modes: pd.DataFrame, unit: FrequencyUnit) -> str:
    """Which optical mode of the path has the largest helicity; there may be no such band."""
    found = modes[modes["q_label"].ne("mesh") & modes["band"].ge(3) & modes["helicity"].notna()]
    if found.empty:
        return "-"
    strongest = found.sort_values("helicity", key=np.abs, kind="stable").iloc[-1]
    point = ", ".join(_format_number(strongest[name]) for name in ("q_a", "q_b", "q_c"))
    helicity = _format_number(strongest["helicity"])
    frequency = _format_number(unit.per_terahertz * strongest["frequency"])
    if float(helicity) == 0:
        return "zero on the whole path"
    return f"{helicity} ħ at {frequency} {unit.text}, q = ({point})"


def _format_number(value: Any) -> str:  # noqa: ANN401 - a cell of a table
    """Number with three decimals, without a sign of zero."""
    return "-" if pd.isna(value) else f"{round(float(value), 3) + 0.0:.3f}"


def _format_label(value: Any) -> str:  # noqa: ANN401 - a cell of a table
    """Pseudo-angular momentum of a mode."""
    return "-" if pd.isna(value) else f"{value:+.0f}" if value else "0"


def _draw_pictures(
    material: MaterialData, start: Path, unit: FrequencyUnit
) -> tuple[list[Picture], dict[Path, str]]:
    """Draw the figures; cycloidicity in place of a helicity that is zero."""
    figures = dict(draw_material_figures(material, _KINDS, unit))
    if "bands-helicity" in figures:
        figures.pop("bands-cycloidicity", None)
    pictures: list[Picture] = []
    files: dict[Path, str] = {}
    for kind in sorted(figures, key=_KINDS.index):
        text, width = MATERIAL_TEXTS[kind], figures[kind].get_figwidth()
        image, paper = save_figure(
            figures[kind], start.with_name(f"{start.name}-{kind}"), ("png", "pdf")
        )
        pictures.append(embed_picture(image.read_bytes(), "png", width, text))
        files |= {image: f"figure: {kind}", paper: "the same for papers"}
    return pictures, files


def _render_page(
    dataset: Dataset,
    material: MaterialData,
    facts: Mapping[str, str],
    modes: pd.DataFrame,
    pictures: list[Picture],
    files: Mapping[Path, str],
) -> str:
    """HTML that needs no other file."""
    row = material.row
    settings = read_run_settings(dataset.root, row["run_id"])
    return load_template("portrait.html.j2").render(
        version=version("chiralscreen"),
        material_id=row["material_id"],
        formula=format_formula_text(row["formula"]),
        space_group=format_space_group_text(row["space_group_symbol"]),
        verdict=row["explanation"],
        facts=facts,
        links=list_links(row),
        pictures=pictures,
        modes=modes,
        files={path.name: text for path, text in files.items()},
        settings=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
    )


def list_facts(row: Row, unit: FrequencyUnit = THZ) -> dict[str, str]:
    """Tell what matters most about a crystal.

    Parameters
    ----------
    row : mapping
        Its row of the catalogue ``chirality``.
    unit : FrequencyUnit
        Of frequencies.

    Returns
    -------
    dict
        Texts by name, with units.
    """
    warnings, external = row.get("warnings"), pd.isna(row["potential"])
    factor = unit.per_terahertz
    return {
        "formula": row["formula"],
        "space group": f"{row['space_group_symbol']} ({row['space_group_number']})",
        "chirality class": row["chirality_class"],
        "helicity wave": row["helicity_wave_found"],
        "potential": "force constants from a file" if external else row["potential"],
        "stable": "yes" if row["stable"] else "no",
        f"lowest ν ({unit.text})": _format_number(factor * row["min_frequency_commensurate"]),
        f"highest ν ({unit.text})": _format_number(factor * row["max_frequency"]),
        "mean optical |l| (ħ)": _format_number(row["mean_optical_angular_momentum"]),
        "mean optical |h| (ħ)": _format_number(row["mean_optical_helicity"]),
        "C_v at 300 K": _describe_molar(row, "heat_capacity_300", "J/K"),
        "zero-point energy": _describe_molar(row, "zero_point_energy", "kJ"),
        "score": _format_number(row["score"]),
        "shortlist": _describe_shortlist(row),
        **list_laboratory_facts(row),
        "warnings": ", ".join(() if warnings is None else warnings) or "none",
    }


def _describe_shortlist(row: Row) -> str:
    """Whether a crystal is on the shortlist, and why."""
    reason = row.get("shortlist_reason")
    return f"{'yes' if row['shortlisted'] else 'no'}{f': {reason}' if reason else ''}"


def _describe_molar(row: Row, name: str, unit: str) -> str:
    """Molar quantity, with what a mole is of; results of older programs have none."""
    if pd.isna(row[name]):
        return "-"
    n_atoms = int(row["n_atoms_primitive"])
    return f"{_format_number(row[name])} {unit} per mole of primitive cells ({n_atoms} atoms)"
