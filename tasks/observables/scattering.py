"""Inelastic scattering of neutrons and X-rays by one phonon.

A probe that gives the momentum hbar Q to the crystal and creates one phonon of mode nu, per cell:

    I_nu(Q) = hbar / (2 omega) (n + 1) |sum_k f_k(Q) exp(-W_k) (Q . e_k) / sqrt(M_k)|^2
    W_k = Q . U_k . Q / 2,    U_k = (hbar / (2 M_k N)) sum (2 n + 1) e_k e_k^* / omega
    S(Q, omega) = sum_nu I_nu(Q) g(omega - omega_nu)

(S. W. Lovesey, Theory of Neutron Scattering from Condensed Matter, Oxford 1984; phonopy's
convention, where e at Q = G + q has the phase exp(-i G.x) of each atom.) f_k is the coherent
scattering length b of the element, or the form factor f(|Q|) of its electrons.

With real f_k, |F(-Q)| = |F(Q)|: the mirror image that inversion makes scatters alike at each Q, and
unpolarised neutrons and X-rays far from a resonance cannot tell two hands apart.

Resonant X-rays can. What their dichroism would follow is told by a proxy: the part of the resonant
element alone, with the circular directions about Q, e_L = (x + i y) / sqrt(2), in place of Q,

    D_nu(Q) = hbar / (2 omega) (n + 1) {|sum_k exp(-W_k) e_L*.e_k / sqrt(M_k)|^2 - (the same of R)}.

It leaves out the tensor of the resonance (which orbitals, which edge), the geometry of polarisation
and self-absorption, and multiple phonons.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import angstrom, atomic_mass, h, hbar, k, physical_constants, tera

from tasks.chirality.axes import ComplexArray, FloatArray, find_crystal_operations
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.statistics import find_translations
from tasks.conditions import Probe
from tasks.observables.infrared import make_circular_fields
from tasks.phonons.fourier import HarmonicCrystal
from tasks.tolerances import FREQUENCY_CUTOFF

# hbar / (2 M omega) in Å^2 for M in u and omega / 2 pi in THz.
_SQUARED_LENGTH = hbar / (2 * atomic_mass * 2 * np.pi * tera) / angstrom**2
_BOHR_RADIUS = physical_constants["Bohr radius"][0] / angstrom
_GAUSSIAN = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum over standard deviation


@dataclass(frozen=True, eq=False)
class OnePhonon:
    """Scattering by one phonon at some Q.

    Attributes
    ----------
    modes : Modes
        Modes at the Q; q_points are Q itself, in any zone.
    intensities : ndarray, shape (nQ, nb)
        I of each mode per primitive cell, in fm^2 for neutrons and in squared electrons for X-rays;
        zero for imaginary modes and translations.
    """

    modes: Modes
    intensities: FloatArray

    def compute_map(self, frequencies: ArrayLike, resolution: float) -> FloatArray:
        """Dynamic structure factor S(Q, nu) of a given resolution.

        Parameters
        ----------
        frequencies : array_like, shape (n,)
            In THz.
        resolution : float
            Full width at half maximum of a Gaussian, in THz.

        Returns
        -------
        ndarray, shape (nQ, n)
            In the unit of `intensities` per THz.
        """
        width = resolution / _GAUSSIAN
        apart = np.asarray(frequencies, dtype=np.float64) - self.modes.frequencies[..., None]
        lines = np.exp(-((apart / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        return np.asarray(np.einsum("qb,qbn->qn", self.intensities, lines))


def compute_displacement_tensors(
    phonon: HarmonicCrystal, temperature: float, spacing: float | None = None
) -> FloatArray:
    """Mean squared displacements of the atoms.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    temperature : float
        In K; zero for the motion at rest.
    spacing : float, optional
        Of the mesh, 1/Å without 2 pi; that of the chirality stage if left out.

    Returns
    -------
    ndarray, shape (n_atoms, 3, 3)
        U_k = <u u^T> in Å^2, Cartesian, of the symmetry of the sites. Imaginary modes and the
        translations are left out.
    """
    mesh = make_irreducible_mesh(phonon, spacing or ChiralitySettings().mesh_spacing)
    modes, masses = compute_modes(phonon, mesh.q_points), phonon.primitive.masses
    shares = (mesh.weights / mesh.weights.sum())[:, None]
    occupied = 2 * _count_phonons(modes, masses, temperature) - _find_real(modes, masses)
    weights = shares * occupied * _SQUARED_LENGTH / np.where(occupied, modes.frequencies, 1.0)
    vectors = _split_atoms(modes.eigenvectors) / np.sqrt(masses)[:, None, None]
    tensors = np.einsum("qb,qkab,qkcb->kac", weights, vectors, vectors.conj(), optimize=True).real
    operations = find_crystal_operations(phonon)
    turned = np.einsum(
        "gab,kbc,gdc->gkad", operations.cartesian, tensors, operations.cartesian, optimize=True
    )
    found = np.zeros_like(tensors)
    np.add.at(found, operations.sites, turned)
    return np.asarray(found / len(turned))


def compute_one_phonon(
    phonon: HarmonicCrystal,
    wave_vectors: ArrayLike,
    temperature: float,
    probe: Probe = Probe.NEUTRON,
    displacements: FloatArray | None = None,
    direction: ArrayLike | None = None,
) -> OnePhonon:
    """Scattering by the creation of one phonon.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    wave_vectors : array_like, shape (nQ, 3)
        Q in fractional reciprocal coordinates of the primitive cell, of any zone.
    temperature : float
        In K.
    probe : Probe
        Neutrons, or X-rays far from a resonance.
    displacements : ndarray, shape (n_atoms, 3, 3), optional
        From `compute_displacement_tensors`; computed if left out.
    direction : array_like, shape (3,), optional
        Direction (fractional reciprocal) in which a line of Q goes through reciprocal lattice
        vectors; with Born charges it tells which modes are longitudinal there. The macroscopic
        field is left out there without it.

    Returns
    -------
    OnePhonon

    Raises
    ------
    ValueError
        For an element whose scattering length is not known.
    """
    modes = compute_modes(phonon, wave_vectors, nac_direction=direction)
    momenta = _compute_momenta(phonon, modes.q_points)
    factors = compute_scattering_factors(phonon.primitive.symbols, momenta, probe)
    damped = factors * _compute_damping(phonon, momenta, temperature, displacements)
    weights = damped[:, :, None] * momenta[:, None] / np.sqrt(phonon.primitive.masses)[:, None]
    amplitudes = np.einsum("qka,qkab->qb", weights, _split_atoms(modes.eigenvectors))
    return OnePhonon(modes, _weigh(phonon, modes, temperature) * np.abs(amplitudes) ** 2)


def compute_circular_proxy(
    phonon: HarmonicCrystal,
    wave_vectors: ArrayLike,
    element: str,
    temperature: float,
    displacements: FloatArray | None = None,
    direction: ArrayLike | None = None,
) -> OnePhonon:
    """Proxy of the circular dichroism of resonant inelastic X-rays; see the module's head.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    wave_vectors : array_like, shape (nQ, 3)
        Q in fractional reciprocal coordinates of the primitive cell, none of them zero.
    element : str
        Resonant element.
    temperature : float
        In K.
    displacements : ndarray, shape (n_atoms, 3, 3), optional
        From `compute_displacement_tensors`; computed if left out.
    direction : array_like, shape (3,), optional
        Direction (fractional reciprocal) in which a line of Q goes through reciprocal lattice
        vectors; with Born charges it tells which modes are longitudinal there. The macroscopic
        field is left out there without it.

    Returns
    -------
    OnePhonon
        Its intensities are D in Å^2: positive where the element turns with angular momentum
        along Q; opposite in the mirror image.

    Raises
    ------
    ValueError
        When the crystal does not hold the element, or Q is zero.
    """
    chosen = np.array([_name_element(symbol) == element for symbol in phonon.primitive.symbols])
    if not chosen.any():
        held = ", ".join(sorted({_name_element(symbol) for symbol in phonon.primitive.symbols}))
        raise ValueError(f"there is no {element} in the crystal: it holds {held}")
    modes = compute_modes(phonon, wave_vectors, nac_direction=direction)
    momenta = _compute_momenta(phonon, modes.q_points)
    lengths = np.linalg.norm(momenta, axis=1)
    if not lengths.all():
        raise ValueError("Q is zero at some point: there is no direction to circle about")
    fields = np.stack([make_circular_fields(n) for n in momenta / lengths[:, None]])
    weights = chosen * _compute_damping(phonon, momenta, temperature, displacements)
    weights = weights / np.sqrt(phonon.primitive.masses)
    vectors = _split_atoms(modes.eigenvectors)
    parts = np.abs(np.einsum("qk,qfa,qkab->qfb", weights, fields.conj(), vectors)) ** 2
    return OnePhonon(modes, _weigh(phonon, modes, temperature) * (parts[:, 0] - parts[:, 1]))


def compute_scattering_factors(
    symbols: Sequence[str], momenta: FloatArray, probe: Probe
) -> FloatArray:
    """Strength with which each atom scatters.

    Parameters
    ----------
    symbols : sequence of str
        Elements of the atoms.
    momenta : ndarray, shape (nQ, 3)
        Q in 1/Å with 2 pi.
    probe : Probe
        Neutrons, or X-rays far from a resonance.

    Returns
    -------
    ndarray, shape (nQ, n_atoms)
        Coherent scattering lengths in fm, mean of the natural isotopes (Neutron Data Booklet, 2nd
        ed., 2003), or form factors of the neutral atoms in electrons,
        f = Z - 8 pi^2 a_0 s^2 sum_i a_i exp(-b_i s^2) with s = |Q| / 4 pi (M. De Graef, M. E.
        McHenry, Structure of Materials); both tables are pymatgen's.

    Raises
    ------
    ValueError
        For an element that the table lacks.
    """
    names = [_name_element(symbol) for symbol in symbols]
    table = _read_table(probe)
    if missing := sorted(set(names) - set(table)):
        raise ValueError(f"there is no {probe} scattering length of {', '.join(missing)}")
    if probe is Probe.NEUTRON:
        return np.tile([table[name] for name in names], (len(momenta), 1))
    squared = (np.linalg.norm(momenta, axis=1) / (4 * np.pi)) ** 2
    return np.stack([_compute_form_factor(name, table[name], squared) for name in names], axis=1)


def _compute_form_factor(name: str, parameters: ArrayLike, squared: FloatArray) -> FloatArray:
    """Electrons that scatter at s^2."""
    from ase.data import atomic_numbers  # noqa: PLC0415 - needed by X-rays alone

    a, b = np.asarray(parameters).T
    sums = (a * np.exp(-b * squared[:, None])).sum(axis=1)
    return np.asarray(atomic_numbers[name] - 8 * np.pi**2 * _BOHR_RADIUS * squared * sums)


@cache
def _read_table(probe: Probe) -> dict[str, ArrayLike]:
    """Scattering lengths, or parameters of form factors, by element."""
    names = {
        Probe.NEUTRON: "neutron_scattering_length.json",
        Probe.X_RAY: "atomic_scattering_params.json",
    }
    path = files("pymatgen") / "analysis" / "diffraction" / names[probe]
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _name_element(symbol: str) -> str:
    """Element of an atom that phonopy may have numbered, as in Te1."""
    return symbol.rstrip("0123456789")


def _compute_momenta(phonon: HarmonicCrystal, wave_vectors: FloatArray) -> FloatArray:
    """Q in 1/Å with 2 pi, Cartesian."""
    return np.asarray(2 * np.pi * wave_vectors @ np.linalg.inv(phonon.primitive.cell).T)


def _compute_damping(
    phonon: HarmonicCrystal,
    momenta: FloatArray,
    temperature: float,
    displacements: FloatArray | None,
) -> FloatArray:
    """exp(-W) of each atom at each Q."""
    if displacements is None:
        displacements = compute_displacement_tensors(phonon, temperature)
    return np.asarray(np.exp(-np.einsum("qa,kab,qb->qk", momenta, displacements, momenta) / 2))


def _weigh(phonon: HarmonicCrystal, modes: Modes, temperature: float) -> FloatArray:
    """Hbar / (2 omega) (n + 1) of each mode, in Å^2 u."""
    count = _count_phonons(modes, phonon.primitive.masses, temperature)
    return np.asarray(_SQUARED_LENGTH * count / np.where(count, modes.frequencies, 1.0))


def _count_phonons(modes: Modes, masses: FloatArray, temperature: float) -> FloatArray:
    """N + 1 of each mode; 0 for what does not count."""
    real = _find_real(modes, masses)
    if temperature <= 0:
        return real.astype(np.float64)
    x = h * tera * np.where(real, modes.frequencies, 1.0) / (k * temperature)
    return np.asarray(real / -np.expm1(-x))


def _find_real(modes: Modes, masses: FloatArray) -> FloatArray:
    """1 for modes of a real frequency that are no translations, 0 for the others."""
    real = (modes.frequencies > FREQUENCY_CUTOFF) & ~find_translations(modes, masses)
    return real.astype(np.float64)


def _split_atoms(eigenvectors: ComplexArray) -> ComplexArray:
    """Eigenvectors of shape (nq, n_atoms, 3, nb)."""
    n_q, n_rows, n_bands = eigenvectors.shape
    return eigenvectors.reshape(n_q, n_rows // 3, 3, n_bands)
