"""Generation of new crystals as a Prefect flow.

Sequences are drawn at once; chunks of them become crystals, one file each, in a hidden folder
beside the output. A killed flow continues with the next chunk when it is started again.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ase.formula import Formula
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from flows.interruption import SHUTDOWN_STATE
from flows.labels import complete_with_message, make_artifact_key
from flows.progress import report_progress
from flows.tables import Column, format_markdown_table, write_failures
from potentials import Potential, load_potential
from tasks.failures import Failure, RemediableError, make_failure
from tasks.generation.candidates import OUTCOMES, make_candidates, make_row
from tasks.generation.model import SequenceModel, load_sequence_model
from tasks.generation.sampling import sample_sequences
from tasks.generation.sequences import WyckoffSequence
from tasks.generation.settings import GenerationSettings
from tasks.screening.settings import PotentialSettings
from tasks.storage.durable import write_durably
from tasks.training.settings import has_settings, record_settings

_CHUNK = 8  # sequences
_MOST_CHUNKS = 500  # task runs of a flow run


class _Recipe(BaseModel):
    """All that decides what a file holds; the folder of its chunks records it."""

    model_config = ConfigDict(frozen=True)

    settings: GenerationSettings
    potential: PotentialSettings
    model_digest: str


@dataclass(frozen=True)
class Generated:
    """What a generation made.

    Attributes
    ----------
    output : pathlib.Path
        Parquet file of the crystals.
    outcomes : collections.Counter
        Sequences by what became of them, one of `tasks.generation.candidates.OUTCOMES`.
    failures : tuple of Failure
        Sequences of which there is no crystal.
    failures_file : pathlib.Path or None
        Where these are; None without any.
    """

    output: Path
    outcomes: Counter[str]
    failures: tuple[Failure, ...]
    failures_file: Path | None

    @property
    def n_crystals(self) -> int:
        """Crystals in the file."""
        return self.outcomes.total() - len(self.failures)


@flow(name="generate", flow_run_name="generate {output.name}")
def generate(
    output: Path,
    settings: GenerationSettings = GenerationSettings(),  # noqa: B008 - frozen
    potential: PotentialSettings = PotentialSettings(),  # noqa: B008 - frozen
) -> Generated:
    """Draw sequences, make crystals of them, and relax these.

    Parameters
    ----------
    output : pathlib.Path
        Parquet file to write, a source of screenings.
    settings : GenerationSettings
        What is generated, and how.
    potential : PotentialSettings
        What relaxes.

    Returns
    -------
    Generated
        What was made.

    Raises
    ------
    RemediableError, ValueError
        When hardly any sequence meets the conditions, or the model is unknown.
    """
    model = load_sequence_model(settings.model)
    folder = output.with_name(f".{output.name}.parts")
    recipe = _Recipe(settings=settings, potential=potential, model_digest=model.card.digest)
    if not has_settings(folder, recipe):
        record_settings(folder, recipe)
    drawn = task(name="draw", cache_policy=NO_CACHE)(sample_sequences)(
        model, settings.conditions, settings.number, settings.seed
    )
    relaxer = load_potential(potential.name, dtype=potential.dtype, options=potential.options)
    size = max(_CHUNK, -(-settings.number // _MOST_CHUNKS))
    with report_progress(
        len(drawn), make_artifact_key("generation", folder), "relaxing"
    ) as progress:
        make_chunk = task(name="relax", cache_policy=NO_CACHE)(_make_chunk)
        for start in range(0, len(drawn), size):
            members = drawn[start : start + size]
            make_chunk(folder, start, members, model, relaxer, settings)
            progress.advance(len(members), f"{start + len(members)} of {len(drawn)} sequences")
            SHUTDOWN_STATE.progress = f"{start + len(members)} of {len(drawn)} sequences kept"
        progress.finish("relaxed")
    found = _gather(folder, output, recipe, relaxer)
    text = f"{found.n_crystals} crystals of {found.outcomes.total()} sequences"
    get_run_logger().info("%s in %s", text, output)
    create_markdown_artifact(
        key=make_artifact_key("outcomes", folder), markdown=format_outcomes(found)
    )
    return complete_with_message(found, text)


def format_outcomes(found: Generated) -> str:
    """Table of what became of the sequences, in Markdown."""
    names = [name for name in OUTCOMES if found.outcomes[name]]
    counts = [str(found.outcomes[name]) for name in names]
    return format_markdown_table([Column("outcome", names), Column("sequences", counts)])


def _make_chunk(
    folder: Path,
    start: int,
    sequences: Sequence[WyckoffSequence],
    model: SequenceModel,
    potential: Potential,
    settings: GenerationSettings,
) -> None:
    """Make the crystals of some sequences, unless an earlier run did; the first has a number."""
    path = folder / f"{start:07d}.parquet"
    if path.exists():
        return
    indices = range(start, start + len(sequences))
    seeds = [(settings.seed, index) for index in indices]
    found = make_candidates(sequences, model.cells, potential, settings.candidates, seeds)
    rows = [
        {"sequence_index": index, **make_row(candidate)}
        for index, candidate in zip(indices, found, strict=True)
    ]
    frame = pd.DataFrame(rows)
    write_durably(path, lambda temporary: frame.to_parquet(temporary, index=False))


def _gather(folder: Path, output: Path, recipe: _Recipe, potential: Potential) -> Generated:
    """Write the crystals of all chunks into one file, and what is lost into another."""
    parts = [pd.read_parquet(path).astype(object) for path in sorted(folder.glob("*.parquet"))]
    rows = pd.concat(parts, ignore_index=True)
    rows.insert(0, "material_id", [_name_crystal(row, recipe) for row in rows.itertuples()])
    made = rows["lattice"].notna()
    crystals = (
        rows[made]
        .infer_objects()
        .astype({"space_group_found": int})
        .assign(**_describe_parents(recipe, potential))
    )
    write_durably(output, lambda path: crystals.to_parquet(path, index=False))
    failures = tuple(_make_loss(row) for row in rows[~made].itertuples())
    file = write_failures(failures, output)
    shutil.rmtree(folder)
    return Generated(output, Counter(rows["outcome"]), failures, file)


def _name_crystal(row: Any, recipe: _Recipe) -> str:  # noqa: ANN401 - a row of pandas
    """Composition, wanted space group, model, seed, and number among the sequences drawn."""
    formula = f"{Formula(row.formula):hill}"  # names have no parentheses
    marks = row.space_group_asked, recipe.model_digest[:6], recipe.settings.seed
    return "-".join(map(str, (formula, *marks, row.sequence_index)))


def _describe_parents(recipe: _Recipe, potential: Potential) -> dict[str, Any]:
    """Columns that tell of what model, seed and potential a crystal is."""
    settings = recipe.settings
    kind = "independent sites of" if settings.conditions.independent else "model"
    return {
        "database": f"generated by {kind} {settings.model}",
        "database_version": recipe.model_digest[:12],
        "model_digest": recipe.model_digest,
        "seed": settings.seed,
        "temperature": settings.conditions.temperature,
        "potential": potential.card.name,
        "checkpoint_digest": potential.card.digest,
    }


def _make_loss(row: Any) -> Failure:  # noqa: ANN401 - a row of pandas
    """Failure of a sequence of which there is no crystal."""
    error = RemediableError(f"{row.outcome}: {row.reason}", "draw more sequences")
    return make_failure(error, material_id=row.material_id, key="", stage="generation")
