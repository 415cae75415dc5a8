"""What the chirality stage stores of one material, with unit and meaning of each field."""

from dataclasses import dataclass, field


def _declare(unit: str, description: str) -> dict[str, str]:
    """Metadata of a field."""
    return {"unit": unit, "description": description}


@dataclass(frozen=True)
class ChiralityRecord:
    """Chirality of the phonons of one material: numbers, flags and flat lists.

    Arrays are flattened in C order; unit and meaning of each field stand in its metadata
    (``dataclasses.fields(ChiralityRecord)``).
    """

    n_atoms: int = field(metadata=_declare("", "Atoms in the primitive cell."))
    nac: bool = field(
        metadata=_declare("", "Whether the non-analytical term correction is included.")
    )
    mesh_numbers: tuple[int, ...] = field(
        metadata=_declare("", "Divisions of the Gamma-centred mesh, 3 integers.")
    )
    n_q_points: int = field(metadata=_declare("", "q-points of the whole mesh."))
    n_stars: int = field(metadata=_declare("", "q-points computed, one of each star."))

    mean_angular_momentum: float = field(
        metadata=_declare("ħ", "Mean of |l| over the Brillouin zone.")
    )
    max_angular_momentum: float = field(metadata=_declare("ħ", "Largest |l| on the mesh."))
    mean_optical_angular_momentum: float = field(
        metadata=_declare("ħ", "Mean of |l| of the optical branches.")
    )
    max_optical_angular_momentum: float = field(
        metadata=_declare("ħ", "Largest |l| of the optical branches.")
    )
    mean_helicity: float = field(metadata=_declare("ħ", "Mean of |l.q̂| over the Brillouin zone."))
    max_helicity: float = field(metadata=_declare("ħ", "Largest |l.q̂| on the mesh."))
    mean_optical_helicity: float = field(
        metadata=_declare("ħ", "Mean of |l.q̂| of the optical branches.")
    )
    max_optical_helicity: float = field(
        metadata=_declare("ħ", "Largest |l.q̂| of the optical branches.")
    )
    mean_cycloidicity: float = field(
        metadata=_declare("ħ", "Mean of |q̂ x l| over the Brillouin zone.")
    )
    max_cycloidicity: float = field(metadata=_declare("ħ", "Largest |q̂ x l| on the mesh."))
    mean_optical_cycloidicity: float = field(
        metadata=_declare("ħ", "Mean of |q̂ x l| of the optical branches.")
    )
    max_optical_cycloidicity: float = field(
        metadata=_declare("ħ", "Largest |q̂ x l| of the optical branches.")
    )
    resolved_angular_momentum: float | None = field(
        metadata=_declare(
            "ħ",
            "Mean of |l| of the optical branches, after l of each mode is averaged over all that "
            "lies within a linewidth (chirality.linewidth times the frequency).",
        )
    )
    resolved_helicity: float | None = field(metadata=_declare("ħ", "The same of |l.q̂|."))
    long_wave_helicity: float | None = field(
        metadata=_declare(
            "ħ",
            "The same of |l.q̂| over the directions of q at k = chirality.wave_number (with 2π), or "
            "at the radius of the zone where that is less.",
        )
    )
    scattering_angular_momentum: float | None = field(
        metadata=_declare(
            "ħ",
            "Mean of |l| of the optical branches, averaged as before over what lies within "
            "chirality.scattering_resolution.",
        )
    )
    resonant_helicity: float | None = field(
        metadata=_declare(
            "ħ",
            "As resolved_helicity, where modes below chirality.resonant_resolution count as zero.",
        )
    )
    max_optical_q_point: tuple[float, ...] = field(
        metadata=_declare(
            "", "Where the largest optical |l| is, fractional primitive reciprocal, 3 numbers."
        )
    )
    max_optical_frequency: float = field(
        metadata=_declare("THz", "Frequency of the mode of largest optical |l|.")
    )
    atomic_angular_momentum: tuple[float, ...] = field(
        metadata=_declare("ħ", "Mean of |l_k| of each atom of the primitive cell.")
    )
    atomic_polarization: tuple[float, ...] = field(
        metadata=_declare(
            "", "Degree of circular polarisation of each atom: sum of |l_k| over sum of |e_k|^2."
        )
    )

    min_frequency: float = field(
        metadata=_declare("THz", "Lowest frequency on the mesh, negative if imaginary.")
    )
    max_frequency: float = field(metadata=_declare("THz", "Highest frequency on the mesh."))
    n_imaginary: int = field(
        metadata=_declare("", "Imaginary modes of the whole mesh, left out of all sums.")
    )
    imaginary_fraction: float = field(
        metadata=_declare("", "Their share of all modes of the mesh.")
    )
    n_translations: int = field(
        metadata=_declare("", "Uniform translations at Gamma, left out of all sums.")
    )
    translation_frequency: float = field(
        metadata=_declare("THz", "Largest |frequency| of these translations.")
    )
    degenerate_fraction: float = field(
        metadata=_declare("", "Share of modes in sets of two or more.")
    )
    near_degenerate_fraction: float = field(
        metadata=_declare(
            "", "Share of modes whose set another one approaches within ten tolerances."
        )
    )
    sum_rule_violation: float = field(
        metadata=_declare("ħ", "Largest |sum of l over the bands| at one q-point.")
    )

    helicity_bin_width: float = field(
        metadata=_declare("THz", "Width of the bins of the helicity density of states.")
    )
    helicity_dos: tuple[float, ...] = field(
        metadata=_declare("ħ/THz", "Helicity density of states per primitive cell, bins from 0 up.")
    )
    helicity_dos_absolute: tuple[float, ...] = field(
        metadata=_declare("ħ/THz", "The same with |h| in place of h.")
    )
    helicity_harmonics: tuple[float, ...] = field(
        metadata=_declare("ħ/THz", "Its spherical harmonics of order 0, 2, 4 and 6: order, bin.")
    )
    helicity_ratios: tuple[float, ...] = field(
        metadata=_declare(
            "",
            "Relative amplitude of each harmonic, its sum over the bins in units of the sum of "
            "|h|: a share for order 0; for order L at most the root of 2L + 1.",
        )
    )
    helicity_wave_found: str = field(
        metadata=_declare("", 'Lowest harmonic found: "none", "s", "d", "g" or "i".')
    )

    temperatures: tuple[float, ...] = field(metadata=_declare("K", "Temperatures of the response."))
    tensor: tuple[float, ...] = field(
        metadata=_declare(
            "J s m^-2 K^-1 per s",
            "Angular momentum per gradient and relaxation time, 9 numbers per temperature; first "
            "index: angular momentum.",
        )
    )
    tensor_pseudoscalar: tuple[float, ...] = field(
        metadata=_declare(
            "J s m^-2 K^-1 per s", "One third of the trace of the tensor, per temperature."
        )
    )
    tensor_polar_vector: tuple[float, ...] = field(
        metadata=_declare(
            "J s m^-2 K^-1 per s", "Antisymmetric part as a vector, 3 numbers per temperature."
        )
    )
    tensor_violation: tuple[float, ...] = field(
        metadata=_declare(
            "", "Part of the tensor that symmetry forbids, before it is removed, per temperature."
        )
    )
    tensor_largest_share: tuple[float, ...] = field(
        metadata=_declare(
            "",
            "Largest contribution of one star of q-points in units of the tensor, per temperature; "
            "above 0.2 the tensor is not to be trusted.",
        )
    )
    window_edges: tuple[float, ...] = field(
        metadata=_declare("THz", "Limits of the frequency windows.")
    )
    tensor_windows: tuple[float, ...] = field(
        metadata=_declare(
            "J s m^-2 K^-1 per s",
            "Share of each frequency window in the tensor: temperature, window, 9 numbers.",
        )
    )
    magnetization: tuple[float, ...] | None = field(
        metadata=_declare(
            "A K^-1 per s",
            "Magnetization per gradient and relaxation time, 9 numbers per temperature; empty "
            "without Born charges.",
        )
    )

    axis_orders: tuple[int, ...] = field(
        metadata=_declare("", "Order n of each inequivalent rotation axis with n > 2.")
    )
    axis_screws: tuple[int, ...] = field(
        metadata=_declare("", "Screw part m of each of these axes n_m.")
    )
    axis_directions: tuple[float, ...] = field(
        metadata=_declare("", "Their Cartesian directions, 3 numbers each.")
    )
    splitting_max: tuple[float, ...] = field(
        metadata=_declare(
            "THz",
            "Largest splitting of opposite hands along each axis; empty for achiral crystals.",
        )
    )
    splitting_linear: tuple[float, ...] = field(
        metadata=_declare(
            "THz Å",
            "Linear splitting of largest size among the optical doublets along each axis, with its "
            "sign: difference of frequency per k, k in 1/Å with 2π.",
        )
    )
    splitting_acoustic: tuple[float, ...] = field(
        metadata=_declare(
            "THz Å^2",
            "Coefficient of k^2 in the splitting of the transverse acoustic pair, k in 1/Å with "
            "2π.",
        )
    )
    circular_splitting: tuple[float, ...] | None = field(
        metadata=_declare(
            "meV",
            "Splitting of opposite hands times the angular momentum (ħ) that a linewidth leaves "
            "them, along each axis at k = chirality.wave_number (with 2π) or at the zone boundary "
            "where that is nearer: of largest size, with its sign.",
        )
    )
    raman_splitting: tuple[float, ...] | None = field(
        metadata=_declare(
            "meV",
            "The same of the optical doublets that crossed circular Raman channels see, at "
            "k = chirality.light_wave_number (with 2π), from the linear splitting.",
        )
    )
    raman_axes: tuple[int, ...] = field(
        metadata=_declare(
            "", "Axis (position in axis_orders) of each mode that circular Raman scattering sees."
        )
    )
    raman_frequencies: tuple[float, ...] = field(
        metadata=_declare("THz", "Frequency of each of these modes.")
    )
    raman_pam: tuple[int, ...] = field(
        metadata=_declare("", "Pseudo-angular momentum of each of these modes.")
    )
    raman_channels: tuple[str, ...] = field(
        metadata=_declare("", "Channels that see each of these modes, among RR, LL, RL and LR.")
    )

    # Empty in results of programs that did not compute them.
    zero_point_energy: float | None = field(
        metadata=_declare(
            "kJ/mol",
            "Zero-point energy of the vibrations, per mole of primitive cells; imaginary modes are "
            "left out.",
        )
    )
    free_energy_300: float | None = field(
        metadata=_declare(
            "kJ/mol",
            "Free energy (Helmholtz) of the vibrations at 300 K with the zero-point energy, per "
            "mole of primitive cells; imaginary modes are left out.",
        )
    )
    entropy_300: float | None = field(
        metadata=_declare(
            "J K^-1 mol^-1",
            "Entropy of the vibrations at 300 K, per mole of primitive cells; imaginary modes are "
            "left out.",
        )
    )
    heat_capacity_300: float | None = field(
        metadata=_declare(
            "J K^-1 mol^-1",
            "Heat capacity at constant volume at 300 K, per mole of primitive cells; imaginary "
            "modes are left out.",
        )
    )
    # What another division of force constants among periodic images gives
    # (tasks.phonons.sum_rules).
    tensor_other: tuple[float, ...] | None = field(
        default=None,
        metadata=_declare(
            "J s m^-2 K^-1 per s",
            "Tensor of the other division of force constants among images (weights r^-3), 9 "
            "numbers per temperature.",
        ),
    )
    tensor_spread: tuple[float, ...] | None = field(
        default=None,
        metadata=_declare(
            "", "Norm of its difference from the tensor in units of the tensor, per temperature."
        ),
    )
    splitting_other: tuple[float, ...] | None = field(
        default=None,
        metadata=_declare(
            "THz Å",
            "splitting_linear of the other division, along each axis, per k in 1/Å with 2π.",
        ),
    )
    splitting_spread: tuple[float, ...] | None = field(
        default=None,
        metadata=_declare("", "Its relative difference from splitting_linear, along each axis."),
    )
    helicity_other: float | None = field(
        default=None,
        metadata=_declare("ħ", "mean_optical_helicity of the other division."),
    )
    helicity_spread: float | None = field(
        default=None,
        metadata=_declare("", "Its relative difference from mean_optical_helicity."),
    )
    optical_shift: float | None = field(
        default=None,
        metadata=_declare(
            "THz",
            "Mean change of the optical frequencies against the usual division, which violates the "
            "sum rules.",
        ),
    )


@dataclass(frozen=True)
class Verdict:
    """What the numbers say of one material; units and meaning stand in the metadata."""

    min_frequency_commensurate: float = field(
        metadata=_declare(
            "THz", "Lowest frequency at the q-points of the supercell, negative if imaginary."
        )
    )
    n_imaginary_commensurate: int = field(
        metadata=_declare("", "Modes there below minus the stability tolerance.")
    )
    least_stiffness: float | None = field(
        metadata=_declare(
            "GPa",
            "Smallest eigenvalue of the elastic constants, for strains of unit length; empty for "
            "force constants without response to strain.",
        )
    )
    stable: bool = field(
        metadata=_declare("", "Whether there are no such modes and no strain lowers the energy.")
    )
    significant: bool = field(
        metadata=_declare("", "Whether the mean |l| exceeds the significance threshold.")
    )
    explanation: str = field(metadata=_declare("", "The verdict in words."))
