"""A BORN file beside a structure gives the crystal its Born charges."""

import numpy as np
import pytest
from ase.io import write
from phonopy.file_IO import write_BORN

from tasks.dielectric import carried_by, nac_params_of
from tasks.failures import Failure
from tasks.intake import plan_screening
from tasks.sources import RawRecord, parsed, raw_records
from tasks.storage import build_catalog
from tests.crystals import to_phonopy, zincblende
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
    [raw] = raw_records(tmp_path)
    found = carried_by(parsed(raw).atoms)
    assert found is not None
    assert found.born_charges == pytest.approx(CHARGES, abs=1e-6)
    assert found.dielectric == pytest.approx(DIELECTRIC)


def test_a_file_of_another_structure_is_left_alone(tmp_path):
    write(tmp_path / "zns.cif", zincblende())
    write_charges(zincblende(), tmp_path / "BORN")
    write_charges(zincblende(), tmp_path / "gaas.BORN")
    [raw] = raw_records(tmp_path)
    assert isinstance(raw, RawRecord)
    assert carried_by(parsed(raw).atoms) is None


def test_a_damaged_file_is_a_failure_and_no_silent_loss(tmp_path):
    write(tmp_path / "zns.cif", zincblende())
    (tmp_path / "zns.BORN").write_text("14.4\n1 0 0\n")
    [found] = raw_records(tmp_path)
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
    intake = intake_of(source, tmp_path / "out", SETTINGS)
    carry_out(plan_screening(intake), intake)
    [row] = intake.dataset.read("force_constants").to_pylist()
    assert np.reshape(row["born"], (-1, 3, 3)) == pytest.approx(CHARGES, abs=1e-6)
    [relaxed] = intake.dataset.read("relaxations").to_pylist()
    assert nac_params_of(relaxed) is not None
    build_catalog(intake.dataset)
    [phonons] = intake.dataset.read("phonons").to_pylist()
    assert (phonons["nac"], phonons["nac_source"]) == (True, "record")
