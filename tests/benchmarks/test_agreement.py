"""Agreement of two calculations: matching of modes, signs, verdicts, alignment of crystals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.validation.agreement import (
    Share,
    align,
    compare_verdicts,
    cosine,
    mode_agreement,
    sign_agreement,
)
from benchmarks.validation.convergence import long_form
from benchmarks.validation.dfpt_eigenvectors import modes_of
from benchmarks.validation.materials import COLUMNS, per_material
from benchmarks.validation.stability import drawn
from benchmarks.validation.tables import contradictions_table
from tasks.chirality import Modes, angular_momentum, compute_modes
from tasks.results.agreement import flag_sharp_modes, match_modes
from tests.crystals import quartz, spring_phonon, tellurium, transformed, wurtzite

Q_POINTS = np.random.default_rng(3).uniform(-0.5, 0.5, (6, 3))


def shuffled(modes, seed=0):
    """The same modes in another order and with other phases."""
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(modes.n_bands), (len(modes), 1)), axis=1)
    phases = np.exp(2j * np.pi * rng.uniform(size=(len(modes), 1, modes.n_bands)))
    return Modes(
        modes.q_points,
        np.take_along_axis(modes.frequencies, order, axis=1),
        np.take_along_axis(modes.eigenvectors * phases, order[:, None], axis=2),
    )


@pytest.fixture(scope="module")
def te():
    return compute_modes(spring_phonon(tellurium()), Q_POINTS)


def test_modes_in_another_order_are_found_by_overlap(te):
    found = match_modes(te, shuffled(te))
    assert found.frequencies == pytest.approx(te.frequencies, abs=1e-12)
    overlap = np.einsum("qib,qib->qb", te.eigenvectors.conj(), found.eigenvectors)
    assert np.abs(overlap) == pytest.approx(1.0, abs=1e-10)


def test_matching_follows_vectors_not_frequencies(te):
    """Two branches that have crossed keep their angular momenta."""
    crossed = te.frequencies.copy()
    crossed[:, [3, 4]] = crossed[:, [4, 3]]
    found = match_modes(te, Modes(te.q_points, crossed, te.eigenvectors))
    assert found.frequencies[:, 3] == pytest.approx(te.frequencies[:, 4])


def test_a_calculation_agrees_with_itself(te):
    row = mode_agreement(te, te, tellurium().cell)
    assert row["matched_frequency_mae"] == 0
    assert row["momentum_mae"] == pytest.approx(0, abs=1e-12)
    assert row["n_momentum"] > 20
    assert row["momentum_same_sign"] == row["helicity_same_sign"] == 1
    assert row["leading_sign_agrees"] is True
    assert row["overlap"] == pytest.approx(1)


def test_conjugated_eigenvectors_reverse_every_sign(te):
    """The other sign of the phase, or of time, is the commonest mistake: it must show."""
    reversed_ = Modes(te.q_points, te.frequencies, te.eigenvectors.conj())
    first, second = angular_momentum(te.eigenvectors), angular_momentum(reversed_.eigenvectors)
    sizes = np.linalg.norm(first, axis=-1).ravel()
    signs = sign_agreement(sizes, np.einsum("qba,qba->qb", first, second).ravel())
    assert signs.share == 0
    assert signs.leading is False


def test_sharp_modes_are_far_from_all_others():
    frequencies = np.array([[1.0, 1.05, 2.0]])
    modes = Modes(np.zeros((1, 3)), frequencies, np.eye(3, dtype=complex)[None])
    assert flag_sharp_modes(modes).tolist() == [[False, False, True]]
    assert flag_sharp_modes(modes, gap=0.04).all()


def test_signs_of_small_numbers_are_not_compared():
    signs = sign_agreement(np.array([0.5, -0.4, 0.05]), np.array([0.1, 0.1, -0.9]))
    assert (signs.n, signs.share, signs.leading) == (2, 0.5, True)
    assert sign_agreement(np.array([0.05]), np.array([1.0])).share is None


def test_an_inverted_crystal_lies_on_the_original_by_inversion():
    atoms, order = quartz(152), np.array([4, 2, 0, 1, 3, 5, 8, 6, 7])
    image = atoms[order]
    image.set_scaled_positions(0.1 - atoms.get_scaled_positions()[order])
    found = align(atoms, image)
    assert found.inverted
    assert (image.numbers[found.order] == atoms.numbers).all()
    assert (order[found.order] == np.arange(9)).all()
    assert not align(atoms, atoms).inverted


def test_modes_of_an_inverted_crystal_are_carried_back():
    """Angular momenta of a crystal and its inverse are opposite; carried back they are equal."""
    atoms, order = tellurium(), np.array([2, 0, 1])
    phonon = spring_phonon(atoms)
    # The inverse is given in the cell -a, whose fractional q are those of -q in the cell a.
    modes = compute_modes(transformed(phonon, -np.eye(3), order=order), -Q_POINTS)
    image = atoms[order]
    image.set_scaled_positions(-atoms.get_scaled_positions()[order])
    expected = compute_modes(phonon, Q_POINTS)
    row = mode_agreement(expected, align(atoms, image).carried(modes), atoms.cell)
    assert row["overlap"] == pytest.approx(1, abs=1e-8)
    assert row["momentum_mae"] == pytest.approx(0, abs=1e-8)
    unturned = replace(align(atoms, image), inverted=False).carried(modes)
    wrong = mode_agreement(expected, unturned, atoms.cell)
    assert wrong["overlap"] < 0.9
    assert wrong["momentum_mae"] > 0.1


@pytest.mark.parametrize("size", [0.0, 0.05, 0.3])
def test_sites_that_moved_far_are_found_all_the_same(size):
    """The distances are those after the mean one is taken away, as the origin is a choice."""
    atoms, order = quartz(152), np.array([4, 2, 0, 1, 3, 5, 8, 6, 7])
    moves = size * np.random.default_rng(0).normal(size=(9, 3)) / np.sqrt(3)
    moves -= moves.mean(axis=0)
    moved = atoms.copy()
    moved.positions += moves + np.array([0.4, 0.1, 0.2])
    found = align(atoms, moved[order])
    assert (order[found.order] == np.arange(9)).all()
    assert not found.inverted
    assert found.farthest == pytest.approx(np.linalg.norm(moves, axis=1).max(), abs=1e-9)


def test_crystals_of_other_atoms_are_not_aligned():
    with pytest.raises(ValueError, match="other atoms"):
        align(quartz(152), wurtzite())


def test_lattice_phases_become_those_of_atomic_positions(te):
    """Published vectors hold exp(i q.R) alone; turned round they overlap with our own."""
    atoms = tellurium()
    positions = atoms.get_scaled_positions(wrap=False)
    vectors = np.swapaxes(te.eigenvectors, 1, 2).reshape(len(te), te.n_bands, -1, 3)
    phases = np.exp(2j * np.pi * te.q_points @ positions.T)
    published = vectors * phases[:, None, :, None]
    found = modes_of(te.q_points, te.frequencies, published, positions)
    assert found.eigenvectors == pytest.approx(te.eigenvectors, abs=1e-12)


def test_verdicts_are_counted():
    verdicts = compare_verdicts([1, 1, 1, 0, 0], [1, 1, 0, 1, 0])
    assert (verdicts.precision, verdicts.recall) == (Share(2, 3), Share(2, 3))
    assert verdicts.accuracy == Share(3, 5)


def test_interval_of_wilson():
    """8 of 10: 0.4902 to 0.9433, L. D. Brown et al., Stat. Sci. 16, 101 (2001), by formula."""
    z, p, n = 1.959964, 0.8, 10
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert Share(8, 10).interval == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert Share(0, 0).interval == (0.0, 1.0)


@given(st.integers(1, 200), st.integers(0, 200))
def test_an_interval_holds_its_share(trials, successes):
    share = Share(min(successes, trials), trials)
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1
    assert high - low < 1


def test_cosine_of_opposite_tensors():
    tensor = np.arange(9.0).reshape(3, 3)
    assert cosine(tensor, -2 * tensor) == pytest.approx(-1)
    assert cosine(tensor, np.zeros(9)) is None


def test_a_sample_takes_small_cells_first_in_an_order_of_its_own():
    table = pd.DataFrame(
        {
            "material_id": [f"m{i:02d}" for i in range(30)],
            "nsites_primitive": [2, 7, 30] * 10,
        }
    )
    found = drawn(table, (0, 6, 12))
    assert found["stratum"].tolist() == [6] * 10 + [12] * 10
    assert found["material_id"].tolist() == drawn(table[::-1], (0, 6, 12))["material_id"].tolist()
    assert found["material_id"].tolist() != sorted(found["material_id"])


def test_rows_of_a_script_become_rows_of_materials():
    table = pd.DataFrame(
        {
            "potential": ["7net-0", "7net-0", "dft"],
            "material_id": ["a", "b", "c"],
            "space_group_dft": [152, 152, 186],
            "space_group": [154, 194, 186],
            "wave_dft": ["s", "s", "i"],
            "wave": ["s", "none", "i"],
            "min_frequency_dft": [0.5, -1.0, 0.5],
            "stable": [True, True, None],
        }
    )
    found = per_material("dft_modes", table)
    assert list(found.columns) == list(COLUMNS)
    assert found["class_agrees"].tolist() == [True, False]
    assert found["stability_agrees"].tolist() == [True, False]


def test_what_the_list_of_stability_cannot_tell():
    table = pd.DataFrame(
        {
            "potential": "7net-0",
            "material_id": ["sound", "interpolated", "contradicted", "found", "noise"],
            "space_group": 152,
            "min_frequency_dft": [0.0, -0.6, -0.6, -0.6, -0.3],
            "min_frequency_between": [-0.5, -0.4, 0.0, -1.0, 0.0],
            "stable": [True, True, True, False, True],
        }
    )
    found = per_material("stability", table)
    assert found["stability_agrees"].tolist() == [True, False, False, True, False]
    assert found["decidable"].tolist() == [True, False, True, True, False]
    assert per_material("dft_modes", table)["decidable"].tolist() == [True, False, True, True, True]
    [line] = contradictions_table(table.assign(formula="X")).to_dict("records")
    assert line["stable here, unstable there"] == 3
    assert line["unstable here too, judged as there"] == 1


def test_lists_of_deviations_become_rows():
    rows = pd.DataFrame(
        {
            "crystal": ["te", "te"],
            "setting": ["displacement", "mesh spacing"],
            "unit": ["Å", "1/Å"],
            "values": [[0.02, 0.04], [0.01, 0.02]],
            "frequency_change": [[0.1, 0.4], None],
            "tensor_change": [None, [0.3, None]],
        }
    )
    found = long_form(rows)
    assert len(found) == 3
    assert found.loc[found["value"] == 0.04, "deviation"].item() == 0.4
    assert found.loc[found["measure"] == "tensor", "setting"].item() == "mesh spacing"
