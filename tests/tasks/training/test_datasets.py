"""Frames keep their labels and never stand on both sides of a split."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from tasks.failures import RemediableError
from tasks.training import read_frames, split_frames, write_frames
from tasks.training.datasets import compute_structure_digest, make_frame
from tests.tasks.training.crystals import ELEMENTS, real_atoms, real_frames, same, silicon_labels


def test_extended_xyz_keeps_labels_with_their_signs():
    for frame, atoms in zip(real_frames(), real_atoms(), strict=True):
        assert frame.energy == atoms.get_potential_energy()
        assert same(frame.forces, atoms.get_forces())
        assert same(frame.stress, atoms.get_stress(voigt=False))
        assert frame.group == atoms.info["group"]
        assert len(frame.column_indices) == 0


@pytest.mark.slow
def test_parquet_gives_back_what_was_written(tmp_path):
    frames = [*real_frames(), *silicon_labels(), make_frame(bulk("Si"), "unlabelled")]
    write_frames(tmp_path / "frames.parquet", frames)
    for one, two in zip(frames, read_frames(tmp_path / "frames.parquet"), strict=True):
        assert one.group == two.group
        assert same(one.atoms.positions, two.atoms.positions)
        assert same(one.atoms.cell.array, two.atoms.cell.array)
        for name in ("energy", "forces", "stress", "column_indices", "columns"):
            assert same(getattr(one, name), getattr(two, name))
            assert np.shape(getattr(one, name)) == np.shape(getattr(two, name))


def test_missing_labels_are_unknown_and_not_zero(tmp_path):
    path = tmp_path / "bare.extxyz"
    atoms = bulk("Si")
    atoms.write(path, format="extxyz")
    (frame,) = read_frames(path)
    assert np.isnan(frame.energy)
    assert np.isnan(frame.forces).all()
    assert np.isnan(frame.stress).all()


@pytest.mark.parametrize("content", ["", "no xyz at all\n", "PAR1"])
def test_unreadable_files_are_told(tmp_path, content):
    for name in ("frames.extxyz", "frames.parquet"):
        (tmp_path / name).write_text(content)
        with pytest.raises(RemediableError, match="frames"):
            read_frames(tmp_path / name)


def test_molecules_without_a_cell_are_refused(tmp_path):
    Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]).write(tmp_path / "h2.extxyz")
    with pytest.raises(RemediableError, match="cell"):
        read_frames(tmp_path / "h2.extxyz")


@pytest.mark.parametrize("split_by", ["frame", "group"])
def test_no_structure_is_on_both_sides(split_by):
    """Neither a copy under another family's name, nor one whose positions differ by rounding."""
    frames = real_frames()
    copies = [make_frame(f.atoms.copy(), "copy", energy=f.energy) for f in frames[::2]]
    for copy in copies:
        copy.atoms.positions += 1e-9
    for seed in range(20):
        training, validation = split_frames([*frames, *copies], 0.3, split_by, seed)
        sides = [
            {compute_structure_digest(f.atoms) for f in side} for side in (training, validation)
        ]
        assert not sides[0] & sides[1]
        assert sides[1]


def test_families_are_not_divided():
    for seed in range(20):
        training, validation = split_frames(real_frames(), 0.4, "group", seed)
        assert not {f.group for f in training} & {f.group for f in validation}


def test_split_does_not_depend_on_the_order():
    frames = real_frames()
    one = split_frames(frames, 0.25, "frame", 3)[1]
    two = split_frames(frames[::-1], 0.25, "frame", 3)[1]
    assert {compute_structure_digest(f.atoms) for f in one} == {
        compute_structure_digest(f.atoms) for f in two
    }
    assert len(one) == 6


def test_too_few_frames_are_told():
    with pytest.raises(RemediableError, match="cannot be divided"):
        split_frames(real_frames()[:1], 0.5, "frame", 0)


def test_compressed_files_are_read():
    assert ELEMENTS.suffix == ".xz"
    assert len(real_frames()) == 24
