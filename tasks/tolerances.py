"""Tolerances of symmetry and of frequencies: each is decided here, once, with its reason.

Defaults of settings and of functions are taken from here. A number that protects one formula
against rounding is not among them: it is defined beside the formula. Each of these tolerances
changes what a stage finds: whoever changes one raises the number of the stages in
`tasks.screening.planning.STAGE_VERSIONS`, except where it is a setting, which enters their keys.
"""

from typing import Final

# Distances in Å, within which spglib takes two positions for one.

AS_MADE: Final = 1e-5
"""Cells made here: idealised, relaxed inside their space group, supercells of these. They obey
their group to some 1e-12 Å, and what else is near must not be taken for symmetry. phonopy's too."""

LISTED: Final = 1e-3
"""Translations of operations in a file, once thirds are recognised; and the second of the
tolerances at which the group of a relaxed crystal is told, above the noise of a relaxation."""

AS_GIVEN: Final = 0.01
"""Crystals of databases, whose coordinates are rounded to 1e-3 or relaxed to about as much. What
they are distorted by on purpose is larger (docs/sources.md: the traps)."""

AS_PRINTED: Final = 0.05
"""Sites of a file with two or three digits, of which 0.33 for a third is 0.03 Å off in 10 Å."""

LOOSE: Final = 0.1
"""Crystals as a relaxation without symmetry leaves them. It recovers all nine crystals of
docs/sources.md that were distorted; a class that depends on it is doubtful."""

# Frequencies in THz.

TRANSLATION: Final = 1e-4
"""Translations at Γ, which have no velocity: what the acoustic sum rule leaves of them is rounding,
and the slowest sound on a mesh is a hundred times faster."""

DEGENERACY: Final = 1e-3
"""Bands that form a degenerate set. What symmetry joins differs by rounding (4e-5 in float32,
docs/validation.md); angular momenta of bands apart by less depend on that rounding."""

FREQUENCY_CUTOFF: Final = 0.01
"""Modes with an occupation. The occupation goes as 1/ν; below, a mode next to Γ whose frequency is
an error of the interpolation would outweigh all others. Imaginary are those below its negative."""

NOISE: Final = 0.1
"""What no frequency is sure to: from supercells of 10 Å to 14 Å they change by 0.08 in the mean
(docs/validation.md). Imaginary modes nearer to zero make no crystal unstable, and only modes that
are farther apart are the same ones in two calculations."""
