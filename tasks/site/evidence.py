"""What a laboratory asks of a crystal, in words, and where other databases tell of it."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pandas as pd

from tasks.crystals.metals import is_metal
from tasks.crystals.records import describe_observation
from tasks.thermodynamics.evidence import describe_distance

Row = Mapping[str, Any]

_MATERIALS_PROJECT: Final = re.compile(r"mp-\d+")
UNKNOWN: Final = "unknown"
"""What facts say where nothing is known."""
NONE_NAMED: Final = "none named"
"""What the fact `hazards` says of a crystal without such elements."""
# What begins an address, and what ends it.
_NUMBERED: Final = {
    "ICSD": ("icsd_id", "https://icsd.fiz-karlsruhe.de/linkicsd.xhtml?coll_code=", ""),
    "COD": ("cod_id", "https://www.crystallography.net/cod/", ".html"),
}
_ADDRESSED: Final = {
    "Page": "url",
    "Phonon database (MDR)": "phonondb_url",
    "Phonix": "phonix_url",
}


class Link(NamedTuple):
    """An entry of a crystal in a database: its title, its name there, its address."""

    title: str
    name: str
    address: str


def list_links(row: Row) -> list[Link]:
    """List the entries of a crystal in other databases.

    Parameters
    ----------
    row : mapping
        Of the catalogue of materials; catalogues of older programs lack columns.

    Returns
    -------
    list of Link
        Those that the record names. No address is made up: the Materials Project, the ICSD and the
        COD have one for each number, others are taken from the record.
    """
    stated = [
        Link(title, address, address)
        for title, column in _ADDRESSED.items()
        if (address := make_web_address(row.get(column)))
    ]
    numbered = [
        Link(title, number, f"{start}{number}{end}")
        for title, (column, start, end) in _NUMBERED.items()
        for number in (_take_text(row, column) or "").split(", ")
        if number.isdigit()
    ]
    name = _take_text(row, "database_id") or ""
    page = f"https://next-gen.materialsproject.org/materials/{name}"
    known = _MATERIALS_PROJECT.fullmatch(name) and page not in {link.address for link in stated}
    own = [Link("Materials Project", name, page)] if known else []
    return [*own, *numbered, *stated]


def make_web_address(url: object) -> str:
    """Address that may stand in a link; empty for anything that is none."""
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else ""


def list_laboratory_facts(row: Row) -> dict[str, str]:
    """Tell what a laboratory asks before it grows a crystal.

    Parameters
    ----------
    row : mapping
        Of the catalogue of materials; catalogues of older programs lack columns.

    Returns
    -------
    dict
        Texts by name; `unknown` where nothing is known.
    """
    seen, above = _take(row, "observed"), _take(row, "energy_above_hull")
    gap, density = _take(row, "band_gap"), _take(row, "density")
    place = None if above is None else f"{describe_distance(above)} ({_take(row, 'hull_source')})"
    source = _take_text(row, "observed_source")
    return {
        "observed": describe_observation(None if seen is None else bool(seen), source),
        "stability": place or _take_text(row, "hull_reason") or UNKNOWN,
        "competing phases": _list_phases(row) or UNKNOWN,
        "band gap": UNKNOWN if gap is None else _describe_gap(row["formula"], gap),
        "magnetic ordering": _take_text(row, "magnetic_ordering") or UNKNOWN,
        "density": UNKNOWN if density is None else f"{density:.2f} g/cm³",
        "hazards": _describe_hazards(row),
    }


def _list_phases(row: Row) -> str:
    """Phases into which the crystal would decompose, or that it would be on the hull."""
    phases = row.get("competing_phases")
    return "" if phases is None or not pd.api.types.is_list_like(phases) else ", ".join(phases)


def _describe_gap(formula: str, gap: float) -> str:
    """Band gap, or that there is none."""
    return "none: a metal" if is_metal(formula, gap) else f"{gap:.2f} eV"


def _describe_hazards(row: Row) -> str:
    """Toxic and radioactive elements; none is no word of safety."""
    named = ((kind, _take_text(row, f"{kind}_elements")) for kind in ("toxic", "radioactive"))
    return "; ".join(f"{kind}: {symbols}" for kind, symbols in named if symbols) or NONE_NAMED


def _take(row: Row, name: str) -> Any:  # noqa: ANN401 - a cell of the catalogue
    """Value of a column; None where it is empty or missing."""
    value = row.get(name)
    return None if pd.isna(value) else value


def _take_text(row: Row, name: str) -> str | None:
    value = _take(row, name)
    return value if isinstance(value, str) else None
