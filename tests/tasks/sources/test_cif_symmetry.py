"""Operations are read as the file states them, and fit its cell, or the file is refused."""

import pytest
import spglib

from tasks.sources.cif import parse_cif
from tasks.sources.cif_symmetry import read_operations
from tasks.symmetry import find_dataset
from tests.tasks.sources.records_of import (
    QUARTZ_CELL,
    QUARTZ_SYMMETRY,
    SYMPREC,
    accepted,
    cif,
    refused,
)

TE = "Te1 Te 0.2633 0 0.33333"
TE_CELL = (4.457, 4.457, 5.929, 90, 90, 120)
SILICON = "Si1 Si 0.125 0.125 0.125"
CUBE = (5.431, 5.431, 5.431, 90, 90, 90)
UNIQUE_C = (5.1, 6.2, 7.3, 90, 90, 100)
GENERAL = "Zn1 Zn 0.12 0.05 0.21\nO1 O 0.41 0.22 0.33\nCl1 Cl 0.75 0.57 0.14"
ANYWHERE = "Zn1 Zn 0.123 0.057 0.219\nO1 O 0.413 0.227 0.337\nCl1 Cl 0.771 0.563 0.149"
HEAZLEWOODITE = "Ni1 Ni 0.5 0.2449 -0.2449\nS1 S 0.2521 0.2521 0.2521"
RHOMBOHEDRON = (4.0718, 4.0718, 4.0718, 90.459, 90.459, 90.459)


def symbol(text: str) -> str:
    return f"_symmetry_space_group_name_H-M '{text}'"


def group(material) -> int:
    return int(find_dataset(material.atoms, SYMPREC).number)


@pytest.mark.parametrize(
    ("symmetry", "cell", "sites", "number", "n_atoms"),
    [
        ("_space_group_name_Hall 'P 32 2\"'", QUARTZ_CELL, None, 154, 9),
        ("_space_group_name_Hall 'p 32 2\"'", QUARTZ_CELL, None, 154, 9),
        ("_space_group_IT_number 154", QUARTZ_CELL, None, 154, 9),
        (symbol("P 32 2 1"), QUARTZ_CELL, None, 154, 9),
        (symbol("F d -3 m :2"), CUBE, SILICON, 227, 2),
        (symbol("F d -3 m Z"), CUBE, SILICON, 227, 2),
        (symbol("F d -3 m :1"), CUBE, "Si1 Si 0 0 0", 227, 2),
        (symbol("P 21"), UNIQUE_C, GENERAL, 4, 6),
        (symbol("P 1 1 21"), UNIQUE_C, GENERAL, 4, 6),
        (symbol("R 3 2 :R"), RHOMBOHEDRON, HEAZLEWOODITE, 155, 5),
        (symbol("P3(2)21"), QUARTZ_CELL, None, 154, 9),
        (symbol("R 3 2"), RHOMBOHEDRON, HEAZLEWOODITE, 155, 5),
        (symbol("P 21/c"), (5.1, 6.2, 7.3, 90, 90, 90), GENERAL, 14, 12),
        (symbol("P m n b"), (5.4, 6.4, 7.4, 90, 90, 90), "Si1 Si 0.25 0.2 0.3", 62, 4),
    ],
)
def test_names_of_settings_give_the_crystal(symmetry, cell, sites, number, n_atoms):
    given = {"symmetry": symmetry, "cell": cell} | ({"sites": sites} if sites else {})
    found = accepted("x.cif", cif(**given))
    assert (group(found), len(found.atoms)) == (number, n_atoms)
    assert any("symmetry operations of group" in note for note in found.notes)


@pytest.mark.parametrize(
    ("symmetry", "cell", "sites", "words"),
    [
        ("", QUARTZ_CELL, None, "no symmetry operations and no space group"),
        ("_space_group_name_Hall ?", QUARTZ_CELL, None, "no symmetry operations"),
        (symbol("F d -3 m"), CUBE, SILICON, "several settings"),
        ("_space_group_IT_number 14", (5.1, 6.2, 7.3, 90, 90, 90), GENERAL, "several settings"),
        (symbol("P 1 21 1"), UNIQUE_C, GENERAL, "do not leave the cell as it is"),
        (symbol("R 3 2 :H"), RHOMBOHEDRON, HEAZLEWOODITE, "do not leave the cell as it is"),
        (symbol("Q 7 7"), QUARTZ_CELL, None, "not known"),
        (f"{symbol('P 31 2 1')}\n_space_group_IT_number 154", QUARTZ_CELL, None, "two space"),
        (f"{symbol('P 1')}\n_space_group_IT_number 154", QUARTZ_CELL, None, "two space groups"),
        (f"_space_group_IT_number 152\n{QUARTZ_SYMMETRY}", QUARTZ_CELL, None, "group 152"),
        (QUARTZ_SYMMETRY, (4.9, 5.9, 5.4, 90, 90, 120), None, "do not leave the cell"),
        (QUARTZ_SYMMETRY.replace("'y,x,-z'\n", ""), QUARTZ_CELL, None, "no group"),
        (QUARTZ_SYMMETRY.replace("'y,x,-z'", "'y,x,-z/0'"), QUARTZ_CELL, None, "no symmetry"),
        (QUARTZ_SYMMETRY.replace("'y,x,-z'", "'y,x'"), QUARTZ_CELL, None, "no symmetry operation"),
        (QUARTZ_SYMMETRY.replace("'y,x,-z'", "'y,y,-z'"), QUARTZ_CELL, None, "no rotation"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_named(symmetry, cell, sites, words):
    given = {"symmetry": symmetry, "cell": cell} | ({"sites": sites} if sites else {})
    failure = refused("x.cif", cif(**given))
    assert words in failure.message
    assert failure.remedy


def test_p1_with_its_one_operation_is_believed():
    found = accepted("x.cif", cif(symmetry=f"{symbol('P 1')}\n_symmetry_equiv_pos_as_xyz x,y,z"))
    assert len(found.atoms) == 2


def test_all_settings_give_their_own_group():
    """Every Hall symbol of the tables gives back its number, with generic sites."""
    for hall in range(1, 531, 23):
        kind = spglib.get_spacegroup_type(hall)
        cell = _cell_of(kind)
        given = f"_space_group_name_Hall '{kind.hall_symbol}'"
        atoms = parse_cif(cif(ANYWHERE, given, cell)).atoms
        operations = spglib.get_symmetry_from_database(hall)["rotations"]
        assert len(atoms) == 3 * len(operations), kind.hall_symbol
        assert find_dataset(atoms, SYMPREC).number == kind.number, kind.hall_symbol


def _cell_of(kind) -> tuple[float, ...]:
    """Cell large enough for any group, of the crystal system of a setting."""
    a, b, c = 17.0, 19.0, 23.0
    number, choice = kind.number, kind.choice
    if number <= 2:
        return (a, b, c, 81, 87, 97)
    if number <= 15:
        axis = choice.lstrip("-")[0]
        return (a, b, c, *(97 if axis == name else 90 for name in "abc"))
    if number <= 74:
        return (a, b, c, 90, 90, 90)
    if number <= 142:
        return (a, a, c, 90, 90, 90)
    if number <= 194:
        return (a, a, a, 77, 77, 77) if choice == "R" else (a, a, c, 90, 90, 120)
    return (a, a, a, 90, 90, 90)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("x,y,z", [1, 0, 0, 0]),
        ("-X+1/2, y, z", [-1, 0, 0, 0.5]),
        ("1/2-x,y,z", [-1, 0, 0, 0.5]),
        ("x-y,-y,z", [1, -1, 0, 0]),
        ("0.5+x,y,z", [1, 0, 0, 0.5]),
        ("x+.333,y,z", [1, 0, 0, 1 / 3]),
    ],
)
def test_operations_are_read_in_every_spelling(text, row):
    found = read_operations((text,))
    assert [*found.rotations[0, 0], found.translations[0, 0]] == pytest.approx(row)


def test_a_magnetic_cif_gives_its_crystal():
    """The time reversal of an operation moves no atom."""
    listed = """loop_
_space_group_symop_magn_operation.xyz
x,y,z,+1
-x,-y,-z,-1
loop_
_space_group_symop_magn_centering.xyz
x,y,z,+1
x+1/2,y+1/2,z+1/2,-1
"""
    found = accepted("x.mcif", cif("Fe1 Fe 0.1 0.2 0.3", listed, (7, 8, 9, 80, 85, 95)))
    assert (group(found), len(found.atoms)) == (2, 2)
    assert found.notes == ("the magnetic moments are not read",)
    modulated = cif(symmetry=f"_cell_modulation_dimension 1\n{QUARTZ_SYMMETRY}")
    assert "modulated" in refused("x.cif", modulated).message


@pytest.mark.parametrize(
    ("sites", "symmetry"),
    [
        ("Si1 Si 0.470 0 0.667\nO1 O 0.413 0.267 0.786", QUARTZ_SYMMETRY),
        ("Si1 Si 0.470 0.000 0.6666\nO1 O 0.413 0.267 0.786", QUARTZ_SYMMETRY),
        (
            "Si1 Si 0.470 0 0.667\nO1 O 0.413 0.267 0.786",
            QUARTZ_SYMMETRY.replace("2/3", "0.667").replace("1/3", "0.333"),
        ),
    ],
)
def test_three_digits_give_the_crystal_that_was_meant(sites, symmetry):
    found = accepted("x.cif", cif(sites, symmetry))
    assert (group(found), str(found.atoms.symbols)) == (154, "Si3O6")


def test_a_move_onto_a_special_position_is_told():
    found = accepted("x.cif", cif("Te1 Te 0.263 0 0.333", symbol("P 31 2 1"), TE_CELL))
    assert (group(found), len(found.atoms)) == (152, 3)
    assert "sites moved by up to 0.002 Å onto their special positions" in found.notes
    exact = accepted("x.cif", cif(TE, symbol("P 31 2 1"), TE_CELL))
    assert not any("moved" in note for note in exact.notes)


def test_images_that_are_close_and_not_the_same_are_refused():
    """0.2 Å off the axis: neither on it nor an atom of its own."""
    failure = refused("x.cif", cif("Te1 Te 0.263 0.02 0.333", symbol("P 31 2 1"), TE_CELL))
    assert "too close" in failure.message or "overlapping" in failure.message
