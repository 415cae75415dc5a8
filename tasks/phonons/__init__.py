"""Force constants, and what makes them fit for all q-points.

What comes in: relaxed crystals and a potential, or files of phonopy. What goes out:
`ForceConstants` with a phonopy object, the response to strain, the sum rules, the Fourier series.
From outside import the names below, and from `supercells`, `elasticity`, `sum_rules`, `fourier`,
`phonopy_files`, `mirror`, `charges` and `rows` (to a row and back). It knows `potentials`,
`tasks.crystals`, `tasks.symmetry`, and of `tasks.sources` the file BORN.
"""

from tasks.phonons.driver import (
    ForceConstants,
    compute_all_force_constants,
    compute_force_constants,
)
from tasks.phonons.phonopy_objects import compute_commensurate_frequencies, make_phonopy
from tasks.phonons.settings import PhononSettings

__all__ = [
    "ForceConstants",
    "PhononSettings",
    "compute_all_force_constants",
    "compute_commensurate_frequencies",
    "compute_force_constants",
    "make_phonopy",
]
