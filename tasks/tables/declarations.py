"""The tables of a dataset: every column with its type, unit and meaning.

This module is the only place that declares a column. The Arrow schemas, the data dictionary and
the checks of committed rows are derived from it.

Nullable columns may be added within one schema version. Any other change needs a new version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import pandas as pd

from tasks.tables.chirality import ChiralityRecord, Verdict
from tasks.tables.columns import (
    TIME,
    Column,
    Table,
    collect_columns,
    declare_count,
    declare_flag,
    declare_integers,
    declare_real,
    declare_reals,
    declare_single,
    declare_text,
    declare_texts,
)

_IDENTITY = (
    declare_text("material_id", "Name of the material in its source."),
    declare_text("key", "Digest of everything this stage's rows depend on."),
)
_STRUCTURE = (
    declare_integers("numbers", "Atomic number of each atom."),
    declare_reals("cell", "Å", "Lattice vectors as rows, 9 numbers."),
    declare_reals("positions", "", "Fractional coordinates, 3 numbers per atom."),
)
_MASSES = declare_reals(
    "masses",
    "u",
    "Mass of each atom; empty where all are those of the natural elements (to 0.1 u, equal within "
    "an element).",
    nullable=True,
)
_CHARGES = (
    declare_reals("born_charges", "e", "Born charges its source gives, 9 per atom.", nullable=True),
    declare_reals(
        "dielectric_tensor",
        "",
        "High-frequency dielectric tensor its source gives, 9 by row.",
        nullable=True,
    ),
)
_COST = (
    declare_real("wall_time", "s", "Wall time of the stage for this material."),
    declare_real("potential_time", "s", "Part of the wall time spent inside the potential."),
)
_POTENTIAL = (
    declare_text("potential", "Name of the potential.", nullable=True),
    declare_text("checkpoint_digest", "Digest of the potential's parameters.", nullable=True),
)

_PLAN = Table(
    "plan",
    "What a run decided to do with one input record.",
    (
        *_IDENTITY,
        declare_text("run_id", "Run that made the decision."),
        Column("planned_at", TIME, "", "Time of the decision (UTC); the newest one holds."),
        declare_text("outcome", 'Decision: "screen", "skipped" or "failed".'),
        declare_text("reason", "Why the material is skipped or failed.", nullable=True),
        declare_text("material_key", "Key of its row in materials.", nullable=True),
        declare_text("relaxation_key", "Key of its row in relaxations.", nullable=True),
        declare_text(
            "phonon_key", "Key of its rows in phonons and force_constants.", nullable=True
        ),
        declare_text("chirality_key", "Key of its rows in chirality and modes.", nullable=True),
        declare_text(
            "enantiomorph_of", "Mirror image from whose results its own follow.", nullable=True
        ),
    ),
)

_PROVENANCE = (
    declare_text("source", "Source the record was read from."),
    declare_text("source_record", "File or record inside the source."),
    declare_text("database", "Database the structure comes from.", nullable=True),
    declare_text("licence", "Licence of the structure's data.", nullable=True),
    declare_text("url", "Page of the structure in its database.", nullable=True),
    declare_text("database_id", "Name of the structure in its database, unchanged.", nullable=True),
    declare_text("database_version", "Release of the database.", nullable=True),
    declare_text("functional", "Density functional the structure was relaxed with.", nullable=True),
    declare_real(
        "energy_above_hull", "eV/atom", "Energy above the hull in its database.", nullable=True
    ),
    declare_real("band_gap", "eV", "Band gap in its database.", nullable=True),
    declare_count(
        "space_group_stated", "Space-group number that the record states.", nullable=True
    ),
    declare_text(
        "cell_origin",
        'Whether its cell is "measured" or "computed"; empty where nothing says so.',
        nullable=True,
    ),
    declare_flag(
        "observed",
        "Whether the crystal was observed, by what its source states; empty where nothing is.",
        nullable=True,
    ),
    declare_text(
        "observed_source",
        "Who states it, with the year: a no means that the crystal was not known there then.",
        nullable=True,
    ),
    declare_text(
        "magnetic_ordering",
        "Magnetic ordering in its database, such as NM, FM, FiM, AFM; none of the potential.",
        nullable=True,
    ),
    declare_text("icsd_id", "Numbers in the ICSD, with commas between several.", nullable=True),
    declare_text(
        "cod_id",
        "Numbers in the Crystallography Open Database, with commas between several.",
        nullable=True,
    ),
    declare_text(
        "phonondb_url", "Page of the crystal in the phonon database (MDR).", nullable=True
    ),
    declare_text("phonix_url", "Page of the crystal in Phonix.", nullable=True),
)
_CURATION = (
    declare_texts(
        "notes",
        "What of the record was read otherwise than to the letter, or not used.",
        nullable=True,
    ),
    declare_text(
        "prototype",
        "Anonymous formula, space group, and the Wyckoff letters of each element with the atoms "
        "of the primitive cell on each.",
        nullable=True,
    ),
    declare_text(
        "charge_balance",
        'Oxidation states that add up to zero: "uniform" (one per element), "mixed", "none", or '
        '"metallic" for metals among themselves.',
        nullable=True,
    ),
    declare_flag(
        "classes_differ",
        "Whether the chirality class of the crystal as given depends on the tolerance.",
        nullable=True,
    ),
    declare_flag(
        "space_group_differs",
        "Whether the space group found is another one than the record states.",
        nullable=True,
    ),
)
_SYMMETRY = (
    declare_real("symprec", "Å", "Distance tolerance of the symmetry search."),
    declare_count("space_group_number", "Space-group number, 1 to 230."),
    declare_text("space_group_symbol", "International short symbol of the space group."),
    declare_text("point_group", "International symbol of the point group."),
    declare_text("chirality_class", 'Class: "I" centrosymmetric, "II" chiral, "III" the others.'),
    declare_text("helicity_wave", 'Lowest harmonic of the helicity: "none", "s", "d", "g" or "i".'),
    declare_texts("tensor_components", "Independent components of the angular-momentum response."),
    declare_text("hand", 'Hand of a chiral structure: "right" or "left".', nullable=True),
    declare_flag("allowed", "Whether the space group allows phonon angular momentum."),
    declare_flag(
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
        declare_text("formula", "Reduced chemical formula."),
        declare_count("n_atoms", "Atoms in the stored cell."),
        *_STRUCTURE,
        _MASSES,
        declare_text("structure_hash", "Digest of the structure."),
        *_PROVENANCE,
        *_SYMMETRY,
        declare_texts("wyckoff_letters", "Wyckoff letter of each atom."),
        *_CURATION,
        declare_reals(
            "tolerances",
            "Å",
            "Distance tolerances at which the crystal as given was searched for symmetry.",
            nullable=True,
        ),
        declare_integers("space_groups", "Space-group number at each of these.", nullable=True),
        *_CHARGES,
    ),
)

_RELAXATIONS = Table(
    "relaxations",
    "The crystal after relaxation with a potential.",
    (
        *_IDENTITY,
        declare_flag("converged", "Whether force and stress went below their limits."),
        declare_text("reason", "Why the relaxation stopped.", nullable=True),
        declare_count("n_evaluations", "Evaluations of the potential."),
        declare_real("energy", "eV/atom", "Energy of the relaxed crystal."),
        declare_real("max_force", "eV/Å", "Largest force on an atom."),
        declare_real("max_stress", "eV/Å^3", "Largest component of the stress."),
        *_STRUCTURE,
        _MASSES,
        declare_real("volume_change", "", "Change of the volume as a fraction of the input's."),
        declare_real(
            "c_over_a_change",
            "",
            "Change of c/a of the conventional cell as a fraction of the input's.",
            nullable=True,
        ),
        declare_count("space_group_number_initial", "Space-group number before the relaxation."),
        declare_count(
            "space_group_number_final", "Space-group number after it, at the same tolerance."
        ),
        declare_reals("tolerances", "Å", "Distance tolerances of the symmetry search afterwards."),
        declare_integers("space_groups", "Space-group number at each of these tolerances."),
        declare_flag("symmetry_changed", "Whether the space group is another one afterwards."),
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
        declare_integers(
            "supercell_matrix", "Supercell in units of the unit cell, 9 integers by row."
        ),
        declare_reals(
            "primitive_matrix", "", "Primitive cell in units of the unit cell, 9 by row."
        ),
        declare_count("n_supercell_atoms", "Atoms in the supercell."),
        declare_real(
            "image_distance", "Å", "Shortest distance between an atom and its periodic images."
        ),
        declare_count(
            "n_displacements",
            "Displaced supercells evaluated, of images and abandoned supercells as well.",
        ),
        declare_real(
            "displacement_distance",
            "Å",
            "Length of each displacement; none with second derivatives.",
            nullable=True,
        ),
        declare_flag("nac", "Whether Born charges are given with the force constants."),
        declare_text(
            "nac_source",
            'Where its Born charges are from: "record" of the structure or "file" of the force '
            'constants; in the catalogue of materials also "predicted"; empty without them.',
            nullable=True,
        ),
        declare_text(
            "nac_note",
            "What was assumed of its Born charges, which their file does not say.",
            nullable=True,
        ),
        declare_real(
            "min_frequency_commensurate",
            "THz",
            "Lowest frequency at the q-points of the supercell; imaginary ones are negative.",
        ),
        declare_real("max_frequency", "THz", "Highest frequency."),
        declare_real(
            "sum_rule_residual",
            "eV/Å^2",
            "Largest violation of the acoustic sum rule before symmetrising.",
        ),
        declare_real(
            "symmetrisation",
            "eV/Å^2",
            "Largest change of a force constant by the symmetrisation.",
        ),
        declare_real(
            "boundary_shift",
            "",
            "Estimated error of interpolated frequencies from force constants at the boundary of "
            "the supercell, as a fraction of the highest frequency.",
            nullable=True,
        ),
        declare_count(
            "n_enlargements", "How often the supercell was enlarged for it.", nullable=True
        ),
        declare_reals(
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
        declare_reals("masses", "u", "Mass of each atom of the primitive cell.", nullable=True),
        declare_integers(
            "supercell_matrix", "Supercell in units of the unit cell, 9 integers by row."
        ),
        declare_reals(
            "primitive_matrix", "", "Primitive cell in units of the unit cell, 9 by row."
        ),
        declare_reals(
            "force_constants",
            "eV/Å^2",
            "Compact force constants, flattened: atom of the primitive cell, atom of the "
            "supercell, Cartesian component of each.",
        ),
        declare_integers("force_constants_shape", "Shape of the force constants, 4 integers."),
        declare_reals("born", "e", "Born charges, flattened (n_primitive, 3, 3).", nullable=True),
        declare_reals(
            "dielectric", "", "High-frequency dielectric tensor, 9 by row.", nullable=True
        ),
        declare_text(
            "nac_method", 'Treatment of the dipole term: "gonze" or "wang".', nullable=True
        ),
        declare_real("nac_factor", "eV Å", "Unit factor of the dipole term.", nullable=True),
        declare_reals(
            "clamped_stiffness",
            "eV/Å^3",
            "Change of the stress with the strain while atoms keep their fractional coordinates, "
            "81 in C order.",
            nullable=True,
        ),
        declare_reals(
            "strain_forces",
            "eV/Å",
            "Minus the change of the forces with such a strain, flattened (n_primitive, 3, 3, 3).",
            nullable=True,
        ),
        declare_reals(
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
        declare_text("q_label", 'Name of the q-point, or "mesh" or "path".'),
        declare_single(
            "q_a", "", "Fractional coordinate along the first primitive reciprocal vector."
        ),
        declare_single("q_b", "", "Fractional coordinate along the second one."),
        declare_single("q_c", "", "Fractional coordinate along the third one."),
        declare_count("segment", "Segment of the path, counted from 0.", nullable=True),
        declare_single(
            "path_distance", "1/Å", "Distance along the path, without 2π.", nullable=True
        ),
        declare_count("band", "Band, counted from 0 by increasing frequency."),
        declare_count("degenerate_set", "Degenerate set at this q-point, counted from 0."),
        declare_flag("near_degenerate", "Whether the gap to the next set is suspiciously small."),
        declare_single("frequency", "THz", "Frequency ν = ω/2π; imaginary ones are negative."),
        declare_single("l_x", "ħ", "Angular momentum along x, mean over the degenerate set."),
        declare_single("l_y", "ħ", "Angular momentum along y, mean over the degenerate set."),
        declare_single("l_z", "ħ", "Angular momentum along z, mean over the degenerate set."),
        declare_single("helicity", "ħ", "Angular momentum along q.", nullable=True),
        declare_single(
            "cycloidicity", "ħ", "Length of the angular momentum across q.", nullable=True
        ),
        declare_single(
            "pam_raw", "", "Pseudo-angular momentum with the screw's phase.", nullable=True
        ),
        declare_count("pam_integer", "Pseudo-angular momentum without it.", nullable=True),
        declare_count("pam_order", "Order n of the rotation axis along q.", nullable=True),
        declare_count("pam_screw", "Screw component m of that axis n_m.", nullable=True),
    ),
    long=True,
)

UNDECIDED_COLUMNS: Final = (
    declare_real(
        "score",
        "",
        "Empty: the catalogue decides. Older programs put raw_score here.",
        nullable=True,
    ),
    declare_flag(
        "shortlisted", "False: the catalogue decides. Older programs put raw_shortlisted here."
    ),
)
"""Columns of the stage that the catalogue decides on; they hold nothing."""

_INTERPOLATION = (
    declare_real(
        "rotational_violation",
        "eV/Å",
        "How far the usual division of force constants among periodic images is from the "
        "rotational sum rule, which was then imposed.",
        nullable=True,
    ),
    declare_real("huang_violation", "GPa", "The same for Huang's sum rule.", nullable=True),
    declare_text("sum_rules_skipped", "Why the sum rules were not imposed.", nullable=True),
)
SPECTRA: Final = ("helicity_dos", "helicity_dos_absolute", "helicity_harmonics", "tensor_windows")
"""Columns of spectra, which no release keeps: empty in a dataset that goes on from one."""

USED_CHARGES: Final = (
    declare_reals(
        "born_charges",
        "e",
        "Born charges of the analysis, given or predicted: atom of the primitive cell, field, "
        "displacement; empty without any.",
        nullable=True,
    ),
    declare_reals(
        "dielectric_tensor",
        "",
        "High-frequency dielectric tensor of the analysis, given or predicted, 9 by row.",
        nullable=True,
    ),
    declare_text("charge_model", "Digest of the model that predicted both.", nullable=True),
    declare_real(
        "charge_uncertainty",
        "e",
        "Error of a component of predicted charges that 68 of 100 crystals do not exceed.",
        nullable=True,
    ),
    declare_real(
        "dielectric_uncertainty",
        "",
        "Likewise of the predicted dielectric tensor, as a fraction of it.",
        nullable=True,
    ),
    declare_count(
        "charge_crystals",
        "Crystals from which the model learned the least known of the elements.",
        nullable=True,
    ),
)

_CHIRALITY = Table(
    "chirality",
    "Chirality of the phonons of one material, and the verdict.",
    (
        *_IDENTITY,
        *collect_columns(Verdict),
        *UNDECIDED_COLUMNS,
        *_INTERPOLATION,
        *USED_CHARGES,
        *(
            replace(c, nullable=c.nullable or c.name in SPECTRA)
            for c in collect_columns(ChiralityRecord)
        ),
    ),
)

_AGREEMENT = Table(
    "agreement",
    "What another potential says of one material; the key is that of its row in chirality.",
    (
        *_IDENTITY,
        declare_text(
            "other_potential", "Potential of the dataset it was compared with.", nullable=True
        ),
        declare_text("other_key", "Key of the row of chirality there.", nullable=True),
        declare_text("other_material_id", "Name of the crystal in that dataset.", nullable=True),
        declare_text(
            "other_found_by",
            "What the two have in common: structure, name, or formula and symmetry.",
            nullable=True,
        ),
        declare_flag(
            "other_mirrored",
            "Whether that dataset has the other hand, whose mirror image was compared.",
            nullable=True,
        ),
        declare_count("n_modes_compared", "Modes matched by the overlap of their eigenvectors."),
        declare_real(
            "frequency_difference", "THz", "Mean difference of the frequencies of matched modes."
        ),
        declare_real(
            "frequency_disagreement", "", "The same as a fraction of the highest frequency."
        ),
        declare_real(
            "momentum_difference",
            "ħ",
            "Mean size of the difference of l, over matched modes that no other is close to.",
        ),
        declare_real(
            "sign_agreement",
            "",
            "Share of such modes with |l| above 0.1 ħ whose l points to the same side.",
            nullable=True,
        ),
        declare_flag(
            "leading_sign_agrees",
            "Whether the helicity of the mode that has the largest has the same sign.",
            nullable=True,
        ),
        declare_flag("wave_agrees", "Whether both find the same helicity wave."),
        declare_flag("stability_agrees", "Whether both say stable, or both unstable."),
        declare_flag(
            "potentials_disagree", "Whether one of the last three contradicts; see docs/trust.md."
        ),
        declare_real(
            "mean_frequency", "THz", "Mean frequency of the modes compared.", nullable=True
        ),
        declare_real(
            "frequency_bar_68",
            "THz",
            "Error of the frequencies of the first potential (mean over the modes) that 68 of 100 "
            "crystals do not exceed, from the difference of both; see docs/trust.md.",
            nullable=True,
        ),
        declare_real("frequency_bar_90", "THz", "The same for 90 of 100 crystals.", nullable=True),
        declare_real(
            "tensor_disagreement",
            "",
            "Norm of the difference of the response tensors at 300 K in units of the larger one.",
            nullable=True,
        ),
        declare_real(
            "splitting_disagreement",
            "",
            "Largest difference of splitting_linear along an axis in units of the larger one.",
            nullable=True,
        ),
        declare_real(
            "helicity_disagreement",
            "",
            "Difference of mean_optical_helicity in units of the larger one.",
            nullable=True,
        ),
        declare_text(
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
        declare_text("stage", "Stage that failed."),
        declare_text("error_class", "Class of the error."),
        declare_text("message", "What was wrong."),
        declare_text("remedy", "What to do about it."),
        declare_flag("transient", "Whether trying again may help."),
        declare_text("source_record", "File or record the structure came from.", nullable=True),
    ),
)

_RUNS = Table(
    "runs",
    "One run of the program.",
    (
        declare_text("run_id", "Name of the run."),
        declare_text(
            "kind",
            'What it did: "screen" crystals or "analyze" force constants; empty in older datasets.',
            nullable=True,
        ),
        Column("started_at", TIME, "", "Start of the run (UTC)."),
        Column("finished_at", TIME, "", "End of the run (UTC).", nullable=True),
        declare_text("source", "Source of the structures."),
        declare_text("settings", "Resolved settings as JSON."),
        declare_text("versions", "Versions of the program and its libraries as JSON."),
        *_POTENTIAL,
        declare_text("potential_citation", "Work to cite for the potential.", nullable=True),
        declare_text("potential_licence", "Terms of its weights.", nullable=True),
        declare_texts(
            "potential_limits",
            "What to keep in mind about its results, one sentence each.",
            nullable=True,
        ),
        declare_text(
            "potential_symmetry",
            'Isometries that leave its energy unchanged: "O(3)" with mirrors, "SO(3)" without.',
            nullable=True,
        ),
        declare_flag(
            "potential_averaged",
            "Whether mirrors are among them by an average over the inversion.",
            nullable=True,
        ),
        declare_real(
            "potential_cost",
            "ms",
            "Expected time of energy and forces per atom, on one CPU thread in double precision.",
            nullable=True,
        ),
        declare_text(
            "potential_verdict",
            'What it may be used for by its examination: "fit", "fit with the average over the '
            'inversion", "second opinion only" or "unfit"; empty where it was never examined.',
            nullable=True,
        ),
        Column("potential_examined_at", TIME, "", "When it was examined (UTC).", nullable=True),
        declare_texts(
            "potential_complaints",
            "What its examination found that is not good, a sentence or two each.",
            nullable=True,
        ),
        declare_text(
            "kernel",
            "How the potential computed: `compiled`, `torch`, or both on unlike machines.",
            nullable=True,
        ),
        declare_text("host", "Machine that ran it."),
        declare_text("wall_times", "Wall time of each stage in seconds as JSON.", nullable=True),
        declare_text("potential_times", "Part spent inside the potential as JSON.", nullable=True),
        declare_text("counts", "Materials by outcome as JSON.", nullable=True),
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
    declare_real(
        "measured_volume_change",
        "",
        "Volume of the relaxed crystal against its measured one, as a fraction of that; known for "
        "the cells of the demo and those of the dataset that are measured.",
        nullable=True,
    ),
    declare_texts(
        "warnings", "What to be warned of, the gravest first; see docs/trust.md.", nullable=True
    ),
    declare_flag(
        "reliable",
        "Whether no warning puts class, stability or the sign of the helicity in doubt.",
        nullable=True,
    ),
    declare_real("trust", "", "Product of the factors of the warnings, 0 to 1.", nullable=True),
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
"""Experiment and formula of each score by purpose; `tasks.results.ranking` computes them."""

RANKING_COLUMNS: Final = (
    declare_real(
        "raw_score",
        "",
        "Weighted mean of the terms of the score; empty for unstable and insignificant materials.",
        nullable=True,
    ),
    declare_texts(
        "terms_left_out", "Terms of the score that are empty or too uncertain.", nullable=True
    ),
    declare_flag("raw_shortlisted", "Whether raw_score reaches the shortlist.", nullable=True),
    declare_real(
        "score",
        "",
        "What materials are ranked by, 0 to 1: raw_score times trust; empty for crystals that the "
        "relaxation brought into another class.",
        nullable=True,
    ),
    declare_flag(
        "shortlisted",
        "Whether the raw score reaches the shortlist, the material is reliable and has a score, "
        "and the crystal was observed or lies near the hull.",
        nullable=True,
    ),
    declare_text(
        "evidence",
        'What says that the crystal exists: "observed", or "hull" where it lies near enough; empty '
        "where nothing does.",
        nullable=True,
    ),
    declare_text(
        "shortlist_reason", "Why the material is on the shortlist, or is not.", nullable=True
    ),
    *(
        declare_real(name, "", f"Score for {title}, 0 to 1, times trust: {formula}.", nullable=True)
        for name, (title, formula) in EXPERIMENTS.items()
    ),
    declare_text(
        "same_crystal_as",
        "Material that became the same crystal by its relaxation and stands for both in rankings.",
        nullable=True,
    ),
)
"""Columns of the catalogue of materials that rank them; see docs/trust.md."""

HULL_COLUMNS: Final = (
    declare_text(
        "hull_source",
        'Where energy_above_hull is from: "record" of the structure, or the potential whose '
        "energies the hull and the relaxed crystal have.",
        nullable=True,
    ),
    declare_texts(
        "competing_phases",
        "What the hull consists of at this composition, each with its share of the atoms; of an "
        "energy by the potential.",
        nullable=True,
    ),
    declare_text("hull_reason", "Why energy_above_hull is empty.", nullable=True),
)
"""Columns of the catalogue of materials that tell how stable the crystal is; see docs/hull.md."""

LABORATORY_COLUMNS: Final = (
    declare_real("density", "g/cm^3", "Density of the relaxed crystal.", nullable=True),
    declare_text(
        "toxic_elements",
        "Elements that count as toxic (Be, As, Cd, Hg, Tl, Pb), with commas; empty where it holds "
        "none.",
        nullable=True,
    ),
    declare_text(
        "radioactive_elements",
        "Elements without a stable isotope (Tc, Pm, all from Po), with commas; empty where it "
        "holds none.",
        nullable=True,
    ),
)
"""Columns of the catalogue of materials that a laboratory asks for; see docs/hull.md."""

JUDGED_COLUMNS: Final = (*TRUST_COLUMNS, *RANKING_COLUMNS, *HULL_COLUMNS, *LABORATORY_COLUMNS)
"""Columns of the catalogue of materials that follow from its others."""


COMPLETED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "energy_above_hull": "Energy above the hull of known phases: that of its database, else by "
        "the potential; negative below the hull."
    }
)
"""Columns that the catalogue completes where the table they are taken from is empty."""


def _collect_catalog_columns() -> Iterable[Column]:
    yield declare_text("material_id", "Name of the material in its source; unique here.")
    yield declare_text("outcome", 'Where it stands: "screened", "skipped", "failed" or "pending".')
    yield declare_text("reason", "Why it was skipped or failed.", nullable=True)
    for name, (table, column) in CATALOG_ORIGINS.items():
        found = replace(TABLES[table].column(column), name=name, nullable=True)
        yield replace(found, description=COMPLETED.get(name, found.description))
    yield from JUDGED_COLUMNS


CATALOG_TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        **TABLES,
        "chirality": Table(
            "chirality",
            "One planned material: what it is, how far it came, and the verdict.",
            tuple(_collect_catalog_columns()),
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
