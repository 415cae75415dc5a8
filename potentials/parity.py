"""Exact mirror symmetry for potentials that lack it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ase import Atoms

from potentials.interface import Equivariance, Evaluation, Potential, PotentialCard

AVERAGED = (
    "It is not invariant under mirrors by itself; energies and forces are averaged over the "
    "inversion, which makes opposite hands exactly equal."
)


def average_card(card: PotentialCard) -> PotentialCard:
    """Tell what the average over the inversion makes of a potential."""
    return replace(
        card,
        digest=f"inversion-average:{card.digest}",
        equivariance=Equivariance.O3,
        averaged=True,
        second_derivatives=False,
        limits=(*card.limits, AVERAGED),
    )


@dataclass(frozen=True)
class InversionAverage:
    """The mean of a potential over {identity, inversion}.

    An SO(3)-invariant energy averaged over this two-element frame is O(3)-invariant (Frame
    Averaging, Puny et al., arXiv:2110.03336): every improper operation is a rotation times the
    inversion. Forces and stresses are the derivatives of that mean. It costs two evaluations.

    Attributes
    ----------
    potential : Potential
        The potential to be averaged.
    """

    potential: Potential

    @property
    def card(self) -> PotentialCard:
        """Card of the averaged potential: O(3), and another digest."""
        return average_card(self.potential.card)

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate each structure and its inverted image, and average.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            Periodic structures.

        Returns
        -------
        Evaluation
            Means over structure and image; forces of the image enter with the opposite sign.
        """
        count = len(structures)
        both = self.potential.evaluate([*structures, *map(invert, structures)])
        pairs = zip(both.forces[:count], both.forces[count:], strict=True)
        return Evaluation(
            energies=(both.energies[:count] + both.energies[count:]) / 2,
            forces=tuple((here - image) / 2 for here, image in pairs),
            stresses=(both.stresses[:count] + both.stresses[count:]) / 2,
            wall_time=both.wall_time,
        )


def remove_average(potential: Potential) -> Potential:
    """Return a potential without its average over the inversion.

    On a crystal that some improper operation maps onto itself, energy and symmetry-allowed forces
    and stress are the same with and without the average, which costs twice as much.

    Parameters
    ----------
    potential : Potential
        Averaged or not.

    Returns
    -------
    Potential
        The potential inside the average, or the given one.
    """
    return potential.potential if isinstance(potential, InversionAverage) else potential


def invert(atoms: Atoms) -> Atoms:
    """Return the image of a crystal under the inversion through the origin.

    The positions change sign and the lattice stays, since a lattice is its own inverse.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    ase.Atoms
        Same cell and species, positions negated (Å).
    """
    return Atoms(numbers=atoms.numbers, cell=atoms.cell, positions=-atoms.positions, pbc=atoms.pbc)
