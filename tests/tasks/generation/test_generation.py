"""Sequences are drawn under conditions, placed in exactly their group, relaxed and judged."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase.data import covalent_radii
from ase.io import read
from matscipy.neighbours import neighbour_list

from potentials import load_potential
from tasks.crystals.curation import find_charge_balance
from tasks.failures import RemediableError
from tasks.generation.candidates import (
    COLLAPSED,
    INVERSION,
    NOT_PLACED,
    SAME,
    CandidateSettings,
    make_candidates,
    make_row,
)
from tasks.generation.learning import ask_questions, compute_losses
from tasks.generation.model import CellStatistics, load_sequence_model
from tasks.generation.network import COMPLETE, Partial, Scorer, find_allowed_positions
from tasks.generation.placement import OTHER_GROUP, TOO_CLOSE, PlacementSettings, place
from tasks.generation.sampling import SOHNCKE, Conditions, sample_sequences
from tasks.generation.sequences import Occupation, WyckoffSequence
from tasks.symmetry import classify_space_group, find_space_group_number, read_database_operations
from tasks.symmetry.wyckoff import list_wyckoff_positions, read_wyckoff_crystal
from tasks.training.sequence_run import make_data

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"

# Near those of crystals; a unit metric where no shape is known.
VOLUMES = np.full(104, 15.0)
UNKNOWN_SHAPES = CellStatistics(VOLUMES, np.zeros(0, dtype=int), np.zeros((0, 3, 3)))


def make_sequence(number: int, *sites: tuple[str, int]) -> WyckoffSequence:
    """Sequence of (letter, atomic number)."""
    letters = [position.letter for position in list_wyckoff_positions(number)]
    return WyckoffSequence(
        number, tuple(sorted(Occupation(letters.index(name), z) for name, z in sites))
    )


@pytest.fixture(scope="module")
def model():
    return load_sequence_model()


@pytest.fixture(scope="module")
def drawn(model):
    return sample_sequences(model, Conditions(), 60, seed=3)


def test_default_groups_are_the_65_of_chiral_crystals(drawn):
    assert len(SOHNCKE) == 65
    assert {sequence.number for sequence in drawn} <= set(SOHNCKE)
    assert len({sequence.number for sequence in drawn}) > 10


def test_no_position_without_a_free_coordinate_is_occupied_twice(drawn):
    for sequence in drawn:
        counts = Counter(occupation.position for occupation in sequence.occupations)
        positions = list_wyckoff_positions(sequence.number)
        assert all(n == 1 or not positions[p].is_fixed for p, n in counts.items())
        assert 1 <= sequence.n_atoms <= 20


def test_charges_can_balance(drawn):
    assert all(find_charge_balance(sequence.formula) != "none" for sequence in drawn)


def test_conditions_hold(model):
    wanted = Conditions(
        space_groups=(152, 154, 198), elements=("Si", "Ge", "O"), min_atoms=6, max_atoms=12
    )
    found = sample_sequences(model, wanted, 30, seed=0)
    assert {s.number for s in found} <= {152, 154, 198}
    assert {z for s in found for z in s.composition} <= {8, 14, 32}
    assert all(6 <= s.n_atoms <= 12 for s in found)


def test_the_seed_decides_all(model, drawn):
    assert sample_sequences(model, Conditions(), 60, seed=3) == drawn
    assert sample_sequences(model, Conditions(), 20, seed=3) == drawn[:20]
    assert sample_sequences(model, Conditions(), 60, seed=4) != drawn


def test_a_low_temperature_repeats_what_is_likely(model):
    def count_kinds(temperature: float) -> int:
        conditions = Conditions(space_groups=(198,), temperature=temperature)
        return len(set(sample_sequences(model, conditions, 60, seed=0)))

    assert count_kinds(0.2) < count_kinds(1.5)


def test_the_model_knows_more_than_frequencies(model):
    """The crystals of the demo surprise it less than they do the baseline."""
    sequences = [
        WyckoffSequence.read(read_wyckoff_crystal(read(path)))
        for path in sorted(DEMO.glob("*.cif"))
    ]
    rows = [
        {
            "number": s.number,
            "positions": [o.position for o in s.occupations],
            "elements": [o.atomic_number for o in s.occupations],
        }
        for s in sequences
    ]
    data = make_data(pd.DataFrame(rows))
    questions = [next(ask_questions(data, 64, rng(seed))) for seed in range(8)]

    def measure(scorer: Scorer) -> np.ndarray:
        with torch.no_grad():
            losses = [compute_losses(scorer, question) for question in questions]
        return np.mean([(float(x.position), float(x.element)) for x in losses], axis=0)

    assert (measure(model.network) < measure(model.independent) - 0.1).all()


def test_independent_sites_are_drawn_as_often_as_they_are_known(model):
    """Oxygen is on as many of their sites as on those of known crystals."""
    conditions = Conditions(space_groups=(198,), charge_balance=False, independent=True)
    found = sample_sequences(model, conditions, 300, seed=0)
    sites = Counter(o.atomic_number for s in found for o in s.occupations)
    share = float(model.independent.elements[8] / model.independent.elements.sum())
    assert sites[8] / sites.total() == pytest.approx(share, abs=0.04)


def test_conditions_that_nothing_meets_are_told(model):
    narrow = Conditions(space_groups=(198,), min_atoms=3, max_atoms=3)
    with pytest.raises(RemediableError, match="0 of 1 sequences"):
        sample_sequences(model, narrow, 1, seed=0)
    with pytest.raises(RemediableError, match="knows none of the elements Fr"):
        sample_sequences(model, Conditions(elements=("Fr",)), 1, seed=0)


@pytest.mark.parametrize("wrong", [{"space_groups": (231,)}, {"elements": ("Xx",)}])
def test_conditions_are_checked(wrong):
    with pytest.raises(ValueError, match="has the"):
        Conditions(**wrong)


def test_the_order_of_sites_does_not_matter(model):
    """Scores of a set of five sites, and of the same in another order, with padding."""
    positions, elements = torch.tensor([[0, 1, 2, 2, 2]]), torch.tensor([[14, 8, 8, 20, 3]])
    order = torch.tensor([3, 0, 4, 2, 1])
    groups, present = torch.tensor([3]), torch.ones(1, 5, dtype=torch.bool)
    padded = torch.nn.functional.pad
    network = model.network
    with torch.no_grad():
        first = network.encode(Partial(groups, positions, elements, present))
        second = network.encode(
            Partial(
                groups,
                padded(positions[:, order], (0, 3), value=1),
                padded(elements[:, order], (0, 3), value=50),
                padded(present, (0, 3)),
            )
        )
    assert torch.allclose(first, second, atol=1e-5)
    other = network.encode(Partial(groups, positions, elements.flip(1), present))
    assert not torch.allclose(first, other, atol=1e-3)


@pytest.mark.parametrize("number", range(1, 231))
def test_masks_leave_the_positions_of_the_group(model, number):
    """An occupied point is closed, an occupied line or plane is not."""
    tables, positions = model.network.tables, list_wyckoff_positions(number)
    groups, nothing = torch.tensor([number - 1]), torch.zeros(1, 0, dtype=torch.long)
    free = find_allowed_positions(tables, Partial(groups, nothing, nothing, nothing.bool()))[0]
    fitting = [index for index, p in enumerate(positions) if p.multiplicity <= 20]
    assert free.nonzero()[:, 0].tolist() == fitting
    assert len(free) == COMPLETE
    for index in fitting:
        one = torch.tensor([[index]])
        shown = Partial(groups, one, one, torch.ones(1, 1, dtype=torch.bool))
        again = find_allowed_positions(tables, shown)[0, index]
        room = 2 * positions[index].multiplicity <= 20
        assert bool(again) == (room and not positions[index].is_fixed)


@pytest.mark.parametrize("number", range(1, 231))
def test_what_is_placed_has_exactly_the_group_that_was_asked_for(number):
    """Three elements on general positions, in a roomy cell of a generic shape."""
    letter = list_wyckoff_positions(number)[-1].letter
    sequence = make_sequence(number, (letter, 14), (letter, 8), (letter, 11))
    settings, generator = PlacementSettings(points=40), np.random.default_rng(number)
    roomy = CellStatistics(8 * VOLUMES, UNKNOWN_SHAPES.groups, UNKNOWN_SHAPES.metrics)
    found = [place(sequence, roomy, settings, generator) for _ in range(8)]
    made = [placement.atoms for placement in found if placement.atoms is not None]
    assert made
    for atoms in made:
        assert find_space_group_number(atoms, 1e-4) == number
        assert len(atoms) == 3 * len(read_database_operations(number).rotations)
        near = settings.min_distance * covalent_radii[atoms.numbers]
        assert not len(neighbour_list("d", atoms, near))


def test_a_sequence_that_always_has_more_symmetry_is_refused():
    """One atom in P1 has an inversion centre."""
    found = place(make_sequence(1, ("a", 14)), UNKNOWN_SHAPES, PlacementSettings(), rng())
    assert (found.atoms, found.reason) == (None, OTHER_GROUP)


def test_atoms_that_are_too_close_are_refused():
    crowded = CellStatistics(VOLUMES / 20, UNKNOWN_SHAPES.groups, UNKNOWN_SHAPES.metrics)
    found = place(make_sequence(198, ("a", 14), ("a", 26)), crowded, PlacementSettings(), rng())
    assert found.reason == TOO_CLOSE


def test_cells_have_the_volume_of_their_atoms_and_the_shape_of_known_ones(model):
    settings = PlacementSettings(volume_spread=0.0)
    sequence = make_sequence(198, ("a", 14), ("a", 26))
    found = [place(sequence, model.cells, settings, rng(seed)).atoms for seed in range(5)]
    volumes = [atoms.get_volume() for atoms in found if atoms is not None]
    expected = 4 * (model.cells.volumes[14] + model.cells.volumes[26])
    assert volumes
    assert volumes == pytest.approx([expected] * len(volumes))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def potential():
    return load_potential("nequix-mp-1-pft", dtype="float32")


def test_iron_silicide_is_found(model, potential):
    """FeSi from its sequence alone: P2_13, two elements on 4a, lattice constant 4.49 Å."""
    sequence = make_sequence(198, ("a", 14), ("a", 26))
    settings = CandidateSettings(tries=8)
    [found] = make_candidates([sequence], model.cells, potential, settings, [(0, 0)])
    assert (found.outcome, found.number, found.n_tries) == (SAME, 198, 8)
    assert found.relaxation.atoms.cell.lengths() == pytest.approx([4.49] * 3, rel=0.03)
    row = make_row(found)
    assert (row["formula"], row["prototype"], row["space_group_asked"]) == ("FeSi", "198_a_a", 198)
    assert row["energy"] == found.relaxation.energy


def test_what_becomes_of_sequences_is_told(model, potential):
    """An inversion centre that a relaxation finds, one that is there from the start, a gas."""
    alone = make_sequence(1, ("a", 14))
    gold = make_sequence(5, ("a", 79), ("b", 79), ("c", 79))
    settings = CandidateSettings(tries=2)
    lost, kept = make_candidates([alone, gold], model.cells, potential, settings, [(0,), (1,)])
    assert (lost.outcome, lost.relaxation) == (NOT_PLACED, None)
    assert "another space group" in lost.reason
    assert make_row(lost)["lattice"] is None
    assert kept.outcome in {SAME, INVERSION}
    if kept.outcome == INVERSION:
        assert classify_space_group(kept.number).chirality_class == "I"
    assert kept.outcome != COLLAPSED


def test_other_names_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="choose one of default"):
        load_sequence_model("unknown")
    with pytest.raises(ValueError, match="choose one of default"):
        load_sequence_model("../weights/default")
    file = tmp_path / "model.pt"
    torch.save({"format": "something else"}, file)
    with pytest.raises(ValueError, match="is no sequences-1 file"):
        load_sequence_model(f"sequences:{file}")


def test_the_shipped_model_is_small_and_has_a_card(model):
    assert sum(x.numel() for x in model.network.parameters()) < 1_000_000
    assert "CC-BY 4.0" in model.card.licence
    assert model.card.losses["test"].keys() == {"position", "element"}
    assert model.card.volume_error < 0.12
    assert len(model.card.digest) == 64
