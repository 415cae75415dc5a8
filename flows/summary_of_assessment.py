"""What a person reads of an assessment of generated crystals."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from tasks.generation.assessment import Assessment
from tasks.generation.candidates import OUTCOMES

_ROWS = {
    "structure_valid": ("structure valid", "records"),
    "composition_valid": ("composition valid", "records"),
    "valid": ("both", "records"),
    "accepted": ("accepted by a screening", "records"),
    "unique": ("unique", "valid"),
    "novel": ("novel", "unique"),
    "p1": ("in P1 as given", "valid"),
    "sohncke": ("in a group of chiral crystals", "valid"),
    "symmetrised": ("P1 as given, with a parent symmetry", "P1"),
    "stable": ("stable, unique, novel", "records"),
    "metastable": ("the same, up to 0.1 eV/atom", "records"),
    "symmetric": ("stable, unique, novel, not in P1", "records"),
}
_DISTANCES = {
    "density": ("density", "g/cm³"),
    "n_elements": ("number of elements", ""),
    "space_groups": ("space groups, chi-square", ""),
}


def print_outcomes(console: Console, outcomes: Counter[str]) -> None:
    """Print what became of the sequences of a generation."""
    table = Table("outcome", "sequences", "rate")
    for name in OUTCOMES:
        if count := outcomes[name]:
            table.add_row(name, str(count), f"{100 * count / outcomes.total():.1f} %")
    console.print(table)


def print_assessment(console: Console, found: Assessment) -> None:
    """Print counts, rates and what becomes of the chirality."""
    table = Table("property", "crystals", "rate", "of")
    rates = found.rates
    for name, (label, whole) in _ROWS.items():
        rate = rates[name]
        if rate is not None:
            table.add_row(label, str(found.counts[name]), f"{100 * rate:.1f} %", whole)
    console.print(table)
    classes = Table("class as given", "class of the parent symmetry", "crystals")
    for (tight, loose), number in sorted(found.classes.items()):
        classes.add_row(tight, loose, str(number))
    if found.classes:
        console.print(classes)
    distances = Table("distance from the reference", "value", "unit")
    for name, value in found.distances.items():
        label, unit = _DISTANCES[name]
        distances.add_row(label, f"{value:.3f}", unit)
    if found.distances:
        console.print(distances)
    counts = found.counts
    console.print(f"{counts['records']} records, {counts['unreadable']} unreadable")
