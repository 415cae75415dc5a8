"""Crystals: checked, reduced, compared and varied.

What comes in: the atoms of a record. What goes out: a `Material` (idealised primitive cell with
its hash), or a reason why it is none; whether two crystals are the same or mirror images; what is
doubtful about a crystal. From outside import from `records`, `structures`, `masses`,
`dielectric`, `curation`, `duplicates`, `enantiomorphs`, `substitution`, `cells` (to phonopy and
back) and `rows` (to a row and back). It knows `tasks.symmetry` alone.
"""

from tasks.crystals.records import Provenance, Record
from tasks.crystals.structures import Material

__all__ = ["Material", "Provenance", "Record"]
