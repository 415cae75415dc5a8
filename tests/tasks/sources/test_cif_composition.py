"""The atoms of a CIF are all that the file states, each with its element and its place."""

import numpy as np
import pytest
from pymatgen.io.cif import CifParser

from tasks.sources.cif import parse_cif
from tests.tasks.sources.records_of import COLUMNS, QUARTZ_SYMMETRY, accepted, cif, refused

LABELS = ("label", *COLUMNS[2:])
SI, OX = "0.4697 0 0.6667", "0.4135 0.2669 0.7858"


def stated(line: str) -> str:
    return f"{line}\n{QUARTZ_SYMMETRY}"


@pytest.mark.parametrize(
    ("labels", "formula"),
    [
        (("Si1", "O1"), None),
        (("Si", "O2A"), None),
        (("SI1", "OH1"), "O2 Si"),
        (("SiT", "Ow"), "Si O2"),
        (("Si1", "OXY"), "Si1 O2"),
    ],
)
def test_labels_name_the_elements_alone_or_with_the_formula(labels, formula):
    symmetry = QUARTZ_SYMMETRY if formula is None else stated(f"_chemical_formula_sum '{formula}'")
    sites = f"{labels[0]} {SI}\n{labels[1]} {OX}"
    assert str(accepted("x.cif", cif(sites, symmetry, columns=LABELS)).atoms.symbols) == "Si3O6"


@pytest.mark.parametrize("label", ["OH1", "Wat1", "SI1", "CA1", "X1", "1"])
def test_a_label_that_is_no_element_is_named(label):
    failure = refused("x.cif", cif(f"Si1 {SI}\n{label} {OX}", columns=LABELS))
    assert f"site {label}" in failure.message
    assert "_atom_site_type_symbol" in failure.remedy


@pytest.mark.parametrize("kind", ["OH", "Xx", "0.8O+0.2F", "Wat", "?"])
def test_a_type_that_is_no_element_is_named(kind):
    failure = refused("x.cif", cif(f"Si1 Si4+ {SI}\nO1 {kind} {OX}"))
    assert "site O1" in failure.message


def test_charges_of_types_are_left_out():
    found = accepted("x.cif", cif(f"Si1 Si4+ {SI}\nO1 O2- {OX}"))
    assert str(found.atoms.symbols) == "Si3O6"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("_chemical_formula_sum 'H2 O2 Si'", "formula sum is 'H2 O2 Si'"),
        ("_chemical_formula_sum 'O3 Si2'", "formula sum"),
        ("_chemical_formula_sum 'Si O (O H)'", "formula sum"),
        ("_chemical_formula_sum 'O1.9 Si'", "formula sum"),
        ("_chemical_formula_sum 'O2 Si'\n_cell_formula_units_Z 6", "6 formula units of 3 atoms"),
    ],
)
def test_another_composition_than_the_stated_one_is_refused(line, words):
    assert words in refused("x.cif", cif(symmetry=stated(line))).message


@pytest.mark.parametrize(
    "line",
    [
        "_chemical_formula_sum 'O2 Si'\n_cell_formula_units_Z 3",
        "_chemical_formula_sum 'O6 Si3'\n_cell_formula_units_Z 3",
        "_chemical_formula_sum 'O2.00 Si1.00'",
        "_chemical_formula_sum '(Si O2)3'",
        "_chemical_formula_sum SiO2\n_chemical_formula_structural Si3O6\n_cell_formula_units_Z 1",
        "_chemical_formula_sum ?",
    ],
)
def test_the_stated_composition_is_accepted_in_every_spelling(line):
    assert len(accepted("x.cif", cif(symmetry=stated(line))).atoms) == 9


def test_a_formula_that_cannot_be_read_is_a_note():
    found = accepted("x.cif", cif(symmetry=stated("_chemical_formula_sum 'Si O(2+x)'")))
    assert found.notes == ("the formula sum 'Si O(2+x)' is not compared with the sites",)


@pytest.mark.parametrize(
    ("sites", "column", "words"),
    [
        (f"Si1 Si {SI} 0\nO1 O {OX} 1", "attached_hydrogens", "attached to O1"),
        (
            f"Si1 Si {SI} 1\nO1 O {OX} 1\nH1 H {OX} 0.2",
            "occupancy",
            "O:1, H:0.2 (O1 and H1)",
        ),
        (f"Si1 Si {SI} 1\nO1 O {OX} 0.9", "occupancy", "disordered: the site of O1"),
        (f"Si1 Si {SI} 1\nO1 O {OX} ?", "occupancy", "occupancy of O1"),
        (
            f"Si1 Si {SI} 1\nO1 O {OX} 2",
            "disorder_group",
            "disordered: the sites belong to",
        ),
        (
            f"Si1 Si {SI} 1\nO1 O {OX} 1\nO2 O {OX} 1",
            "occupancy",
            "site O2 lies on O1",
        ),
        (
            f"Si1 Si {SI} 1\nO1 O {OX} 1\nF1 F {OX} 1",
            "occupancy",
            "site F1 lies on O1",
        ),
        (f"Si1 Si {SI} .\nO1 O ? ? ? .", "calc_flag", "site O1 has no coordinates"),
    ],
)
def test_sites_that_are_not_one_atom_each_are_named(sites, column, words):
    assert words in refused("x.cif", cif(sites, columns=(*COLUMNS, column))).message


def test_equivalent_sites_listed_twice_are_found_through_the_operations():
    """The second one is the image of the first under -y,x-y,z+2/3."""
    image = "-0.2669 0.1466 0.45246667"
    assert "site O2 lies on O1" in refused("x.cif", cif(f"O1 O {OX}\nO2 O {image}")).message


def test_a_dummy_is_no_atom():
    sites = f"Si1 Si {SI} .\nO1 O {OX} .\nX1 X 0 0 0 dum"
    found = accepted("x.cif", cif(sites, columns=(*COLUMNS, "calc_flag")))
    assert found.notes == ("site X1 holds no atom and is left out",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("_cell_length_a 4.9137\n", ""), "no _cell_length_a"),
        (("data_q", "data_q\n_cell_volume 131"), "two cells: lengths and angles give 113.0"),
        (("_cell_length_a 4.9137", "_cell_length_a ?"), "no _cell_length_a"),
        (("_cell_length_a 4.9137", "_cell_length_a five"), "'five' is no number"),
        (("_cell_length_a 4.9137", "_cell_length_a -4.9"), "absurd cell"),
        (("_cell_length_a 4.9137", "_cell_length_a 4.9137\n_cell_length_a 5.9"), "two values"),
        (("O1 O 0.4135", "O1 O"), "the loop of _atom_site_label has 9 values for 5 columns"),
        (("O1 O 0.4135", "O1 O 0,4135"), "'0,4135' is no number"),
        (("data_q", "data_q\nloose"), "'loose' belongs to no name"),
        (("_atom_site_fract_x", "_atom_site_Cartn_x"), "mmCIF"),
        (("data_q", "data_q\n_publ_text\n;\nno end"), "has no end"),
        (("data_q", "# none"), "no data block"),
    ],
)
def test_defects_of_the_text_are_told_with_their_place(change, words):
    failure = refused("x.cif", cif().replace(*change))
    assert words in failure.message
    assert not any(word in failure.message for word in ("Error", "object", "Traceback"))


def test_a_defect_in_a_part_that_nobody_asks_for_costs_nothing():
    odd = "loop_\n_publ_author_name\n_publ_author_address\n'Nyman, A.'\n"
    assert len(accepted("x.cif", cif(symmetry=odd + QUARTZ_SYMMETRY)).atoms) == 9


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + cif(),
        cif().encode("utf-16"),
        cif().replace("loop_", "LOOP_").replace("data_", "DATA_").replace("_cell", "_CELL"),
        cif().replace("_fract_", ".fract_").replace("_cell_", "_cell."),
        cif().replace("\n", "\r\n"),
        cif().replace("\n", "\r"),
        "data_global\n_publ_contact_author 'A. Nyman'\n" + cif(),
        cif().replace("4.9137", "4.9137(12)"),
        cif().replace("data_q", "data_q\n_cell_volume 113.0(1)"),
    ],
)
def test_the_letter_of_the_format_leaves_much_freedom(text):
    found = accepted("x.cif", text)
    assert str(found.atoms.symbols) == "Si3O6"


def test_a_file_whose_blocks_hold_no_atom_is_one_failure():
    failure = refused("x.cif", "data_global\n_a 1\ndata_other\n_b 2\n")
    assert "no data block lists atoms" in failure.message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", [cif(), cif(symmetry="_space_group_IT_number 154")])
def test_pymatgen_reads_the_same_crystal(text):
    [other] = CifParser.from_str(text).parse_structures(primitive=False)
    atoms = parse_cif(text).atoms
    mine, its = (np.round(p, 6).tolist() for p in (atoms.get_scaled_positions(), other.frac_coords))
    assert sorted(zip(atoms.symbols, mine, strict=True)) == sorted(
        (site.specie.symbol, place) for site, place in zip(other, its, strict=True)
    )
