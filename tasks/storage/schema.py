"""The tables of a dataset: every column with its type, unit and meaning.

This module is the only place that declares a column. The Arrow schemas, the data dictionary and
the checks of committed rows are derived from it.

Nullable columns may be added within one schema version. Any other change needs a new version.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final, get_args, get_type_hints

import pandas as pd
import pyarrow as pa

from tasks.chirality.record import ChiralityRecord
from tasks.chirality.verdict import Verdict

SCHEMA_VERSION: Final = 1
"""Version written into every receipt and file; a program refuses what is newer."""

# Parquet calls the items of a list "element"; the declared types do so too.
_FLOATS = pa.list_(pa.field("element", pa.float64()))
_INTEGERS = pa.list_(pa.field("element", pa.int32()))
_STRINGS = pa.list_(pa.field("element", pa.string()))
_TIME = pa.timestamp("us", tz="UTC")
_VERSION_KEY = b"chiralscreen.schema_version"
_TABLE_KEY = b"chiralscreen.table"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Name in the file.
    type : pyarrow.DataType
        Type in the file; arrays are flattened in C order.
    unit : str
        Unit, or an empty string for numbers without dimension, texts and flags.
    description : str
        Meaning in one sentence.
    nullable : bool
        Whether a row may leave the column empty.
    """

    name: str
    type: pa.DataType
    unit: str
    description: str
    nullable: bool = False

    @property
    def field(self) -> pa.Field:
        """Arrow field with unit and description in its metadata."""
        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, self.nullable, metadata)


@dataclass(frozen=True)
class Table:
    """One table of a dataset.

    Attributes
    ----------
    name : str
        Folder of its parts and name of its catalogue file.
    description : str
        What one row is.
    columns : tuple of Column
        Columns in the order of the file.
    identity : tuple of str
        Columns that name what a row belongs to; the last one is the stage key.
    long : bool
        Whether one identity has many rows.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    identity: tuple[str, ...] = ("material_id", "key")
    long: bool = False

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with the schema version in its metadata."""
        metadata = {_VERSION_KEY: str(SCHEMA_VERSION).encode(), _TABLE_KEY: self.name.encode()}
        return pa.schema([column.field for column in self.columns], metadata)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return one column.

        Parameters
        ----------
        name : str
            Name of a column of this table.

        Returns
        -------
        Column
            Its declaration.

        Raises
        ------
        KeyError
            When the table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name!r} has no column {name!r}")


def _text(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.string(), "", description, nullable)


def _flag(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.bool_(), "", description, nullable)


def _count(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.int32(), "", description, nullable)


def _real(name: str, unit: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.float64(), unit, description, nullable)


def _single(name: str, unit: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, pa.float32(), unit, description, nullable)


def _reals(name: str, unit: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, _FLOATS, unit, description, nullable)


def _integers(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, _INTEGERS, "", description, nullable)


def _texts(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, _STRINGS, "", description, nullable)


_IDENTITY = (
    _text("material_id", "Name of the material in its source."),
    _text("key", "Digest of everything this stage's rows depend on."),
)
_STRUCTURE = (
    _integers("numbers", "Atomic number of each atom."),
    _reals("cell", "Å", "Lattice vectors as rows, 9 numbers."),
    _reals("positions", "", "Fractional coordinates, 3 numbers per atom."),
)
_MASSES = _reals(
    "masses",
    "u",
    "Mass of each atom; empty where all are those of the natural elements (to 0.1 u, equal within "
    "an element).",
    nullable=True,
)
_CHARGES = (
    _reals("born_charges", "e", "Born charges its source gives, 9 per atom.", nullable=True),
    _reals(
        "dielectric_tensor",
        "",
        "High-frequency dielectric tensor its source gives, 9 by row.",
        nullable=True,
    ),
)
_COST = (
    _real("wall_time", "s", "Wall time of the stage for this material."),
    _real("potential_time", "s", "Part of the wall time spent inside the potential."),
)
_POTENTIAL = (
    _text("potential", "Name of the potential.", nullable=True),
    _text("checkpoint_digest", "Digest of the potential's parameters.", nullable=True),
)

_PLAN = Table(
    "plan",
    "What a run decided to do with one input record.",
    (
        *_IDENTITY,
        _text("run_id", "Run that made the decision."),
        Column("planned_at", _TIME, "", "Time of the decision (UTC); the newest one holds."),
        _text("outcome", 'Decision: "screen", "skipped" or "failed".'),
        _text("reason", "Why the material is skipped or failed.", nullable=True),
        _text("material_key", "Key of its row in materials.", nullable=True),
        _text("relaxation_key", "Key of its row in relaxations.", nullable=True),
        _text("phonon_key", "Key of its rows in phonons and force_constants.", nullable=True),
        _text("chirality_key", "Key of its rows in chirality and modes.", nullable=True),
        _text("enantiomorph_of", "Mirror image from whose results its own follow.", nullable=True),
    ),
)

_PROVENANCE = (
    _text("source", "Source the record was read from."),
    _text("source_record", "File or record inside the source."),
    _text("database", "Database the structure comes from.", nullable=True),
    _text("licence", "Licence of the structure's data.", nullable=True),
    _text("url", "Page of the structure in its database.", nullable=True),
    _text("database_id", "Name of the structure in its database, unchanged.", nullable=True),
    _text("database_version", "Release of the database.", nullable=True),
    _text("functional", "Density functional the structure was relaxed with.", nullable=True),
    _real("energy_above_hull", "eV/atom", "Energy above the hull in its database.", nullable=True),
    _real("band_gap", "eV", "Band gap in its database.", nullable=True),
    _count("space_group_stated", "Space-group number that the record states.", nullable=True),
    _text(
        "cell_origin",
        'Whether its cell is "measured" or "computed"; empty where nothing says so.',
        nullable=True,
    ),
)
_CURATION = (
    _texts(
        "notes",
        "What of the record was read otherwise than to the letter, or not used.",
        nullable=True,
    ),
    _text(
        "prototype",
        "Anonymous formula, space group, and the Wyckoff letters of each element with the atoms "
        "of the primitive cell on each.",
        nullable=True,
    ),
    _text(
        "charge_balance",
        'Oxidation states that add up to zero: "uniform" (one per element), "mixed", "none", or '
        '"metallic" for metals among themselves.',
        nullable=True,
    ),
    _flag(
        "classes_differ",
        "Whether the chirality class of the crystal as given depends on the tolerance.",
        nullable=True,
    ),
    _flag(
        "space_group_differs",
        "Whether the space group found is another one than the record states.",
        nullable=True,
    ),
)
_SYMMETRY = (
    _real("symprec", "Å", "Distance tolerance of the symmetry search."),
    _count("space_group_number", "Space-group number, 1 to 230."),
    _text("space_group_symbol", "International short symbol of the space group."),
    _text("point_group", "International symbol of the point group."),
    _text("chirality_class", 'Class: "I" centrosymmetric, "II" chiral, "III" the others.'),
    _text("helicity_wave", 'Lowest harmonic of the helicity: "none", "s", "d", "g" or "i".'),
    _texts("tensor_components", "Independent components of the angular-momentum response."),
    _text("hand", 'Hand of a chiral structure: "right" or "left".', nullable=True),
    _flag("allowed", "Whether the space group allows phonon angular momentum."),
    _flag(
        "realised",
        "Whether the occupied Wyckoff positions realise what the space group allows.",
        nullable=True,
    ),
)
_MATERIALS = Table(
    "materials",
    "One input structure: where it is from, and its symmetry.",
    (
        *_IDENTITY,
        _text("formula", "Reduced chemical formula."),
        _count("n_atoms", "Atoms in the stored cell."),
        *_STRUCTURE,
        _MASSES,
        _text("structure_hash", "Digest of the structure."),
        *_PROVENANCE,
        *_SYMMETRY,
        _texts("wyckoff_letters", "Wyckoff letter of each atom."),
        *_CURATION,
        _reals(
            "tolerances",
            "Å",
            "Distance tolerances at which the crystal as given was searched for symmetry.",
            nullable=True,
        ),
        _integers("space_groups", "Space-group number at each of these.", nullable=True),
        *_CHARGES,
    ),
)

_RELAXATIONS = Table(
    "relaxations",
    "The crystal after relaxation with a potential.",
    (
        *_IDENTITY,
        _flag("converged", "Whether force and stress went below their limits."),
        _text("reason", "Why the relaxation stopped.", nullable=True),
        _count("n_evaluations", "Evaluations of the potential."),
        _real("energy", "eV/atom", "Energy of the relaxed crystal."),
        _real("max_force", "eV/Å", "Largest force on an atom."),
        _real("max_stress", "eV/Å^3", "Largest component of the stress."),
        *_STRUCTURE,
        _MASSES,
        _real("volume_change", "", "Change of the volume as a fraction of the input's."),
        _real(
            "c_over_a_change",
            "",
            "Change of c/a of the conventional cell as a fraction of the input's.",
            nullable=True,
        ),
        _count("space_group_number_initial", "Space-group number before the relaxation."),
        _count("space_group_number_final", "Space-group number after it, at the same tolerance."),
        _reals("tolerances", "Å", "Distance tolerances of the symmetry search afterwards."),
        _integers("space_groups", "Space-group number at each of these tolerances."),
        _flag("symmetry_changed", "Whether the space group is another one afterwards."),
        *_CHARGES,
        *_POTENTIAL,
        *_COST,
    ),
)

_PHONONS = Table(
    "phonons",
    "How the force constants were made.",
    (
        *_IDENTITY,
        _integers("supercell_matrix", "Supercell in units of the unit cell, 9 integers by row."),
        _reals("primitive_matrix", "", "Primitive cell in units of the unit cell, 9 by row."),
        _count("n_supercell_atoms", "Atoms in the supercell."),
        _real("image_distance", "Å", "Shortest distance between an atom and its periodic images."),
        _count(
            "n_displacements",
            "Displaced supercells evaluated, of images and abandoned supercells as well.",
        ),
        _real(
            "displacement_distance",
            "Å",
            "Length of each displacement; none with second derivatives.",
            nullable=True,
        ),
        _flag("nac", "Whether the non-analytical term correction is included."),
        _text(
            "nac_source",
            'Where its Born charges are from: "record" of the structure or "file" of the force '
            "constants; empty without them.",
            nullable=True,
        ),
        _text(
            "nac_note",
            "What was assumed of its Born charges, which their file does not say.",
            nullable=True,
        ),
        _real(
            "min_frequency_commensurate",
            "THz",
            "Lowest frequency at the q-points of the supercell; imaginary ones are negative.",
        ),
        _real("max_frequency", "THz", "Highest frequency."),
        _real(
            "sum_rule_residual",
            "eV/Å^2",
            "Largest violation of the acoustic sum rule before symmetrising.",
        ),
        _real(
            "symmetrisation",
            "eV/Å^2",
            "Largest change of a force constant by the symmetrisation.",
        ),
        _real(
            "boundary_shift",
            "",
            "Estimated error of interpolated frequencies from force constants at the boundary of "
            "the supercell, as a fraction of the highest frequency.",
            nullable=True,
        ),
        _count("n_enlargements", "How often the supercell was enlarged for it.", nullable=True),
        _reals(
            "elastic_constants",
            "GPa",
            "Elastic constants with relaxed atoms, 36 by row; xx, yy, zz, yz, xz, xy (Cartesian).",
            nullable=True,
        ),
        *_POTENTIAL,
        *_COST,
    ),
)

_FORCE_CONSTANTS = Table(
    "force_constants",
    "Harmonic force constants, enough to compute phonons anywhere in the Brillouin zone.",
    (
        *_IDENTITY,
        *_STRUCTURE,
        _reals("masses", "u", "Mass of each atom of the primitive cell.", nullable=True),
        _integers("supercell_matrix", "Supercell in units of the unit cell, 9 integers by row."),
        _reals("primitive_matrix", "", "Primitive cell in units of the unit cell, 9 by row."),
        _reals(
            "force_constants",
            "eV/Å^2",
            "Compact force constants, flattened: atom of the primitive cell, atom of the "
            "supercell, Cartesian component of each.",
        ),
        _integers("force_constants_shape", "Shape of the force constants, 4 integers."),
        _reals("born", "e", "Born charges, flattened (n_primitive, 3, 3).", nullable=True),
        _reals("dielectric", "", "High-frequency dielectric tensor, 9 by row.", nullable=True),
        _text("nac_method", 'Treatment of the dipole term: "gonze" or "wang".', nullable=True),
        _real("nac_factor", "eV Å", "Unit factor of the dipole term.", nullable=True),
        _reals(
            "clamped_stiffness",
            "eV/Å^3",
            "Change of the stress with the strain while atoms keep their fractional coordinates, "
            "81 in C order.",
            nullable=True,
        ),
        _reals(
            "strain_forces",
            "eV/Å",
            "Minus the change of the forces with such a strain, flattened (n_primitive, 3, 3, 3).",
            nullable=True,
        ),
        _reals(
            "residual_stress",
            "eV/Å^3",
            "Stress of the relaxed crystal, which a fixed cell leaves, 9 by row.",
            nullable=True,
        ),
    ),
)

_MODES = Table(
    "modes",
    "One phonon mode at one q-point.",
    (
        *_IDENTITY,
        _text("q_label", 'Name of the q-point, or "mesh" or "path".'),
        _single("q_a", "", "Fractional coordinate along the first primitive reciprocal vector."),
        _single("q_b", "", "Fractional coordinate along the second one."),
        _single("q_c", "", "Fractional coordinate along the third one."),
        _count("segment", "Segment of the path, counted from 0.", nullable=True),
        _single("path_distance", "1/Å", "Distance along the path, without 2π.", nullable=True),
        _count("band", "Band, counted from 0 by increasing frequency."),
        _count("degenerate_set", "Degenerate set at this q-point, counted from 0."),
        _flag("near_degenerate", "Whether the gap to the next set is suspiciously small."),
        _single("frequency", "THz", "Frequency ν = ω/2π; imaginary ones are negative."),
        _single("l_x", "ħ", "Angular momentum along x, mean over the degenerate set."),
        _single("l_y", "ħ", "Angular momentum along y, mean over the degenerate set."),
        _single("l_z", "ħ", "Angular momentum along z, mean over the degenerate set."),
        _single("helicity", "ħ", "Angular momentum along q.", nullable=True),
        _single("cycloidicity", "ħ", "Length of the angular momentum across q.", nullable=True),
        _single("pam_raw", "", "Pseudo-angular momentum with the screw's phase.", nullable=True),
        _count("pam_integer", "Pseudo-angular momentum without it.", nullable=True),
        _count("pam_order", "Order n of the rotation axis along q.", nullable=True),
        _count("pam_screw", "Screw component m of that axis n_m.", nullable=True),
    ),
    long=True,
)

_TYPES: Final[Mapping[object, pa.DataType]] = MappingProxyType(
    {
        bool: pa.bool_(),
        int: pa.int32(),
        float: pa.float64(),
        str: pa.string(),
        tuple[int, ...]: _INTEGERS,
        tuple[float, ...]: _FLOATS,
        tuple[str, ...]: _STRINGS,
    }
)


def _columns_of(record: type) -> Iterator[Column]:
    """Columns of a dataclass whose fields carry unit and description in their metadata.

    A field of type ``kind | None`` becomes a nullable column.
    """
    hints = get_type_hints(record)
    for item in fields(record):
        hint = hints[item.name]
        nullable = hint not in _TYPES
        kind = _TYPES[get_args(hint)[0] if nullable else hint]
        yield Column(item.name, kind, item.metadata["unit"], item.metadata["description"], nullable)


UNDECIDED_COLUMNS: Final = (
    _real(
        "score",
        "",
        "Empty: the catalogue decides. Older programs put raw_score here.",
        nullable=True,
    ),
    _flag("shortlisted", "False: the catalogue decides. Older programs put raw_shortlisted here."),
)
"""Columns of the stage that the catalogue decides on; they hold nothing."""

_INTERPOLATION = (
    _real(
        "rotational_violation",
        "eV/Å",
        "How far the usual division of force constants among periodic images is from the "
        "rotational sum rule, which was then imposed.",
        nullable=True,
    ),
    _real("huang_violation", "GPa", "The same for Huang's sum rule.", nullable=True),
    _text("sum_rules_skipped", "Why the sum rules were not imposed.", nullable=True),
)
_CHIRALITY = Table(
    "chirality",
    "Chirality of the phonons of one material, and the verdict.",
    (
        *_IDENTITY,
        *_columns_of(Verdict),
        *UNDECIDED_COLUMNS,
        *_INTERPOLATION,
        *_columns_of(ChiralityRecord),
    ),
)

_AGREEMENT = Table(
    "agreement",
    "What another potential says of one material; the key is that of its row in chirality.",
    (
        *_IDENTITY,
        _text("other_potential", "Potential of the dataset it was compared with.", nullable=True),
        _text("other_key", "Key of the row of chirality there.", nullable=True),
        _text("other_material_id", "Name of the crystal in that dataset.", nullable=True),
        _text(
            "other_found_by",
            "What the two have in common: structure, name, or formula and symmetry.",
            nullable=True,
        ),
        _flag(
            "other_mirrored",
            "Whether that dataset has the other hand, whose mirror image was compared.",
            nullable=True,
        ),
        _count("n_modes_compared", "Modes matched by the overlap of their eigenvectors."),
        _real(
            "frequency_difference", "THz", "Mean difference of the frequencies of matched modes."
        ),
        _real("frequency_disagreement", "", "The same as a fraction of the highest frequency."),
        _real(
            "momentum_difference",
            "ħ",
            "Mean size of the difference of l, over matched modes that no other is close to.",
        ),
        _real(
            "sign_agreement",
            "",
            "Share of such modes with |l| above 0.1 ħ whose l points to the same side.",
            nullable=True,
        ),
        _flag(
            "leading_sign_agrees",
            "Whether the helicity of the mode that has the largest has the same sign.",
            nullable=True,
        ),
        _flag("wave_agrees", "Whether both find the same helicity wave."),
        _flag("stability_agrees", "Whether both say stable, or both unstable."),
        _flag(
            "potentials_disagree", "Whether one of the last three contradicts; see docs/trust.md."
        ),
        _real("mean_frequency", "THz", "Mean frequency of the modes compared.", nullable=True),
        _real(
            "frequency_bar_68",
            "THz",
            "Error of the frequencies of the first potential (mean over the modes) that 68 of 100 "
            "crystals do not exceed, from the difference of both; see docs/trust.md.",
            nullable=True,
        ),
        _real("frequency_bar_90", "THz", "The same for 90 of 100 crystals.", nullable=True),
        _real(
            "tensor_disagreement",
            "",
            "Norm of the difference of the response tensors at 300 K in units of the larger one.",
            nullable=True,
        ),
        _real(
            "splitting_disagreement",
            "",
            "Largest difference of splitting_linear along an axis in units of the larger one.",
            nullable=True,
        ),
        _real(
            "helicity_disagreement",
            "",
            "Difference of mean_optical_helicity in units of the larger one.",
            nullable=True,
        ),
        _text(
            "other_failure",
            "Why the other potential has no phonons of the crystal: it turns it into another one.",
            nullable=True,
        ),
    ),
)

_FAILURES = Table(
    "failures",
    "One structure that one stage could not finish.",
    (
        *_IDENTITY,
        _text("stage", "Stage that failed."),
        _text("error_class", "Class of the error."),
        _text("message", "What was wrong."),
        _text("remedy", "What to do about it."),
        _flag("transient", "Whether trying again may help."),
        _text("source_record", "File or record the structure came from.", nullable=True),
    ),
)

_RUNS = Table(
    "runs",
    "One run of the program.",
    (
        _text("run_id", "Name of the run."),
        _text(
            "kind",
            'What it did: "screen" crystals or "analyze" force constants; empty in older datasets.',
            nullable=True,
        ),
        Column("started_at", _TIME, "", "Start of the run (UTC)."),
        Column("finished_at", _TIME, "", "End of the run (UTC).", nullable=True),
        _text("source", "Source of the structures."),
        _text("settings", "Resolved settings as JSON."),
        _text("versions", "Versions of the program and its libraries as JSON."),
        *_POTENTIAL,
        _text("potential_citation", "Work to cite for the potential.", nullable=True),
        _text("potential_licence", "Terms of its weights.", nullable=True),
        _texts(
            "potential_limits",
            "What to keep in mind about its results, one sentence each.",
            nullable=True,
        ),
        _text(
            "potential_symmetry",
            'Isometries that leave its energy unchanged: "O(3)" with mirrors, "SO(3)" without.',
            nullable=True,
        ),
        _flag(
            "potential_averaged",
            "Whether mirrors are among them by an average over the inversion.",
            nullable=True,
        ),
        _real(
            "potential_cost",
            "ms",
            "Expected time of energy and forces per atom, on one CPU thread in double precision.",
            nullable=True,
        ),
        _text(
            "kernel",
            "How the potential computed: `compiled`, `torch`, or both on unlike machines.",
            nullable=True,
        ),
        _text("host", "Machine that ran it."),
        _text("wall_times", "Wall time of each stage in seconds as JSON.", nullable=True),
        _text("potential_times", "Part spent inside the potential as JSON.", nullable=True),
        _text("counts", "Materials by outcome as JSON.", nullable=True),
    ),
    identity=("run_id",),
)

TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        table.name: table
        for table in (
            _PLAN,
            _MATERIALS,
            _RELAXATIONS,
            _PHONONS,
            _FORCE_CONSTANTS,
            _MODES,
            _CHIRALITY,
            _AGREEMENT,
            _FAILURES,
            _RUNS,
        )
    }
)
"""Every table of the committed parts, by name."""

PLANNED_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "materials": "material_key",
        "relaxations": "relaxation_key",
        "phonons": "phonon_key",
        "force_constants": "phonon_key",
        "chirality": "chirality_key",
        "modes": "chirality_key",
        "agreement": "chirality_key",
    }
)
"""Column of the plan that names the key of each table."""

WIDE_COLUMNS: Final = (
    (
        "plan",
        (
            "run_id",
            "material_key",
            "relaxation_key",
            "phonon_key",
            "chirality_key",
            "enantiomorph_of",
        ),
    ),
    (
        "materials",
        (
            "formula",
            "n_atoms",
            "structure_hash",
            *(c.name for c in (*_PROVENANCE, *_SYMMETRY, *_CURATION)),
        ),
    ),
    (
        "relaxations",
        (
            "converged",
            "volume_change",
            "c_over_a_change",
            "symmetry_changed",
            "space_group_number_final",
            "potential",
            "checkpoint_digest",
        ),
    ),
    (
        "phonons",
        ("n_supercell_atoms", "image_distance", "n_displacements", "boundary_shift", "nac_source"),
    ),
    (
        "chirality",
        tuple(
            name
            for name in _CHIRALITY.names
            if name not in {*_CHIRALITY.identity, *(c.name for c in UNDECIDED_COLUMNS)}
        ),
    ),
    ("agreement", tuple(name for name in _AGREEMENT.names if name not in _AGREEMENT.identity)),
)
"""Columns of each table that the catalogue of materials joins."""

_WIDE_NAMES: Final = {
    ("relaxations", "converged"): "relaxation_converged",
    ("relaxations", "space_group_number_final"): "space_group_number_relaxed",
    ("chirality", "n_atoms"): "n_atoms_primitive",
}

CATALOG_ORIGINS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        _WIDE_NAMES.get((table, name), name): (table, name)
        for table, names in WIDE_COLUMNS
        for name in names
    }
)
"""Columns of the catalogue of materials and the (table, column) each is taken from."""


TRUST_COLUMNS: Final = (
    _real(
        "measured_volume_change",
        "",
        "Volume of the relaxed crystal against its measured one, as a fraction of that; known for "
        "the cells of the demo and those of the dataset that are measured.",
        nullable=True,
    ),
    _texts(
        "warnings", "What to be warned of, the gravest first; see docs/trust.md.", nullable=True
    ),
    _flag(
        "reliable",
        "Whether no warning puts class, stability or the sign of the helicity in doubt.",
        nullable=True,
    ),
    _real("trust", "", "Product of the factors of the warnings, 0 to 1.", nullable=True),
)
"""Warnings, and what follows from them."""

EXPERIMENTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "score_raman": (
            "circular Raman scattering",
            "x / (x + raman_scale), x the largest |raman_splitting|",
        ),
        "score_scattering": (
            "inelastic X-ray or neutron scattering",
            "scattering_angular_momentum",
        ),
        "score_resonant": ("resonant inelastic X-ray scattering", "resonant_helicity"),
        "score_thermal": (
            "thermal response",
            "t / (t + tensor_scale), t the norm of the response at 300 K",
        ),
    }
)
"""Experiment and formula of each score by purpose; `tasks.ranking` computes them."""

RANKING_COLUMNS: Final = (
    _real(
        "raw_score",
        "",
        "Weighted mean of the terms of the score; empty for unstable and insignificant materials.",
        nullable=True,
    ),
    _texts("terms_left_out", "Terms of the score that are empty or too uncertain.", nullable=True),
    _flag("raw_shortlisted", "Whether raw_score reaches the shortlist.", nullable=True),
    _real(
        "score",
        "",
        "What materials are ranked by, 0 to 1: raw_score times trust; empty for crystals that the "
        "relaxation brought into another class.",
        nullable=True,
    ),
    _flag(
        "shortlisted",
        "Whether the raw score reaches the shortlist, the material is reliable and has a score.",
        nullable=True,
    ),
    *(
        _real(name, "", f"Score for {title}, 0 to 1, times trust: {formula}.", nullable=True)
        for name, (title, formula) in EXPERIMENTS.items()
    ),
    _text(
        "same_crystal_as",
        "Material that became the same crystal by its relaxation and stands for both in rankings.",
        nullable=True,
    ),
)
"""Columns of the catalogue of materials that rank them; see docs/trust.md."""

JUDGED_COLUMNS: Final = (*TRUST_COLUMNS, *RANKING_COLUMNS)
"""Columns of the catalogue of materials that follow from its others."""


def _catalog_columns() -> Iterable[Column]:
    yield _text("material_id", "Name of the material in its source; unique here.")
    yield _text("outcome", 'Where it stands: "screened", "skipped", "failed" or "pending".')
    yield _text("reason", "Why it was skipped or failed.", nullable=True)
    for name, (table, column) in CATALOG_ORIGINS.items():
        yield replace(TABLES[table].column(column), name=name, nullable=True)
    yield from JUDGED_COLUMNS


CATALOG_TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        **TABLES,
        "chirality": Table(
            "chirality",
            "One planned material: what it is, how far it came, and the verdict.",
            tuple(_catalog_columns()),
            identity=("material_id",),
        ),
    }
)
"""Every table of the catalogue; only ``chirality`` has other columns than its parts."""


def column_info(table: str) -> pd.DataFrame:
    """Describe the columns of a catalogue file, whose metadata pandas does not show.

    Parameters
    ----------
    table : str
        Name of a file in the catalogue, without its ending.

    Returns
    -------
    pandas.DataFrame
        Indexed by column name, with columns type, unit, description and nullable.

    Raises
    ------
    KeyError
        When there is no such table.
    """
    columns = CATALOG_TABLES[table].columns
    rows = [(c.name, str(c.type), c.unit, c.description, c.nullable) for c in columns]
    names = ["name", "type", "unit", "description", "nullable"]
    return pd.DataFrame(rows, columns=names).set_index("name")
