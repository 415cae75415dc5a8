"""What learning from results gains: taught by one half of a catalogue, measured on the other.

python -m benchmarks.preferences data/catalogue
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from tasks.generation.preferences import Preferences, learn_preferences
from tasks.generation.sampling import SOHNCKE
from tasks.results.earnings import read_earnings

DIVISIONS = 200


def weigh(earnings: pd.DataFrame, preferences: Preferences) -> tuple[pd.Series, pd.Series]:
    """Weights of crystals by their space groups alone, and by their elements as well."""
    groups = earnings["space_group_number"].map(lambda n: preferences.groups.get(n, 1.0))
    return groups, groups * earnings["formula"].map(preferences.weigh_formula)


def compute_gain(earnings: pd.DataFrame, weights: pd.Series) -> float:
    """Score per hour over that of equal weights."""

    def rate(weight: pd.Series | float) -> float:
        return float((weight * earnings["score"]).sum() / (weight * earnings["hours"]).sum())

    return rate(weights) / rate(1.0)


def measure_division(earnings: pd.DataFrame, seed: int) -> tuple[float, float, float]:
    """Gains by groups, and by elements as well; share of the crystals that the weights leave."""
    taught = np.random.default_rng(seed).random(len(earnings)) < 0.5
    rest = earnings[~taught]
    groups, both = weigh(rest, learn_preferences(earnings[taught], SOHNCKE))
    left = float(both.sum() ** 2 / (both**2).sum() / len(rest))
    return compute_gain(rest, groups), compute_gain(rest, both), left


def main() -> None:
    """Print mean and range of the gains."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of a dataset or of its tables")
    earnings = read_earnings(parser.parse_args().folder)
    chiral = earnings[earnings["space_group_number"].isin(SOHNCKE)].reset_index(drop=True)
    found = np.array([measure_division(chiral, seed) for seed in range(DIVISIONS)])
    low, high = np.percentile(found, [2.5, 97.5], axis=0)
    print(f"{len(chiral)} crystals, {DIVISIONS} divisions")
    for name, *values in zip(
        ("space groups", "and elements", "crystals left"),
        found.mean(axis=0),
        low,
        high,
        strict=True,
    ):
        print("{}: {:.2f} ({:.2f} to {:.2f})".format(name, *values))


if __name__ == "__main__":
    main()
