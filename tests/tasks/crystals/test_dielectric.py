"""Born charges of a record reach the correction for dipoles, turned with the crystal."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from potentials import invert
from tasks.crystals.born_charges import make_nac_params, standardize_response
from tasks.crystals.dielectric import DielectricResponse, take_response
from tasks.crystals.structures import make_material, standardize
from tasks.failures import RemediableError
from tasks.screening.classification import classify_record
from tasks.screening.plan import plan_screening
from tasks.sources import parse_record, read_raw_records
from tests.crystals import random_crystal
from tests.tasks.alloys import SETTINGS, carry_out, intake_of, write_alloys

SYMPREC = 0.01


def response_of(atoms: Atoms) -> DielectricResponse:
    """Tensors made of the surroundings of each atom: they turn with the crystal, as real ones.

    The charge of an atom is no symmetric tensor where its site has no symmetry; all add up to zero.
    """
    images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    apart = (
        atoms.positions[None, :, None] + images @ atoms.cell.array - atoms.positions[:, None, None]
    )
    distance = np.linalg.norm(apart, axis=-1)
    weights = [np.exp(-((distance / w) ** 2)) * atoms.numbers[None, :, None] for w in (1.2, 2.0)]
    near, far = (np.einsum("ijl,ijla->ia", weight, apart) for weight in weights)
    tensors = np.einsum("ijl,ijla,ijlb->iab", weights[1], apart, apart) / 50
    charges = tensors + np.einsum("ia,ib->iab", near, far) / 50
    return DielectricResponse(charges - charges.mean(axis=0), np.eye(3) * 3 + tensors.mean(axis=0))


def described_otherwise(atoms: Atoms) -> Atoms:
    """The same crystal in a doubled cell, turned and moved, its atoms in another order."""
    other = atoms * (1, 1, 2)
    other = other[np.random.default_rng(4).permutation(len(other))]
    other.positions += [0.3, 0.8, 0.1]
    other.rotate(57, (1, 3, 2), rotate_cell=True)
    return other


@pytest.mark.parametrize("number", [1, 4, 19, 76, 82, 146, 152, 155, 161, 173, 198, 216])
def test_tensors_turn_with_the_crystal(number):
    given = described_otherwise(random_crystal(number, 2, max_atoms=24))
    primitive = standardize(given, SYMPREC)
    found = standardize_response(given, response_of(given), primitive, SYMPREC)
    expected = response_of(primitive)
    scale = np.abs(expected.born_charges).max()
    assert np.abs(found.born_charges - expected.born_charges).max() < 5e-3 * scale
    assert found.dielectric == pytest.approx(expected.dielectric, abs=1e-2)


def test_a_charge_with_the_wrong_atom_would_be_noticed():
    """The test above can fail: other atoms of the same element have other charges."""
    found = response_of(random_crystal(19, 2, max_atoms=24)).born_charges
    assert np.abs(found[0] - found[1]).max() > 0.1 * np.abs(found).max()


def carrying(atoms: Atoms, response: DielectricResponse) -> Atoms:
    """Crystal that carries its tensors."""
    atoms = atoms.copy()
    atoms.set_array("born_charges", response.born_charges.reshape(-1, 9))
    atoms.info["dielectric_tensor"] = response.dielectric
    return atoms


def entry_of(atoms: Atoms, **tensors) -> dict[str, object]:
    return {
        "material_id": "x",
        "lattice": atoms.cell.array.tolist(),
        "atomic_numbers": atoms.numbers.tolist(),
        "frac_coords": atoms.get_scaled_positions().tolist(),
        **tensors,
    }


def test_tensors_are_read_from_json_and_xyz(tmp_path):
    atoms = random_crystal(19, 2, max_atoms=24)
    response = response_of(atoms)
    told = {k: v.tolist() for k, v in response.columns.items()}
    (tmp_path / "x.json").write_text(json.dumps(entry_of(atoms, **told)))
    write(tmp_path / "y.xyz", carrying(atoms, response), format="extxyz")
    for raw in read_raw_records(tmp_path):
        found = take_response(parse_record(raw).atoms)
        assert found is not None
        assert found.born_charges == pytest.approx(response.born_charges, abs=1e-6)
        assert found.dielectric == pytest.approx(response.dielectric, abs=1e-6)
        assert make_material(parse_record(raw), SYMPREC).response is not None


@pytest.mark.parametrize(
    ("tensors", "word"),
    [
        ({"born_charges": [np.eye(3).tolist()] * 2}, "dielectric_tensor is missing"),
        ({"dielectric_tensor": np.eye(3).tolist()}, "born_charges is missing"),
        ({"born_charges": [[1.0] * 9], "dielectric_tensor": [[1.0] * 3] * 3}, "unreadable"),
        (
            {"born_charges": [[1.0] * 9] * 2, "dielectric_tensor": [[0.0] * 3] * 3},
            "below that of vacuum",
        ),
    ],
)
def test_incomplete_tensors_are_refused(tmp_path, tensors, word):
    atoms = bulk("ZnS", "zincblende", a=5.4)
    (tmp_path / "x.json").write_text(json.dumps(entry_of(atoms, **tensors)))
    [raw] = read_raw_records(tmp_path)
    with pytest.raises(RemediableError, match=word):
        make_material(parse_record(raw), SYMPREC)


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    """A chiral alloy and its mirror image, with charges in their records, through all stages."""
    folder = tmp_path_factory.mktemp("charged")
    source = write_alloys(folder, "helix")
    [raw] = read_raw_records(source)
    helix = parse_record(raw).atoms
    for path in source.iterdir():
        path.unlink()
    entries = [
        entry_of(atoms, **{k: v.tolist() for k, v in response_of(atoms).columns.items()})
        | {"material_id": name}
        for name, atoms in (("left", helix), ("right", invert(helix)))
    ]
    (source / "pair.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    plan = plan_screening(context)
    carry_out(plan, context)
    return context, plan


def rows(context, table):
    return {row["material_id"]: row for row in context.dataset.read(table).to_pylist()}


def test_charges_of_a_record_are_used_for_its_phonons(screened):
    context, _ = screened
    found = rows(context, "force_constants")["left"]
    material = rows(context, "materials")["left"]
    assert rows(context, "phonons")["left"]["nac"]
    assert found["born"] == pytest.approx(material["born_charges"], abs=1e-9)
    assert found["dielectric"] == pytest.approx(material["dielectric_tensor"], abs=1e-9)
    assert rows(context, "chirality")["left"]


def test_a_mirror_image_has_the_charges_of_its_own_record(screened):
    """Tensors of even rank are those of the original, with its atoms renamed."""
    context, plan = screened
    assert sum(work.image_keys is not None for work in plan.open["relaxation"]) == 1
    assert rows(context, "phonons")["right"]["nac"]
    found = rows(context, "force_constants")["right"]
    atoms = Atoms(
        numbers=found["numbers"],
        cell=np.reshape(found["cell"], (3, 3)),
        scaled_positions=np.reshape(found["positions"], (-1, 3)),
        pbc=True,
    )
    # The relaxation moves atoms a little, and these tensors with them.
    expected = response_of(atoms).born_charges.ravel()
    scale = np.abs(expected).max()
    original = rows(context, "force_constants")["left"]
    assert sorted(np.abs(found["born"])) == pytest.approx(sorted(np.abs(original["born"])))
    assert np.abs(np.array(found["born"]) - expected).max() < 0.3 * scale


def test_charges_are_part_of_the_key_of_the_phonons(tmp_path):
    atoms = bulk("CuAu", "zincblende", a=5.74)
    charged = carrying(atoms, DielectricResponse(np.array([np.eye(3), -np.eye(3)]), 5 * np.eye(3)))
    keys = []
    for name, crystal in (("plain", atoms), ("charged", charged)):
        folder = tmp_path / name
        folder.mkdir()
        crystal.info["material_id"] = "x"
        write(folder / "x.xyz", crystal, format="extxyz")
        [work] = plan_screening(intake_of(folder, tmp_path / f"{name}-out")).open["relaxation"]
        keys.append(work.keys)
    assert keys[0][0] == keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_a_crystal_without_charges_has_no_correction(tmp_path):
    write(tmp_path / "x.xyz", bulk("CuAu", "zincblende", a=5.74), format="extxyz")
    [raw] = read_raw_records(tmp_path)
    found = classify_record(raw, tmp_path, SETTINGS)
    assert "born_charges" not in found.row
    assert make_nac_params(found.row) is None
