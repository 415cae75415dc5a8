"""Errors of a charge model on crystals that it did not see.

chiralscreen train --config data/training/charges.yaml --output results/charges
python -m benchmarks.validation.born_charges --training results/charges
"""

import argparse
from pathlib import Path

import pandas as pd

from tasks.training.charge_errors import bars, by_element, by_group, in_table
from tasks.training.charge_run import ERRORS


def main() -> None:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--training", type=Path, required=True, help="folder of the training")
    errors = pd.read_parquet(parser.parse_args().training / ERRORS)
    for title, rows in {
        "Groups (e)": by_group(errors),
        "Elements (e)": by_element(errors),
        "Bars, by fifths of the crystals (e)": bars(errors),
    }.items():
        print(f"## {title}\n\n{in_table(rows)}\n")


if __name__ == "__main__":
    main()
