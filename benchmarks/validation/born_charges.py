"""Errors of a charge model on crystals that it did not see.

chiralscreen train --config data/training/charges.yaml --output results/charges
python -m benchmarks.validation.born_charges --training results/charges
"""

import argparse
from pathlib import Path

import pandas as pd

from flows.tables import Column, format_markdown_table
from tasks.training.charge_errors import compare_bars, format_errors, group_by_element, group_errors
from tasks.training.charge_run import ERRORS


def main() -> None:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--training", type=Path, required=True, help="folder of the training")
    errors = pd.read_parquet(parser.parse_args().training / ERRORS)
    for title, rows in {
        "Groups (e)": group_errors(errors),
        "Elements (e)": group_by_element(errors),
        "Bars, by fifths of the crystals (e)": compare_bars(errors),
    }.items():
        columns = [Column(head, cells) for head, cells in format_errors(rows).items()]
        print(f"## {title}\n\n{format_markdown_table(columns)}\n")


if __name__ == "__main__":
    main()
