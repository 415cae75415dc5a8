"""What is left to do: stage keys, costs, and chunks of even cost."""

import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ase import Atoms

from potentials import PotentialCard
from tasks.chirality import ChiralitySettings, ScoreSettings
from tasks.failures import RemediableError
from tasks.phonons import displaced_supercells
from tasks.settings import ScreenSettings
from tasks.structures import Material
from tasks.supercells import choose_supercell

STAGE_NAMES = ("relaxation", "phonons", "chirality")
# Raised when a stage's method changes, so that older results are computed anew.
STAGE_VERSIONS = {"materials": 1, "relaxation": 1, "phonons": 1, "chirality": 1}
# Evaluations of a typical relaxation; enters cost estimates only.
_RELAXATION_EVALUATIONS = 15
_SECONDS_OVERHEAD = 1.0


@dataclass(frozen=True)
class Work:
    """What the stages need to know of one structure.

    Attributes
    ----------
    material_id : str
        The structure.
    material_key : str
        Key of its row in ``materials``.
    keys : tuple of str
        One key per stage of `STAGE_NAMES`; those of stages that do not apply are empty.
    cost : float
        Estimated seconds on one CPU thread.
    """

    material_id: str
    material_key: str
    keys: tuple[str, str, str]
    cost: float


def stage_keys(
    material: Material, card: PotentialCard, settings: ScreenSettings
) -> tuple[str, str, str]:
    """Chain of digests that identify the results of each stage for one structure.

    Parameters
    ----------
    material : Material
        The structure.
    card : PotentialCard
        The potential.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    tuple of str
        One SHA-256 (hex) per stage of `STAGE_NAMES`. A key changes when the structure, the stage's
        settings, the potential's parameters, the stage's version or a key above changes.
    """
    potential = [card.digest, settings.potential.dtype]
    relaxation = digest(
        STAGE_VERSIONS["relaxation"],
        [material.material_id, material.structure_hash],
        settings.symmetry.model_dump(mode="json"),
        settings.relaxation.model_dump(mode="json"),
        potential,
    )
    phonons = digest(
        STAGE_VERSIONS["phonons"], relaxation, settings.phonons.model_dump(mode="json"), potential
    )
    return relaxation, phonons, chirality_key(phonons, settings.chirality, settings.score)


def chirality_key(phonon_key: str, chirality: ChiralitySettings, score: ScoreSettings) -> str:
    """Digest that identifies the analysis of some force constants.

    Parameters
    ----------
    phonon_key : str
        Key of the force constants.
    chirality : ChiralitySettings
        Sampling and tolerances.
    score : ScoreSettings
        Thresholds and weights.

    Returns
    -------
    str
        SHA-256 (hex).
    """
    groups = [group.model_dump(mode="json") for group in (chirality, score)]
    return digest(STAGE_VERSIONS["chirality"], phonon_key, groups)


def material_key(material: Material, settings: ScreenSettings) -> str:
    """Digest that identifies a structure and its symmetry analysis.

    Parameters
    ----------
    material : Material
        The structure.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    str
        SHA-256 (hex).
    """
    return digest(
        STAGE_VERSIONS["materials"],
        [material.material_id, material.structure_hash, material.source_record],
        settings.symmetry.model_dump(mode="json"),
    )


def digest(*parts: object) -> str:
    """SHA-256 of the canonical JSON of some values.

    Parameters
    ----------
    *parts : object
        Numbers, texts, lists and mappings of them.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def require_computable(atoms: Atoms, card: PotentialCard, settings: ScreenSettings) -> None:
    """Refuse a crystal that no later stage could treat.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    card : PotentialCard
        The potential.
    settings : ScreenSettings
        All settings.

    Raises
    ------
    RemediableError
        For elements outside the potential, or a cell beyond the largest number of atoms.
    """
    unknown = sorted(set(atoms.symbols[[z not in card.elements for z in atoms.numbers]]))
    if unknown:
        message = f"the potential {card.name} does not know the element {', '.join(unknown)}"
        raise RemediableError(message, "choose a potential trained on these elements")
    choose_supercell(atoms, settings.phonons.min_supercell_length, settings.phonons.max_atoms)


def estimate_cost(atoms: Atoms, card: PotentialCard, settings: ScreenSettings) -> float:
    """Estimate the seconds one structure takes on one CPU thread.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    card : PotentialCard
        The potential, with its time per atom.
    settings : ScreenSettings
        Supercell and displacements.

    Returns
    -------
    float
        Seconds for relaxation and forces, from the number of displaced supercells of the given
        cell.
    """
    phonon = displaced_supercells(atoms, settings.phonons)
    n_displacements = len(phonon.displacements)
    n_atoms = _RELAXATION_EVALUATIONS * len(atoms) + n_displacements * len(phonon.supercell)
    return _SECONDS_OVERHEAD + n_atoms * card.milliseconds_per_atom / 1000


def first_open_stage(
    work: Work, done: Mapping[str, frozenset[str]], succeeded: Mapping[str, frozenset[str]]
) -> str | None:
    """Find the first stage that has something left to do for a structure.

    Parameters
    ----------
    work : Work
        The structure and its keys.
    done, succeeded : mapping from stage to set of str
        Keys that need no further work, and those among them that have a result.

    Returns
    -------
    str or None
        Name of the stage; None when all is done, or failed for good on the way.
    """
    for stage, key in zip(STAGE_NAMES, work.keys, strict=True):
        if key not in done[stage]:
            return stage
        if key not in succeeded[stage]:
            return None
    return None


def balanced_chunks(works: Sequence[Work], target: float, limit: int) -> list[tuple[Work, ...]]:
    """Divide structures into chunks of about the same cost, the dearest first.

    Parameters
    ----------
    works : sequence of Work
        Structures.
    target : float
        Wanted cost of a chunk in seconds.
    limit : int
        Largest number of structures in a chunk.

    Returns
    -------
    list of tuple of Work
        Each structure once; the order does not depend on the order of the input.
    """
    if not works:
        return []
    count = max(
        -(-len(works) // limit), min(len(works), round(sum(w.cost for w in works) / target)), 1
    )
    open_chunks: list[tuple[float, int]] = [(0.0, i) for i in range(count)]
    chunks: list[list[Work]] = [[] for _ in range(count)]
    for work in sorted(works, key=lambda w: (-w.cost, w.material_id)):
        cost, i = heapq.heappop(open_chunks)
        chunks[i].append(work)
        if len(chunks[i]) < limit:
            heapq.heappush(open_chunks, (cost + work.cost, i))
    return [tuple(chunk) for chunk in chunks]
