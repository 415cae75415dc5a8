"""What becomes of files whose text a test writes."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.crystals import Material
from tasks.failures import Failure
from tasks.sources.materials import read_materials

SYMPREC = 0.01
QUARTZ_CELL = (4.9137, 4.9137, 5.4047, 90, 90, 120)
QUARTZ_SITES = "Si1 Si 0.4697 0 0.6667\nO1 O 0.4135 0.2669 0.7858"
QUARTZ_SYMMETRY = """loop_
_symmetry_equiv_pos_as_xyz
'x,y,z'
'-y,x-y,z+2/3'
'-x+y,-x,z+1/3'
'y,x,-z'
'x-y,-y,-z+1/3'
'-x,-x+y,-z+2/3'
"""
COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
TELLURIUM_CELL = ((4.4572, 0, 0), (-2.2286, 3.86004843, 0), (0, 0, 5.929))
TELLURIUM = ((0.2636, 0, 1 / 3), (0, 0.2636, 2 / 3), (0.7364, 0.7364, 0))


def cif(
    sites: str = QUARTZ_SITES,
    symmetry: str = QUARTZ_SYMMETRY,
    cell: tuple[float, ...] = QUARTZ_CELL,
    columns: tuple[str, ...] = COLUMNS,
    name: str = "q",
) -> str:
    """Write a CIF, by default of left-handed quartz."""
    kinds = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", *(f"_cell_{k} {v}" for k, v in zip(kinds, cell, strict=True))]
    lines += [symmetry.strip(), "loop_", *(f"_atom_site_{column}" for column in columns), sites]
    return "\n".join(lines) + "\n"


def poscar(symbols: str | None = "Te", counts: str = "3", title: str = "tellurium") -> str:
    """Write a POSCAR of tellurium."""
    cell = [" ".join(map(str, vector)) for vector in TELLURIUM_CELL]
    rows = [" ".join(map(str, position)) for position in TELLURIUM]
    head = [title, "1.0", *cell, *([] if symbols is None else [symbols]), counts, "Direct"]
    return "\n".join([*head, *rows]) + "\n"


def record(**further: object) -> str:
    """Write a record of tellurium as JSON; what is None is left out."""
    entry = {"lattice": TELLURIUM_CELL, "species_at_sites": ["Te"] * 3, "frac_coords": TELLURIUM}
    return json.dumps({k: v for k, v in (entry | further).items() if v is not None})


def read(name: str, content: str | bytes) -> list[Material | Failure]:
    """Read a file of some name and content."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_materials(path, SYMPREC))


def accepted(name: str, content: str | bytes) -> Material:
    """Read a file that holds one crystal."""
    [found] = read(name, content)
    assert isinstance(found, Material), found
    return found


def refused(name: str, content: str | bytes) -> Failure:
    """Read a file that holds one record which is no crystal."""
    [found] = read(name, content)
    assert isinstance(found, Failure), found
    return found
