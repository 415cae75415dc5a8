"""What a user may state about a source: where it is from, and what its columns mean."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.crystals.records import CellOrigin

DEFAULT_MAX_ATOMS: Final = 2000
"""Ten times the largest primitive cell that is computed by default: centring takes up to four."""

Meaning = Literal[
    "id",
    "cif",
    "structure",
    "lattice",
    "numbers",
    "species",
    "fractional",
    "cartesian",
    "masses",
    "pbc",
    "database",
    "database_version",
    "licence",
    "url",
    "functional",
    "energy_above_hull",
    "band_gap",
    "observed",
    "observed_source",
    "theoretical",
    "magnetic_ordering",
    "icsd_id",
    "cod_id",
    "phonondb_url",
    "phonix_url",
    "space_group",
    "born_charges",
    "dielectric_tensor",
]


class SourceSettings(BaseModel):
    """Where the structures of a source are from, and how its tables are read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    database: str | None = Field(None, description="database the structures are from")
    database_version: str | None = Field(None, description="its release")
    licence: str | None = Field(None, description="licence of the structures")
    functional: str | None = Field(None, description="density functional of their relaxation")
    cell_origin: CellOrigin | None = Field(
        None,
        description="whether cells are measured or computed; by default computed if the record "
        "names a functional, measured if a CIF names an experiment",
    )
    observed_source: str | None = Field(
        None, description="who says what the column `observed` holds, such as ICSD, 2020"
    )
    url: str | None = Field(
        None, description="page of a structure; {id} stands for its name in the database"
    )
    columns: dict[Meaning, str] = Field(
        default_factory=dict,
        description="columns of tables, or keys of JSON records, by meaning; usual names are known",
    )
    max_record_bytes: int = Field(
        2**28, gt=0, description="largest record, file of one record or archive member (bytes)"
    )
    max_members: int = Field(2_000_000, gt=0, description="most members of an archive")
    max_expansion: float = Field(
        200.0, gt=1, description="most bytes that one compressed byte may become"
    )
    max_atoms: int = Field(
        DEFAULT_MAX_ATOMS,
        gt=0,
        description="most atoms of the cell of a record, refused before its symmetry is searched; "
        "the primitive cell has its own limit",
    )
    record_seconds: float = Field(
        20.0, gt=0, description="longest time to read one record, or to classify it (s)"
    )
    record_memory: float = Field(
        0.5,
        gt=0,
        description="most memory to read one record, or a file that is read as a whole, or to "
        "classify it, beyond that of the interpreter (GiB)",
    )
