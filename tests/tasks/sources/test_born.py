"""A BORN file beside a structure gives the crystal its Born charges."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from phonopy.file_IO import write_BORN

from tasks.crystals.born_charges import make_nac_params
from tasks.crystals.dielectric import take_response
from tasks.crystals.structures import make_material
from tasks.failures import Failure
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tasks.sources import RawRecord, parse_record, read_raw_records
from tasks.sources.documents import find_born_file
from tasks.storage import TableFolder
from tests.crystals import quartz, to_phonopy, zincblende
from tests.tasks.alloys import SETTINGS, carry_out, intake_of

CHARGES = np.array([2.0 * np.eye(3), -2.0 * np.eye(3)])
DIELECTRIC = 5.0 * np.eye(3)


def write_charges(atoms, path, charges=CHARGES):
    write_BORN(to_phonopy(atoms), charges, DIELECTRIC, path)


@pytest.mark.parametrize(
    ("structure", "born"),
    [("POSCAR", "BORN"), ("zns.cif", "zns.BORN"), ("zns.vasp", "zns.BORN")],
)
def test_charges_are_those_of_the_file(tmp_path, structure, born):
    atoms = zincblende()
    write(tmp_path / structure, atoms, **({} if "cif" in structure else {"format": "vasp"}))
    write_charges(atoms, tmp_path / born)
    [raw] = read_raw_records(tmp_path)
    found = take_response(parse_record(raw).atoms)
    assert found is not None
    assert found.born_charges == pytest.approx(CHARGES, abs=1e-6)
    assert found.dielectric == pytest.approx(DIELECTRIC)


def test_a_file_of_another_structure_is_left_alone(tmp_path):
    write(tmp_path / "zns.cif", zincblende())
    write_charges(zincblende(), tmp_path / "BORN")
    write_charges(zincblende(), tmp_path / "gaas.BORN")
    [raw] = read_raw_records(tmp_path)
    assert isinstance(raw, RawRecord)
    assert take_response(parse_record(raw).atoms) is None


def test_a_damaged_file_is_a_failure_and_no_silent_loss(tmp_path):
    write(tmp_path / "zns.cif", zincblende())
    (tmp_path / "zns.BORN").write_text("14.4\n1 0 0\n")
    [found] = read_raw_records(tmp_path)
    assert isinstance(found, Failure)
    assert "zns.BORN" in found.message


def test_charges_reach_the_catalogue_of_a_screening(tmp_path):
    """A polar alloy with a BORN file: the correction is made, recorded, and not warned of."""
    source, alloy = tmp_path / "in", zincblende()
    alloy.numbers[:] = (29, 79)  # the potential of the tests knows copper and gold
    alloy.set_cell(alloy.cell * 5.74 / (alloy.get_volume() * 4) ** (1 / 3), scale_atoms=True)
    source.mkdir()
    write(source / "alloy.cif", alloy)
    write_charges(alloy, source / "alloy.BORN")
    context = intake_of(source, tmp_path / "out", SETTINGS)
    carry_out(plan_screening(context), context)
    [row] = context.dataset.read("force_constants").to_pylist()
    assert np.reshape(row["born"], (-1, 3, 3)) == pytest.approx(CHARGES, abs=1e-6)
    [relaxed] = context.dataset.read("relaxations").to_pylist()
    assert make_nac_params(relaxed) is not None
    build_catalog(context.dataset)
    [phonons] = context.dataset.read("phonons").to_pylist()
    assert (phonons["nac"], phonons["nac_source"]) == (True, "record")
    assert "order of indices assumed" in phonons["nac_note"]
    [row] = TableFolder(tmp_path / "out").read("chirality").to_pylist()
    assert (row["nac"], row["nac_source"], row["charge_model"]) == (True, "record", None)
    assert np.reshape(row["born_charges"], (-1, 3, 3)) == pytest.approx(CHARGES, abs=1e-6)
    without_them(source, tmp_path / "out")


def without_them(source: Path, root: Path) -> None:
    """The same crystal without its charges: its force constants keep them, its modes do not."""
    phonons = SETTINGS.phonons.model_copy(update={"nac": "none"})
    context = intake_of(source, root, SETTINGS.model_copy(update={"phonons": phonons}), run=1)
    plan = plan_screening(context)
    assert set(plan.open) == {"chirality"}
    carry_out(plan, context)
    build_catalog(context.dataset)
    [row] = TableFolder(root).read("chirality").to_pylist()
    assert (row["nac"], row["nac_source"], row["born_charges"]) == (False, None, None)
    assert context.dataset.read("phonons").to_pylist()[0]["nac"]


@pytest.mark.parametrize(
    ("structure", "born", "is_found"),
    [
        ("zns.new.cif", "zns.new.BORN", True),
        ("zns.new.cif", "zns.BORN", False),
        ("zns.cif.gz", "zns.BORN", True),
        ("POSCAR-001", "BORN", False),
        ("zns.cif", "zns.cif.BORN", False),
    ],
)
def test_a_file_is_matched_by_its_documented_name_only(tmp_path, structure, born, is_found):
    (tmp_path / born).write_text("")
    found = find_born_file(tmp_path / structure)
    assert found == (tmp_path / born if is_found else None)


SILICON = "3.0 0 0 0 3.6 0.3 0 -0.3 3.4"
OXYGEN = "-1.3 -0.4 -0.3 -0.5 -1.9 -0.7 -0.3 -0.7 -1.7"


def write_quartz(folder, *tensors):
    """Quartz with silicon first, and a BORN file."""
    atoms = quartz()
    assert atoms.numbers[0] == 14
    write(folder / "quartz.cif", atoms)
    lines = ["14.4", "2.5 0 0 0 2.5 0 0 0 2.6", *tensors, ""]
    (folder / "quartz.BORN").write_text("\n".join(lines))


def test_charges_in_the_order_of_the_atoms_are_taken(tmp_path):
    write_quartz(tmp_path, SILICON, OXYGEN)
    [raw] = read_raw_records(tmp_path)
    assert isinstance(raw, RawRecord), raw
    assert make_material(parse_record(raw), 0.01).response is not None


def test_charges_in_the_wrong_order_are_a_failure(tmp_path):
    write_quartz(tmp_path, OXYGEN, SILICON)
    [found] = read_raw_records(tmp_path)
    assert isinstance(found, Failure)
    assert "quartz.BORN: the charges add up to 15 e per cell" in found.message
    assert "in the order of the inequivalent atoms?" in found.message


def test_charges_exchanged_where_they_still_add_up_to_zero_are_a_failure(tmp_path):
    """The sites of zincblende are alike: the sign alone tells."""
    write(tmp_path / "zns.cif", zincblende())
    write_charges(zincblende(), tmp_path / "zns.BORN", CHARGES[::-1])
    [found] = read_raw_records(tmp_path)
    assert isinstance(found, Failure)
    assert "S is positive and Zn negative" in found.message


def test_a_tensor_that_its_site_forbids_is_a_failure(tmp_path):
    """Silicon of quartz lies on a two-fold axis."""
    write_quartz(tmp_path, "3.0 1.2 0 1.2 3.6 0.3 0 -0.3 3.4", OXYGEN)
    [found] = read_raw_records(tmp_path)
    assert isinstance(found, Failure)
    assert "violates the symmetry of its site" in found.message


def test_charges_of_another_structure_are_a_failure(tmp_path):
    write_quartz(tmp_path, SILICON)
    [found] = read_raw_records(tmp_path)
    assert isinstance(found, Failure)
    assert "1 Born charges for 2 inequivalent atoms" in found.message


def test_neither_test_sees_a_transposed_tensor(tmp_path):
    """The reason why unknown origin is noted: only a format tells the order of indices."""
    turned = (
        " ".join(map(str, np.reshape([float(x) for x in t.split()], (3, 3)).T.ravel()))
        for t in (SILICON, OXYGEN)
    )
    write_quartz(tmp_path, *turned)
    [raw] = read_raw_records(tmp_path)
    assert isinstance(raw, RawRecord)


def test_a_remark_in_any_encoding_does_no_harm(tmp_path):
    write_quartz(tmp_path, SILICON, OXYGEN)
    born = tmp_path / "quartz.BORN"
    lines = born.read_bytes().splitlines()
    born.write_bytes(b"\n".join(["Ladungen in e, Abstände in Å".encode("latin-1"), *lines[1:]]))
    [raw] = read_raw_records(tmp_path)
    assert isinstance(raw, RawRecord)
