"""Each law, broken on purpose in a real potential, is found out, and no innocent law is blamed."""

import pytest

from benchmarks.asymmetry import Perturbed, break_mirrors
from potentials import GroupAverage, load_potential
from potentials.averages import INVERSION
from tasks.examination import Grade
from tasks.examination.crystals import choose, rattle, read_known_crystals
from tasks.examination.driver import examine
from tasks.examination.extent import measure_cost, measure_extent
from tasks.examination.invariance import measure_invariance
from tasks.examination.judgement import Verdict
from tasks.examination.lattice_dynamics import measure_hands
from tasks.examination.surface import measure_surface
from tests.tasks.examination import broken

pytestmark = pytest.mark.slow

# What each breaks, by the beginnings of the names of laws.
BROKEN = {
    "exact": set(),
    "rotation_breaking": {"rotation", "reflection"},
    "mirror_breaking": {"reflection"},
    # A wave in space knows directions and supercells as well; its stress is left out.
    "translation_breaking": {
        *("translation", "rotation", "reflection", "extensivity", "conservation"),
    },
    "permutation_breaking": {"permutation", "extensivity"},
    "non_conservative": {"conservation"},
    "rough": {"smoothness"},
    "far_sighted": {"locality"},
    "collective": {"extensivity"},
    "batch_dependent": {"batch"},
}


@pytest.fixture(scope="module")
def crystals():
    """The crystals that the potential knows, and one of them rattled."""
    known = read_known_crystals(broken.exact())
    return known, {name: rattle(atoms) for name, atoms in choose(known, known, 1).items()}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_and_nothing_else(crystals, name):
    potential = getattr(broken, name)()
    known, rattled = crystals
    findings = [
        *measure_invariance(potential, rattled),
        *measure_surface(potential, known, rattled),
        *measure_extent(potential, known, rattled),
    ]
    blamed = {f.law.partition("_")[0] for f in findings if f.grade is not Grade.GOOD}
    assert blamed == BROKEN[name], {f.law: f.value for f in findings}


def test_a_potential_that_breaks_mirrors_is_fit_with_the_average():
    found = examine(broken.mirror_breaking())
    grades = {finding.law: finding.grade for finding in found.findings}
    assert grades["reflection_forces"] is not Grade.GOOD
    # Wurtzite, which has no other hand, gets angular momentum that its mirrors forbid.
    assert grades["false_splitting"] is not Grade.GOOD
    assert grades["false_angular_momentum"] is Grade.POOR
    assert found.verdict is Verdict.AVERAGED
    assert not found.fits_as_it_is


def test_the_hands_of_a_crystal_differ_where_mirrors_are_broken_and_not_with_the_average():
    bare = Perturbed(load_potential("facet-tetrahedra"), break_mirrors(0.01))
    se = {"se": read_known_crystals(bare)["se"]}
    [alone] = measure_hands(bare, se)
    [averaged] = measure_hands(GroupAverage(bare, INVERSION), se)
    assert alone.grade is not Grade.GOOD
    assert averaged.value < 1e-6


def test_no_structure_is_timed_twice(crystals):
    """Calculators of ASE answer from memory what they were asked before."""
    seen = []

    def remember(structures, found):
        seen.extend(atoms.positions.tobytes() for atoms in structures)
        return found

    findings = list(measure_cost(broken.Altered(broken.exact(), remember), crystals[0]))
    assert findings[0].value > 0
    assert len(set(seen)) == len(seen) > 2
