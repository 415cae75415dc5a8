"""One material in the formats of other programs."""

from pathlib import Path

import yaml
from ase.io import write

from tasks.catalogue import read_catalog
from tasks.columns import phonon_of, response_of, strain_columns
from tasks.failures import RemediableError
from tasks.phonons import atoms_of_cell
from tasks.phonopy_files import OWN_BLOCK
from tasks.sources import safe_id
from tasks.storage import Dataset
from tasks.sum_rules import impose_sum_rules


def export_material(dataset: Dataset, material_id: str, folder: Path) -> list[Path]:
    """Write the relaxed crystal as CIF and its force constants as phonopy YAML.

    Parameters
    ----------
    dataset : Dataset
        With a catalogue.
    material_id : str
        The material.
    folder : pathlib.Path
        Where to write; made where it is missing.

    Returns
    -------
    list of pathlib.Path
        ``<id>.cif``; ``<id>-phonopy.yaml`` with the force constants as they were computed, and
        the response to strain, which phonopy ignores and `tasks.phonopy_files` reads; and
        ``<id>-interpolated.yaml`` with those that obey the sum rules, in a supercell twice as long,
        from which phonopy obtains the frequencies of the catalogue at all q-points.

    Raises
    ------
    RemediableError
        When there are no force constants of this material.
    """
    plan = read_catalog(dataset.root, "plan").set_index("material_id")
    key = plan["phonon_key"].get(material_id)
    rows = dataset.read("force_constants", keys=[key]).to_pylist() if isinstance(key, str) else []
    if not rows:
        message = f"the dataset has no force constants of {material_id!r}"
        raise RemediableError(message, "see `chiralscreen status` for what became of it")
    phonon, response = phonon_of(rows[0]), response_of(rows[0])
    interpolated = impose_sum_rules(phonon, response).phonon
    folder.mkdir(parents=True, exist_ok=True)
    name = safe_id(material_id)
    paths = [folder / f"{name}{end}" for end in (".cif", "-phonopy.yaml", "-interpolated.yaml")]
    write(paths[0], atoms_of_cell(phonon.primitive))
    phonon.save(paths[1], settings={"force_constants": True})
    if response:
        strain = {name: value.ravel().tolist() for name, value in strain_columns(response).items()}
        with paths[1].open("a", encoding="utf-8") as stream:
            stream.write("\n")  # phonopy leaves its last line open
            yaml.safe_dump({OWN_BLOCK: strain}, stream, default_flow_style=None)
    interpolated.save(paths[2], settings={"force_constants": True})
    return paths
