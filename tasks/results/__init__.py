"""Results as people read and pass on: catalogue, trust, agreement, export.

What comes in: a dataset, or the folder of its catalogue. What goes out: data frames, warnings,
files of other programs. From outside import the readers of the catalogue from here, and from
`trust`, `agreement`, `export`, `interchange` and `stored_crystals`. It knows `tasks.storage` and
the rooms of physics, and nothing of the screening.
"""

from tasks.results.catalogue import rank_materials, read_catalog, read_overview

__all__ = ["rank_materials", "read_catalog", "read_overview"]
