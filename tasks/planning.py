"""What is left to do: stage keys, costs, and chunks of even cost."""

import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ase import Atoms

from potentials import Equivariance, PotentialCard
from tasks.chirality import VERDICT_SETTINGS, ChiralitySettings, ScoreSettings
from tasks.failures import RemediableError
from tasks.phonons import count_evaluations, require_second_derivatives
from tasks.settings import ScreenSettings
from tasks.structures import Material
from tasks.supercells import require_size

STAGE_NAMES = ("relaxation", "phonons", "chirality")
# Raised when a stage's method changes, so that older results are computed anew.
STAGE_VERSIONS = {"materials": 1, "relaxation": 3, "phonons": 3, "chirality": 3}
# Evaluations of a typical relaxation; enters cost estimates only.
_RELAXATION_EVALUATIONS = 8
_SECONDS_OVERHEAD = 1.0
# Few enough to be read from few files, enough to even out their costs.
_BLOCKS_PER_CHUNK = 32


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
    image_keys : tuple of str or None
        Stage keys of the mirror image from whose results those of this structure follow; None for
        a structure that is computed.
    """

    material_id: str
    material_key: str
    keys: tuple[str, str, str]
    cost: float
    image_keys: tuple[str, str, str] | None = None


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
    charges = [material.response.digest] if material.response else []
    phonons = digest(
        STAGE_VERSIONS["phonons"],
        relaxation,
        settings.phonons.model_dump(mode="json"),
        potential,
        *charges,
    )
    return relaxation, phonons, chirality_key(phonons, settings.chirality, settings.score)


def as_image(work: Work, original: Work, settings: ScreenSettings) -> Work:
    """Turn work on a structure into taking over the results of its mirror image.

    Parameters
    ----------
    work : Work
        The structure.
    original : Work
        Its mirror image, which is computed.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    Work
        With keys that follow from those of the original.
    """
    relaxation = digest("mirror image", work.material_key, original.keys[0])
    phonons = digest("mirror image", relaxation, original.keys[1])
    keys = relaxation, phonons, chirality_key(phonons, settings.chirality, settings.score)
    return replace(work, keys=keys, cost=_SECONDS_OVERHEAD, image_keys=original.keys)


def chirality_key(phonon_key: str, chirality: ChiralitySettings, score: ScoreSettings) -> str:
    """Digest that identifies the analysis of some force constants.

    Parameters
    ----------
    phonon_key : str
        Key of the force constants.
    chirality : ChiralitySettings
        Sampling and tolerances.
    score : ScoreSettings
        Thresholds of the verdict; weights and scales of the score enter no stage.

    Returns
    -------
    str
        SHA-256 (hex).
    """
    groups = [
        chirality.model_dump(mode="json"),
        score.model_dump(mode="json", include=set(VERDICT_SETTINGS)),
    ]
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
        For elements outside the potential, a cell beyond the largest number of atoms, or second
        derivatives of a potential without them.
    """
    unknown = sorted(set(atoms.symbols[[z not in card.elements for z in atoms.numbers]]))
    if unknown:
        message = f"the potential {card.name} does not know the element {', '.join(unknown)}"
        raise RemediableError(message, "choose a potential trained on these elements")
    require_size(atoms, settings.phonons.max_atoms)
    if settings.phonons.method == "hessian":
        require_second_derivatives(card)


def estimate_cost(
    n_atoms: int, evaluations: Mapping[Equivariance, int], card: PotentialCard
) -> float:
    """Estimate the seconds one structure takes on one CPU thread.

    Parameters
    ----------
    n_atoms : int
        Atoms of the primitive cell.
    evaluations : mapping from Equivariance to int
        Atoms in all displaced supercells, for a potential of each kind.
    card : PotentialCard
        The potential, with its time per atom.

    Returns
    -------
    float
        Seconds for relaxation and forces.
    """
    displaced = evaluations[Equivariance.SO3 if card.averaged else card.equivariance]
    evaluated = _RELAXATION_EVALUATIONS * n_atoms + displaced
    return _SECONDS_OVERHEAD + evaluated * card.milliseconds_per_atom / 1000


def atoms_to_evaluate(atoms: Atoms, settings: ScreenSettings) -> dict[Equivariance, int]:
    """Count the atoms in all displaced supercells of a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    dict
        Number by the kind of potential; none where the cell is too large for any supercell.
    """
    if len(atoms) > settings.phonons.max_atoms:
        return {}
    counts, n_atoms = count_evaluations(atoms, settings.phonons, settings.symmetry.symprec)
    return {kind: n * n_atoms for kind, n in counts.items()}


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

    In chunks of more than some dozens of structures, neighbours stay together: a worker reads their
    rows from few files.

    Parameters
    ----------
    works : sequence of Work
        Structures; neighbours were committed together.
    target : float
        Wanted cost of a chunk in seconds.
    limit : int
        Largest number of structures in a chunk.

    Returns
    -------
    list of tuple of Work
        Each structure once; where all are divided one by one, their order does not depend on that
        of the input.
    """
    if not works:
        return []
    count = max(-(-len(works) // limit), min(len(works), round(_cost(works) / target)), 1)
    size = max(len(works) // count // _BLOCKS_PER_CHUNK, 1)
    # A chunk is full when another block might not fit; more chunks make up for that.
    count = max(count, -(-len(works) // (limit // size * size)))
    open_chunks: list[tuple[float, int]] = [(0.0, i) for i in range(count)]
    chunks: list[list[Work]] = [[] for _ in range(count)]
    blocks = [works[start : start + size] for start in range(0, len(works), size)]
    for block in sorted(blocks, key=lambda b: (-_cost(b), b[0].material_id)):
        cost, i = heapq.heappop(open_chunks)
        chunks[i].extend(block)
        if len(chunks[i]) + size <= limit:
            heapq.heappush(open_chunks, (cost + _cost(block), i))
    return [tuple(chunk) for chunk in chunks]


def _cost(works: Sequence[Work]) -> float:
    return sum(work.cost for work in works)
