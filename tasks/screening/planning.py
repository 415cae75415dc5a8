"""What is left to do: stage keys, chunks of even cost, and the time that they will take."""

import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ase import Atoms
from ase.data import chemical_symbols

from potentials import PotentialCard
from tasks.chirality import VERDICT_SETTINGS
from tasks.crystals import Material
from tasks.failures import RemediableError
from tasks.phonons.charges import Charges, choose_charges, name_charges
from tasks.phonons.driver import require_second_derivatives
from tasks.phonons.supercells import require_size
from tasks.screening.costs import StageSeconds, read_constants
from tasks.screening.settings import ScreenSettings

STAGE_NAMES = ("relaxation", "phonons", "chirality")
# Raised when a stage's method changes, so that older results are computed anew.
STAGE_VERSIONS = {"materials": 1, "relaxation": 3, "phonons": 3, "chirality": 3}
# A chunk should last long enough to make Prefect's own time vanish, and short enough that little
# is lost with a killed worker; below the first of these a second worker is not worth its start (s).
_SHORTEST, _USUAL, _LONGEST = 5.0, 20.0, 300.0
_CHUNKS_PER_WORKER = 6
_STRUCTURES_PER_CHUNK = 200
# The server records each stage of a chunk; beyond about a thousand it becomes the slow part.
_MOST_CHUNKS = 330
# Few enough to be read from few files, enough to even out their costs.
_BLOCKS_PER_CHUNK = 32


@dataclass(frozen=True)
class WorkItem:
    """What the stages need to know of one structure.

    Attributes
    ----------
    material_id : str
        The structure.
    material_key : str
        Key of its row in ``materials``.
    keys : tuple of str
        One key per stage of `STAGE_NAMES`; those of stages that do not apply are empty.
    seconds : StageSeconds
        Estimated time of each stage.
    image_keys : tuple of str or None
        Stage keys of the mirror image from whose results those of this structure follow; None for
        a structure that is computed.
    charges : {"stored", "none", "predicted"}
        Born charges with which its modes are analysed.
    """

    material_id: str
    material_key: str
    keys: tuple[str, str, str]
    seconds: StageSeconds
    image_keys: tuple[str, str, str] | None = None
    charges: Charges = "stored"


# Structures by the first stage that has something left to do.
Open = Mapping[str, Sequence[WorkItem]]
# A chunk: the first open stage of some structures, and these.
Part = tuple[str, tuple[WorkItem, ...]]


def compute_stage_keys(
    material: Material, card: PotentialCard, settings: ScreenSettings, chosen: Charges
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
    chosen : {"stored", "none", "predicted"}
        Born charges of the analysis, from `choose_material_charges`.

    Returns
    -------
    tuple of str
        One SHA-256 (hex) per stage of `STAGE_NAMES`. A key changes when the structure, the stage's
        settings, the potential's parameters, the stage's version or a key above changes.
    """
    potential = [card.digest, settings.potential.dtype]
    relaxation = compute_digest(
        STAGE_VERSIONS["relaxation"],
        [material.material_id, material.structure_hash],
        settings.symmetry.model_dump(mode="json"),
        settings.relaxation.model_dump(mode="json"),
        potential,
    )
    charges = [material.response.digest] if material.response else []
    phonons = compute_digest(
        STAGE_VERSIONS["phonons"],
        relaxation,
        settings.phonons.model_dump(mode="json", exclude={"nac"}),
        potential,
        *charges,
    )
    return relaxation, phonons, compute_chirality_key(phonons, settings, chosen)


def choose_material_charges(material: Material, settings: ScreenSettings) -> Charges:
    """Choose the Born charges with which the modes of a structure are analysed.

    Parameters
    ----------
    material : Material
        The structure, perhaps with charges.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    {"stored", "none", "predicted"}
        As `tasks.phonons.charges.choose_charges`.
    """
    return choose_charges(
        settings.phonons.nac,
        has_given=material.response is not None,
        atoms=material.atoms,
        band_gap=material.provenance.band_gap,
    )


def make_image_work(work: WorkItem, original: WorkItem, settings: ScreenSettings) -> WorkItem:
    """Turn work on a structure into taking over the results of its mirror image.

    Parameters
    ----------
    work : WorkItem
        The structure.
    original : WorkItem
        Its mirror image, which is computed.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    WorkItem
        With keys that follow from those of the original.
    """
    relaxation = compute_digest("mirror image", work.material_key, original.keys[0])
    phonons = compute_digest("mirror image", relaxation, original.keys[1])
    # Its force constants have the charges of the original, or as few.
    keys = relaxation, phonons, compute_chirality_key(phonons, settings, original.charges)
    return replace(
        work,
        keys=keys,
        seconds=work.seconds.for_mirror_image(),
        image_keys=original.keys,
        charges=original.charges,
    )


def compute_chirality_key(phonon_key: str, settings: ScreenSettings, charges: Charges) -> str:
    """Digest that identifies the analysis of some force constants.

    Parameters
    ----------
    phonon_key : str
        Key of the force constants.
    settings : ScreenSettings
        Of which sampling, tolerances and the thresholds of the verdict count; weights and scales
        of the score enter no stage.
    charges : {"stored", "none", "predicted"}
        Born charges of the analysis.

    Returns
    -------
    str
        SHA-256 (hex).
    """
    groups = [
        settings.chirality.model_dump(mode="json"),
        settings.score.model_dump(mode="json", include=set(VERDICT_SETTINGS)),
    ]
    named = name_charges(charges)
    return compute_digest(STAGE_VERSIONS["chirality"], phonon_key, groups, *named)


def compute_material_key(material: Material, settings: ScreenSettings) -> str:
    """Digest that identifies a structure and its symmetry analysis."""
    return compute_digest(
        STAGE_VERSIONS["materials"],
        [material.material_id, material.structure_hash, material.source_record],
        settings.symmetry.model_dump(mode="json"),
    )


def compute_digest(*parts: object) -> str:
    """SHA-256 of the canonical JSON of some values."""
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
    if unknown := set(atoms.numbers.tolist()) - card.elements:
        names = ", ".join(sorted(chemical_symbols[z] for z in unknown))
        message = f"the potential {card.name} does not know the element {names}"
        raise RemediableError(message, "choose a potential trained on these elements")
    require_size(atoms, settings.phonons.max_atoms)
    if settings.phonons.method == "hessian":
        require_second_derivatives(card)


def find_first_open_stage(
    work: WorkItem, done: Mapping[str, frozenset[str]], succeeded: Mapping[str, frozenset[str]]
) -> str | None:
    """Find the first stage that has something left to do for a structure.

    Parameters
    ----------
    work : WorkItem
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


def make_chunks(opened: Open, workers: int) -> tuple[list[Part], list[Part]]:
    """Divide what is left to do into chunks.

    Parameters
    ----------
    opened : mapping from str to sequence of WorkItem
        Structures by the first stage that has something left to do.
    workers : int
        Chunks at a time.

    Returns
    -------
    computed, mirrored : list of tuple of str and tuple of WorkItem
        First open stage and structures of each chunk, in the order of their turn: the later stages
        first. Mirror images come after the crystals from whose results theirs follow.
    """
    computed, mirrored = (
        {
            stage: tuple(work for work in works if bool(work.image_keys) is is_image)
            for stage, works in opened.items()
        }
        for is_image in (False, True)
    )
    return _divide_work(computed, workers), _divide_work(mirrored, workers)


def _divide_work(opened: Open, workers: int) -> list[Part]:
    """Chunks of even cost, as many for each worker."""
    seconds = sum(_sum_seconds_left(works, stage) for stage, works in opened.items())
    rounds = min(max(round(seconds / workers / _USUAL), 1), _CHUNKS_PER_WORKER)
    target = min(max(seconds / workers / rounds, _SHORTEST), _LONGEST)
    target = max(target, seconds / _MOST_CHUNKS)
    limit = max(_STRUCTURES_PER_CHUNK, -(-sum(map(len, opened.values())) // _MOST_CHUNKS))
    return [
        (stage, chunk)
        for stage in reversed(STAGE_NAMES)
        for chunk in balance_chunks(opened.get(stage, ()), stage, target, limit)
    ]


def estimate_run_seconds(opened: Open, n_records: int, workers: int) -> float:
    """Estimate how long a run will take.

    Parameters
    ----------
    opened : mapping from str to sequence of WorkItem
        Structures by the first stage that has something left to do.
    n_records : int
        Records of the source, which the run will read.
    workers : int
        Chunks at a time.

    Returns
    -------
    float
        Seconds from the command to the prompt on an idle machine; each chunk is given to the
        worker that is free first.
    """
    measured = read_constants()
    total = measured.record * n_records / workers + (measured.start if any(opened.values()) else 0)
    for parts in make_chunks(opened, workers):
        free = [0.0] * workers
        for stage, works in parts:
            n_stages = len(STAGE_NAMES) - STAGE_NAMES.index(stage)
            lasts = _sum_seconds_left(works, stage) + measured.chunk * n_stages
            heapq.heapreplace(free, free[0] + lasts)
        total += max(free)
    return total


def compute_budget(hours: float, workers: int) -> float:
    """Time for computing in a run of some hours.

    Parameters
    ----------
    hours : float
        From the command to the prompt.
    workers : int
        Chunks at a time.

    Returns
    -------
    float
        Seconds on one thread, the start left out.
    """
    return max(3600 * hours - read_constants().start, 0.0) * workers


def balance_chunks(
    works: Sequence[WorkItem], stage: str, target: float, limit: int
) -> list[tuple[WorkItem, ...]]:
    """Divide structures into chunks of about the same cost, the dearest first.

    In chunks of more than some dozens of structures, neighbours stay together: a worker reads their
    rows from few files.

    Parameters
    ----------
    works : sequence of WorkItem
        Structures; neighbours were committed together.
    stage : str
        Their first open stage.
    target : float
        Wanted cost of a chunk in seconds, of this stage and those that follow.
    limit : int
        Largest number of structures in a chunk.

    Returns
    -------
    list of tuple of WorkItem
        Each structure once; where all are divided one by one, their order does not depend on that
        of the input.
    """
    if not works:
        return []
    total = _sum_seconds_left(works, stage)
    count = max(-(-len(works) // limit), min(len(works), round(total / target)), 1)
    size = max(len(works) // count // _BLOCKS_PER_CHUNK, 1)
    # A chunk is full when another block might not fit; more chunks make up for that.
    count = max(count, -(-len(works) // (limit // size * size)))
    open_chunks: list[tuple[float, int]] = [(0.0, i) for i in range(count)]
    chunks: list[list[WorkItem]] = [[] for _ in range(count)]
    blocks = [works[start : start + size] for start in range(0, len(works), size)]
    costs = [_sum_seconds_left(block, stage) for block in blocks]
    order = sorted(
        zip(costs, blocks, strict=True), key=lambda pair: (-pair[0], pair[1][0].material_id)
    )
    for cost, block in order:
        so_far, i = heapq.heappop(open_chunks)
        chunks[i].extend(block)
        if len(chunks[i]) + size <= limit:
            heapq.heappush(open_chunks, (so_far + cost, i))
    return [tuple(chunk) for chunk in chunks]


def _sum_seconds_left(works: Sequence[WorkItem], stage: str) -> float:
    return sum(work.seconds.left(stage) for work in works)
