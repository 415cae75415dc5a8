"""One material in the formats of other programs."""

from pathlib import Path

import yaml
from ase import Atoms
from ase.io import write

from tasks.crystals.cells import make_atoms
from tasks.crystals.rows import Row
from tasks.failures import RemediableError
from tasks.phonons.charges import restore_charges
from tasks.phonons.phonopy_files import OWN_BLOCK
from tasks.phonons.rows import (
    interpolate_row,
    make_strain_columns,
    read_phonon,
    read_strain_response,
)
from tasks.results.catalogue import read_material
from tasks.results.stored_crystals import read_crystal
from tasks.sources import make_safe_id
from tasks.storage import TableFolder, TableSource


def export_material(tables: TableSource, material_id: str, folder: Path) -> list[Path]:
    """Write the relaxed crystal as CIF and its force constants as phonopy YAML.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue.
    material_id : str
        The material.
    folder : pathlib.Path
        Where to write; made where it is missing.

    Returns
    -------
    list of pathlib.Path
        ``<id>.cif``; ``<id>-phonopy.yaml`` with the force constants as they were computed, Born
        charges that were given, and the response to strain, which phonopy ignores and
        `tasks.phonons.phonopy_files` reads; and ``<id>-interpolated.yaml`` with those that obey
        the sum rules, in a supercell twice as long, and with the Born charges that were used,
        predicted ones included, from which phonopy obtains the frequencies of the catalogue at
        all q-points. The crystal alone, of tables that hold no force constants.

    Raises
    ------
    RemediableError
        When there is no such material, or no force constants of it in a dataset, or not even its
        crystal in the tables.
    """
    row = read_material(tables.root, material_id)
    key = row["phonon_key"] if row else None
    found = tables.read("force_constants", keys=[key]).to_pylist() if isinstance(key, str) else []
    start = folder / make_safe_id(material_id)
    if row and found:
        return _write_force_constants(found[0], row, start)
    if row and isinstance(tables, TableFolder):
        return [_write_crystal(read_crystal(tables, "relaxations", row), start)]
    message = f"{tables.root} has no force constants of {material_id!r}"
    raise RemediableError(message, "`chiralscreen status` says what happened to it")


def _write_force_constants(constants: Row, analysed: Row, start: Path) -> list[Path]:
    """Files of a row of ``force_constants``, whose names begin alike."""
    phonon, response = read_phonon(constants), read_strain_response(constants)
    interpolated = interpolate_row(restore_charges(constants, analysed)).phonon
    paths = [start.with_name(start.name + end) for end in ("-phonopy.yaml", "-interpolated.yaml")]
    crystal = _write_crystal(make_atoms(phonon.primitive), start)
    phonon.save(paths[0], settings={"force_constants": True})
    if response:
        strain = {
            name: value.ravel().tolist() for name, value in make_strain_columns(response).items()
        }
        with paths[0].open("a", encoding="utf-8") as stream:
            stream.write("\n")  # phonopy leaves its last line open
            yaml.safe_dump({OWN_BLOCK: strain}, stream, default_flow_style=None)
    interpolated.save(paths[1], settings={"force_constants": True})
    return [crystal, *paths]


def _write_crystal(atoms: Atoms, start: Path) -> Path:
    """Write a CIF; its folder is made where it is missing."""
    path = start.with_name(f"{start.name}.cif")
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, atoms)
    return path
