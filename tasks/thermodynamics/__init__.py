"""Thermodynamics: whether a crystal exists.

What comes in: the composition and energy of a relaxed crystal, and what its record says. What goes
out: its distance from the convex hull of known phases with the phases that compete, and the
evidence that it exists. From outside import `hull`, `corrections` and `evidence`. It knows
`tasks.crystals` alone.
"""
