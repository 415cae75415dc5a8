"""What becomes of known crystals is told, and frequencies are compared with PBE."""

import gzip
import json

import numpy as np
import pytest

from potentials import load_potential
from tasks.chirality import compute_modes
from tasks.examination import Grade
from tasks.examination.crystals import read_known_crystals
from tasks.examination.fates import (
    FREQUENCIES,
    compute_mean_error,
    measure_fates,
    measure_frequencies,
)
from tasks.failures import RemediableError
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.relaxation import RelaxationSettings, relax

pytestmark = pytest.mark.slow


def test_tellurium_becomes_cubic_with_nequix_oam_and_stays_with_nequix_mp():
    te = {"te": read_known_crystals(load_potential("nequix-mp-1-pft"))["te"]}
    fate, lost = measure_fates(load_potential("nequix-oam-1-pft"), te)
    assert fate.remark == "space group 152 becomes 221"
    assert fate.grade is Grade.POOR
    assert (lost.subject, lost.value) == ("te", 100.0)
    fate, lost = measure_fates(load_potential("nequix-mp-1-pft"), te)
    assert (fate.remark, fate.grade) == ("", Grade.GOOD)
    assert (lost.subject, lost.value) == ("none", 0.0)


def test_frequencies_of_a_potential_are_those_of_itself(tmp_path):
    """A reference folder made of the potential's own frequencies, shifted by a known amount."""
    potential = load_potential("facet-aln")
    [relaxed] = relax([read_known_crystals(potential)["aln"]], potential, RelaxationSettings())
    settings = PhononSettings(max_atoms=130, max_enlargements=0)
    phonon = compute_force_constants(relaxed.atoms, potential, settings).phonon
    # At q-points of the supercell, where nothing is interpolated.
    q_points = np.array([[1 / 3, 0, 0], [1 / 3, 1 / 3, 0], [0, 0, 0.5]])
    frequencies = compute_modes(phonon, q_points).frequencies
    entry = {
        "atomic_numbers": relaxed.atoms.numbers.tolist(),
        "lattice": relaxed.atoms.cell.tolist(),
        "frac_coords": relaxed.atoms.get_scaled_positions().tolist(),
        "primitive_matrix": np.eye(3).tolist(),
        "qpoints": q_points.tolist(),
        "weights": [1, 2, 3],
        "frequencies_nonac_thz": (frequencies + 0.25).tolist(),
    }
    write_reference(tmp_path, {"AlN": entry})
    found = measure_frequencies(potential, tmp_path)
    assert found.subject == "1 compounds"
    assert found.value == pytest.approx(0.25, abs=0.02)
    assert found.grade is Grade.GOOD


def write_reference(folder, entries):
    with gzip.open(folder / FREQUENCIES, "wt", encoding="utf-8") as stream:
        json.dump(entries, stream)


def test_stars_count_by_their_weight():
    entry = {"frequencies_nonac_thz": [[1.0, 2.0], [1.0, 2.0]], "weights": [1, 3]}
    assert compute_mean_error(np.array([[2.0, 1.0], [2.0, 3.0]]), entry) == pytest.approx(0.75)


def test_a_folder_without_frequencies_is_told(tmp_path):
    with pytest.raises(RemediableError, match=f"holds no {FREQUENCIES}"):
        measure_frequencies(load_potential("facet-aln"), tmp_path)


def test_a_potential_that_knows_no_compound_is_told(tmp_path):
    write_reference(tmp_path, {"RbF": {"atomic_numbers": [37, 9]}})
    with pytest.raises(RemediableError, match="knows the elements of no compound"):
        measure_frequencies(load_potential("facet-aln"), tmp_path)
