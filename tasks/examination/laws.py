"""What is measured of a potential, how much of it is too much, and what that means.

Limits are decided here, once. Most are shares: in the harmonic range an error of forces by a share
is an error of frequencies by half that share, so that 0.1 % is 0.005 THz at 10 THz, twenty times
less than `tasks.tolerances.NOISE`, and 1 % is half of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from tasks.tolerances import DEGENERACY, NOISE


class Grade(StrEnum):
    """What a number says about a potential."""

    GOOD = "good"
    POOR = "poor"
    BAD = "bad"
    TOLD = "told"


@dataclass(frozen=True)
class Law:
    """What a potential must obey, or what is told of it.

    Attributes
    ----------
    name : str
        As it is stored.
    title : str
        For people.
    unit : str
        Of the number.
    limit : float or None
        Up to it the number is good; None where it is only told.
    bound : float or None
        Up to it the number is poor, beyond it bad; None where it is never bad.
    kept, broken : str
        What it means for a screening when the law is kept, and when it is not.
    reason : str
        Why the limits are where they are.
    """

    name: str
    title: str
    unit: str
    limit: float | None
    bound: float | None
    kept: str
    broken: str
    reason: str

    def judge(self, value: float) -> Grade:
        """Grade a number; what is not a number is bad."""
        if self.limit is None:
            return Grade.TOLD
        if value <= self.limit:
            return Grade.GOOD
        return Grade.POOR if self.bound is None or value <= self.bound else Grade.BAD


@dataclass(frozen=True)
class Finding:
    """A number that was measured.

    Attributes
    ----------
    law : str
        Name in `LAWS`.
    subject : str
        Crystal in which it was measured, or that was the worst.
    value : float
        In the unit of the law.
    remark : str
        What else there is to say, such as what a crystal became.
    best : Grade
        No better grade is given, whatever the number.
    """

    law: str
    subject: str
    value: float
    remark: str = ""
    best: Grade = Grade.GOOD

    @property
    def grade(self) -> Grade:
        """What the number says."""
        grade = LAWS[self.law].judge(self.value)
        return self.best if grade is Grade.GOOD else grade

    @property
    def meaning(self) -> str:
        """What the number means for a screening."""
        law = LAWS[self.law]
        return law.kept if self.grade in {Grade.GOOD, Grade.TOLD} else law.broken


_SHARE = (
    0.1,
    1.0,
    "0.1 % of a force is 0.05 % of a frequency; 1 % is half of what no frequency is sure to.",
)
_HANDS = (
    0.03,
    1.0,
    "At 0.03 % the hands of quartz differ by 0.001 THz; at 1 % degenerate modes of silicon split.",
)
_STRESS = "Stresses only set the cell, and volumes of PBE are percents off anyway."
_ENERGY = "Energies only say how far a crystal is from the hull: 1 meV per atom is its last digit."
_IMAGES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "rotation": (
            "turned crystals",
            "How a crystal lies in its cell decides nothing.",
            "Results depend on how the cell lies; average over rotations (NAME@icosahedron).",
        ),
        "reflection": (
            "mirror images",
            "Both hands of a crystal are equal.",
            "Enantiomorphs differ, and mirrors forbid nothing; average over the inversion.",
        ),
        "translation": (
            "origin and cell",
            "Origin and choice of the cell decide nothing.",
            "Results depend on the origin or on the choice of the cell: sum rules and sound fail.",
        ),
        "permutation": (
            "order of the atoms",
            "The order of the atoms decides nothing.",
            "Results depend on the order of the atoms: supercells and symmetry operations fail.",
        ),
    }
)


def _declare_image_laws() -> list[Law]:
    """Energies, forces and stresses of images that must be equal."""
    return [
        Law(f"{name}_{quantity}", f"{title}: {quantity}", unit, limit, bound, kept, broken, reason)
        for name, (title, kept, broken) in _IMAGES.items()
        for quantity, unit, limit, bound, reason in (
            ("energy", "meV/atom", 0.1, 5.0, _ENERGY),
            ("forces", "%", *(_HANDS if name == "reflection" else _SHARE)),
            ("stress", "%", 1.0, 10.0, _STRESS),
        )
    ]


_SURFACE_LAWS = (
    Law(
        "conservation_forces",
        "forces against energies",
        "%",
        0.2,
        2.0,
        "Forces are the slope of the energy: phonons conserve energy.",
        "Forces are no slope of an energy: force constants are not symmetric.",
        "Differences of energies have an error of 0.1 % themselves in single precision.",
    ),
    Law(
        "conservation_stress",
        "stresses against energies",
        "%",
        1.0,
        10.0,
        "Stresses are the slope of the energy: cells relax to its minimum.",
        "Stresses are no slope of the energy: cells do not relax to its minimum.",
        _STRESS,
    ),
    Law(
        "smoothness",
        "roughness, 0.001 to 0.03 Å",
        "%",
        0.5,
        4.0,
        "The length of the displacement (0.01 Å) decides nothing.",
        "The energy is rough on the scale of the displacement: frequencies are noise.",
        "Of a force constant: 0.5 % is 0.025 THz at 10 THz, 4 % twice what no frequency is sure "
        "to.",
    ),
)
_EXTENT_LAWS = (
    Law(
        "locality",
        "force constants beyond 10 Å",
        "%",
        1.0,
        5.0,
        "A supercell of 10 Å holds all force constants.",
        "Force constants reach around the supercell of 10 Å: raise phonons.min_supercell_length.",
        "Of the force constant of the atom itself, folded back into the supercell: 1 % is half of "
        "what no frequency is sure to.",
    ),
    Law(
        "extensivity_energy",
        "supercell against cell: energy",
        "meV/atom",
        0.1,
        5.0,
        "A crystal has one energy, in whatever supercell.",
        "The energy depends on the size of the supercell: hull and phonons fail.",
        _ENERGY,
    ),
    Law(
        "extensivity_forces",
        "supercell against cell: forces",
        "%",
        *_SHARE[:2],
        "A crystal has one force on each atom, in whatever supercell.",
        "Forces depend on the size of the supercell: so do frequencies.",
        _SHARE[2],
    ),
    Law(
        "batch_energy",
        "batch against single: energy",
        "meV/atom",
        0.1,
        5.0,
        "Crystals do not see what is computed beside them.",
        "The energy depends on what else is in the batch: results cannot be repeated.",
        _ENERGY,
    ),
    Law(
        "batch_forces",
        "batch against single: forces",
        "%",
        *_SHARE[:2],
        "Crystals do not see what is computed beside them.",
        "Forces depend on what else is in the batch: results cannot be repeated.",
        _SHARE[2],
    ),
    Law(
        "precision_forces",
        "float32 against float64: forces",
        "%",
        None,
        None,
        "Error of forces when potential.dtype is float32.",
        "",
        "Told only: the examination is done in the precision that was asked for.",
    ),
)
_COST_LAWS = (
    Law(
        "time",
        "processor time",
        "ms/atom",
        None,
        None,
        "What an atom takes in one evaluation; a displaced supercell has 100 to 200 of them.",
        "",
        "Told only.",
    ),
    Law(
        "memory",
        "memory at the peak",
        "MiB/atom",
        None,
        None,
        "What an atom takes in one evaluation; a displaced supercell has 100 to 200 of them.",
        "",
        "Told only.",
    ),
)
_PHONON_LAWS = (
    Law(
        "sum_rule",
        "acoustic sum rule, before it is imposed",
        "%",
        1.0,
        5.0,
        "Moving the whole crystal costs nothing: sound begins at zero frequency.",
        "Moving the whole crystal costs energy: what is imposed then is no small correction.",
        "Of the largest force constant. 1 % is what a supercell of 10 Å leaves of long tails.",
    ),
    Law(
        "space_group",
        "force constants against the space group",
        "%",
        1.0,
        5.0,
        "Symmetrising the force constants changes next to nothing.",
        "Symmetrising hides what the potential gets wrong; where symmetry is low it stays.",
        "Of the largest force constant, as for the sum rule.",
    ),
    Law(
        "false_splitting",
        "false splitting of modes",
        "THz",
        DEGENERACY,
        NOISE,
        "What symmetry joins stays joined.",
        "Degenerate modes split without reason, into circular ones; symmetrising hides it.",
        "Up to the tolerance of degenerate sets the halves count as one mode, without l.",
    ),
    Law(
        "false_angular_momentum",
        "largest l where symmetry forbids it",
        "ħ",
        0.05,
        None,
        "No angular momentum where there must be none.",
        "Invents chiral phonons where symmetry forbids them; symmetrising hides it.",
        "A thin splitting already gives l = 1, so that it is never more than poor by itself; "
        "0.05 ħ is what two DFT calculations of one crystal differ by.",
    ),
    Law(
        "hands_frequency",
        "two hands: largest difference",
        "THz",
        DEGENERACY,
        NOISE,
        "Both hands have the same frequencies: one follows from the other.",
        "The two hands have other frequencies: it is chosen by the potential which is softer.",
        "Beyond the tolerance of degenerate sets the hands are two materials; beyond what no "
        "frequency is sure to they differ more than two calculations.",
    ),
)
_CRYSTAL_LAWS = (
    Law(
        "fate",
        "volume after relaxation, change of",
        "%",
        20.0,
        50.0,
        "Stays the crystal that it is.",
        "The potential makes another crystal of it, or one of another size.",
        "PBE itself makes tellurium 6 %, selenium 7 %, cinnabar 17 % larger than measured; at 50 % "
        "bonds are others. A change of the space group is poor at any volume, no convergence bad.",
    ),
    Law(
        "lost_crystals",
        "crystals that become others",
        "%",
        0.0,
        50.0,
        "Known crystals stay what they are.",
        "Some known crystals become others: so will some of the unknown ones.",
        "One lost crystal is one too many to rank by; when more than half are lost, nothing of "
        "the potential's energy can be trusted.",
    ),
    Law(
        "pbe_frequencies",
        "frequencies against PBE, mean error",
        "THz",
        0.6,
        1.5,
        "Frequencies and the sign of the largest helicity can be trusted.",
        "Frequencies are too far from PBE to rank by.",
        "At 0.6 THz (7net-l3i5) the sign of the largest helicity was right for 25 of 26 "
        "crystals; at 1.9 THz (CHGNet) a tenth of stable crystals came out unstable.",
    ),
)
LAWS: Final[Mapping[str, Law]] = MappingProxyType(
    {
        law.name: law
        for law in (
            *_declare_image_laws(),
            *_SURFACE_LAWS,
            *_EXTENT_LAWS,
            *_PHONON_LAWS,
            *_CRYSTAL_LAWS,
            *_COST_LAWS,
            Law(
                "bare_reflection",
                "mirror images, without the average",
                "%",
                None,
                None,
                "Forces; the average over the inversion, in use here, makes it zero.",
                "",
                "Told only: it decides whether the average is needed.",
            ),
        )
    }
)
"""All laws, in the order of the table."""
