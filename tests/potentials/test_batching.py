"""Batches fit into the memory, and no result depends on how structures are packed."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from potentials import Evaluation, batching, load_potential
from potentials.batching import Budget, pack_batches, run_in_batches
from tests.potentials.crystals import rattled, trigonal_tellurium

pytestmark = pytest.mark.slow

RELATIVE = {"float32": 1e-6, "float64": 1e-12}


@dataclass(frozen=True)
class Small:
    """A model on a device with room for so many atoms, that records what it was given."""

    model: torch.nn.Module
    room: int
    passes: list = field(default_factory=list)

    def __call__(self, data):
        self.passes.append(len(data["atomic_numbers"]))
        if self.passes[-1] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.model(data)


@pytest.fixture
def crystals():
    """Crystals of 1 to 24 atoms, with different numbers of neighbours."""
    copper, tellurium = bulk("Cu", cubic=True), trigonal_tellurium()
    cells = [bulk("Cu"), bulk("Si"), tellurium, tellurium * (2, 2, 2), copper, bulk("Si")]
    return [rattled(cell, 0.02 * count) for count, cell in enumerate(cells, start=1)]


@pytest.fixture
def roomy(monkeypatch):
    """All structures in one forward pass."""
    monkeypatch.setattr(batching, "_CPU_BYTES", 1e12)


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("name", ["7net-0", "7net-l3i5"])
def test_batch_equals_single(name, dtype, crystals, roomy):
    potential = load_potential(name, dtype=dtype, parity=False)
    small = Small(potential.model, room=1000)
    together = replace(potential, model=small).evaluate(crystals)
    assert small.passes == [sum(map(len, crystals))]
    singles = [potential.evaluate([atoms]) for atoms in crystals]
    alone = Evaluation(
        energies=np.concatenate([single.energies for single in singles]),
        forces=tuple(single.forces[0] for single in singles),
        stresses=np.concatenate([single.stresses for single in singles]),
        wall_time=0.0,
    )
    assert_same(together, alone, RELATIVE[dtype])


def assert_same(found: Evaluation, expected: Evaluation, relative: float) -> None:
    """Forces and stresses, where large terms cancel, are compared with the largest component."""
    assert found.energies == pytest.approx(expected.energies, rel=relative)
    assert [len(forces) for forces in found.forces] == [len(forces) for forces in expected.forces]
    for mine, theirs in (
        (np.concatenate(found.forces), np.concatenate(expected.forces)),
        (found.stresses, expected.stresses),
    ):
        assert np.allclose(mine, theirs, rtol=0, atol=relative * np.abs(theirs).max())


@pytest.mark.parametrize("room", [24, 27, 30])
def test_batches_are_halved_until_they_fit(room, crystals, roomy):
    potential = load_potential("7net-0", parity=False)
    expected = potential.evaluate(crystals)
    small = Small(potential.model, room)
    device = replace(potential, model=small, budget=Budget(potential.device))
    assert_same(device.evaluate(crystals), expected, 1e-12)
    assert max(small.passes) > room
    small.passes.clear()
    assert_same(device.evaluate(crystals), expected, 1e-12)
    assert max(small.passes) <= room, "the smaller limit was forgotten"


def test_a_structure_that_does_not_fit_alone_raises(crystals, roomy):
    potential = load_potential("7net-0", parity=False)
    model = Small(potential.model, room=20)
    device = replace(potential, model=model, budget=Budget(potential.device))
    with pytest.raises(torch.OutOfMemoryError):
        device.evaluate(crystals)


def test_other_errors_pass_through():
    def fail(_items):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        run_in_batches([1, 2], [1, 1], Budget(torch.device("cpu")), fail)


def test_batches_are_consecutive_and_bounded():
    assert pack_batches([2, 2, 9, 3, 20, 1], limit=12) == [[0, 1], [2, 3], [4], [5]]
    assert pack_batches([], limit=12) == []


def test_a_gpu_lends_a_share_of_its_free_memory(monkeypatch):
    """Free is what the driver has and what torch keeps without using it."""
    emptied = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (6_000, 16_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 5_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 1_000)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    budget = Budget(torch.device("cuda"))
    assert 0.5 * 10_000 < budget.limit() < 0.9 * 10_000
    budget.lower(4_000)
    assert budget.limit() == 2_000
    assert emptied
