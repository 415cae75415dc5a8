"""What a checkpoint of Nequix is: told from its head, without torch."""

import json
from functools import cache
from pathlib import Path

from potentials.checkpoint import sha256_of_file
from potentials.interface import Equivariance, PotentialCard

CITATION = "Koker et al., arXiv:2508.16067 and, for fine-tuning on phonons, arXiv:2601.07742"
LICENCE = "CC-BY 4.0 (weights, Nequix)"
MILLISECONDS_PER_ATOM = 7.0


@cache
def nequix_card(path: Path) -> PotentialCard:
    """Read the card of a checkpoint, once per process.

    Parameters
    ----------
    path : pathlib.Path
        A sound file ``.nqx``: a line of JSON, then arrays.

    Returns
    -------
    PotentialCard
        Identity of the potential.
    """
    with path.open("rb") as stream:
        species = json.loads(stream.readline())["atomic_numbers"]
    return PotentialCard(
        name=path.stem,
        digest=sha256_of_file(path),
        equivariance=Equivariance.O3,
        elements=frozenset(map(int, species)),
        licence=LICENCE,
        citation=CITATION,
        milliseconds_per_atom=MILLISECONDS_PER_ATOM,
    )
