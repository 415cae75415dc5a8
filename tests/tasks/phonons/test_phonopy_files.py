"""Files of phonopy of every age; what does not fit together is refused in words of the field."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy
from phonopy.file_IO import write_BORN, write_FORCE_CONSTANTS, write_FORCE_SETS
from phonopy.harmonic.force_constants import compact_fc_to_full_fc, full_fc_to_compact_fc

from tasks.chirality.degeneracy import has_space_group_symmetry
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.phonons.phonopy_files import find_calculations, read_phonopy
from tasks.symmetry import analyze_symmetry
from tests.crystals import quartz, spring_phonon, tellurium, to_phonopy, zincblende
from tests.tasks.alloys import face_centred_phonon

pytestmark = pytest.mark.slow

Q_POINTS = [[0.1, 0.2, 0.3], [0.5, 0.0, 0.0], [0.02, 0.0, 0.01]]
NOTHING = {"force_constants": False, "force_sets": False, "displacements": False, "born": False}
# What Python says, and no user should read.
PYTHON = re.compile(
    r"NoneType|object has no|object is not|list index|invalid literal|could not convert"
    r"|not subscriptable|KeyError|broadcast|<unicode string>"
)


def frequencies(phonon: Phonopy) -> np.ndarray:
    return phonon.run_qpoints(Q_POINTS).frequencies


def saved(phonon: Phonopy, path: Path, **settings: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    phonon.save(path, settings=settings or {"force_constants": True})
    return path


def rewritten(path: Path, change: Callable[[str], str]) -> Path:
    path.write_text(change(path.read_text()))
    return path


def without_group(text: str, name: str) -> str:
    """Text without one of the groups at its outermost level."""
    return re.sub(rf"^{name}:\n(?:[ -].*\n)+", "", text, flags=re.MULTILINE)


def refused(path: Path) -> str:
    """Message of a file that is refused, after the checks that hold for all messages."""
    with pytest.raises(RemediableError) as caught:
        read_phonopy(path)
    assert caught.value.remedy
    assert not PYTHON.search(str(caught.value)), str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def helix() -> Phonopy:
    """Springs of tellurium."""
    return spring_phonon(tellurium(), 1)


def displaced(springs: Phonopy, atoms: Atoms | None = None, symprec: float = 1e-5) -> Phonopy:
    """Displacements, and the forces that springs answer with."""
    cell = springs.unitcell if atoms is None else to_phonopy(atoms)
    phonon = Phonopy(cell, springs.supercell_matrix, primitive_matrix=np.eye(3), symprec=symprec)
    phonon.generate_displacements(distance=0.01)
    full = compact_fc_to_full_fc(springs.primitive, springs.force_constants)
    phonon.forces = np.array(
        [
            -np.einsum("iab,b->ia", full[:, item["number"]], item["displacement"])
            for item in phonon.dataset["first_atoms"]
        ]
    )
    return phonon


# Ages


def test_units_in_capitals_are_those_of_today(tmp_path, helix):
    path = saved(helix, tmp_path / "te" / "phonopy_params.yaml")
    rewritten(path, lambda text: text.replace('"angstrom', '"Angstrom').replace("/ang", "/Ang"))
    assert "eV/Angstrom^2" in path.read_text()
    found = read_phonopy(path).phonon
    assert frequencies(found) == pytest.approx(frequencies(helix), abs=1e-6)


def test_a_conflict_of_units_is_refused(tmp_path, helix):
    path = saved(helix, tmp_path / "te" / "phonopy_params.yaml")
    rewritten(path, lambda text: text.replace('length: "angstrom"', 'length: "au"'))
    assert "length_unit" in refused(path)


@dataclass(frozen=True)
class Cubic:
    """Zincblende in its cell of eight atoms, with force constants of all its supercell."""

    phonon: Phonopy
    full: np.ndarray

    def described(self, path: Path, version: str) -> Path:
        """Write the cell as phonopy of some version did, without the primitive cell."""
        saved(self.phonon, path, **NOTHING)
        return rewritten(
            path,
            lambda text: re.sub(
                r'version: ".*"',
                f'version: "{version}"',
                without_group(without_group(text, "primitive_matrix"), "primitive_cell"),
            ),
        )

    def cell_of(self, matrix: str) -> Phonopy:
        """Phonopy with one or the other primitive cell."""
        return Phonopy(self.phonon.unitcell, self.phonon.supercell_matrix, primitive_matrix=matrix)


@pytest.fixture(scope="module")
def cubic() -> Cubic:
    phonon = face_centred_phonon()
    return Cubic(phonon, compact_fc_to_full_fc(phonon.primitive, phonon.force_constants))


@pytest.mark.parametrize("version", ["1.12.8", "2.4.2", "3.5.1", "4.10.0"])
@pytest.mark.parametrize("rows", ["P", "F", "all"])
def test_without_a_primitive_matrix_both_meanings_are_understood(tmp_path, cubic, version, rows):
    """Up to phonopy 3 the unit cell is meant, unless `phonopy-load` found the primitive one."""
    path = cubic.described(tmp_path / "alloy" / "phonopy.yaml", version)
    if rows == "all":
        write_FORCE_CONSTANTS(cubic.full, path.with_name("FORCE_CONSTANTS"))
    else:
        sites = cubic.cell_of(rows).primitive.p2s_map
        write_FORCE_CONSTANTS(cubic.full[sites], path.with_name("FORCE_CONSTANTS"), p2s_map=sites)
    found = read_phonopy(path).phonon
    assert len(found.primitive) == 2
    assert frequencies(found) == pytest.approx(frequencies(cubic.phonon), abs=1e-6)


def test_a_stated_cell_that_is_not_primitive_is_reduced_with_its_charges(tmp_path, cubic):
    """Folded bands would refer helicity to the wrong directions."""
    phonon = cubic.cell_of("P")
    phonon.force_constants = full_fc_to_compact_fc(phonon.primitive, cubic.full)
    signs = np.where(phonon.primitive.numbers == 29, 1.0, -1.0)
    charges = signs[:, None, None] * np.eye(3)
    phonon.nac_params = {"born": charges, "dielectric": 5 * np.eye(3), "factor": 14.4}
    found = read_phonopy(saved(phonon, tmp_path / "alloy" / "phonopy_params.yaml")).phonon
    assert len(found.primitive) == 2
    expected = np.where(found.primitive.numbers == 29, 1.0, -1.0)
    assert found.nac_params["born"][:, 0, 0] == pytest.approx(expected)
    found.nac_params = None
    assert frequencies(found) == pytest.approx(frequencies(cubic.phonon), abs=1e-6)


# Tolerance


def rounded() -> Atoms:
    """Tellurium with coordinates of four digits and a cell of three."""
    atoms = tellurium()
    atoms.set_cell(np.round(atoms.cell.array, 3), scale_atoms=True)
    atoms.set_scaled_positions(np.round(atoms.get_scaled_positions(), 4))
    return atoms


def stating(text: str, value: str) -> str:
    return re.sub(r"symmetry_tolerance: .*", f"symmetry_tolerance: {value}", text)


@pytest.mark.parametrize("place", ["header", "configuration"])
def test_the_tolerance_that_a_file_states_is_used(tmp_path, helix, place):
    """Three displacements suffice at 0.01 Å, where 18 are needed at 1e-5 Å."""
    phonon = displaced(helix, rounded(), symprec=1e-2)
    path = tmp_path / "te" / "phonopy_params.yaml"
    saved(phonon, path, force_sets=True, displacements=True)
    if place == "configuration":
        block = '  configuration:\n    symmetry_tolerance: "1e-2"\n'
        rewritten(path, lambda text: re.sub(r"  symmetry_tolerance: .*\n", block, text))
    found = read_phonopy(path).phonon
    assert frequencies(found) == pytest.approx(frequencies(helix), abs=2e-3)
    assert analyze_symmetry(make_atoms(found.primitive), 1e-5).number in (152, 154)
    assert found.primitive_symmetry.dataset.number in (152, 154)
    assert has_space_group_symmetry(found)


def test_too_few_displacements_name_the_tolerance(tmp_path, helix):
    path = tmp_path / "te" / "phonopy_params.yaml"
    saved(displaced(helix, rounded(), symprec=1e-2), path, force_sets=True, displacements=True)
    rewritten(path, lambda text: stating(text, "1.0e-05"))
    message = refused(path)
    assert "too few" in message
    assert "1e-05" in message


@pytest.mark.parametrize("value", ["-1.0", "0.0", "10.0", ".nan", "fine", "[1, 2]"])
def test_an_absurd_tolerance_is_refused(tmp_path, helix, value):
    path = saved(helix, tmp_path / "te" / "phonopy_params.yaml")
    rewritten(path, lambda text: stating(text, value))
    assert "symmetry_tolerance" in refused(path)


# Masses


def with_masses(phonon: Phonopy, masses: list[float], path: Path) -> Phonopy:
    """The crystal with other masses, written and read."""
    phonon.masses = masses
    return read_phonopy(saved(phonon, path)).phonon


def test_unlike_isotopes_lower_the_symmetry(tmp_path):
    """Tellurium with one heavy atom of three keeps a two-fold axis through it: C2."""
    springs = spring_phonon(tellurium(), 1)
    number = springs.primitive_symmetry.dataset.number
    found = with_masses(springs, [255.2, 127.6, 127.6], tmp_path / "te.yaml")
    assert number in (152, 154)
    record = analyze_symmetry(make_atoms(found.primitive), 0.01)
    assert (record.symbol, found.primitive_symmetry.dataset.number) == ("C2", 5)
    assert has_space_group_symmetry(found)
    assert frequencies(found) == pytest.approx(frequencies(springs), abs=1e-6)


def test_one_other_mass_for_all_atoms_of_an_element_is_no_loss_of_symmetry(tmp_path):
    springs = spring_phonon(tellurium(), 1)
    found = with_masses(springs, [130.0] * 3, tmp_path / "te.yaml")
    assert found.primitive_symmetry.dataset.number in (152, 154)
    assert found.primitive.masses == pytest.approx([130.0] * 3)


def test_isotopes_that_break_translations_enlarge_the_primitive_cell(tmp_path, cubic):
    """One heavy copper of four: the cell of two atoms, which the file states, has no such atom."""
    path = saved(cubic.phonon, tmp_path / "alloy" / "phonopy_params.yaml")
    heavy = iter(["65.000"])
    rewritten(path, lambda text: _heavier_unit_cell(text, next(heavy)))
    found = read_phonopy(path).phonon
    assert len(found.primitive) == 8
    assert sorted(set(np.round(found.primitive.masses, 3))) == [63.546, 65.0, 196.967]
    reference = cubic.cell_of("P")
    reference.masses = [65.0 if i == 0 else m for i, m in enumerate(reference.primitive.masses)]
    reference.force_constants = full_fc_to_compact_fc(reference.primitive, cubic.full)
    gamma = [reference.run_qpoints([[0, 0, 0]]), found.run_qpoints([[0, 0, 0]])]
    assert gamma[1].frequencies == pytest.approx(gamma[0].frequencies, abs=1e-4)


def _heavier_unit_cell(text: str, mass: str) -> str:
    """Text in which the first atom of the unit cell is heavier."""
    head, body = text.split("\nunit_cell:\n")
    return f"{head}\nunit_cell:\n{re.sub(r'mass: .*', f'mass: {mass}', body, count=1)}"


# Files beside


def in_hdf5(constants: np.ndarray, path: Path, sites: np.ndarray | None = None) -> None:
    with h5py.File(path, "w") as file:
        file["force_constants"] = constants
        if sites is not None:
            file["p2s_map"] = sites


@pytest.mark.parametrize("is_full", [True, False])
def test_force_constants_in_hdf5_are_read(tmp_path, helix, is_full):
    path = saved(helix, tmp_path / "te" / "phonopy.yaml", **NOTHING)
    full = compact_fc_to_full_fc(helix.primitive, helix.force_constants)
    sites = helix.primitive.p2s_map
    given = (full,) if is_full else (helix.force_constants,)
    in_hdf5(*given, path.with_name("force_constants.hdf5"), None if is_full else sites)
    found = read_phonopy(path).phonon
    assert frequencies(found) == pytest.approx(frequencies(helix), abs=1e-6)


def test_a_folder_of_displacements_and_forces_is_read(tmp_path, helix):
    phonon = displaced(helix)
    path = saved(phonon, tmp_path / "te" / "phonopy_disp.yaml", **NOTHING | {"displacements": True})
    write_FORCE_SETS(phonon.dataset, path.with_name("FORCE_SETS"))
    found = read_phonopy(path).phonon
    assert frequencies(found) == pytest.approx(frequencies(helix), abs=1e-4)


def test_files_beside_a_named_file_bear_its_name(tmp_path, helix):
    """Two calculations in one folder do not take each other's forces."""
    path = saved(helix, tmp_path / "te.yaml", **NOTHING)
    write_FORCE_SETS(displaced(helix).dataset, tmp_path / "FORCE_SETS")
    assert "neither forces nor force constants" in refused(path)
    (tmp_path / "FORCE_SETS").rename(tmp_path / "te.FORCE_SETS")
    found = read_phonopy(path).phonon
    assert frequencies(found) == pytest.approx(frequencies(helix), abs=1e-4)


def test_charges_beside_a_named_file_bear_its_name(tmp_path):
    plain, charged = (spring_phonon(zincblende(), 1, born=born) for born in (False, True))
    path = saved(plain, tmp_path / "zns.yaml")
    nac = charged.nac_params
    write_BORN(charged.primitive, nac["born"], nac["dielectric"], tmp_path / "BORN")
    assert "BORN beside zns.yaml belongs to no file" in refused(path)
    saved(charged, tmp_path / "phonopy.yaml")
    assert read_phonopy(path).phonon.nac_params is None
    (tmp_path / "BORN").rename(tmp_path / "zns.BORN")
    assert read_phonopy(path).phonon.nac_params is not None


def test_folders_give_one_calculation_each(tmp_path):
    names = ["a/phonopy.yaml", "a/phonopy_disp.yaml", "b/c/phonopy_disp.yaml.xz", "b/other.yaml"]
    for name in (*names, "a/phonopy_params.yaml", "b/phonopy.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_calculations(tmp_path)
    assert found == [tmp_path / "a/phonopy_params.yaml", tmp_path / "b/c/phonopy_disp.yaml.xz"]
    assert find_calculations(tmp_path / "b/other.yaml") == [tmp_path / "b/other.yaml"]


def test_a_folder_without_calculation_is_refused(tmp_path):
    (tmp_path / "other.yaml").write_text("")
    assert find_calculations(tmp_path) == [tmp_path]
    assert "is a folder without" in refused(tmp_path)


# Forces


def damaged_sets(phonon: Phonopy, damage: str) -> None:
    """Spoil the second displacement."""
    item = phonon.dataset["first_atoms"][1]
    if damage == "zero forces":
        item["forces"] = np.zeros_like(item["forces"])
    elif damage == "zero displacement":
        item["displacement"] = [0.0, 0.0, 0.0]
    else:
        item["forces"][3, 1] = np.nan


DAMAGES = {
    "no forces": "displacement 2 of 3 has no forces",
    "zero forces": "set of forces 2 is zero",
    "zero displacement": "displacement 2 is zero",
    "nan": "set of forces 2 holds no number",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_forces_of_the_file_that_are_zero_or_missing_are_refused(tmp_path, helix, damage):
    phonon = displaced(helix)
    assert len(phonon.dataset["first_atoms"]) == 3
    path = tmp_path / "te" / "phonopy_params.yaml"
    saved(phonon, path, force_sets=True, displacements=True)
    rewritten(path, lambda text: _spoilt(text, damage))
    assert DAMAGES[damage] in refused(path)


@pytest.mark.parametrize("damage", ["zero forces", "zero displacement", "nan"])
def test_forces_beside_the_file_that_are_zero_or_no_numbers_are_refused(tmp_path, helix, damage):
    phonon = displaced(helix)
    path = saved(phonon, tmp_path / "te" / "phonopy.yaml", **NOTHING)
    damaged_sets(phonon, damage)
    write_FORCE_SETS(phonon.dataset, path.with_name("FORCE_SETS"))
    assert DAMAGES[damage] in refused(path)


def _spoilt(text: str, damage: str) -> str:
    """Text of a file with displacements and forces, the second one spoilt."""
    head, first, second, rest = re.split(r"(?=^- atom: )", text, flags=re.MULTILINE)
    number = r"-?\d+\.\d+"
    if damage == "no forces":
        second = re.sub(r"  forces:\n(?:  - .*\n)+", "", second)
    elif damage == "zero forces":
        before, forces = second.split("  forces:\n")
        second = f"{before}  forces:\n{re.sub(number, '0.0', forces)}"
    elif damage == "zero displacement":
        before, forces = second.split("  forces:\n")
        second = f"{re.sub(number, '0.0', before)}  forces:\n{forces}"
    else:
        before, forces = second.split("  forces:\n")
        second = f"{before}  forces:\n{re.sub(number, '.nan', forces, count=1)}"
    return head + first + second + rest


@pytest.mark.parametrize("change", ["fewer", "others"])
def test_forces_of_other_displacements_are_refused(tmp_path, helix, change):
    phonon = displaced(helix)
    path = saved(phonon, tmp_path / "te" / "phonopy_disp.yaml", **NOTHING | {"displacements": True})
    items = phonon.dataset["first_atoms"]
    if change == "fewer":
        del items[2]
    else:
        items[1]["displacement"] = -np.array(items[1]["displacement"])
    write_FORCE_SETS(phonon.dataset, path.with_name("FORCE_SETS"))
    expected = "has 2 displacements" if change == "fewer" else "other displacements"
    assert expected in refused(path)


def test_force_constants_that_are_zero_are_refused(tmp_path, helix):
    path = saved(helix, tmp_path / "te" / "phonopy.yaml", **NOTHING)
    constants = helix.force_constants.copy()
    constants[1] = 0
    sites = helix.primitive.p2s_map
    write_FORCE_CONSTANTS(constants, path.with_name("FORCE_CONSTANTS"), p2s_map=sites)
    assert "atom 2 on itself are zero" in refused(path)


def test_force_constants_of_another_supercell_are_refused(tmp_path, helix):
    path = saved(helix, tmp_path / "te" / "phonopy.yaml", **NOTHING)
    other = spring_phonon(zincblende(), 1)
    full = compact_fc_to_full_fc(other.primitive, other.force_constants)
    in_hdf5(full, path.with_name("force_constants.hdf5"))
    assert "force constants of" in refused(path)


# Born charges


@pytest.fixture(scope="module")
def glass() -> Phonopy:
    """Springs of quartz."""
    return spring_phonon(quartz(), 1)


SILICON = "3.0 0 0 0 3.6 0.3 0 -0.3 3.4"
OXYGEN = "-1.3 -0.4 -0.3 -0.5 -1.9 -0.7 -0.3 -0.7 -1.7"


def born_text(*tensors: str, first: str = "14.4") -> str:
    return "\n".join([first, "2.5 0 0 0 2.5 0 0 0 2.6", *tensors, ""])


def ordered(phonon: Phonopy, silicon: str, oxygen: str) -> list[str]:
    """Tensors in the order of the inequivalent atoms."""
    is_first = phonon.primitive.numbers[0] == 14
    return [silicon, oxygen] if is_first else [oxygen, silicon]


def test_charges_in_order_are_taken_with_a_note_of_what_was_assumed(tmp_path, glass):
    path = saved(glass, tmp_path / "quartz" / "phonopy_params.yaml")
    born = path.with_name("BORN")
    born.write_text(born_text(*ordered(glass, SILICON, OXYGEN)))
    found = read_phonopy(path)
    assert found.phonon.nac_params is not None
    assert "order of indices assumed" in found.nac_note
    first = "# epsilon and Z* of atoms 1 4"
    born.write_text(born_text(*ordered(glass, SILICON, OXYGEN), first=first))
    assert read_phonopy(path).nac_note is None


@pytest.mark.parametrize("inside", [True, False])
def test_charges_in_the_wrong_order_are_refused(tmp_path, glass, inside):
    path = saved(glass, tmp_path / "quartz" / "phonopy_params.yaml")
    path.with_name("BORN").write_text(born_text(*ordered(glass, OXYGEN, SILICON)))
    if inside:
        numbers = glass.primitive.numbers
        charges = np.where(numbers == 14, -1.7, 3.4)[:, None, None] * np.eye(3)
        phonon = spring_phonon(quartz(), 1)
        phonon.nac_params = {"born": charges, "dielectric": 2.5 * np.eye(3), "factor": 14.4}
        path.with_name("BORN").unlink()
        saved(phonon, path)
    message = refused(path)
    assert "the charges add up to 15 e per cell" in message
    assert "order of the inequivalent atoms?" in message
    assert ("phonopy_params.yaml" if inside else "BORN") in message


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ((SILICON,), "1 Born charges for 2 inequivalent atoms"),
        ((SILICON, OXYGEN, OXYGEN), "3 Born charges for 2 inequivalent atoms"),
        ((SILICON, "1 2 3"), "line 4 has not the 9 numbers"),
        ((SILICON, OXYGEN.replace("-1.9", "zwei")), "text in place of a number"),
        ((), "too few lines"),
    ],
)
def test_a_file_of_charges_of_another_structure_is_refused(tmp_path, glass, tensors, words):
    path = saved(glass, tmp_path / "quartz" / "phonopy_params.yaml")
    path.with_name("BORN").write_text(born_text(*tensors))
    message = refused(path)
    assert "BORN" in message
    assert words in message


# Messages


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("- 1\n- 2\n", "no names with values"),
        ("5\n", "no names with values"),
        ("name: other\nages: 3\n", "has no unit cell; it has: ages, name"),
        ("a: [1, 2\nb: 3\n", "in line 2"),
        ("odd: !!python/object/apply:os.getcwd []\n", "YAML tag or key in line 1"),
        ("unit_cell: 5\n", "not as phonopy writes it"),
        ("unit_cell:\n  lattice: [1, 2]\n  points:\n  - symbol: Xx\n", "phonopy.yaml"),
    ],
)
def test_what_is_no_file_of_phonopy_is_told_in_words(tmp_path, text, words):
    path = tmp_path / "phonopy.yaml"
    path.write_text(text)
    assert words in refused(path)


def test_an_exclamation_mark_in_a_remark_does_no_harm(tmp_path, helix):
    path = saved(helix, tmp_path / "te.yaml")
    rewritten(path, lambda text: f"# relaxed at last!\n{text}")
    assert frequencies(read_phonopy(path).phonon) == pytest.approx(frequencies(helix), abs=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("name", ["FORCE_SETS", "FORCE_CONSTANTS", "force_constants.hdf5"])
def test_files_that_were_cut_off_are_told_in_words(tmp_path, helix, name, share):
    path = saved(helix, tmp_path / "te" / "phonopy.yaml", **NOTHING)
    beside = path.with_name(name)
    if name == "FORCE_SETS":
        write_FORCE_SETS(displaced(helix).dataset, beside)
    elif name == "FORCE_CONSTANTS":
        write_FORCE_CONSTANTS(helix.force_constants, beside, p2s_map=helix.primitive.p2s_map)
    else:
        in_hdf5(helix.force_constants, beside, helix.primitive.p2s_map)
    content = beside.read_bytes()
    beside.write_bytes(content[: int(share * len(content))])
    assert name in refused(path)
