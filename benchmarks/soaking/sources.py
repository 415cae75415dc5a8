"""What is screened: alloys with a cheap potential, crystals of the demo with the default one."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.io import write
from ase.spacegroup import crystal

_DEMO = Path(__file__).parents[2] / "data" / "demo"
# The test may leave the CPU to others for long, and a sound record would count as one that hangs.
_QUICK = """
source: {record_seconds: 600}
phonons: {min_supercell_length: 5.0, max_atoms: 32, max_enlargements: 0}
chirality: {mesh_spacing: 0.1, path_spacing: 0.2}
"""
_SETTINGS = {
    "alloys": f'potential: {{name: "ase:ase.calculators.emt:EMT"}}\n{_QUICK}',
    "demo": _QUICK,
}
_OF_DEMO = ("te.cif", "gaas.cif")


@dataclass(frozen=True)
class Work:
    """What a round screens.

    Attributes
    ----------
    name : str
        ``alloys`` or ``demo``.
    source : pathlib.Path
        Folder of structures.
    settings : pathlib.Path
        Of the screening.
    """

    name: str
    source: Path
    settings: Path


def write_works(folder: Path) -> dict[str, Work]:
    """Write the sources and settings.

    Parameters
    ----------
    folder : pathlib.Path
        Made where it is missing; what is there stays, since names and times of files are stored.

    Returns
    -------
    dict from str to Work
        By name.
    """
    works = {name: Work(name, folder / name, folder / f"{name}.yaml") for name in _SETTINGS}
    for name, work in works.items():
        if not work.settings.exists():
            work.source.mkdir(parents=True)
            (_write_alloys if name == "alloys" else _copy_demo)(work.source)
            work.settings.write_text(_SETTINGS[name])
    return works


def _copy_demo(folder: Path) -> None:
    for name in _OF_DEMO:
        shutil.copy(_DEMO / name, folder)


def _write_alloys(folder: Path) -> None:
    """Write crystals that are screened, mirrored, skipped, and that fail in every stage."""
    for name, atoms in _alloys().items():
        write(folder / f"{name}.cif", atoms)
    (folder / "broken.cif").write_text("data_broken\nloop_\n_atom_site_label\n")


def _alloys() -> dict[str, Atoms]:
    # Chiral and stable: gold on helices in a face-centred lattice.
    helix = crystal(
        ["Au", "Cu", "Cu"],
        [(0.82, 0, 1 / 3), (0.33, 0, 1 / 3), (0.326, 0.502, 0.342)],
        spacegroup=152,
        cellpar=[5.25, 5.25, 6.46, 90, 90, 120],
    )
    mirrored = helix.copy()
    mirrored.set_scaled_positions(-helix.get_scaled_positions())
    return {
        "helix": helix,
        "mirrored": mirrored,
        "silver": bulk("CuAg", "zincblende", a=5.8),
        "gold": bulk("CuAu", "zincblende", a=5.74),
        # Becomes centrosymmetric under this potential.
        "wurtzite": bulk("CuAu", "wurtzite", a=4.1, c=6.7),
        "centrosymmetric": bulk("Cu"),
        # The potential does not know silicon.
        "carbide": bulk("SiC", "zincblende", a=4.36),
    }
