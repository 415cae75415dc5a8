"""Compare frequencies and angular momenta with reference values from published force constants.

DIR holds ``<tag>.yaml.xz`` (phonopy, with forces or force constants) and ``reference_q/<tag>.npz``
with q (nq, 3), frequencies_thz (nq, nb), eigenvectors (nq, 3n, nb) and pam_hbar (nq, nb, 3), the
angular momentum of each mode in hbar.

    python benchmarks/reference_modes.py --reference DIR [--only TEXT]

Of modes with a partner closer than the degeneracy tolerance, means of the sets are compared. The
exit status is 1 where a deviation exceeds the limits below.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phonopy
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import angular_momentum
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets, flag_near_degenerate
from tasks.chirality.modes import Modes, compute_modes

FREQUENCY_LIMIT = 1e-6
MOMENTUM_LIMIT = 1e-5


@dataclass(frozen=True)
class Comparison:
    """Largest deviations of one compound: THz, hbar, hbar with the reference eigenvectors."""

    tag: str
    n_modes: int
    n_left_out: int
    frequency: float
    angular_momentum: float
    formula: float
    largest: float
    load_time: float
    modes_time: float


def compare(path: Path, reference: Path) -> Comparison:
    """Largest deviations of one compound from its reference."""
    start = time.perf_counter()
    phonon = phonopy.load(path, log_level=0)
    loaded = time.perf_counter()
    with np.load(reference) as data:
        expected = {name: np.asarray(data[name]) for name in data.files}
    modes = compute_modes(phonon, expected["q"])
    done = time.perf_counter()
    sets = find_degenerate_sets(expected["frequencies_thz"])
    sharp = ~flag_near_degenerate(expected["frequencies_thz"], sets)
    angular_momenta = average_over_sets(expected["pam_hbar"], sets)
    return Comparison(
        tag=reference.stem,
        n_modes=modes.frequencies.size,
        n_left_out=int((~sharp).sum()),
        frequency=float(np.abs(modes.frequencies - expected["frequencies_thz"]).max()),
        angular_momentum=_deviation(modes, sets, angular_momenta, sharp),
        formula=float(
            np.abs(
                average_over_sets(angular_momentum(expected["eigenvectors"].astype(complex)), sets)
                - angular_momenta
            ).max()
        ),
        largest=float(np.linalg.norm(angular_momenta, axis=-1).max()),
        load_time=loaded - start,
        modes_time=done - loaded,
    )


def _deviation(
    modes: Modes,
    sets: NDArray[np.int64],
    expected: NDArray[np.float64],
    sharp: NDArray[np.bool_],
) -> float:
    """Largest deviation among modes that no other set approaches."""
    found = average_over_sets(angular_momentum(modes.eigenvectors), sets)
    return float(np.abs(found - expected)[sharp].max())


def _yaml(folder: Path, reference: Path) -> Path:
    """File with the crystal and forces that belong to a reference."""
    return folder / f"{reference.stem}.yaml.xz"


def main() -> int:
    """Print the table; 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder with the data")
    parser.add_argument("--only", default="", help="compare tags that contain this text")
    arguments = parser.parse_args()
    found = sorted((arguments.reference / "reference_q").glob("*.npz"))
    references = [path for path in found if arguments.only in path.stem]
    # The largest file takes minutes to parse: let the others come first.
    references.sort(key=lambda path: _yaml(arguments.reference, path).stat().st_size)
    print(
        f"{'compound':40s} modes  left out   THz       ħ         formula   max|l|  load s modes s"
    )
    exceeded = 0
    for reference in references:
        row = compare(_yaml(arguments.reference, reference), reference)
        exceeded += row.frequency > FREQUENCY_LIMIT or row.angular_momentum > MOMENTUM_LIMIT
        print(
            f"{row.tag:40s} {row.n_modes:5d}  {row.n_left_out:8d}   {row.frequency:.1e}   "
            f"{row.angular_momentum:.1e}   {row.formula:.1e}   {row.largest:.3f}  "
            f"{row.load_time:6.1f} {row.modes_time:7.2f}",
            flush=True,
        )
    limits = f"{FREQUENCY_LIMIT} THz or {MOMENTUM_LIMIT} ħ"
    print(f"{len(references)} compounds, {exceeded} beyond {limits}")
    return int(exceeded > 0 or not references)


if __name__ == "__main__":
    sys.exit(main())
