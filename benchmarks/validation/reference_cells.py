"""Modes of crystals in the cells of the reference: what is left of the errors of `dft_modes`.

    python -m benchmarks.validation.reference_cells --reference DIR

DIR and rows are those of `dft_modes`, but the potential relaxes the atoms alone. What differs then
is neither the functional's cell nor the potential's. Rows that are in the output already are not
computed again.
"""

from benchmarks.validation.crystals import command_line_of_reference, extend
from benchmarks.validation.dft_modes import jobs, measured
from benchmarks.validation.error_bars import PAIR


def main() -> None:
    """Compute what is missing and write it."""
    parser = command_line_of_reference(__doc__, "reference_cells", PAIR)
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    options = parser.parse_args()
    found = jobs(options.potentials, options.reference, options.only, options.max_atoms)
    todo = [{**job, "cell": "fixed"} for job in found if job["potential"] != "dft"]
    rows = extend(options.output, todo, measured, workers=options.workers, limit=options.limit)
    shown = ["potential", "material_id", "frequency_mae", "momentum_mae", "momentum_same_sign"]
    print(rows[shown].round(3).to_markdown(index=False))


if __name__ == "__main__":
    main()
