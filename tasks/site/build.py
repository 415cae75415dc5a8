"""From datasets to a folder that any web server can serve."""

import hashlib
import json
import lzma
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from ase.io import write
from phonopy import Phonopy

from tasks.phonons.rows import read_phonon
from tasks.results.interchange import (
    format_bibtex,
    format_citation_file,
    make_optimade_response,
    make_optimade_structure,
    make_phononwebsite_data,
)
from tasks.site.index import write_index
from tasks.site.json_values import to_json_value, write_json
from tasks.site.material import make_material_page, read_page_phonon, read_shown_crystal
from tasks.site.potential_notes import get_potential_note, list_works
from tasks.site.sources import (
    MaterialDetails,
    Row,
    SiteSource,
    name_variants,
    open_sources,
    read_catalogue_batches,
    read_catalogue_rows,
    read_details,
    read_runs_by_potential,
)
from tasks.site.table import NEEDED, describe_columns, make_site_table, write_table
from tasks.sources import make_safe_id
from tasks.storage import CATALOG_TABLES, TABLES
from tasks.units import UNITS

ASSETS = Path(__file__).parent / "assets"
_AT_ONCE = 8
# Raised when pages change for equal results.
_LAYOUT = 4
_OPENING = '{"stamp":"'

OtherPotential = tuple[str, str]


@dataclass(frozen=True)
class PageBatch:
    """Some materials of one dataset whose pages are written together.

    Attributes
    ----------
    source : SiteSource
        Their dataset.
    rows : tuple of mapping
        Their rows of the catalogue.
    variants : tuple of str
        Potential of each.
    twins : tuple of tuple
        Of each, the (material, potential) pairs of the same structure, itself included.
    output : pathlib.Path
        Folder of the site.
    full : bool
        Whether large downloads are written: force constants and phononwebsite files.
    """

    source: SiteSource
    rows: tuple[Row, ...]
    variants: tuple[str, ...]
    twins: tuple[tuple[OtherPotential, ...], ...]
    output: Path
    full: bool


Spread = Callable[[Callable[[PageBatch], int], Iterable[PageBatch]], Iterable[int]]


def build_site(
    folders: Sequence[Path],
    output: Path,
    *,
    title: str = "Chiral phonons",
    full: bool = True,
    parallel_map: Spread = map,
) -> Iterator[tuple[int, int]]:
    """Write the catalogue site of some datasets.

    Pages come first and the table last, so that a table never names a page that is not there.
    Pages that an earlier build finished from the same results are left as they are.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Folders of datasets; several for several potentials.
    output : pathlib.Path
        Folder of the site.
    title : str
        Heading of the site.
    full : bool
        Write force constants and phononwebsite files as well, the larger downloads.
    parallel_map : callable
        Applies a function to batches, in this process or in others.

    Yields
    ------
    n_done, n_all : int
        Materials whose pages are written, and all of them.

    Raises
    ------
    RemediableError
        When a folder has no catalogue.
    """
    sources = open_sources(folders)
    tables = [read_catalogue_rows(source, NEEDED) for source in sources]
    names = name_variants(sources, tables)
    table = pa.concat_tables(map(make_site_table, tables, names))
    output.mkdir(parents=True, exist_ok=True)
    done = 0
    for count in parallel_map(write_pages, _make_batches(sources, tables, names, output, full)):
        done += count
        yield done, len(table)
    write_table(table, output / "materials.parquet")
    about = _describe_site(title, sources, table)
    write_index(output, title, about["version"], about["columns"], about["files"])
    write_json(output / "site.json", about)
    for name, text in _format_citations(sources, tables).items():
        (output / name).write_text(text, encoding="utf-8")
    shutil.copytree(ASSETS, output, dirs_exist_ok=True)


def write_pages(batch: PageBatch) -> int:
    """Write the pages and downloads of some materials."""
    every = zip(batch.rows, batch.variants, batch.twins, strict=True)
    stamped = [
        (row, name, twins, _compute_stamp(row, twins, batch.full)) for row, name, twins in every
    ]
    old = [item for item in stamped if not _is_current(_get_page_path(batch, *item[:2]), item[3])]
    found = read_details(batch.source, [item[0] for item in old], [item[1] for item in old])
    for one, (_, _, twins, stamp) in zip(found, old, strict=True):
        _write_page(one, twins, stamp, batch)
    return len(batch.rows)


def _get_page_path(batch: PageBatch, row: Row, name: str) -> Path:
    """File of a page."""
    return (
        batch.output / "materials" / make_safe_id(row["material_id"]) / f"{make_safe_id(name)}.json"
    )


def _compute_stamp(row: Row, twins: Sequence[OtherPotential], full: bool) -> str:
    """Digest of what a page follows from: the row holds the keys of all its results."""
    source = [_LAYOUT, version("chiralscreen"), full, twins, row]
    return hashlib.sha256(json.dumps(source, default=str).encode()).hexdigest()


def _is_current(page: Path, stamp: str) -> bool:
    """Whether a page was finished by an earlier build from the same numbers."""
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return file.read(len(_OPENING) + len(stamp)) == (_OPENING + stamp).encode()


def _write_page(
    found: MaterialDetails, twins: Sequence[OtherPotential], stamp: str, batch: PageBatch
) -> None:
    """Write the downloads of one material, and its page last."""
    phonon = read_page_phonon(found)
    content, modes = make_material_page(found, phonon)
    page: dict[str, Any] = {"stamp": stamp} | content
    path = _get_page_path(batch, found.row, found.variant)
    folder, name = path.parent, path.stem
    page["twins"] = [list(twin) for twin in twins]
    page["downloads"] = _write_downloads(found, phonon, folder, name, full=batch.full)
    if modes is not None:
        write_json(folder / f"{name}.modes.json", modes)
    write_json(path, page)


def _write_downloads(
    found: MaterialDetails, phonon: Phonopy | None, folder: Path, name: str, *, full: bool
) -> list[list[str]]:
    """Write the crystal and the phonons in other formats: title and file of each."""
    atoms = read_shown_crystal(found, phonon)
    if atoms is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    material_id = make_safe_id(found.row["material_id"])
    cif, optimade = folder / f"{name}.cif", folder / f"{name}.optimade.json"
    write(cif, atoms)
    extra = {
        key: to_json_value(found.row[key]) for key in ("space_group_number", "score", "potential")
    }
    entry = make_optimade_structure(atoms, material_id, **extra)
    files: list[tuple[str, Path]] = [("Structure (CIF)", cif)]
    files.append(("Structure (OPTIMADE)", write_json(optimade, make_optimade_response([entry]))))
    if phonon is not None and found.force_constants is not None and full:
        yaml, bands = folder / f"{name}.phonopy.yaml.xz", folder / f"{name}.phononwebsite.json"
        computed = _save_phonopy(read_phonon(found.force_constants), yaml)
        files.append(("Force constants as computed (phonopy YAML)", computed))
        animated = write_json(bands, make_phononwebsite_data(phonon, material_id))
        files.append(("Animation (phononwebsite)", animated))
    return [[title, file.name] for title, file in files]


def _save_phonopy(phonon: Phonopy, path: Path) -> Path:
    """Write a compressed phonopy YAML file, which phonopy reads as it is."""
    with tempfile.TemporaryDirectory() as folder:
        plain_file = Path(folder) / "phonopy_params.yaml"
        phonon.save(plain_file, settings={"force_constants": True})
        path.write_bytes(lzma.compress(plain_file.read_bytes(), preset=1))
    return path


def _make_batches(
    sources: Sequence[SiteSource],
    tables: Sequence[pa.Table],
    names: Sequence[Sequence[str]],
    output: Path,
    full: bool,
) -> Iterator[PageBatch]:
    """Materials of all datasets, a few at a time."""
    twins = _group_by_structure(tables, names)
    for source, potentials in zip(sources, names, strict=True):
        start = 0
        for rows in read_catalogue_batches(source, _AT_ONCE):
            here = potentials[start : start + len(rows)]
            related = (
                _list_other_potentials(row, name, twins)
                for row, name in zip(rows, here, strict=True)
            )
            yield PageBatch(source, tuple(rows), tuple(here), tuple(related), output, full)
            start += len(rows)


def _group_by_structure(
    tables: Sequence[pa.Table], names: Sequence[Sequence[str]]
) -> Mapping[str, dict[OtherPotential, None]]:
    """Materials and potentials by name and by digest of the structure."""
    twins: dict[str, dict[OtherPotential, None]] = defaultdict(dict)
    for table, potentials in zip(tables, names, strict=True):
        ids, hashes = (table[name].to_pylist() for name in ("material_id", "structure_hash"))
        for material_id, digest, potential in zip(ids, hashes, potentials, strict=True):
            for key in (f"id {material_id}", f"hash {digest}"):
                twins[key][make_safe_id(material_id), potential] = None
    return twins


def _list_other_potentials(
    row: Row, name: str, twins: Mapping[str, dict[OtherPotential, None]]
) -> tuple[OtherPotential, ...]:
    """Other potentials of one structure; itself alone where there are none."""
    itself = (make_safe_id(row["material_id"]), name)
    digest = row["structure_hash"]
    same = twins[f"hash {digest}"] if digest else {}
    every = {itself: None} | twins[f"id {row['material_id']}"] | same
    others = [twin for twin in every if twin[1] != name]
    return tuple(sorted([itself, *others], key=lambda twin: twin[1]))


def _describe_site(title: str, sources: Sequence[SiteSource], table: pa.Table) -> dict[str, Any]:
    """What the browser must know besides the table: columns, elements, versions."""
    every = " ".join(filter(None, table["elements"].unique().to_pylist()))
    used = sorted({chemical_symbols.index(symbol) for symbol in every.split()})
    described = [*CATALOG_TABLES["chirality"].columns]
    described += [*TABLES["relaxations"].columns, *TABLES["phonons"].columns]
    return {
        "title": title,
        "version": version("chiralscreen"),
        "datasets": [source.label for source in sources],
        "files": {name: make_safe_id(name) for name in table["potential"].unique().to_pylist()},
        "n_rows": len(table),
        "columns": describe_columns(),
        "descriptions": {c.name: [c.unit, c.description] for c in reversed(described)},
        "modes": {c.name: [c.unit, c.description] for c in TABLES["modes"].columns},
        "units": {
            unit.name: {"text": unit.text, "per_terahertz": unit.per_terahertz}
            for unit in UNITS.values()
        },
        "elements": [chemical_symbols[z] for z in used],
        "symbols": chemical_symbols[1:],
        "looks": [_describe_look(z) for z in range(1, len(chemical_symbols))],
    }


def _describe_look(number: int) -> list[str | float]:
    """Colour of an element as six hexadecimal digits, and its covalent radius (Å)."""
    known = number < min(len(jmol_colors), len(covalent_radii))
    red, green, blue = (round(255 * part) for part in jmol_colors[number if known else 0])
    radius = float(covalent_radii[number]) if known else 1.2
    return [f"#{red:02x}{green:02x}{blue:02x}", round(radius, 2)]


def _format_citations(sources: Sequence[SiteSource], tables: Sequence[pa.Table]) -> dict[str, str]:
    """Citation files of the site by their names."""
    works = {
        get_potential_note(name, run).citation
        for source, table in zip(sources, tables, strict=True)
        for (name, _), run in read_runs_by_potential(source).items()
        if name in table["potential"].unique().to_pylist()
    }
    columns = {
        name: {value for table in tables for value in table[name].unique().to_pylist()} - {None}
        for name in ("database", "licence")
    }
    references = list_works(works, columns["database"])
    program = version("chiralscreen")
    return {
        "CITATION.cff": format_citation_file(program, references, columns["licence"]),
        "CITATION.bib": format_bibtex(program, references),
    }
