"""What the SevenNet models of the ``sevenn`` wheel are, without importing torch or sevenn."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from potentials.checkpoint import compute_file_digest
from potentials.compiler import COMPILED, TORCH
from potentials.interface import UNIVERSAL_LIMITS, Equivariance, PotentialCard

CITATION = "Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
LICENCE = "MIT (code and weights, SevenNet)"
# Of the Materials Project; their files say so as well, but as pickled objects of torch.
ELEMENTS = frozenset({*range(1, 84), *range(89, 95)})


@dataclass(frozen=True)
class Model:
    """A model of the wheel.

    Attributes
    ----------
    file : str
        Its checkpoint, in the folder of the package.
    limits : tuple of str
        As of `PotentialCard`.
    milliseconds_per_atom : mapping of str to float
        Cost in float64 by kernel; measured by benchmarks/potential_cost.py.
    """

    file: str
    limits: tuple[str, ...]
    milliseconds_per_atom: Mapping[str, float]


MODELS = {
    "7net-0": Model(
        "pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
        (
            *UNIVERSAL_LIMITS,
            "Quick, and wrong for some crystals: trigonal tellurium relaxes to a simple cubic one.",
        ),
        {TORCH: 5.8, COMPILED: 1.1},
    ),
    "7net-l3i5": Model(
        "pretrained_potentials/SevenNet_l3i5/checkpoint_l3i5.pth",
        UNIVERSAL_LIMITS,
        {TORCH: 13.2, COMPILED: 2.1},
    ),
}


def find_sevennet_checkpoint(name: str) -> Path:
    """Find the file of a model in the installed package.

    Parameters
    ----------
    name : str
        A key of `MODELS`.

    Returns
    -------
    pathlib.Path
        The checkpoint.

    Raises
    ------
    ModuleNotFoundError
        When sevenn is not installed.
    """
    found = find_spec("sevenn")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("sevenn is not installed")
    return Path(found.submodule_search_locations[0]) / MODELS[name].file


@cache
def read_sevennet_card(name: str, kernel: str) -> PotentialCard:
    """Tell what a model is, bare of the average over the inversion.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    kernel : str
        How the potential computes, ``compiled`` or ``torch``.

    Returns
    -------
    PotentialCard
        Identity of the potential.
    """
    model = MODELS[name]
    return PotentialCard(
        name=name,
        digest=compute_file_digest(find_sevennet_checkpoint(name)),
        equivariance=Equivariance.SO3,
        elements=ELEMENTS,
        licence=LICENCE,
        citation=CITATION,
        limits=model.limits,
        milliseconds_per_atom=model.milliseconds_per_atom[kernel],
        kernel=kernel,
    )
