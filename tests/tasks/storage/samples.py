"""Rows that fit the schema, made from the schema, for the tests of the storage."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.storage import TABLES, Dataset, Receipt

START = datetime(2026, 1, 1, tzinfo=UTC)
STAGE_TABLES = {
    "classification": ("materials",),
    "relaxation": ("relaxations",),
    "phonons": ("phonons", "force_constants"),
    "chirality": ("chirality", "modes"),
}
KEY_LETTERS = {"classification": "m", "relaxation": "r", "phonons": "p", "chirality": "c"}
KEY_COLUMNS = {
    "classification": "material_key",
    "relaxation": "relaxation_key",
    "phonons": "phonon_key",
    "chirality": "chirality_key",
}
BANDS = 3
# Numbers of a chirality row that warn of nothing and have a score.
SOUND = {
    "stable": True,
    "significant": True,
    "sum_rules_skipped": None,
    "tensor_violation": [1e-9],
    "tensor_largest_share": [1e-9],
    "min_frequency": 0.0,
    "min_frequency_commensurate": 2.0,
    "near_degenerate_fraction": 0.0,
    "tensor_spread": [0.1],
    "splitting_spread": [],
    "helicity_spread": 0.1,
    "charge_model": None,
}
CUBE = [4.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 4.0]  # Å

# Columns whose mean is the score.
TERMS = ("resolved_angular_momentum", "resolved_helicity", "long_wave_helicity")


def value(kind: pa.DataType, seed: int) -> Any:
    """Some value of an Arrow type."""
    if pa.types.is_list(kind):
        return [value(kind.value_type, seed), value(kind.value_type, seed + 1)]
    if pa.types.is_timestamp(kind):
        return START + timedelta(seconds=seed)
    if pa.types.is_boolean(kind):
        return bool(seed % 2)
    if pa.types.is_integer(kind):
        return seed
    return seed / 2 if pa.types.is_floating(kind) else f"text {seed}"


def row(table: str, seed: int = 0, **given: Any) -> dict[str, Any]:
    """A row with all columns of a table, apart from those given made up."""
    made = {c.name: value(c.type, seed) for c in TABLES[table].columns}
    return made | ({"cell": CUBE} if "cell" in made else {}) | given


def failure(material_id: str, key: str, stage: str, *, transient: bool = False) -> dict[str, Any]:
    """A row of failures."""
    given = {"material_id": material_id, "key": key, "stage": stage, "transient": transient}
    return row("failures", message="it broke", **given)


def material(number: int) -> str:
    """Name of a material."""
    return f"mp-{number}"


def key(stage: str, number: int, version: str = "") -> str:
    """Stage key of a material."""
    return f"{KEY_LETTERS[stage]}{number}{version}"


def rows_of(
    table: str, stage: str, number: int, version: str = "", seed: int | None = None
) -> list[dict[str, Any]]:
    """Rows of one material; space groups run against the numbers of the materials."""
    names = {"material_id": material(number), "key": key(stage, number, version)}
    made = number if seed is None else seed
    if TABLES[table].long:
        return [row(table, made, band=band, **names) for band in range(BANDS)]
    sound = {"space_group_number": 230 - number % 100, "classes_differ": False}
    extra = sound if table == "materials" else {}
    return [row(table, made, **names, **extra)]


def commit(
    dataset: Dataset,
    stage: str,
    numbers: Sequence[int],
    version: str = "",
    seed: int | None = None,
    failures: Iterable[Mapping[str, Any]] = (),
) -> Receipt:
    """Commit a stage for some materials; those with a row in failures have no other rows."""
    failures = list(failures)
    broken = {failed["material_id"] for failed in failures}
    tables = {
        table: [
            made
            for number in numbers
            if material(number) not in broken
            for made in rows_of(table, stage, number, version, seed)
        ]
        for table in STAGE_TABLES[stage]
    }
    keys = [key(stage, number, version) for number in numbers]
    return dataset.commit(stage, {**tables, "failures": failures}, keys)


def plan_row(number: int, run: int = 0, version: str = "", **given: Any) -> dict[str, Any]:
    """A plan row that wants all stages; a version stands for another q-mesh."""
    names = {column: key(stage, number) for stage, column in KEY_COLUMNS.items()}
    names["chirality_key"] = key("chirality", number, version)
    return {
        "material_id": material(number),
        "key": f"plan-{run}-{number}",
        "run_id": f"run-{run}",
        "planned_at": START + timedelta(hours=run),
        "outcome": "screen",
        **names,
        **given,
    }


def commit_plan(dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> Receipt:
    """Commit plan rows."""
    return dataset.commit("plan", {"plan": rows}, [str(planned["key"]) for planned in rows])


def screened(root: Path, numbers: Sequence[int], chunk: int = 2) -> Dataset:
    """A dataset with a plan and all stages of some materials, in chunks."""
    dataset = Dataset(root)
    commit_plan(dataset, [plan_row(number) for number in numbers])
    for stage in STAGE_TABLES:
        for start in range(0, len(numbers), chunk):
            commit(dataset, stage, numbers[start : start + chunk])
    return dataset


def with_digest(fields: Mapping[str, Any]) -> bytes:
    """Bytes of a receipt with these fields, the digest of all before it last."""
    body = json.dumps(fields).encode()[:-1]
    return body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'


def rewrite_receipt(path: Path, **changes: Any) -> None:
    """Change fields of a receipt such that its digest is right; None takes a field away."""
    fields = json.loads(path.read_bytes()) | changes
    del fields["sha256"]
    path.write_bytes(with_digest({k: v for k, v in fields.items() if v is not None}))


def downgrade(root: Path) -> None:
    """Rewrite all receipts in format 1."""
    for path in (root / "receipts").glob("*.v2.json"):
        fields = json.loads(path.read_bytes())
        del fields["sha256"]
        old = path.with_name(path.name.replace(".v2.json", ".json"))
        old.write_text(json.dumps(fields, separators=(",", ":"), ensure_ascii=False))
        path.unlink()
