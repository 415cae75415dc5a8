"""The whole stage: record and mode table of a crystal."""

import json
from dataclasses import asdict, fields

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from tasks.chirality import ChiralityRecord, ChiralitySettings, analyze_force_constants
from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.brillouin import compute_helicity_size, make_band_path, make_irreducible_mesh
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.statistics import average_atomic_motion, find_translations
from tasks.symmetry.zone import find_zone_images
from tests.crystals import (
    quartz,
    random_rotation,
    rocksalt,
    sampled_groups,
    spring_crystal,
    spring_phonon,
    tellurium,
    transformed,
    wurtzite,
    zincblende,
)
from tests.tasks.chirality.mixing import mix

# Wurtzite then has points inside the zone and off its mirror planes.
COARSE = ChiralitySettings(mesh_spacing=0.06, path_spacing=0.08)
COLUMNS = (
    "q_label q_a q_b q_c segment path_distance band degenerate_set near_degenerate frequency "
    "l_x l_y l_z helicity cycloidicity pam_raw pam_integer pam_order pam_screw"
)
# Ratios of rounding errors.
ROUNDING = {"tensor_violation", "translation_frequency", "sum_rule_violation"}
# What depends on the orientation or on the order of the atoms, and what a reflection reverses.
ORIENTED = {"tensor", "tensor_windows", "tensor_polar_vector", "axis_directions"}
LISTED = {"atomic_angular_momentum", "atomic_polarization"}
ODD = {
    *("helicity_dos", "tensor_pseudoscalar"),
    *("splitting_linear", "splitting_acoustic", "circular_splitting", "raman_splitting"),
}
HANDED = {"axis_screws", "raman_pam", "raman_channels", "raman_frequencies"}


def numbers_of(record, leave_out=frozenset()):
    """Numeric fields as arrays."""
    values = {
        name: np.asarray(value)
        for name, value in asdict(record).items()
        if name not in leave_out | ROUNDING and value is not None
    }
    return {
        name: value.astype(float) for name, value in values.items() if value.dtype.kind in "bif"
    }


def assert_close(found, expected, odd=frozenset()):
    """Equal to 1e-7 of the largest entry, or to rounding where that is zero."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        sign = -1 if name in odd else 1
        rounding = 1e-19 if name.startswith(("tensor", "magnetization")) else 1e-11
        tolerance = 1e-7 * np.abs(value).max(initial=0.0) + rounding
        np.testing.assert_allclose(found[name], sign * value, rtol=0, atol=tolerance, err_msg=name)


@pytest.fixture(scope="module")
def quartz_analysis():
    return analyze_force_constants(spring_phonon(quartz()), COARSE)


@pytest.mark.parametrize("number", [1, 31, 198])
def test_means_are_those_of_the_whole_mesh(number):
    """The reduction by symmetry is only a shortcut."""
    phonon = spring_crystal(number)
    record = analyze_force_constants(phonon, COARSE).record
    mesh = make_irreducible_mesh(phonon, COARSE.mesh_spacing)
    modes = compute_modes(phonon, mesh.full_q_points)
    angular_momentum = compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies)
    )
    size = np.linalg.norm(angular_momentum, axis=-1)
    along = compute_helicity_size(
        angular_momentum, find_zone_images(modes.q_points, phonon.primitive.cell)
    )
    n_modes = size.size - 3
    assert record.n_q_points == len(modes)
    assert record.mean_angular_momentum == pytest.approx(size.sum() / n_modes, rel=1e-9)
    assert record.max_angular_momentum == pytest.approx(size.max(), rel=1e-9)
    assert record.mean_helicity == pytest.approx(along.sum() / n_modes, rel=1e-9)
    sets = find_degenerate_sets(modes.frequencies)
    counted = ~find_translations(modes, phonon.primitive.masses)
    itself = np.arange(len(phonon.primitive))[None]
    atoms = average_atomic_motion(modes, sets, np.ones(len(modes)), counted, itself)
    np.testing.assert_allclose(record.atomic_angular_momentum, atoms[0], rtol=1e-8)
    np.testing.assert_allclose(record.atomic_polarization, atoms[1], rtol=1e-8)
    optical = size[:, 3:]
    assert record.mean_optical_angular_momentum == pytest.approx(optical.mean(), rel=1e-9)
    best = compute_modes(phonon, record.max_optical_q_point)
    band = np.abs(best.frequencies[0] - record.max_optical_frequency).argmin()
    found = compute_mean_angular_momentum(
        best.eigenvectors, find_degenerate_sets(best.frequencies)
    )[0, band]
    assert np.linalg.norm(found) == pytest.approx(record.max_optical_angular_momentum, rel=1e-6)
    assert record.max_optical_angular_momentum == pytest.approx(optical.max(), rel=1e-9)


@pytest.mark.parametrize("make", [quartz, wurtzite, zincblende, lambda: None])
def test_nothing_stored_depends_on_the_eigensolver(make, monkeypatch):
    """Record and table survive a random unitary mixing inside the degenerate sets."""
    atoms = make()
    phonon = spring_crystal(198) if atoms is None else spring_phonon(atoms)
    expected = analyze_force_constants(phonon, COARSE)
    monkeypatch.setattr("tasks.chirality.analysis.compute_modes", mixed_modes_at)
    found = analyze_force_constants(phonon, COARSE)
    assert_close(numbers_of(found.record), numbers_of(expected.record))
    for name, column in expected.modes.items():
        if column.dtype.kind in "fi":
            np.testing.assert_array_equal(np.ma.getmask(found.modes[name]), np.ma.getmask(column))
            np.testing.assert_allclose(found.modes[name], column, atol=2e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(found.modes[name], column, err_msg=name)


def mixed_modes_at(phonon, q_points, **options):
    modes = compute_modes(phonon, q_points, **options)
    return mix(modes, find_degenerate_sets(modes.frequencies))


@pytest.mark.parametrize("number", [1, 33, 152])
def test_a_rotated_crystal_has_the_same_record(number):
    """Orientation enters tensors and axes only."""
    phonon = spring_crystal(number)
    turned = transformed(phonon, random_rotation(number))
    found, expected = (
        numbers_of(analyze_force_constants(p, COARSE).record, ORIENTED) for p in (turned, phonon)
    )
    assert_close(found, expected)


@pytest.mark.parametrize("make", [quartz, tellurium])
def test_the_other_hand_has_the_opposite_helicity(make):
    """Reflection keeps every mean and reverses chi, Tr alpha and the splittings."""
    phonon = spring_phonon(make())
    mirrored = transformed(phonon, np.diag([1.0, 1.0, -1.0]))
    assert "3" in phonon.primitive_symmetry.dataset.international
    left, right = (analyze_force_constants(p, COARSE) for p in (mirrored, phonon))
    leave_out = ORIENTED | HANDED
    assert_close(numbers_of(left.record, leave_out), numbers_of(right.record, leave_out), ODD)
    assert np.abs(right.record.helicity_dos).max() > 0.01
    assert sorted(left.record.raman_frequencies) == pytest.approx(
        sorted(right.record.raman_frequencies)
    )
    assert {left.record.axis_screws[0], right.record.axis_screws[0]} == {1, 2}
    np.testing.assert_allclose(left.modes["helicity"], -right.modes["helicity"], atol=1e-6)
    np.testing.assert_allclose(left.modes["cycloidicity"], right.modes["cycloidicity"], atol=1e-6)


@pytest.mark.parametrize("number", [4, 33])
def test_origin_and_order_of_atoms_do_not_enter(number):
    phonon = spring_crystal(number)
    order = np.random.default_rng(2).permutation(len(phonon.primitive))
    moved = transformed(phonon, shift=(0.2, 0.3, 0.7), order=order)
    found, expected = (analyze_force_constants(p, COARSE).record for p in (moved, phonon))
    assert_close(numbers_of(found, LISTED), numbers_of(expected, LISTED))
    for name in LISTED:
        carried = np.asarray(getattr(expected, name))[order]
        np.testing.assert_allclose(getattr(found, name), carried, atol=1e-8)


@pytest.mark.parametrize("number", [n for n in sampled_groups()[::2] if n not in (203, 226)])
def test_record_obeys_the_class_of_its_space_group(number):
    """I: no angular momentum at all. III: helicity, but none left in chi. II: chi as well."""
    phonon = spring_crystal(number)
    rotations = phonon.primitive_symmetry.symmetry_operations["rotations"]
    record = analyze_force_constants(phonon, COARSE).record
    signs = np.rint(np.linalg.det(rotations))
    if (rotations == -np.eye(3)).all(axis=(1, 2)).any():
        assert record.max_angular_momentum < 1e-9
        assert np.abs(record.tensor).max() < 1e-9 * 1e-7
        return
    assert record.mean_angular_momentum > 1e-3
    total = sum(record.helicity_dos_absolute)
    if (signs < 0).any():
        assert np.abs(record.helicity_dos).max() < 1e-12 + 1e-9 * total
        assert np.abs(record.tensor_pseudoscalar).max() <= 1e-6 * np.abs(record.tensor).max()
    else:
        assert np.abs(record.helicity_dos).sum() > 0.05 * total
        assert record.helicity_wave_found == "s"


def test_zincblende_has_angular_momentum_and_no_tensor():
    record = analyze_force_constants(spring_phonon(zincblende()), COARSE).record
    assert record.mean_angular_momentum > 1e-2
    assert np.abs(record.tensor).max() < 1e-12 * record.mean_angular_momentum


def test_columns_of_the_mode_table(quartz_analysis):
    """Names, lengths and types as the dataset stores them; Arrow takes them as they are."""
    columns = quartz_analysis.modes
    assert list(columns) == COLUMNS.split()
    phonon = spring_phonon(quartz())
    path = make_band_path(phonon, COARSE.path_spacing)
    assert {len(column) for column in columns.values()} == {len(path.q_points) * 27}
    table = pa.table(dict(columns))
    for name in ("frequency", "l_x", "helicity", "pam_raw", "q_a", "path_distance"):
        assert table.schema.field(name).type == pa.float32(), name
    for name in ("band", "degenerate_set", "segment", "pam_order", "pam_screw"):
        assert table.schema.field(name).type == pa.int32(), name
    assert table.schema.field("q_label").type == pa.string()
    assert set(columns["q_label"]) >= {"Γ", "A", "K", "M", "path"}


def test_mode_table_holds_the_modes_of_the_path(quartz_analysis):
    columns = quartz_analysis.modes
    phonon = spring_phonon(quartz())
    path = make_band_path(phonon, COARSE.path_spacing)
    modes = compute_modes(phonon, path.q_points)
    np.testing.assert_allclose(
        columns["frequency"].reshape(-1, 27), modes.frequencies, atol=1e-4, rtol=1e-6
    )
    q_points = np.stack([columns[f"q_{c}"] for c in "abc"], axis=-1).reshape(-1, 27, 3)
    np.testing.assert_allclose(q_points[:, 5], path.q_points, atol=1e-6)
    angular_momentum = np.stack([columns[f"l_{c}"] for c in "xyz"], axis=-1)
    norm = np.linalg.norm(angular_momentum, axis=-1)
    inside = np.linalg.norm(q_points.reshape(-1, 3), axis=1) < 0.3
    parts = np.hypot(columns["helicity"], columns["cycloidicity"])
    np.testing.assert_allclose(parts[inside], norm[inside], atol=1e-6)


def test_members_of_a_set_share_their_numbers(quartz_analysis):
    columns = quartz_analysis.modes
    sets = columns["degenerate_set"].reshape(-1, 27)
    assert (np.diff(sets, axis=1) <= 1).all()
    assert (np.diff(sets, axis=1) == 0).any()
    for name in ("l_x", "l_y", "l_z", "helicity", "cycloidicity", "near_degenerate"):
        values = columns[name].reshape(-1, 27).astype(float)
        np.testing.assert_allclose(average_over_sets(values, sets), values, atol=1e-6)


def test_labels_of_pseudo_angular_momentum_are_masked_off_the_axes(quartz_analysis):
    """On Gamma-A of quartz the axis is 3_1; between M and K there is none."""
    columns = quartz_analysis.modes
    on_axis = (columns["q_a"] == 0) & (columns["q_b"] == 0) & (columns["q_label"] == "path")
    assert on_axis.any()
    assert set(columns["pam_order"][on_axis].tolist()) == {3}
    assert set(columns["pam_screw"][on_axis].tolist()) == {1}
    assert not np.ma.getmaskarray(columns["pam_integer"])[on_axis].any()
    assert set(columns["pam_integer"][on_axis].tolist()) <= {-1.0, 0.0, 1.0}
    assert np.ma.getmaskarray(columns["pam_order"]).any()


def test_polar_modes_reach_gamma_continuously():
    """With charges, Gamma is the limit along each segment: no spike of LO to TO in the table."""
    phonon = spring_phonon(wurtzite(), born=True)
    analysis = analyze_force_constants(
        phonon, ChiralitySettings(mesh_spacing=0.1, path_spacing=0.002)
    )
    columns = analysis.modes
    assert analysis.record.nac
    frequency = columns["frequency"].reshape(-1, 12)
    segment = columns["segment"].reshape(-1, 12)[:, 0]
    at_gamma = np.flatnonzero(columns["q_label"].reshape(-1, 12)[:, 0] == "Γ")
    for row in at_gamma:
        neighbour = (
            row + 1 if row + 1 < len(segment) and segment[row + 1] == segment[row] else row - 1
        )
        assert np.abs(frequency[row, 3:] - frequency[neighbour, 3:]).max() < 0.1
    without = compute_modes(phonon, [0, 0, 0]).frequencies[0]
    assert np.abs(frequency[at_gamma[0], 3:] - without[3:]).max() > 0.3
    assert analysis.record.magnetization is not None


def test_imaginary_modes_are_counted_and_left_out():
    """Of a crystal whose force constants are reversed nothing is left to average."""
    phonon = spring_phonon(wurtzite())
    phonon.force_constants = -phonon.force_constants
    record = analyze_force_constants(phonon, COARSE).record
    assert record.n_imaginary == record.n_q_points * 12 - 3
    assert record.imaginary_fraction == pytest.approx(record.n_imaginary / record.n_q_points / 12)
    assert record.n_translations == 3
    assert record.translation_frequency < 1e-5
    assert record.min_frequency < -1
    assert record.mean_angular_momentum == record.max_optical_angular_momentum == 0
    assert not np.any(record.tensor)


def test_degenerate_modes_are_counted():
    """Rocksalt has doublets on whole lines, P1 has none but by accident."""
    rich = analyze_force_constants(spring_phonon(rocksalt()), COARSE).record
    poor = analyze_force_constants(spring_crystal(1), COARSE).record
    assert rich.degenerate_fraction > 0.05
    assert poor.degenerate_fraction < 0.05
    assert 0 <= poor.near_degenerate_fraction <= 0.3
    loose = COARSE.model_copy(update={"degeneracy_tolerance": 10.0})
    assert analyze_force_constants(spring_crystal(1), loose).record.degenerate_fraction > 0.9


def test_record_is_plain_and_described(quartz_analysis):
    """Numbers, texts, flags and flat lists: JSON takes it; each field has unit and meaning."""
    json.dumps(asdict(quartz_analysis.record))
    for field in fields(ChiralityRecord):
        assert set(field.metadata) == {"unit", "description"}, field.name
        assert field.metadata["description"].endswith("."), field.name
    record = quartz_analysis.record
    n_temperatures = len(record.temperatures)
    n_windows = len(record.window_edges) - 1
    assert len(record.tensor) == 9 * n_temperatures
    assert len(record.tensor_windows) == 9 * n_temperatures * n_windows
    assert len(record.helicity_harmonics) == 4 * len(record.helicity_dos)
    assert len(record.axis_directions) == 3 * len(record.axis_orders)
    assert len(record.raman_axes) == len(record.raman_frequencies) == len(record.raman_channels)
    assert len(record.atomic_angular_momentum) == record.n_atoms == 9


def test_settings_are_checked_and_cannot_change():
    with pytest.raises(ValidationError):
        ChiralitySettings(mesh_spacing=0)
    with pytest.raises(ValidationError):
        ChiralitySettings(temperatures=())
    with pytest.raises(ValidationError):
        ChiralitySettings(mesh_density=3)
    with pytest.raises(ValidationError):
        COARSE.mesh_spacing = 0.1
