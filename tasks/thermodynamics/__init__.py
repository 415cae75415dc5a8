"""Thermodynamics: whether a crystal exists.

What comes in: composition, energy and structure of a relaxed crystal. What goes out: its distance
from the convex hull of known phases, and the phases that compete. From outside import from
`evidence`, `hull` and `corrections`. It knows `tasks.crystals` alone.
"""
