"""Force constants, and what makes them fit for all q-points.

What comes in: relaxed crystals and a potential, or files of phonopy. What goes out:
`ForceConstants` with a phonopy object, the response to strain, the sum rules, the Fourier series.
From outside import the names below, and from `supercells`, `elasticity`, `sum_rules`, `fourier`,
`phonopy_files`, `mirror` and `rows` (to a row and back). It knows `potentials`, `tasks.crystals`,
`tasks.symmetry`, and of `tasks.sources` the file BORN.
"""

from tasks.phonons.driver import ForceConstants, force_constants, force_constants_of_all
from tasks.phonons.phonopy_objects import commensurate_frequencies, phonopy_of
from tasks.phonons.settings import PhononSettings

__all__ = [
    "ForceConstants",
    "PhononSettings",
    "commensurate_frequencies",
    "force_constants",
    "force_constants_of_all",
    "phonopy_of",
]
