"""Error bars of frequencies from the difference of two potentials, calibrated against PBE.

    python -m benchmarks.validation.error_bars --reference DIR

DIR holds ``phonondb103_pbe_frequencies.json.gz``. Each compound is relaxed by both potentials;
their difference is that of `tasks.results.agreement`, their errors are those of `pbe_frequencies`.
The bar is

    k (difference + 0.02 mean frequency),

with k such that it covers 68 or 90 of 100 compounds. How far that holds for others is told by
leaving each compound out of the calibration, and by calibrating on one half and looking at the
other, over and over. Rows that are in the output already are not computed again.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.validation.crystals import (
    Job,
    Row,
    command_line_of_reference,
    compute,
    extend,
    load,
    phonon_settings,
)
from benchmarks.validation.pbe_frequencies import entries, frequency_numbers, jobs, primitive_cell
from tasks.chirality import compute_modes
from tasks.results.agreement import FLOOR, compare_modes

FloatArray = NDArray[np.float64]
PAIR = ("nequix-mp-1-pft", "nequix-oam-1-pft")
PERCENTS = (68, 90)
N_SPLITS = 1000


def measured(job: Job) -> Row:
    """Difference of two potentials about one compound, and the errors of both."""
    entry, settings = job["entry"], phonon_settings(job["max_atoms"])
    start = primitive_cell(entry)
    found = [
        compute(start, load(name), settings).interpolated()
        for name in (job["potential"], job["other"])
    ]
    errors = [
        frequency_numbers(compute_modes(p, np.array(entry["qpoints"])).frequencies, entry)
        for p in found
    ]
    compared = compare_modes(*found)
    return {
        "formula": entry["name"],
        "other": job["other"],
        "difference": compared.frequency_difference,
        "mean_frequency": compared.mean_frequency,
        "frequency_error": errors[0]["frequency_mae"],
        "other_frequency_error": errors[1]["frequency_mae"],
    }


def factors(rows: pd.DataFrame, column: str) -> FloatArray:
    """Error of each compound in units of the difference and a share of the mean frequency."""
    unit = rows["difference"] + FLOOR * rows["mean_frequency"]
    return np.asarray(rows[column] / unit, dtype=float)


def calibrated(found: FloatArray, percent: int) -> float:
    """Factor that covers a share of compounds, those that are not among these included.

    The k-th smallest of n with k = ceil(share (n + 1)): split conformal prediction (V. Vovk et al.,
    Algorithmic Learning in a Random World, 2005).
    """
    rank = min(int(np.ceil(percent / 100 * (len(found) + 1))), len(found))
    return float(np.sort(found)[rank - 1])


def left_out(found: FloatArray, percent: int) -> float:
    """Share of compounds inside the bar that all others calibrate (%)."""
    inside = [
        one <= calibrated(np.delete(found, place), percent) for place, one in enumerate(found)
    ]
    return 100 * float(np.mean(inside))


def halves(found: FloatArray, percent: int) -> tuple[float, float]:
    """Mean and deviation of the share of one half inside the bar that the other calibrates (%)."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(N_SPLITS):
        here, there = np.array_split(rng.permutation(found), 2)
        shares.append(100 * float(np.mean(there <= calibrated(here, percent))))
    return float(np.mean(shares)), float(np.std(shares))


def lines(rows: pd.DataFrame, names: Sequence[str]) -> Iterator[Row]:
    """Calibration of each potential, and of both at once."""
    columns = {names[0]: ["frequency_error"], names[1]: ["other_frequency_error"]}
    for name, errors in columns.items():
        found = np.concatenate([factors(rows, column) for column in errors])
        unit = rows["difference"] + FLOOR * rows["mean_frequency"]
        for percent in PERCENTS:
            k = calibrated(found, percent)
            mean, deviation = halves(found, percent)
            yield {
                "potential": name,
                "%": percent,
                "k": round(k, 2),
                "mean bar (THz)": round(k * float(unit.mean()), 3),
                "each left out (%)": round(left_out(found, percent)),
                "other half (%)": f"{mean:.0f} ± {deviation:.0f}",
            }


def main() -> None:
    """Compute what is missing and print the calibration."""
    parser = command_line_of_reference(__doc__, "error_bars", PAIR[:1])
    parser.add_argument("--other", default=PAIR[1], help="the second potential")
    options = parser.parse_args()
    todo = jobs(options.potentials, entries(options.reference), (), options.max_atoms)
    both = [{**job, "other": options.other} for job in todo]
    rows = extend(options.output, both, measured, workers=options.workers, limit=options.limit)
    sound = rows[rows["error"].isna()]
    print(
        pd.DataFrame(lines(sound, (options.potentials[0], options.other))).to_markdown(index=False)
    )


if __name__ == "__main__":
    main()
