"""New crystals: made by exchange of ions, and assessed.

What comes in: a source of crystals. What goes out: candidates with their probability; how valid,
new and unique the crystals of a generator are. From outside import from `substitution` and
`assessment`. It knows `tasks.sources`, `tasks.crystals` and `tasks.symmetry`.
"""
