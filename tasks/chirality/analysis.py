"""From force constants to the chirality of phonons: the whole stage for one crystal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import (
    RotationAxis,
    find_crystal_operations,
    find_rotation_axes,
    select_principal_axes,
)
from tasks.chirality.brillouin import (
    BandPath,
    Mesh,
    choose_zone_directions,
    compute_cycloidicity,
    compute_helicity,
    compute_helicity_size,
    compute_inscribed_radius,
    make_band_path,
    make_irreducible_mesh,
)
from tasks.chirality.degeneracy import (
    count_set_members,
    find_degenerate_sets,
    find_symmetry_partners,
    flag_near_degenerate,
    has_space_group_symmetry,
)
from tasks.chirality.harmonics import HelicitySpectrum, compute_helicity_spectrum
from tasks.chirality.image_weighting import (
    ImageWeightings,
    compare_axes,
    compare_zones,
    compute_optical_shift,
    compute_zone_numbers,
    sample_q_points,
)
from tasks.chirality.magnetic import compute_magnetization_tensor
from tasks.chirality.modes import Modes, compute_frequencies, compute_modes
from tasks.chirality.pam import label_modes
from tasks.chirality.raman import (
    CHANNELS,
    BranchSplitting,
    CircularRaman,
    LineSettings,
    find_raman_visibility,
    find_seen_doublets,
    measure_branch_splittings,
)
from tasks.chirality.resolution import MEV_PER_THZ, resolve_angular_momentum
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.statistics import (
    average_atomic_motion,
    compute_zone_statistics,
    find_translations,
)
from tasks.chirality.tensor import (
    TensorResult,
    ThermalSample,
    compute_velocity_angular_momentum_tensor,
    make_thermal_sample,
)
from tasks.chirality.thermal import ROOM_TEMPERATURE, sum_thermal_properties
from tasks.phonons.fourier import HarmonicCrystal
from tasks.symmetry.zone import ZoneImages, find_zone_images
from tasks.tables.chirality import ChiralityRecord

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]
_SAME_POINT = 1e-9  # of a reciprocal lattice vector


@dataclass(frozen=True, eq=False)
class ModeSample:
    """Modes at q-points with their degenerate sets and angular momenta.

    Attributes
    ----------
    modes : Modes
        Frequencies and eigenvectors.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.
    angular_momentum : ndarray, shape (nq, nb, 3)
        Angular momentum Tr(P L) / Tr(P) of the set of each mode, in hbar.
    images : ZoneImages
        Images of the q-points in the first Brillouin zone.
    """

    modes: Modes
    sets: IntArray
    angular_momentum: FloatArray
    images: ZoneImages

    def __getitem__(self, rows: IntArray) -> "ModeSample":
        """Sample at some of the q-points."""
        images = ZoneImages(self.images.vectors[rows], self.images.weights[rows])
        return ModeSample(self.modes[rows], self.sets[rows], self.angular_momentum[rows], images)


@dataclass(frozen=True, eq=False)
class ThermalResponses:
    """Thermal responses and what distinguishes opposite hands along the axes.

    Attributes
    ----------
    spectrum : HelicitySpectrum
        Helicity density of states and its harmonics.
    thermal : ThermalSample
        What the next two are summed over.
    tensor : TensorResult
        Velocity-angular-momentum tensor.
    magnetization : TensorResult or None
        The same for the magnetic moment; None without Born charges.
    axes : tuple of RotationAxis
        Inequivalent axes of order 3, 4 or 6.
    splittings : tuple of BranchSplitting
        One per axis of a chiral crystal; empty otherwise.
    raman : tuple of CircularRaman
        One per axis.
    """

    spectrum: HelicitySpectrum
    thermal: ThermalSample
    tensor: TensorResult
    magnetization: TensorResult | None
    axes: tuple[RotationAxis, ...]
    splittings: tuple[BranchSplitting, ...]
    raman: tuple[CircularRaman, ...]


@dataclass(frozen=True, eq=False)
class ChiralityAnalysis:
    """Result of the chirality stage for one crystal.

    Attributes
    ----------
    record : ChiralityRecord
        One row per material.
    modes : mapping of str to ndarray
        Mode table along the band path, columns of equal length: q_label, q_a, q_b, q_c, segment,
        path_distance (1/Å without 2 pi), band, degenerate_set, near_degenerate, frequency (THz),
        l_x, l_y, l_z, helicity, cycloidicity (hbar), pam_raw, pam_integer, pam_order, pam_screw.
        Numbers of a degenerate set are its means, except the labels pam, which are its spectrum.
        Labels that do not exist are masked.
    responses : ThermalResponses
        Full results behind the record.
    """

    record: ChiralityRecord
    modes: Columns
    responses: ThermalResponses


def analyze_force_constants(
    phonon: HarmonicCrystal,
    settings: ChiralitySettings | None = None,
    divisions: ImageWeightings | None = None,
) -> ChiralityAnalysis:
    """Analyse the chirality of the phonons of one crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants that obey the space group and the acoustic sum rule, the primitive
        cell set explicitly, and ``nac_params`` where Born charges are known.
    settings : ChiralitySettings, optional
        Sampling and tolerances; the defaults if left out.
    divisions : ImageWeightings, optional
        The crystal with its force constants divided otherwise among periodic images; without them
        the record tells no spreads.

    Returns
    -------
    ChiralityAnalysis
        Record, mode table and the full results.

    Raises
    ------
    ValueError
        Where there are no force constants, or a frequency is not finite.
    """
    settings = settings or ChiralitySettings()
    mesh = make_irreducible_mesh(phonon, settings.mesh_spacing)
    zone = sample_modes(phonon, compute_modes(phonon, mesh.q_points), settings.degeneracy_tolerance)
    axes = find_rotation_axes(phonon)
    responses = _compute_responses(phonon, zone, mesh, settings, axes)
    fields = (
        _describe_sampling(phonon, mesh)
        | _compute_angular_momentum_fields(phonon, zone, mesh, settings)
        | _compute_resolved_fields(phonon, zone, mesh, settings)
        | _compute_stability_fields(phonon, zone, mesh, settings)
        | _flatten_spectrum(responses.spectrum)
        | _flatten_tensors(responses)
        | _flatten_axes(responses, settings)
        | _compute_thermal_fields(phonon, zone, mesh, settings)
    )
    if divisions:
        fields |= _compute_image_weighting_errors(
            zone, mesh, settings, divisions, responses, fields
        )
    table = tabulate_modes(phonon, make_band_path(phonon, settings.path_spacing), settings, axes)
    return ChiralityAnalysis(ChiralityRecord(**fields), table, responses)


def sample_modes(
    phonon: HarmonicCrystal,
    modes: Modes,
    tolerance: float,
    joined: NDArray[np.bool_] | None = None,
) -> ModeSample:
    """Find degenerate sets, angular momenta and zone images of modes.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        The crystal the modes belong to.
    modes : Modes
        Modes at q-points.
    tolerance : float
        Bands closer than this (THz) form a degenerate set.
    joined : ndarray of bool, shape (nq, nb - 1), optional
        Bands joined by symmetry, from `find_symmetry_partners`.

    Returns
    -------
    ModeSample
    """
    sets = find_degenerate_sets(modes.frequencies, tolerance, joined)
    angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets)
    return ModeSample(
        modes, sets, angular_momentum, find_zone_images(modes.q_points, phonon.primitive.cell)
    )


def tabulate_modes(
    phonon: HarmonicCrystal,
    path: BandPath,
    settings: ChiralitySettings,
    axes: Sequence[RotationAxis] | None = None,
) -> Columns:
    """Tabulate the modes along a band path, one row per q-point and band.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    path : BandPath
        Band path with its special points.
    settings : ChiralitySettings
        Tolerance of the degenerate sets.
    axes : sequence of RotationAxis, optional
        From ``axes.find_rotation_axes``; found if left out.

    Returns
    -------
    mapping of str to ndarray
        Columns as described in `ChiralityAnalysis`.
    """
    modes = _compute_path_modes(phonon, path)
    tolerance = settings.degeneracy_tolerance
    joined = _join_at_special_points(phonon, path, tolerance)
    sample = sample_modes(phonon, modes, tolerance, joined)
    labels = label_modes(phonon, modes, sample.sets, axes).columns
    order = labels["pam_order"].ravel()
    columns = _tabulate_per_mode(
        sample, flag_near_degenerate(modes.frequencies, sample.sets, tolerance)
    )
    return (
        {name: np.repeat(column, modes.n_bands) for name, column in _tabulate_per_q(path).items()}
        | {name: column.ravel() for name, column in columns.items()}
        | {name: _mask_labels(column.ravel(), order) for name, column in labels.items()}
    )


def _tabulate_per_q(path: BandPath) -> dict[str, NDArray[Any]]:
    """Columns with one value per q-point."""
    return {
        "q_label": np.array(path.labels),
        "q_a": path.q_points[:, 0].astype(np.float32),
        "q_b": path.q_points[:, 1].astype(np.float32),
        "q_c": path.q_points[:, 2].astype(np.float32),
        "segment": path.segments.astype(np.int32),
        "path_distance": path.distances.astype(np.float32),
    }


def _tabulate_per_mode(sample: ModeSample, near: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Columns with one value per mode, shape (nq, nb) each."""
    shape = sample.sets.shape
    singles = {
        "frequency": sample.modes.frequencies,
        "l_x": sample.angular_momentum[..., 0],
        "l_y": sample.angular_momentum[..., 1],
        "l_z": sample.angular_momentum[..., 2],
        "helicity": compute_helicity(sample.angular_momentum, sample.images),
        "cycloidicity": compute_cycloidicity(sample.angular_momentum, sample.images),
    }
    return {
        "band": np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape),
        "degenerate_set": sample.sets.astype(np.int32),
        "near_degenerate": near,
        **{name: column.astype(np.float32) for name, column in singles.items()},
    }


def _mask_labels(values: NDArray[Any], order: NDArray[Any]) -> NDArray[Any]:
    """Labels as stored: masked where no axis holds q or the label is not sound."""
    kind = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32
    return np.ma.masked_array(values.astype(kind), mask=(order == 0) | np.isnan(values))


def _compute_path_modes(phonon: HarmonicCrystal, path: BandPath) -> Modes:
    """Modes along the path; with charges, Gamma is approached along each segment."""
    modes = compute_modes(phonon, path.q_points)
    at_gamma = np.flatnonzero(flag_zone_centres(path.q_points))
    if phonon.nac_params is None or not len(at_gamma):
        return modes
    frequencies, eigenvectors = modes.frequencies.copy(), modes.eigenvectors.copy()
    for row in at_gamma:
        limit = compute_modes(phonon, np.zeros(3), nac_direction=path.directions[row])
        frequencies[row], eigenvectors[row] = limit.frequencies[0], limit.eigenvectors[0]
    return Modes(modes.q_points, frequencies, eigenvectors)


def flag_zone_centres(q_points: FloatArray) -> NDArray[np.bool_]:
    """Flag q-points (..., 3) that are images of the zone centre, where charges act by direction."""
    return np.asarray((np.abs(q_points - np.rint(q_points)) < _SAME_POINT).all(axis=-1))


def _join_at_special_points(
    phonon: HarmonicCrystal, path: BandPath, tolerance: float
) -> NDArray[np.bool_]:
    """Bands joined by symmetry at the named points; with charges not at Gamma."""
    joined = np.zeros((len(path.q_points), 3 * len(phonon.primitive) - 1), dtype=bool)
    if has_space_group_symmetry(phonon, tolerance / 10):
        return joined
    rows = path.is_labelled
    if phonon.nac_params is not None:
        rows &= ~flag_zone_centres(path.q_points)
    points, inverse = np.unique(path.q_points[rows].round(9), axis=0, return_inverse=True)
    joined[rows] = find_symmetry_partners(phonon, points)[inverse.ravel()]
    return joined


def _compute_responses(
    phonon: HarmonicCrystal,
    zone: ModeSample,
    mesh: Mesh,
    settings: ChiralitySettings,
    axes: Sequence[RotationAxis],
) -> ThermalResponses:
    """Thermal responses on the mesh; Raman and splittings along the axes."""
    tolerance, cutoff = settings.degeneracy_tolerance, settings.frequency_cutoff
    mesh_modes = (phonon, zone.modes, zone.sets, mesh.weights)
    sample = make_thermal_sample(*mesh_modes, irreducible=True, tolerance=tolerance)
    options = {
        "window_width": settings.window_width,
        "frequency_cutoff": cutoff,
    }
    kelvin, principal = settings.temperatures, select_principal_axes(phonon, axes=axes)
    return ThermalResponses(
        spectrum=compute_helicity_spectrum(
            *mesh_modes,
            irreducible=True,
            bin_width=settings.helicity_bin_width,
            frequency_cutoff=cutoff,
            angular_momentum=zone.angular_momentum,
            images=zone.images,
        ),
        thermal=sample,
        tensor=compute_velocity_angular_momentum_tensor(sample, kelvin, **options),
        magnetization=compute_magnetization_tensor(phonon, sample, kelvin, **options)
        if phonon.nac_params is not None
        else None,
        axes=principal,
        splittings=measure_branch_splittings(
            phonon, axes=principal, lines=LineSettings(settings.wave_number, settings.linewidth)
        ),
        raman=find_raman_visibility(phonon, tolerance, principal),
    )


def _describe_sampling(phonon: HarmonicCrystal, mesh: Mesh) -> dict[str, Any]:
    """Fields that say what was sampled."""
    return {
        "n_atoms": len(phonon.primitive),
        "nac": phonon.nac_params is not None,
        "mesh_numbers": tuple(mesh.numbers.tolist()),
        "n_q_points": int(mesh.weights.sum()),
        "n_stars": len(mesh.q_points),
    }


def _select_counted(phonon: HarmonicCrystal, modes: Modes, cutoff: float) -> NDArray[np.bool_]:
    """Modes that enter the means: neither imaginary nor a translation."""
    return (modes.frequencies >= -cutoff) & ~find_translations(modes, phonon.primitive.masses)


def _compute_angular_momentum_fields(
    phonon: HarmonicCrystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, Any]:
    """Means and maxima of the angular momentum over the zone."""
    counted = _select_counted(phonon, zone.modes, settings.frequency_cutoff)
    size = np.linalg.norm(zone.angular_momentum, axis=-1)
    quantities = {
        "angular_momentum": size,
        "helicity": compute_helicity_size(zone.angular_momentum, zone.images),
        "cycloidicity": compute_cycloidicity(zone.angular_momentum, zone.images),
    }
    fields: dict[str, Any] = {}
    for name, values in quantities.items():
        found = compute_zone_statistics(values, mesh.weights, counted)
        fields[f"mean_{name}"], fields[f"max_{name}"] = found.mean, found.maximum
        fields[f"mean_optical_{name}"] = found.optical_mean
        fields[f"max_optical_{name}"] = found.optical_maximum
    optical = np.where(counted, size, 0.0)
    optical[:, :3] = 0.0
    row, band = np.unravel_index(optical.argmax(), optical.shape)
    sites = find_crystal_operations(phonon).sites
    atoms = average_atomic_motion(zone.modes, zone.sets, mesh.weights, counted, sites)
    return fields | {
        "max_optical_q_point": tuple(zone.modes.q_points[row].tolist()),
        "max_optical_frequency": float(zone.modes.frequencies[row, band]),
        "atomic_angular_momentum": tuple(atoms[0].tolist()),
        "atomic_polarization": tuple(atoms[1].tolist()),
    }


def _compute_resolved_fields(
    phonon: HarmonicCrystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, float]:
    """Means over the optical branches of what linewidths and resolutions leave."""
    counted = _select_counted(phonon, zone.modes, settings.frequency_cutoff)
    frequencies = zone.modes.frequencies

    def resolve(widths: FloatArray) -> FloatArray:
        return resolve_angular_momentum(zone.angular_momentum, frequencies, widths, counted)

    def mean(values: FloatArray) -> float:
        return compute_zone_statistics(values, mesh.weights, counted).optical_mean

    natural = resolve(settings.linewidth * np.abs(frequencies))
    along = compute_helicity_size(natural, zone.images)
    resolution = settings.scattering_resolution / MEV_PER_THZ
    measured = resolve(np.full_like(frequencies, resolution))
    clear = frequencies > settings.resonant_resolution / MEV_PER_THZ
    return {
        "resolved_angular_momentum": mean(np.linalg.norm(natural, axis=-1)),
        "resolved_helicity": mean(along),
        "long_wave_helicity": _compute_long_wave_helicity(phonon, settings),
        "scattering_angular_momentum": mean(np.linalg.norm(measured, axis=-1)),
        "resonant_helicity": mean(along * clear),
    }


def _compute_long_wave_helicity(phonon: HarmonicCrystal, settings: ChiralitySettings) -> float:
    """Mean of |h| that a linewidth leaves the optical branches at one |k|, over its directions."""
    directions, weights = choose_zone_directions(phonon)
    cell = phonon.primitive.cell
    radius = min(settings.wave_number / (2 * np.pi), compute_inscribed_radius(cell))
    modes = compute_modes(phonon, radius * directions @ cell.T)
    sample = sample_modes(phonon, modes, settings.degeneracy_tolerance)
    counted = _select_counted(phonon, modes, settings.frequency_cutoff)
    widths = settings.linewidth * np.abs(modes.frequencies)
    resolve = resolve_angular_momentum(sample.angular_momentum, modes.frequencies, widths, counted)
    found = compute_helicity_size(resolve, sample.images)
    return compute_zone_statistics(found, weights, counted).optical_mean


def _compute_stability_fields(
    phonon: HarmonicCrystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, Any]:
    """Imaginary and degenerate modes, and how well the sum rules hold."""
    modes, weights = zone.modes, mesh.weights
    share = np.broadcast_to(weights[:, None] / (weights.sum() * modes.n_bands), zone.sets.shape)
    uniform = find_translations(modes, phonon.primitive.masses)
    imaginary = (modes.frequencies < -settings.frequency_cutoff) & ~uniform
    near = flag_near_degenerate(modes.frequencies, zone.sets, settings.degeneracy_tolerance)
    return {
        "min_frequency": float(modes.frequencies.min(where=~uniform, initial=np.inf)),
        "max_frequency": float(modes.frequencies.max()),
        "n_imaginary": int((weights @ imaginary).sum()),
        "imaginary_fraction": float(share[imaginary].sum()),
        "n_translations": int(uniform.sum()),
        "translation_frequency": float(np.abs(modes.frequencies[uniform]).max()),
        "degenerate_fraction": float(share[count_set_members(zone.sets) > 1].sum()),
        "near_degenerate_fraction": float(share[near].sum()),
        "sum_rule_violation": float(
            np.linalg.norm(zone.angular_momentum.sum(axis=1), axis=-1).max()
        ),
    }


def _flatten_spectrum(spectrum: HelicitySpectrum) -> dict[str, Any]:
    """Helicity density of states, flattened."""
    return {
        "helicity_bin_width": spectrum.bin_width,
        "helicity_dos": _flatten(spectrum.chi),
        "helicity_dos_absolute": _flatten(spectrum.absolute),
        "helicity_harmonics": _flatten(spectrum.amplitudes),
        "helicity_ratios": _flatten(spectrum.relative_amplitudes),
        "helicity_wave_found": spectrum.wave,
    }


def _flatten_tensors(responses: ThermalResponses) -> dict[str, Any]:
    """Thermal responses, flattened."""
    tensor, magnetization = responses.tensor, responses.magnetization
    return {
        "temperatures": _flatten(tensor.temperatures),
        "tensor": _flatten(tensor.response),
        "tensor_pseudoscalar": _flatten(tensor.pseudoscalar),
        "tensor_polar_vector": _flatten(tensor.polar_vector),
        "tensor_violation": _flatten(tensor.violation),
        "tensor_largest_share": _flatten(tensor.largest_share),
        "window_edges": _flatten(tensor.window_edges),
        "tensor_windows": _flatten(tensor.by_window),
        "magnetization": None if magnetization is None else _flatten(magnetization.response),
    }


def _flatten_axes(responses: ThermalResponses, settings: ChiralitySettings) -> dict[str, Any]:
    """Splittings and Raman selection along the axes, one list entry per axis or mode."""
    axes = responses.axes
    rows = [
        (index, raman.frequencies[mode], int(raman.pam[mode]), raman.visible[mode])
        for index, raman in enumerate(responses.raman)
        for mode in np.flatnonzero(raman.visible.any(axis=1))
    ]
    return {
        "axis_orders": tuple(axis.order for axis in axes),
        "axis_screws": tuple(axis.screw for axis in axes),
        "axis_directions": tuple(float(x) for axis in axes for x in axis.direction),
        "splitting_max": tuple(found.maximum for found in responses.splittings),
        "splitting_linear": tuple(_find_largest(found.linear) for found in responses.splittings),
        "splitting_acoustic": tuple(found.acoustic_quadratic for found in responses.splittings),
        "circular_splitting": tuple(
            MEV_PER_THZ * _find_largest(found.circular) for found in responses.splittings
        ),
        "raman_splitting": _compute_raman_splittings(responses, settings),
        "raman_axes": tuple(row[0] for row in rows),
        "raman_frequencies": tuple(float(row[1]) for row in rows),
        "raman_pam": tuple(row[2] for row in rows),
        "raman_channels": tuple(
            " ".join("".join(CHANNELS[c]) for c in np.flatnonzero(row[3])) for row in rows
        ),
    }


def _compute_thermal_fields(
    phonon: HarmonicCrystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, float]:
    """Thermal properties at room temperature, which the names of the columns tell."""
    masses, cutoff = phonon.primitive.masses, settings.frequency_cutoff
    found = sum_thermal_properties(zone.modes, mesh.weights, masses, cutoff, ROOM_TEMPERATURE)
    return {
        "zero_point_energy": found.zero_point_energy,
        "free_energy_300": float(found.free_energy[0]),
        "entropy_300": float(found.entropy[0]),
        "heat_capacity_300": float(found.heat_capacity[0]),
    }


def _compute_raman_splittings(
    responses: ThermalResponses, settings: ChiralitySettings
) -> tuple[float, ...]:
    """Largest circular splitting (meV) that light sees along each axis of a chiral crystal."""
    scale = MEV_PER_THZ * settings.light_wave_number
    return tuple(
        scale * _find_largest((found.linear * found.weights[:-1])[find_seen_doublets(found, raman)])
        for found, raman in zip(responses.splittings, responses.raman, strict=False)
    )


def _compute_image_weighting_errors(
    zone: ModeSample,
    mesh: Mesh,
    settings: ChiralitySettings,
    divisions: ImageWeightings,
    responses: ThermalResponses,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """What other divisions of the force constants change, at some q-points of the mesh."""
    rows, counts = sample_q_points(mesh.weights)
    here, other = zone[rows], divisions.other
    points = here.modes.q_points
    there = sample_modes(other, compute_modes(other, points), settings.degeneracy_tolerance)
    thermal = make_thermal_sample(other, there.modes, there.sets, counts, irreducible=False)
    numbers = (
        compute_zone_numbers(here, responses.thermal.take_q_points(rows, counts), counts, settings),
        compute_zone_numbers(there, thermal, counts, settings),
    )
    shift = compute_optical_shift(
        here.modes.frequencies, compute_frequencies(divisions.equal_shares, points), counts
    )
    linear = measure_branch_splittings(other, n_points=1, axes=responses.axes)
    return (
        compare_zones(responses.tensor, fields["mean_optical_helicity"], *numbers)
        | compare_axes(fields["splitting_linear"], [_find_largest(axis.linear) for axis in linear])
        | {"optical_shift": shift}
    )


def _find_largest(values: FloatArray) -> float:
    """Number of largest size, with its sign; 0 where there is none."""
    sound = values[np.isfinite(values)]
    return float(sound[np.abs(sound).argmax()]) if len(sound) else 0.0


def _flatten(values: FloatArray) -> tuple[float, ...]:
    """Plain numbers in C order."""
    return tuple(np.asarray(values).ravel().tolist())
