"""Symmetry of phonon chirality: space-group classes, selection rules, hand, record of a crystal.

What comes in: atoms, or the number of a space group. What goes out: operations, class, helicity
wave, form of the response tensor, selection rules, hand, Wyckoff positions. From outside import the
names below, and from `wyckoff`; modules of physics may import `operations`, `point_groups` and
`site_permutations`. It knows no other room.
"""

from tasks.symmetry.classification import SpaceGroupClass, classify_space_group
from tasks.symmetry.handedness import Handedness, find_handedness
from tasks.symmetry.mechanical import IsotypicComponent, find_isotypic_components
from tasks.symmetry.operations import (
    MASS_DECIMALS,
    CrystalSymmetry,
    SymmetryOperations,
    find_crystal_symmetry,
    find_dataset,
    find_space_group_number,
    idealize_primitive,
    label_species,
    read_database_operations,
)
from tasks.symmetry.point_groups import (
    count_helicity_harmonics,
    find_tensor_basis,
    make_tensor_projector,
)
from tasks.symmetry.record import SymmetryRecord, analyze_symmetry
from tasks.symmetry.selection import (
    SelectionRule,
    find_allowed_angular_momentum,
    find_realised_angular_momentum,
    is_helicity_allowed,
    is_realised,
    list_crystal_selection_rules,
    list_selection_rules,
)
from tasks.symmetry.wave_vectors import WaveVectorSet, find_special_wave_vectors

__all__ = [
    "MASS_DECIMALS",
    "CrystalSymmetry",
    "Handedness",
    "IsotypicComponent",
    "SelectionRule",
    "SpaceGroupClass",
    "SymmetryOperations",
    "SymmetryRecord",
    "WaveVectorSet",
    "analyze_symmetry",
    "classify_space_group",
    "count_helicity_harmonics",
    "find_allowed_angular_momentum",
    "find_crystal_symmetry",
    "find_dataset",
    "find_handedness",
    "find_isotypic_components",
    "find_realised_angular_momentum",
    "find_space_group_number",
    "find_special_wave_vectors",
    "find_tensor_basis",
    "idealize_primitive",
    "is_helicity_allowed",
    "is_realised",
    "label_species",
    "list_crystal_selection_rules",
    "list_selection_rules",
    "make_tensor_projector",
    "read_database_operations",
]
