"""All measurements, in their order."""

from collections.abc import Callable, Iterator
from pathlib import Path

from potentials import Potential, remove_average
from tasks.examination.crystals import (
    ACHIRAL,
    CHIRAL,
    CRYSTALS,
    choose,
    rattle,
    read_known_crystals,
)
from tasks.examination.extent import measure_cost, measure_extent, measure_precision
from tasks.examination.fates import measure_fates, measure_frequencies
from tasks.examination.invariance import compare_images, measure_invariance
from tasks.examination.judgement import Examination
from tasks.examination.lattice_dynamics import measure_force_constants, measure_hands
from tasks.examination.laws import LAWS, Finding
from tasks.examination.surface import measure_surface


def examine(
    potential: Potential,
    dtype: str = "float64",
    *,
    rounded: Potential | None = None,
    reference: Path | None = None,
    report: Callable[[str], object] = lambda _: None,
) -> Examination:
    """Examine a potential.

    Parameters
    ----------
    potential : Potential
        As a screening would use it.
    dtype : str
        Its precision.
    rounded : Potential, optional
        The same in single precision.
    reference : pathlib.Path, optional
        Folder with frequencies of PBE, as for `tasks.examination.fates.read_reference`.
    report : callable
        Told what is measured next.

    Returns
    -------
    Examination
        Everything that was found.

    Raises
    ------
    RemediableError
        When it evaluates none of the crystals, or there are no frequencies in the folder.
    """
    order = list(LAWS)
    found = list(_measure_all(potential, rounded, reference, report))
    found.sort(key=lambda finding: order.index(finding.law))
    return Examination(potential.card, dtype, tuple(found))


def _measure_all(
    potential: Potential,
    rounded: Potential | None,
    reference: Path | None,
    report: Callable[[str], object],
) -> Iterator[Finding]:
    """Findings as they come."""
    report("reading crystals")
    known = read_known_crystals(potential)
    crystals = choose(known, CRYSTALS, 2)
    rattled = {name: rattle(atoms) for name, atoms in choose(known, CRYSTALS, 3).items()}
    report("symmetry of energies, forces and stresses")
    yield from measure_cost(potential, choose(known, ("quartz-154", "te"), 1))
    yield from measure_invariance(potential, rattled)
    bare = remove_average(potential)
    if bare is not potential:
        errors = {name: compare_images(bare, a, "reflection").forces for name, a in rattled.items()}
        name = max(errors, key=errors.__getitem__)
        yield Finding("bare_reflection", name, errors[name])
    report("the energy surface")
    yield from measure_surface(potential, crystals, rattled)
    yield from measure_extent(potential, crystals, rattled)
    if rounded is not None:
        yield measure_precision(potential, rounded, rattled)
    report("force constants")
    yield from measure_force_constants(potential, choose(known, ACHIRAL, 3))
    yield from measure_hands(potential, choose(known, CHIRAL[:2], 2))
    report("what becomes of known crystals")
    yield from measure_fates(potential, choose(known, CHIRAL, len(CHIRAL)))
    if reference is not None:
        report("frequencies against PBE")
        yield measure_frequencies(potential, reference)
