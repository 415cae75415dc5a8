"""The 230 space groups: classes, waves, tensor forms, partners, against counts and oracles."""

from collections import Counter

import moyopy
import numpy as np
import pytest
from ase import Atoms

from tasks.symmetry import classify_space_group
from tasks.symmetry.operations import read_database_operations
from tests.crystals import CHIRAL_PAIRS, random_crystal, space_group_number

ALL = [classify_space_group(number) for number in range(1, 231)]
N_COMPONENTS = {
    "1": 9, "2": 5, "m": 4, "222": 3, "mm2": 2, "4": 3, "-4": 2, "422": 2, "4mm": 1, "-42m": 1,
    "3": 3, "32": 2, "3m": 1, "6": 3, "622": 2, "6mm": 1, "23": 1, "432": 1,
}  # fmt: skip


def test_counts_of_classes_and_waves():
    """92 centrosymmetric and 65 Sohncke groups; 40 d-wave, 23 g-wave and 10 i-wave ones."""
    counts = Counter((g.chirality_class, g.helicity_wave) for g in ALL)
    assert counts == {
        ("I", "none"): 92, ("II", "s"): 65, ("III", "d"): 40, ("III", "g"): 23, ("III", "i"): 10,
    }  # fmt: skip


def test_point_groups_of_the_classes_and_waves():
    point_groups = {}
    for group in ALL:
        key = (group.chirality_class, group.helicity_wave)
        point_groups.setdefault(key, set()).add(group.point_group)
    assert len(point_groups["I", "none"]) == len(point_groups["II", "s"]) == 11
    assert point_groups["III", "d"] == {"m", "mm2", "-4", "-42m"}
    assert point_groups["III", "g"] == {"4mm", "3m", "-6", "-6m2"}
    assert point_groups["III", "i"] == {"6mm", "-43m"}


def test_number_of_tensor_components_of_each_point_group():
    """18 point groups (127 space groups) allow the tensor; -6, -6m2 and -43m do not."""
    found = {g.point_group: g.n_tensor_components for g in ALL if g.n_tensor_components}
    assert found == N_COMPONENTS
    assert sum(g.n_tensor_components > 0 for g in ALL) == 127
    without = {g.number for g in ALL if g.allows_angular_momentum and not g.n_tensor_components}
    assert without == {174, *range(187, 191), *range(215, 221)}


def test_tensor_is_antisymmetric_in_4mm_3m_6mm_alone():
    antisymmetric = {
        g.point_group
        for g in ALL
        if g.n_tensor_components and np.allclose(g.tensor_basis, -g.tensor_basis.swapaxes(1, 2))
    }
    assert antisymmetric == {"4mm", "3m", "6mm"}


def test_trace_of_the_tensor_is_allowed_in_chiral_groups_alone():
    """Tr alpha is a pseudoscalar."""
    for group in ALL:
        has_trace = np.any(np.abs(np.einsum("naa->n", group.tensor_basis)) > 1e-9)
        assert has_trace == (group.chirality_class == "II")


@pytest.mark.parametrize(
    ("number", "components"),
    [
        (3, ("xx", "xz", "yy", "zx", "zz")),
        (75, ("xx = yy", "xy = -yx", "zz")),
        (81, ("xx = -yy", "xy = yx")),
        (111, ("xx = -yy",)),
        (115, ("xy = yx",)),
        (152, ("xx = yy", "zz")),
        (186, ("xy = -yx",)),
        (198, ("xx = yy = zz",)),
        (216, ()),
        (225, ()),
    ],
)
def test_labels_of_textbook_forms(number, components):
    assert classify_space_group(number).tensor_components == components


def test_labels_and_basis_describe_the_same_tensors():
    """Each label names the non-zero elements of its basis tensor, with signs; norms are 1."""
    for group in ALL:
        for label, tensor in zip(group.tensor_components, group.tensor_basis, strict=True):
            rebuilt = np.zeros((3, 3))
            for term in label.split(" = "):
                i, j = ("xyz".index(letter) for letter in term[-2:])
                rebuilt[i, j] = -1.0 if term.startswith("-") else 1.0
            np.testing.assert_allclose(tensor, rebuilt / np.linalg.norm(rebuilt), atol=1e-12)


def test_basis_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        classify_space_group(152).tensor_basis[0, 0, 0] = 1.0


def test_enantiomorphic_pairs_are_the_eleven():
    partners = {g.number: g.enantiomorphic_partner for g in ALL if g.enantiomorphic_partner}
    assert partners == CHIRAL_PAIRS | {b: a for a, b in CHIRAL_PAIRS.items()}


@pytest.mark.parametrize("number", [4, 19, 76, 80, 92, 144, 152, 169, 181, 198, 212])
def test_mirror_image_of_a_crystal_has_the_partner_group(number):
    atoms = random_crystal(number)
    scaled = atoms.get_scaled_positions()
    mirrored = Atoms(atoms.numbers, cell=-atoms.cell.array, scaled_positions=scaled, pbc=True)
    partner = classify_space_group(number).enantiomorphic_partner or number
    assert space_group_number(mirrored) == partner


def test_agrees_with_moyo():
    """Operations from an independent library give the same class, order and crystal system."""
    for group in ALL:
        operations = moyopy.operations_from_number(group.number, primitive=True)
        rotations = np.array(operations.rotations)
        proper = np.linalg.det(rotations) > 0
        inversion = (rotations == -np.eye(3)).all(axis=(1, 2)).any()
        assert group.chirality_class == ("I" if inversion else "II" if proper.all() else "III")
        assert len(rotations) == len(read_database_operations(group.number).rotations)
        assert group.polar == bool(np.linalg.matrix_rank(rotations.sum(axis=0)))
        expected = moyopy.SpaceGroupType(group.number).crystal_system.lower()
        assert group.crystal_system == expected, group.symbol


def test_polar_point_groups_are_the_ten():
    polar = {g.point_group for g in ALL if g.polar}
    assert polar == {"1", "2", "m", "mm2", "3", "3m", "4", "4mm", "6", "6mm"}


def test_classification_is_cached_and_comparable():
    assert classify_space_group(152) is classify_space_group(152)
    assert classify_space_group(152) != classify_space_group(154)
    assert len({*ALL}) == 230


@pytest.mark.parametrize("number", [0, -1, 231])
def test_refuses_numbers_that_are_no_space_group(number):
    with pytest.raises(ValueError, match="from 1 to 230"):
        classify_space_group(number)
