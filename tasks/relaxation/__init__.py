"""Relaxation inside the space group.

What comes in: crystals and a potential. What goes out: a `Relaxation` for each (the crystal at
rest, whether it converged, why it stopped). From outside import `relax`, `RelaxationSettings` and
`Relaxation` from here; the coordinates and the model of the Hessian are its own. It knows
`potentials` and `tasks.symmetry`.
"""

from tasks.relaxation.driver import Relaxation, RelaxationSettings, relax

__all__ = ["Relaxation", "RelaxationSettings", "relax"]
