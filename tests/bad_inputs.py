"""A folder of defective structure files, for tests of everything that reads structures.

A record is named by its file relative to the folder, followed by ``#`` and the name of the CIF
block or the number of the frame where a file holds several.
"""

from pathlib import Path

import numpy as np

# Records of the same folder without a defect: they must come through.
SOUND_RECORDS = (
    "good.cif",
    "frames.extxyz#0",
    "frames.extxyz#2",
    "traversal.cif#sound",
    "twin-a/twin.cif",
)

# Sound crystals whose name would leave the folder: to be refused or renamed, never used as a path.
TRAVERSAL_RECORDS = ("traversal.cif#../../escaped", "traversal.extxyz")

# Sound crystals to any reader: refused by the elements of a potential or the limits of a run.
LIMIT_RECORDS = ("oganesson.cif", "einsteinium.cif", "huge.cif")

# Word to look for, in any case, in the reason why a record is refused.
REASONS = {
    "corrupt.cif": "unreadable",
    "prose.cif": "unreadable",
    "rubbish.cif": "unreadable",
    "rubbish.extxyz": "unreadable",
    "nan.cif": "unreadable",
    "frames.extxyz#1": "unreadable",
    "empty.cif": "empty",
    "empty.extxyz": "empty",
    "nan.extxyz": "finite",
    "mixed-site.cif": "disorder",
    "vacancies.cif": "disorder",
    "overlap.cif": "overlap",
    "crushed.cif": "absurd",
    "vacuum.cif": "absurd",
    "oganesson.cif": "element",
    "einsteinium.cif": "element",
    "huge.cif": "atoms",
    "traversal.cif#../../escaped": "name",
    "traversal.extxyz": "name",
    "twin-b/twin.cif": "duplicate",
}

# Element, fractional coordinates, occupancy.
Sites = list[tuple[str, float, float, float, float]]

SILICON: Sites = [("Si", 0.0, 0.0, 0.0, 1.0), ("Si", 0.25, 0.25, 0.25, 1.0)]
SILICON_CELL = (3.84, 3.84, 3.84, 60.0, 60.0, 60.0)
CUBE = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)


def cif_block(name: str, sites: Sites, cell: tuple[float, ...] = CUBE) -> str:
    """Write one CIF data block in P1."""
    kinds = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", *(f"_cell_{k} {v}" for k, v in zip(kinds, cell, strict=True))]
    lines += ["_space_group_IT_number 1", "_space_group_name_H-M_alt 'P 1'"]
    lines += ["loop_", "_space_group_symop_operation_xyz", "'x,y,z'", "loop_"]
    items = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    lines += [f"_atom_site_{item}" for item in items]
    for index, (element, *position, occupancy) in enumerate(sites, start=1):
        numbers = " ".join(f"{value:.6f}" for value in position)
        lines.append(f"{element}{index} {element} {numbers} {occupancy}")
    return "\n".join(lines) + "\n"


def xyz_frame(first: str = "0.0 0.0 0.0", info: str = "") -> str:
    """Write one extended XYZ frame of silicon; `first` is the position of the first atom."""
    lattice = 'Lattice="0.0 2.715 2.715 2.715 0.0 2.715 2.715 2.715 0.0"'
    comment = f'{lattice} Properties=species:S:1:pos:R:3 pbc="T T T" {info}'.rstrip()
    return f"2\n{comment}\nSi {first}\nSi 1.3575 1.3575 1.3575\n"


def sphalerite(element: str) -> str:
    """Write a sulfide of sphalerite type, which has no inversion centre."""
    sites = [(element, 0.0, 0.0, 0.0, 1.0), ("S", 0.25, 0.25, 0.25, 1.0)]
    return cif_block("sphalerite", sites, (4.5, 4.5, 4.5, 60.0, 60.0, 60.0))


def huge_cell() -> str:
    """Write a cell of 500 atoms that no symmetry makes smaller."""
    edges = np.arange(10) / 10
    grid = np.stack(np.meshgrid(edges, edges, edges[::2], indexing="ij"), axis=-1).reshape(-1, 3)
    rattled = grid + np.random.default_rng(500).normal(scale=2e-3, size=grid.shape)
    sites = [("Si", float(x), float(y), float(z), 1.0) for x, y, z in rattled]
    return cif_block("huge", sites, (27.0, 27.0, 13.5, 90.0, 90.0, 90.0))


def _texts() -> dict[str, str]:
    """Text of every file that is text, sound ones included."""
    good = cif_block("good", SILICON, SILICON_CELL)
    nowhere = [("Na", 0.0, 0.0, 0.0, 1.0), ("Cl", float("nan"), 0.5, 0.5, 1.0)]
    crushed, vacuum = (0.5, 0.5, 0.5, *CUBE[3:]), (90.0, 90.0, 90.0, *CUBE[3:])
    return {
        "good.cif": good,
        "corrupt.cif": good[: good.index("_atom_site_fract_y")],
        "empty.cif": "",
        "prose.cif": "This file has the name of a crystal structure and holds none.\n",
        "mixed-site.cif": cif_block(
            "mixed", [("Fe", 0.0, 0.0, 0.0, 0.5), ("Ni", 0.0, 0.0, 0.0, 0.5)]
        ),
        "vacancies.cif": cif_block(
            "vacancies", [("Na", 0.0, 0.0, 0.0, 1.0), ("Cl", 0.5, 0.5, 0.5, 0.9)]
        ),
        "overlap.cif": cif_block(
            "overlap", [("Na", 0.0, 0.0, 0.0, 1.0), ("Cl", 0.01, 0.0, 0.0, 1.0)]
        ),
        "nan.cif": cif_block("nan", nowhere),
        "nan.extxyz": xyz_frame(first="nan 0.0 0.0"),
        "crushed.cif": cif_block("crushed", [("H", 0.0, 0.0, 0.0, 1.0)], crushed),
        "vacuum.cif": cif_block("vacuum", [("He", 0.0, 0.0, 0.0, 1.0)], vacuum),
        "oganesson.cif": sphalerite("Og"),
        "einsteinium.cif": sphalerite("Es"),
        "huge.cif": huge_cell(),
        "traversal.cif": cif_block("sound", SILICON, SILICON_CELL)
        + cif_block("../../escaped", SILICON, SILICON_CELL),
        "traversal.extxyz": xyz_frame(info="material_id=../../escaped"),
        "twin-a/twin.cif": good,
        "twin-b/twin.cif": good,
        "frames.extxyz": xyz_frame() + xyz_frame(first="0.0 here 0.0") + xyz_frame(),
        "empty.extxyz": "",
    }


def _rubbish() -> dict[str, bytes]:
    """Content of the files that are not text."""
    rubbish = np.random.default_rng(7).integers(0, 256, size=2048, dtype=np.uint8).tobytes()
    return {"rubbish.cif": rubbish, "rubbish.extxyz": rubbish}


def write_bad_inputs(folder: Path) -> dict[str, str]:
    """Write defective and sound files; return the expected word of the reason by record."""
    texts = {name: text.encode() for name, text in _texts().items()}
    for name, content in {**texts, **_rubbish()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return dict(REASONS)
