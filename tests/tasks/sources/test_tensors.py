"""Tensors of crystal generators are read; nothing else in such a file is, let alone run."""

import os

import pytest
import torch
from ase.build import bulk

from tasks.failures import Failure
from tasks.sources import parse_record, read_raw_records

CRYSTALS = [bulk("Si"), bulk("ZnS", "zincblende", a=5.4), bulk("Cu")]


def tensors(dtype=torch.float32):
    """Tensors of some crystals, with a leading axis as CDVAE writes it."""
    cells = torch.tensor([atoms.cell.cellpar() for atoms in CRYSTALS], dtype=dtype)
    fractions = [row for atoms in CRYSTALS for row in atoms.get_scaled_positions().tolist()]
    return {
        "num_atoms": torch.tensor([[len(atoms) for atoms in CRYSTALS]]),
        "atom_types": torch.tensor([[z for atoms in CRYSTALS for z in atoms.numbers.tolist()]]),
        "frac_coords": torch.tensor([fractions], dtype=dtype),
        "lengths": cells[None, :, :3],
        "angles": cells[None, :, 3:],
    }


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch escaped",)


def test_generated_crystals_are_read(tmp_path):
    torch.save(tensors() | {"time": 3.5}, tmp_path / "gen.pt")
    found = [parse_record(raw).atoms for raw in read_raw_records(tmp_path / "gen.pt")]
    assert [str(atoms.symbols) for atoms in found] == ["Si2", "ZnS", "Cu"]
    for atoms, expected in zip(found, CRYSTALS, strict=True):
        assert atoms.get_volume() == pytest.approx(expected.get_volume(), rel=1e-5)


def test_objects_that_run_are_refused_and_do_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(tensors() | {"extra": Bomb()}, tmp_path / "bomb.pt")
    [failure] = read_raw_records(tmp_path / "bomb.pt")
    assert "no plain tensors" in failure.message
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"num_atoms": torch.tensor([1])},
        tensors() | {"num_atoms": torch.tensor([2, 2])},
        tensors() | {"num_atoms": torch.tensor([-1, 4, 2])},
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pt")
    [failure] = read_raw_records(tmp_path / "odd.pt")
    assert isinstance(failure, Failure)
    assert failure.message.startswith("unreadable")


def test_an_element_that_does_not_exist_costs_no_other(tmp_path):
    content = tensors()
    content["atom_types"][0, 0] = 0
    torch.save(content, tmp_path / "gen.pt")
    first, *others = read_raw_records(tmp_path / "gen.pt")
    with pytest.raises(ValueError, match="no element 0"):
        parse_record(first)
    assert len([parse_record(raw) for raw in others]) == 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"atom_types": torch.tensor([14.0, 14.0, 30.5, 16.0, 29.0])}, "atom_types has values"),
        ({"num_atoms": torch.tensor([1.5, 2.5, 1.0])}, "num_atoms has values"),
        ({"angles": torch.tensor([[90.0, 90.0]] * 5)}, "angles has 10 numbers"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(tmp_path, changed, words):
    """An atomic number of 30.5 is no zinc."""
    torch.save(tensors() | changed, tmp_path / "odd.pt")
    [failure] = read_raw_records(tmp_path / "odd.pt")
    assert words in failure.message


def test_whole_numbers_may_be_written_as_reals(tmp_path):
    given = tensors()
    reals = {key: given[key].double() for key in ("num_atoms", "atom_types")}
    torch.save(given | reals, tmp_path / "gen.pt")
    found = [parse_record(raw).atoms for raw in read_raw_records(tmp_path / "gen.pt")]
    assert [str(atoms.symbols) for atoms in found] == ["Si2", "ZnS", "Cu"]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"])
def test_files_without_tensors_are_told_in_words(tmp_path, content):
    (tmp_path / "odd.pt").write_bytes(content)
    [failure] = read_raw_records(tmp_path / "odd.pt")
    assert failure.message == ("unreadable: no plain tensors: " * bool(content)) + (
        "damaged, of another kind, or with objects in it" if content else "empty file"
    )
