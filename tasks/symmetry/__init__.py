"""Symmetry of phonon chirality: space-group classes, selection rules, hand, record of a crystal.

What comes in: atoms, or the number of a space group. What goes out: operations, class, helicity
wave, form of the response tensor, selection rules, hand. From outside import the names below;
modules of physics may import `operations`, `point_groups` and `site_permutations`. It knows no
other room.
"""

from tasks.symmetry.classification import SpaceGroupClass, classify_space_group
from tasks.symmetry.hand import Handedness, handedness
from tasks.symmetry.mechanical import IsotypicComponent, isotypic_components
from tasks.symmetry.operations import (
    MASS_DECIMALS,
    CrystalSymmetry,
    SymmetryOperations,
    crystal_symmetry,
    database_operations,
    find_dataset,
    idealised_primitive,
    species_labels,
)
from tasks.symmetry.point_groups import helicity_multiplicity, tensor_basis, tensor_projector
from tasks.symmetry.record import SymmetryRecord, analyze_symmetry
from tasks.symmetry.selection import (
    SelectionRule,
    allowed_angular_momentum,
    crystal_selection_rules,
    is_helicity_allowed,
    is_realised,
    realised_angular_momentum,
    selection_rules,
)
from tasks.symmetry.wave_vectors import WaveVectorSet, special_wave_vectors

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
    "allowed_angular_momentum",
    "analyze_symmetry",
    "classify_space_group",
    "crystal_selection_rules",
    "crystal_symmetry",
    "database_operations",
    "find_dataset",
    "handedness",
    "helicity_multiplicity",
    "idealised_primitive",
    "is_helicity_allowed",
    "is_realised",
    "isotypic_components",
    "realised_angular_momentum",
    "selection_rules",
    "special_wave_vectors",
    "species_labels",
    "tensor_basis",
    "tensor_projector",
]
