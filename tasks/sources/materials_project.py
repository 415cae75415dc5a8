"""Structures of the Materials Project, with what it knows of their stability and their charges.

Two routes of its API (https://api.materialsproject.org/docs) are asked: ``materials/summary`` and,
for the same materials, ``materials/phonon``. Born charges and dielectric tensors of the latter
belong to the structure in the same document, whose structure is taken then. The tensors of the
route ``materials/dielectric`` are not: they are given in the orientation of the IEEE standard,
and not in that of any structure.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tasks.failures import RemediableError
from tasks.sources.paging import RUN_SECONDS, Client, PageFolder

BASE_URL: Final = "https://api.materialsproject.org"
KEY_VARIABLE: Final = "MP_API_KEY"
_NAME: Final = "the Materials Project"
_AGENT: Final = "chiralscreen (Materials Project client)"
_SUMMARY_FIELDS: Final = (
    "material_id",
    "structure",
    "symmetry",
    "energy_above_hull",
    "band_gap",
    "theoretical",
    "ordering",
    "database_IDs",
    "builder_meta",
)
_PHONON_FIELDS: Final = (
    "material_id",
    "structure",
    "born",
    "epsilon_static",
    "epsilon_electronic",
    "phonon_method",
)
# The names of licences in its documents.
_LICENCES: Final = {"BY-C": "CC-BY-4.0", "BY-NC": "CC-BY-NC-4.0"}
# In documents of these methods the tensor named static is that of clamped ions; in those of the
# method "dfpt" it contains the response of the ions.
_CLAMPED: Final = {"phonopy", "pheasy"}


@dataclass(frozen=True)
class Query:
    """What to ask the Materials Project.

    Attributes
    ----------
    conditions : mapping from str to str
        Parameters of the route ``materials/summary``, such as ``elements``, ``chemsys``,
        ``formula``, ``spacegroup_number``, ``energy_above_hull_max``.
    page_limit : int
        Structures per page, at most 1000.
    charges : bool
        Whether Born charges are asked for.
    base_url : str
        Where its API is.
    """

    conditions: Mapping[str, str]
    page_limit: int = 500
    charges: bool = True
    base_url: str = BASE_URL

    @property
    def url(self) -> str:
        """URL of the whole query, without the key."""
        told = {"_fields": ",".join(_SUMMARY_FIELDS), "_limit": str(self.page_limit)}
        asked = {"deprecated": "false", **self.conditions, **told}
        return f"{self.base_url.rstrip('/')}/materials/summary/?{urlencode(sorted(asked.items()))}"

    def make_page_url(self, number: int) -> str:
        """URL of a page, the first of which has the number 1."""
        return f"{self.url}&_skip={(number - 1) * self.page_limit}"

    def make_phonon_url(self, materials: list[str]) -> str:
        """URL of the phonon documents of some materials."""
        asked = {
            "material_ids": ",".join(materials),
            "_fields": ",".join(_PHONON_FIELDS),
            # A material may have a document of each method.
            "_limit": str(min(3 * len(materials), 1000)),
        }
        return f"{self.base_url.rstrip('/')}/materials/phonon/?{urlencode(asked)}"


def parse_conditions(text: str) -> dict[str, str]:
    """Read conditions of the form ``name=value``, with blanks between them.

    Parameters
    ----------
    text : str
        Such as ``elements=Te,O energy_above_hull_max=0.05``.

    Returns
    -------
    dict
        Values by name.

    Raises
    ------
    RemediableError
        For anything else, and for parameters that `fetch` sets itself.
    """
    pairs = [word.partition("=") for word in text.split()]
    for name, equals, value in pairs:
        if not (equals and value and name.isidentifier()) or name.startswith("_"):
            message = f"no condition of the Materials Project: {name}{equals}{value}"
            raise RemediableError(message, "write name=value, as in elements=Te,O")
    return {name: value for name, _, value in pairs}


def fetch(
    query: Query,
    folder: Path,
    *,
    max_pages: int | None = None,
    hosts: tuple[str, ...] = (),
    seconds: float = RUN_SECONDS,
) -> Iterator[int]:
    """Save the pages that answer a query; continue where an earlier call stopped.

    The key is taken from the environment variable `KEY_VARIABLE`; it is neither saved nor told.

    Parameters
    ----------
    query : Query
        What to ask.
    folder : pathlib.Path
        Where ``page-00001.json.gz`` and the others are written; made with the first of them.
    max_pages : int, optional
        Stop after so many pages, those of earlier calls included.
    hosts : tuple of str
        Hosts besides its own to which redirections may lead; the key is not sent there.
    seconds : float
        Time of the whole run.

    Yields
    ------
    int
        Number of structures on each new page.

    Raises
    ------
    RemediableError
        When there is no key, the folder belongs to another query, or the API does not answer as it
        should.
    """
    client = Client(_NAME, _AGENT, query.base_url, hosts, seconds, ("X-API-KEY", _read_key()))
    pages = PageFolder.open(folder, f"{query.url}&charges={query.charges}", _NAME)
    last = pages.read_last_page()
    while not (last and _is_last(last, query, pages.number)) and pages.has_room(max_pages):
        number = pages.number + 1
        last = _make_page(client, query, number)
        pages.add(json.dumps(last).encode(), last, query.make_page_url(number))
        yield len(last["data"])


def _read_key() -> str:
    """The user's key."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        message = f"the environment variable {KEY_VARIABLE} is not set"
        remedy = "set it to your key from https://next-gen.materialsproject.org/api"
        raise RemediableError(message, remedy)
    return key


def _is_last(page: Mapping[str, Any], query: Query, number: int) -> bool:
    """Whether no page follows: the API tells how many documents there are, as a rule."""
    total, n_found = (page.get("meta") or {}).get("total_doc"), len(page["data"])
    if not isinstance(total, int):
        return n_found < query.page_limit
    if number * query.page_limit >= total:
        return True
    if n_found < query.page_limit:
        message = f"{_NAME} sent {n_found} of {query.page_limit} documents, and has {total}"
        raise RemediableError(message, "ask for smaller pages, into another folder")
    return False


def _make_page(client: Client, query: Query, number: int) -> dict[str, Any]:
    """Page in the form that `tasks.sources` reads, with the charges of its materials."""
    _, page = client.download_page(query.make_page_url(number))
    documents = [document for document in page["data"] if isinstance(document, Mapping)]
    names = [str(document["material_id"]) for document in documents if "material_id" in document]
    charged = (
        _select_charged(client.download_page(query.make_phonon_url(names))[1])
        if query.charges and names
        else {}
    )
    entries = [_make_entry(d, charged.get(str(d.get("material_id")), {})) for d in documents]
    told = {"provider": {"name": "Materials Project"}}
    return {"data": entries, "meta": {**(page.get("meta") or {}), **told}}


def _select_charged(page: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Structure, Born charges and electronic dielectric tensor by material, where all are given."""
    found: dict[str, dict[str, Any]] = {}
    for document in page["data"]:
        structure, born = document.get("structure"), document.get("born")
        tensor = document.get("epsilon_electronic")
        if tensor is None and document.get("phonon_method") in _CLAMPED:
            tensor = document.get("epsilon_static")
        # Charges of inequivalent atoms alone do not say which atoms these are.
        if structure and born and tensor and len(born) == len(structure["sites"]):
            entry = {"structure": structure, "born_charges": born, "dielectric_tensor": tensor}
            found.setdefault(str(document["material_id"]), entry)
    return found


def _make_entry(document: Mapping[str, Any], charged: Mapping[str, Any]) -> dict[str, Any]:
    """Record of a material."""
    built = document.get("builder_meta") or {}
    licence = built.get("license")
    name, ordering = document.get("material_id"), document.get("ordering")
    numbers = document.get("database_IDs") or {}
    return {
        "material_id": name,
        "structure": document.get("structure"),
        "space_group_number": (document.get("symmetry") or {}).get("number"),
        "energy_above_hull": document.get("energy_above_hull"),
        "band_gap": document.get("band_gap"),
        "theoretical": document.get("theoretical"),
        "magnetic_ordering": None if ordering == "Unknown" else ordering,
        "icsd_id": numbers.get("icsd"),
        "cod_id": numbers.get("cod"),
        "database_version": built.get("database_version"),
        "licence": _LICENCES.get(str(licence), licence),
        "url": f"https://next-gen.materialsproject.org/materials/{name}",
        **charged,
    }
