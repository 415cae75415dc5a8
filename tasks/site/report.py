"""One self-contained HTML page about a screening."""

import base64
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from tasks.failures import RemediableError
from tasks.figures.collection import (
    draw_dataset_figures,
    draw_material_figures,
    list_drawable_kinds,
)
from tasks.figures.labels import QUANTITIES, WAVES, format_formula_text, format_space_group_text
from tasks.figures.material import read_material_data
from tasks.figures.overview import OUTCOMES
from tasks.figures.style import apply_style
from tasks.results import rank_materials, read_catalog, read_overview
from tasks.results.catalogue import (
    NO_RESTRICTION,
    Restriction,
    split_by_class,
    summarize_shortlist,
)
from tasks.results.ranking import PURPOSES
from tasks.site.evidence import NONE_NAMED, UNKNOWN, list_laboratory_facts, list_links
from tasks.sources import STAGE as READING
from tasks.storage import TableFolder, TableSource
from tasks.storage.durable import write_durably
from tasks.units import THZ, FrequencyUnit

# Rows of one table; the catalogue holds them all.
_MAX_ROWS: Final = 100
_MAX_NAMES: Final = 30
_MAX_PURPOSE: Final = 10
_MATERIAL_KINDS: Final = ("bands-helicity", "bands-cycloidicity", "tensor", "sphere")
_PIXELS_PER_INCH: Final = 160
_PAGE_PIXELS_PER_INCH: Final = 125

_OVERVIEW_TEXTS: Final = {
    "outcomes": "Materials by outcome and class: I centrosymmetric, II chiral, III achiral, no "
    "inversion.",
    "space-groups": "Materials by space group; the colour is the helicity wave the group allows.",
    "sunburst": "Materials by class, crystal system and space group, from the centre; the colour "
    "of the outer ring is the helicity wave.",
    "stability": "Lowest frequency at the q-points commensurate with the supercell. Materials left "
    "of the dashed line count as unstable.",
    "distributions": "Means over the optical branches and the Brillouin zone.",
    "score": "Score of the stable, significant materials; the colour is the helicity wave found.",
    "elements": "Elements of the materials with a score: best score and number of materials.",
}
MATERIAL_TEXTS: Final = {
    "bands-helicity": "Bands coloured by helicity, and the helicity density of states; its grey "
    "outline is that of |h|. Dark rims mark degenerate sets, coloured by their mean.",
    "bands-cycloidicity": "Bands coloured by cycloidicity: the helicity vanishes on the path.",
    "thermal": "Heat capacity at constant volume, entropy and free energy of the vibrations, per "
    "mole of primitive cells; the dashed line is the classical heat capacity.",
    "density": "Helicity density of states, and what its spherical harmonics have of it.",
    "sphere": "Helicity over the directions of q, upper hemisphere in equal-area projection; black "
    "lines are nodes.",
    "tensor": "Velocity-angular-momentum tensor: component along the temperature gradient "
    "(surface) and polar vector of the antisymmetric part (arrow).",
}
_REFERENCES: Final = (
    ("Phonon angular momentum", "L. Zhang, Q. Niu, Phys. Rev. Lett. 112, 085503 (2014)"),
    ("Thermal response", "M. Hamada et al., Phys. Rev. Lett. 121, 175301 (2018)"),
    ("Band paths", "Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017)"),
    ("phonopy", "A. Togo et al., J. Phys.: Condens. Matter 35, 353001 (2023)"),
    ("spglib", "A. Togo et al., Sci. Technol. Adv. Mater. Methods 4, 2384822 (2024)"),
)


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Attributes
    ----------
    source : str
        Data URL.
    text : str
        Caption, which also serves readers who do not see the picture.
    width : int
        In pixels of the page.
    """

    source: str
    text: str
    width: int


@dataclass(frozen=True)
class Candidate:
    """A drawn candidate.

    Attributes
    ----------
    material_id, formula, space_group, explanation : str
        What it is, and why it stands here.
    pictures : tuple of Picture
        Its figures.
    """

    material_id: str
    formula: str
    space_group: str
    explanation: str
    pictures: tuple[Picture, ...]


def write_report(
    dataset: TableSource,
    path: Path,
    *,
    n_drawn: int = 6,
    now: datetime | None = None,
    unit: FrequencyUnit = THZ,
    restriction: Restriction = NO_RESTRICTION,
) -> Path:
    """Write the report of a dataset.

    Parameters
    ----------
    dataset : Dataset or TableFolder
        With a catalogue.
    path : pathlib.Path
        HTML file to write; its folder is made where it is missing.
    n_drawn : int
        Best candidates of which figures are drawn.
    now : datetime, optional
        Time to be written on the page; the present by default.
    unit : FrequencyUnit
        Of frequencies.
    restriction : Restriction
        Which crystals its lists of candidates hold.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    RemediableError
        When the dataset has no catalogue.
    DatasetError
        When the file cannot be written; an earlier one stays as it was.
    """
    if not TableFolder(dataset.root).has_table("chirality"):
        message = f"{dataset.root} has no catalogue"
        raise RemediableError(message, "let a run finish: `chiralscreen screen` writes it")
    written = now or datetime.now(UTC)
    page = render_report(dataset, n_drawn=n_drawn, now=written, unit=unit, restriction=restriction)
    write_durably(path, lambda place: place.write_text(page, encoding="utf-8"))
    return path


def render_report(
    dataset: TableSource,
    *,
    n_drawn: int,
    now: datetime,
    unit: FrequencyUnit = THZ,
    restriction: Restriction = NO_RESTRICTION,
) -> str:
    """Make the page.

    Parameters
    ----------
    dataset : Dataset or TableFolder
        With a catalogue.
    n_drawn : int
        Best candidates of which figures are drawn.
    now : datetime
        Time to be written on the page.
    unit : FrequencyUnit
        Of frequencies.
    restriction : Restriction
        Which crystals its lists of candidates hold.

    Returns
    -------
    str
        HTML that needs no other file.
    """
    chirality = read_overview(dataset.root)
    return load_template("report.html.j2").render(
        title=dataset.root.resolve().name,
        now=now.strftime("%Y-%m-%d %H:%M UTC"),
        units={name: quantity.plain_unit for name, quantity in QUANTITIES.items()},
        unit=unit,
        max_rows=_MAX_ROWS,
        restriction=str(restriction),
        **_describe_results(dataset, chirality, n_drawn, unit, restriction),
        **_describe_omissions(dataset, chirality),
        **_describe_provenance(dataset, chirality),
    )


def load_template(name: str) -> Template:
    """Load the template of a page.

    Parameters
    ----------
    name : str
        File in the folder of this module.

    Returns
    -------
    jinja2.Template
        Which spells out whatever a text would tell a browser to do.
    """
    environment = Environment(
        loader=PackageLoader("tasks.site", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _describe_results(
    dataset: TableSource,
    chirality: pd.DataFrame,
    n_drawn: int,
    unit: FrequencyUnit,
    restriction: Restriction,
) -> dict[str, Any]:
    """Counts, candidates and figures."""
    candidates = restriction.select(rank_materials(chirality))
    shortlisted = candidates["shortlisted"].eq(True)
    tolerance = _format_settings(dataset).get("score", {}).get("stability_tolerance")
    # The mirror image of a material would show the same figures in the other colour.
    drawn = candidates[candidates["enantiomorph_of"].isna()].head(n_drawn)
    return {
        "n_materials": len(chirality),
        "n_stable": int(chirality["stable"].eq(True).fillna(False).sum()),
        "n_candidates": len(candidates),
        "n_shortlist": int(shortlisted.sum()),
        "about_shortlist": summarize_shortlist(chirality),
        "outcomes": _count_values(chirality["outcome"], OUTCOMES),
        "classes": _count_values(chirality["chirality_class"].dropna(), ("I", "II", "III")),
        "shortlist": _split_candidates(candidates[shortlisted]),
        "candidates": _split_candidates(candidates[~shortlisted]),
        "purposes": [
            (
                purpose.title,
                _split_candidates(
                    restriction.select(rank_materials(chirality, purpose.name)),
                    purpose.name,
                    _MAX_PURPOSE,
                ),
            )
            for purpose in PURPOSES
        ],
        "overviews": [
            _embed_figure(figure, _OVERVIEW_TEXTS[name], "svg")
            for name, figure in draw_dataset_figures(chirality, tolerance=tolerance, unit=unit)
        ],
        "drawn": _draw_candidates(dataset, drawn, unit),
    }


def _describe_omissions(dataset: TableSource, chirality: pd.DataFrame) -> dict[str, Any]:
    """What was skipped, unstable, or failed."""
    return {
        "skipped": _group_reasons(chirality[chirality["outcome"] == "skipped"]),
        "unstable": _list_unstable(chirality),
        "failures": _list_failures(read_catalog(dataset.root, "failures")),
        "n_failures": int((chirality["outcome"] == "failed").sum()),
    }


def _describe_provenance(dataset: TableSource, chirality: pd.DataFrame) -> dict[str, Any]:
    """Sources, runs, versions, settings, and how to repeat the newest run."""
    runs = _read_runs(dataset)
    last: Mapping[Any, Any] = runs[-1] if runs else {}
    return {
        "sources": _list_sources(chirality),
        "runs": [_describe_run(run) for run in runs],
        "cards": _read_cards(runs),
        "references": _REFERENCES,
        "versions": json.loads(last.get("versions", "{}")),
        "settings": yaml.safe_dump(_format_settings(dataset), sort_keys=False, allow_unicode=True),
        "command": _format_command(last, _list_analysed_files(dataset, chirality, last)),
    }


def _read_runs(dataset: TableSource) -> list[dict[Any, Any]]:
    """Runs, the newest last."""
    runs = read_catalog(dataset.root, "runs").sort_values("started_at").astype(object)
    return runs.where(runs.notna(), None).to_dict("records")


def _read_cards(runs: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """Cards of the potentials of the runs; older programs kept none."""
    found = {
        run["potential"]: {
            "name": run["potential"],
            "citation": run["potential_citation"],
            "licence": run["potential_licence"],
            "limits": list(run["potential_limits"]),
            "verdict": run.get("potential_verdict") or "never examined",
        }
        for run in runs
        if isinstance(run.get("potential_citation"), str)
    }
    return list(found.values())


def _format_settings(dataset: TableSource) -> dict[str, Any]:
    """Settings of the newest run."""
    runs = _read_runs(dataset)
    found: dict[str, Any] = json.loads(runs[-1]["settings"]) if runs else {}
    return found


def _count_values(values: "pd.Series[str]", order: Sequence[str]) -> dict[str, int]:
    """Number of materials by value, of the values that occur."""
    counts = values.value_counts()
    return {name: int(counts[name]) for name in order if name in counts}


def _split_candidates(
    rows: pd.DataFrame, score: str = "score", limit: int = _MAX_ROWS
) -> dict[str, list[dict[str, Any]]]:
    """What the tables of candidates show, chiral crystals and the others apart."""
    tables = {
        name: _list_candidate_rows(members, score) for name, members in split_by_class(rows).items()
    }
    return {name: table[:limit] for name, table in tables.items() if table}


def _list_candidate_rows(rows: pd.DataFrame, score: str) -> list[dict[str, Any]]:
    """What one table of candidates shows."""
    return [
        {
            "material_id": row["material_id"],
            "links": list_links(row),
            "formula": format_formula_text(row["formula"]),
            "space_group": format_space_group_text(row["space_group_symbol"]),
            "number": int(row["space_group_number"]),
            "wave": WAVES[row["helicity_wave_found"]],
            "score": row[score],
            "momentum": row["mean_optical_angular_momentum"],
            "helicity": row["mean_optical_helicity"],
            "splitting": row["circular"],
            "frequency": row["min_frequency_commensurate"],
            "explanation": row["reasons"],
            "facts": _tell_known(list_laboratory_facts(row)),
        }
        for row in map(_name_columns, rows.head(_MAX_ROWS).to_dict("records"))
    ]


def _name_columns(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Row of a data frame, whose names are texts."""
    return {str(name): value for name, value in row.items()}


def _tell_known(facts: Mapping[str, str]) -> str:
    """What is known of a crystal besides what its reasons tell."""
    told = ("band gap", "magnetic ordering", "density", "hazards")
    return "; ".join(
        f"{name} {facts[name]}" for name in told if facts[name] not in {UNKNOWN, NONE_NAMED}
    )


def _group_reasons(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Materials by the reason why they were left out, the most frequent first."""
    groups = rows.groupby(rows["reason"].fillna("no reason given"))["material_id"]
    found = [
        {
            "reason": str(reason),
            "count": len(names),
            "names": list(names.head(_MAX_NAMES)),
        }
        for reason, names in groups
    ]
    return sorted(found, key=lambda entry: -entry["count"])


def _list_unstable(chirality: pd.DataFrame) -> list[dict[str, Any]]:
    """Screened materials with imaginary modes, the worst first."""
    rows = chirality[chirality["stable"].eq(False).fillna(False)]
    rows = rows.sort_values("min_frequency_commensurate").head(_MAX_ROWS)
    return [
        {
            "material_id": row["material_id"],
            "formula": format_formula_text(row["formula"]),
            "frequency": row["min_frequency_commensurate"],
            "explanation": row["explanation"],
        }
        for row in rows.to_dict("records")
    ]


def _list_failures(failures: pd.DataFrame) -> list[dict[str, Any]]:
    """What failed, where, why, and what to do."""
    columns = ["material_id", "stage", "error_class", "message", "remedy"]
    rows = failures[columns].fillna("").head(_MAX_ROWS).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _list_sources(chirality: pd.DataFrame) -> list[dict[str, Any]]:
    """Sources of the structures, with database and licence where they are stated."""
    columns = ["source", "database", "licence"]
    groups = chirality[columns].fillna("").value_counts().reset_index(name="count")
    return [{str(name): value for name, value in row.items()} for row in groups.to_dict("records")]


def _draw_candidates(
    dataset: TableSource, rows: pd.DataFrame, unit: FrequencyUnit
) -> list[Candidate]:
    """Figures of some candidates."""
    return [
        Candidate(
            material_id=row["material_id"],
            formula=format_formula_text(row["formula"]),
            space_group=format_space_group_text(row["space_group_symbol"]),
            explanation=row["reasons"],
            pictures=_draw_material(dataset, row["material_id"], unit),
        )
        for row in rows.to_dict("records")
    ]


def _draw_material(
    dataset: TableSource, material_id: str, unit: FrequencyUnit
) -> tuple[Picture, ...]:
    """Figures of one material; cycloidicity in place of a helicity that is zero."""
    material = read_material_data(dataset, material_id)
    drawable = list_drawable_kinds(material, _MATERIAL_KINDS)
    figures = dict(draw_material_figures(material, drawable, unit))
    if "bands-helicity" in figures:
        figures.pop("bands-cycloidicity", None)
    shown = [kind for kind in _MATERIAL_KINDS if kind in figures]
    return tuple(_embed_figure(figures[kind], MATERIAL_TEXTS[kind], "png") for kind in shown)


def _embed_figure(figure: Figure, text: str, file_format: str) -> Picture:
    """Figure as a data URL. Its own document, so that names inside an SVG cannot clash."""
    stream = io.BytesIO()
    with apply_style():
        figure.savefig(stream, format=file_format, dpi=_PIXELS_PER_INCH)
    return embed_picture(stream.getvalue(), file_format, figure.get_figwidth(), text)


def embed_picture(content: bytes, file_format: str, inches: float, text: str) -> Picture:
    """Put a picture into a page.

    Parameters
    ----------
    content : bytes
        Its file.
    file_format : {"svg", "png"}
        Format of the file.
    inches : float
        Its width on paper.
    text : str
        Caption.

    Returns
    -------
    Picture
        With a data URL.
    """
    kind = {"svg": "image/svg+xml", "png": "image/png"}[file_format]
    source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return Picture(source, text, round(_PAGE_PIXELS_PER_INCH * inches))


def _describe_run(run: Mapping[Any, Any]) -> dict[str, Any]:
    """One run: when, where, with what, how long."""
    times = json.loads(run["wall_times"] or "{}")
    return {
        "run_id": run["run_id"],
        "started": run["started_at"].strftime("%Y-%m-%d %H:%M UTC"),
        "duration": (run["finished_at"] - run["started_at"]).total_seconds(),
        "host": run["host"] or "not stored",
        "potential": run["potential"] or "none",
        "digest": run["checkpoint_digest"] or "",
        "times": {stage: float(seconds) for stage, seconds in times.items()},
        "counts": json.loads(run["counts"] or "{}"),
    }


def _list_analysed_files(
    dataset: TableSource, chirality: pd.DataFrame, run: Mapping[Any, Any]
) -> list[str]:
    """Files of force constants that a run took; none where it was a screening.

    Older datasets do not name the kind of a run: a screening relaxes what it computes, an analysis
    nothing; and a screening reads no YAML.
    """
    if run.get("kind") == "screen":
        return []
    rows = chirality[chirality["run_id"] == run.get("run_id")]
    analysed = rows[rows["phonon_key"].notna() & rows["relaxation_key"].isna()]
    failures = read_catalog(dataset.root, "failures")
    failed = failures["stage"].eq(READING) & failures["material_id"].isin(rows["material_id"])
    unread = failures.loc[failed, "source_record"].astype("str")
    return [*analysed["source_record"], *unread[unread.str.contains(r"\.ya?ml(?:\.xz)?$")]]


def _format_command(run: Mapping[Any, Any], analysed: Sequence[str]) -> str:
    """Command that repeats the newest run."""
    what = ["analyze", *analysed] if analysed else ["screen", run.get("source") or "SOURCE"]
    return shlex.join(["chiralscreen", *what, "--output", "again", "--config", "settings.yaml"])
