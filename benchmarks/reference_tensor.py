"""Thermal response, helicity waves and pseudo-angular momenta of published force constants.

DIR holds ``<tag>.yaml.xz`` (phonopy, with forces or force constants). Each compound is analysed
without and, where it has Born charges, with the non-analytical term:

    python benchmarks/reference_tensor.py --reference DIR [--only TEXT] [--divisions N]

Columns: relative amplitudes A_L of the helicity harmonics at the bin width given, the wave found
and the one of the point group, parts of alpha / tau at 300 K (J s m^-2 K^-1 per s), the violation
of its symmetry and the largest share of one q-point, and, along the principal axis, the lowest
purity of the labels, the largest difference between Tr T(g) and the sum of exp(-2 pi i l_ph / n),
the range of l along the axis among modes of label 0, the largest splitting of opposite hands, and
the linear coefficients of the optical doublets (THz Å).

The force constants are used as published, not symmetrised, and the whole mesh is summed, so that
what symmetry forbids is seen. The exit status is 1 where a wave differs from that of the point
group, a violation exceeds 5 %, or a label is not sound. The DFPT quartz file takes minutes to
parse.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phonopy
from phonopy import Phonopy

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import rotate_modes, select_principal_axes
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.harmonics import HelicitySpectrum, compute_helicity_spectrum
from tasks.chirality.magnetic import compute_magnetization_tensor
from tasks.chirality.modes import compute_modes
from tasks.chirality.pam import compute_pseudo_angular_momentum
from tasks.chirality.raman import measure_branch_splittings
from tasks.chirality.tensor import (
    TensorResult,
    compute_velocity_angular_momentum_tensor,
    make_thermal_sample,
)

TAGS = (
    "symfc_152_SiO2_quartz_221",
    "phonopy_186_ZnO",
    "phono3py_186_AlN_PBEsol_rd200",
    "euphonic_154_SiO2_quartz_LDA_DFPT",
)
BIN_WIDTHS = (0.1, 0.5)
VIOLATION_LIMIT = 0.05


@dataclass(frozen=True)
class LabelCheck:
    """Labels on the principal axis: purity, trace residual, l of label-0 modes, splittings."""

    axis: str
    purity: float
    residual: float
    momentum_of_zero: tuple[float, float]
    splitting: float
    linear: tuple[float, ...]


def check_labels(phonon: Phonopy) -> LabelCheck:
    """Label the modes at nine points inside the principal axis and check them against T(g)."""
    axis = select_principal_axes(phonon)[0]
    length = np.linalg.norm(axis.lattice_vector @ phonon.primitive.cell)
    fractions = np.linspace(0.05, 0.45, 9)
    modes = compute_modes(
        phonon, np.outer(fractions / length, phonon.primitive.cell @ axis.direction)
    )
    sets = find_degenerate_sets(modes.frequencies)
    labels = compute_pseudo_angular_momentum(modes, axis, sets)
    turned = rotate_modes(axis, modes.q_points, modes.eigenvectors)
    traces = np.einsum("qkb,qkb->q", modes.eigenvectors.conj(), turned)
    expected = np.exp(-2j * np.pi * labels.raw / axis.order).sum(axis=1)
    angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets) @ axis.direction
    zero = angular_momentum[labels.integer == 0]
    found = measure_branch_splittings(phonon)
    return LabelCheck(
        axis=f"{axis.order}_{axis.screw}",
        purity=float(labels.purity.min()),
        residual=float(np.abs(traces - expected).max()),
        momentum_of_zero=(float(zero.min()), float(zero.max())),
        splitting=found[0].maximum if found else 0.0,
        linear=tuple(found[0].linear.tolist()) if found else (),
    )


def show(tag: str, phonon: Phonopy, divisions: int) -> bool:
    """Analyse one compound, print its rows, and tell whether it is as it should be."""
    start = time.perf_counter()
    spacing = np.linalg.norm(np.linalg.inv(phonon.primitive.cell), axis=0).max() / divisions
    mesh = make_irreducible_mesh(phonon, spacing)
    modes = compute_modes(phonon, mesh.full_q_points)
    sets = find_degenerate_sets(modes.frequencies)
    weights = np.ones(len(modes))
    sample = make_thermal_sample(phonon, modes, sets, weights, irreducible=False)
    tensor = compute_velocity_angular_momentum_tensor(sample)
    spectra = [
        compute_helicity_spectrum(phonon, modes, sets, weights, irreducible=False, bin_width=width)
        for width in BIN_WIDTHS
    ]
    labels = check_labels(phonon)
    charges = phonon.nac_params is not None
    elapsed = time.perf_counter() - start
    print(f"{tag}, {'with' if charges else 'without'} non-analytical term")
    print(f"  mesh {mesh.numbers.tolist()}, {len(modes)} q-points, {elapsed:.1f} s")
    show_spectra(spectra)
    show_tensor("alpha/tau", tensor)
    if charges:
        show_tensor("beta/tau", compute_magnetization_tensor(phonon, sample))
    print(
        f"  axis {labels.axis}: purity {labels.purity:.4f}, trace residual {labels.residual:.1e}, "
        f"l of label 0 from {labels.momentum_of_zero[0]:.3f} to {labels.momentum_of_zero[1]:.3f}, "
        f"splitting {labels.splitting:.3f} THz"
    )
    print("  linear splittings of doublets:", " ".join(f"{value:.2f}" for value in labels.linear))
    violation = float(np.nanmax(tensor.violation))
    return spectra[0].agrees and violation < VIOLATION_LIMIT and labels.purity > 0.9


def show_spectra(spectra: list[HelicitySpectrum]) -> None:
    """Print the relative amplitudes of the harmonics."""
    for spectrum in spectra:
        found = " ".join(f"{size:9.2e}" for size in spectrum.relative_amplitudes)
        print(
            f"  bins {spectrum.bin_width:.1f} THz: A_0,2,4,6 = {found}; wave {spectrum.wave}, "
            f"point group {spectrum.symmetry_wave}; mean |h| {spectrum.mean_absolute:.4f}"
        )


def show_tensor(name: str, result: TensorResult) -> None:
    """Print the parts of a tensor at 300 K."""
    index = int(np.argmin(np.abs(result.temperatures - 300)))
    matrix = np.array2string(
        result.response[index] * (np.abs(result.response[index]) > 1e-9 * result.scale[index]),
        formatter={"float_kind": "{: .3e}".format},
    )
    print(f"  {name} at 300 K in {result.unit}, violation {result.violation[index]:.1e}:")
    print("    " + matrix.replace("\n", "\n    "))
    print(
        f"    trace/3 {result.pseudoscalar[index]:.3e}, polar vector along z "
        f"{result.polar_vector[index, 2]:.3e}, largest share {result.largest_share[index]:.3f}, "
        f"imaginary modes {result.n_imaginary}"
    )


def main() -> int:
    """Run the comparison; 0 where every compound is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of force constants")
    parser.add_argument("--only", default="", help="run the compounds whose tag holds this text")
    parser.add_argument("--divisions", type=int, default=12, help="mesh along the longest vector")
    arguments = parser.parse_args()
    sound = True
    for tag in (tag for tag in TAGS if arguments.only in tag):
        phonon = phonopy.load(arguments.reference / f"{tag}.yaml.xz", log_level=0)
        charges = phonon.nac_params
        for params in (None, charges) if charges is not None else (None,):
            phonon.nac_params = params
            sound &= show(tag, phonon, arguments.divisions)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
