"""What a checkpoint of Nequix is: read from its head, without torch."""

import json
from functools import cache
from pathlib import Path

from potentials.checkpoint import compute_file_digest
from potentials.compiler import COMPILED, TORCH
from potentials.interface import UNIVERSAL_LIMITS, Equivariance, PotentialCard

CITATION = "Koker et al., arXiv:2508.16067 and, for fine-tuning on phonons, arXiv:2601.07742"
LICENCE = "CC-BY 4.0 (weights, Nequix)"
# The others are not shipped: what they were trained on is for their authors to say.
_TUNED = ("A universal machine-learned potential fine-tuned on phonons.", UNIVERSAL_LIMITS[1])
LIMITS = {
    "nequix-mp-1-pft": _TUNED,
    "nequix-oam-1-pft": (
        *_TUNED,
        "It turns trigonal tellurium into a simple cubic crystal, and selenium grows by a tenth.",
        "Frequencies of compounds are nearer to DFT than those of nequix-mp-1-pft.",
    ),
}
# In float64, by kernel; measured by benchmarks/potential_cost.py.
MILLISECONDS_PER_ATOM = {TORCH: 12.0, COMPILED: 1.3}


@cache
def read_nequix_card(path: Path, kernel: str) -> PotentialCard:
    """Read the card of a checkpoint, once per process.

    Parameters
    ----------
    path : pathlib.Path
        A sound file ``.nqx``: a line of JSON, then arrays.
    kernel : str
        How the potential computes, ``compiled`` or ``torch``.

    Returns
    -------
    PotentialCard
        Identity of the potential.
    """
    with path.open("rb") as stream:
        species = json.loads(stream.readline())["atomic_numbers"]
    return PotentialCard(
        name=path.stem,
        digest=compute_file_digest(path),
        equivariance=Equivariance.O3,
        elements=frozenset(map(int, species)),
        licence=LICENCE,
        citation=CITATION,
        limits=LIMITS.get(path.stem, UNIVERSAL_LIMITS),
        milliseconds_per_atom=MILLISECONDS_PER_ATOM[kernel],
        kernel=kernel,
    )
