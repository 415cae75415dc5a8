"""The same crystals in every kind of container."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from ase.build import bulk
from ase.db import connect
from ase.io import write
from pymatgen.io.ase import AseAtomsAdaptor

CRYSTALS = {
    "salt": bulk("NaCl", "rocksalt", a=5.64),
    "blende": bulk("ZnS", "zincblende", a=5.41),
    "silicon": bulk("Si"),
}


def cif_of(atoms: Atoms) -> str:
    """CIF of a crystal."""
    stream = io.BytesIO()
    write(stream, atoms, format="cif")
    return stream.getvalue().decode()


def optimade_entry(name: str, atoms: Atoms) -> dict[str, object]:
    """Entry of a crystal as a provider of OPTIMADE sends it."""
    symbols = list(dict.fromkeys(atoms.symbols))
    species = [
        {"name": f"{s}-kind", "chemical_symbols": [s], "concentration": [1.0]} for s in symbols
    ]
    attributes = {
        "lattice_vectors": atoms.cell.array.tolist(),
        "cartesian_site_positions": atoms.positions.tolist(),
        "species_at_sites": [f"{symbol}-kind" for symbol in atoms.symbols],
        "species": species,
        "dimension_types": [1, 1, 1],
        "nsites": len(atoms),
    }
    return {"id": name, "type": "structures", "attributes": attributes}


def pymatgen_entry(name: str, atoms: Atoms) -> dict[str, object]:
    """Dictionary of a crystal as pymatgen writes it, with a name beside it."""
    structure = AseAtomsAdaptor.get_structure(atoms).as_dict()
    return {"material_id": name, "structure": structure, "energy_above_hull": 0.02}


def columns_of(crystals: Mapping[str, Atoms]) -> dict[str, list[object]]:
    """Columns of a table that holds crystals as numbers."""
    return {
        "material_id": list(crystals),
        "lattice": [atoms.cell.array.ravel().tolist() for atoms in crystals.values()],
        "atomic_numbers": [atoms.numbers.tolist() for atoms in crystals.values()],
        "frac_coords": [a.get_scaled_positions().ravel().tolist() for a in crystals.values()],
        "nsites": [len(atoms) for atoms in crystals.values()],
    }


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", "material_id", "formation_energy_per_atom", "cif"])
        for index, (name, atoms) in enumerate(CRYSTALS.items()):
            writer.writerow([index, name, -1.0, cif_of(atoms)])


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table(columns_of(CRYSTALS)), path)


def write_json_lines(path: Path) -> None:
    entries = [pymatgen_entry(name, atoms) for name, atoms in CRYSTALS.items()]
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))


def write_json_lines_gz(path: Path) -> None:
    entries = [optimade_entry(name, atoms) for name, atoms in CRYSTALS.items()]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, entries)).encode()))


def write_json_list(path: Path) -> None:
    path.write_text(json.dumps([pymatgen_entry(n, atoms) for n, atoms in CRYSTALS.items()]))


def write_json_by_name(path: Path) -> None:
    named = {n: AseAtomsAdaptor.get_structure(a).as_dict() for n, a in CRYSTALS.items()}
    path.write_text(json.dumps(named))


def write_optimade_page(path: Path) -> None:
    data = [optimade_entry(name, atoms) for name, atoms in CRYSTALS.items()]
    page = {"data": data, "meta": {"provider": {"name": "Example", "prefix": "ex"}}}
    path.write_bytes(gzip.compress(json.dumps(page).encode()))


def write_database(path: Path) -> None:
    with connect(path) as database:
        for name, atoms in CRYSTALS.items():
            database.write(atoms, material_id=name, data={"array": atoms.positions})


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, atoms in CRYSTALS.items():
            archive.writestr(f"deep/{name}.cif", cif_of(atoms))
        archive.writestr("notes.txt", "no structure")


def write_tar(path: Path) -> None:
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:
        for name, atoms in CRYSTALS.items():
            add_member(archive, f"deep/{name}.cif.gz", gzip.compress(cif_of(atoms).encode()))


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file that exists nowhere to an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


WRITERS = {
    "mp_20.csv": write_csv,
    "numbers.parquet": write_parquet,
    "lines.jsonl": write_json_lines,
    "lines.jsonl.gz": write_json_lines_gz,
    "list.json": write_json_list,
    "named.json": write_json_by_name,
    "page-00001.json.gz": write_optimade_page,
    "ase.db": write_database,
    "set.zip": write_zip,
    "set.tar": write_tar,
    "set.tar.gz": write_tar,
    "set.tgz": write_tar,
    "set.tar.xz": write_tar,
}
