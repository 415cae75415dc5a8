"""Figures of materials and datasets, for papers, reports and notebooks.

What comes in: rows of the catalogue and phonopy objects. What goes out: figures of matplotlib.
From outside import from the module of the figure, `collection` (all of them) and `material` (what
they draw). It knows `tasks.results` and the rooms of physics.
"""
