"""What is known of the limits of each potential, in words for readers of its results."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PotentialNote:
    """What to keep in mind about results of one potential.

    Attributes
    ----------
    citation : str
        Work to cite; empty where it is not known.
    licence : str
        Licence of the weights; empty where it is not known.
    limits : tuple of str
        One sentence each.
    """

    citation: str
    licence: str
    limits: tuple[str, ...]


_SEVENNET = "Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
_LEARNED = (
    "A universal machine-learned potential: it softens phonons, soft modes most, and knows no Born "
    "charges of its own."
)
_AVERAGED = (
    "It is not invariant under mirrors by itself; energies and forces are averaged over the "
    "inversion, which makes opposite hands exactly equal."
)
_NOTES: Mapping[str, PotentialNote] = {
    "nequix-mp-1-pft": PotentialNote(
        "Koker et al., arXiv:2508.16067 and, for fine-tuning on phonons, arXiv:2601.07742",
        "CC-BY 4.0",
        ("A universal machine-learned potential fine-tuned on phonons; it knows no Born charges.",),
    ),
    "7net-0": PotentialNote(
        _SEVENNET,
        "MIT",
        (
            _LEARNED,
            _AVERAGED,
            (
                "The smaller of the two SevenNet models: quick, and wrong for some crystals "
                "(trigonal tellurium relaxes to a simple cubic one)."
            ),
        ),
    ),
    "7net-l3i5": PotentialNote(_SEVENNET, "MIT", (_LEARNED, _AVERAGED)),
    "chgnet": PotentialNote(
        "Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3",
        "BSD-3-Clause",
        (_LEARNED, "Its energy surface is rough on the scale of the displacements: a smoke test."),
    ),
}
_EXTERNAL = PotentialNote(
    "",
    "",
    ("Force constants were read from a file; how they were made is for their source to say.",),
)
_UNKNOWN = PotentialNote(
    "", "", ("No statement about this potential is stored; judge it by known phonons first.",)
)


def potential_note(name: str | None) -> PotentialNote:
    """Limits of a potential.

    Parameters
    ----------
    name : str or None
        As recorded with the results; None for force constants from a file.

    Returns
    -------
    PotentialNote
        A statement that nothing is known, for a potential that is not listed.
    """
    return _EXTERNAL if name is None else _NOTES.get(name, _UNKNOWN)
