"""Crystals of Wyckoff sequences: a cell, and points for the free coordinates.

The volume is the sum of those of the atoms, times a random factor; the shape is that of a known
cell of the space group. Every free site takes the best of some random points: one that keeps all
atoms apart, or else keeps them the farthest apart. What is made has exactly the space group that
was asked for, or is refused.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.generation.model import CellStatistics
from tasks.generation.sequences import WyckoffSequence
from tasks.symmetry import (
    classify_space_group,
    find_space_group_number,
    read_database_operations,
)
from tasks.symmetry.operations import SymmetryOperations, make_generic_lattice
from tasks.symmetry.wyckoff import Site, WyckoffCrystal
from tasks.tolerances import AS_GIVEN

FloatArray = NDArray[np.float64]

_NEIGHBOURS: Final = np.array(list(product((-1, 0, 1), repeat=3)))
_SAME_POINT: Final = 1e-6  # of fractional coordinates
TOO_CLOSE: Final = "atoms too close"
OTHER_GROUP: Final = "another space group"


class PlacementSettings(BaseModel):
    """How crystals are made of sequences."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_distance: float = Field(
        0.65, gt=0, description="shortest distance, in units of the sum of two covalent radii"
    )
    good_distance: float = Field(0.85, gt=0, description="distance with which a point is taken")
    points: int = Field(60, ge=1, description="random points from which a site chooses")
    volume_spread: float = Field(0.08, ge=0, description="spread of the logarithm of the volume")


@dataclass(frozen=True, eq=False)
class Placement:
    """An attempt to make a crystal.

    Attributes
    ----------
    atoms : ase.Atoms or None
        Primitive cell of the standard setting; None where it failed.
    reason : str
        Why it failed.
    """

    atoms: Atoms | None = None
    reason: str = ""


def place(
    sequence: WyckoffSequence,
    cells: CellStatistics,
    settings: PlacementSettings,
    generator: np.random.Generator,
) -> Placement:
    """Make a crystal of a sequence.

    Parameters
    ----------
    sequence : WyckoffSequence
        Space group and occupied positions.
    cells : CellStatistics
        Known volumes and shapes.
    settings : PlacementSettings
        Limits.
    generator : numpy.random.Generator
        Of all that is drawn.

    Returns
    -------
    Placement
        Of exactly the space group of the sequence, and with all atoms apart.
    """
    cell = draw_cell(sequence, cells, settings.volume_spread, generator)
    sites = _draw_sites(sequence, cell, settings, generator)
    try:
        atoms = WyckoffCrystal(sequence.number, sites, cell).make_atoms()
    except ValueError:  # a point with more symmetry than its position: others are on top of it
        return Placement(None, TOO_CLOSE)
    if len(neighbour_list("d", atoms, settings.min_distance * covalent_radii[atoms.numbers])):
        return Placement(None, TOO_CLOSE)
    if find_space_group_number(atoms, AS_GIVEN) != sequence.number:
        return Placement(None, OTHER_GROUP)
    return Placement(atoms)


def draw_cell(
    sequence: WyckoffSequence,
    cells: CellStatistics,
    volume_spread: float,
    generator: np.random.Generator,
) -> FloatArray:
    """Draw a cell.

    Parameters
    ----------
    sequence : WyckoffSequence
        Of which crystal.
    cells : CellStatistics
        Known volumes and shapes.
    volume_spread : float
        Spread of the logarithm of the volume.
    generator : numpy.random.Generator
        Of the draws.

    Returns
    -------
    ndarray, shape (3, 3)
        Vectors of the primitive cell as rows (Å), which the operations keep exactly.
    """
    rotations = read_database_operations(sequence.number).rotations
    known = cells.metrics[_find_alike(sequence.number, cells)]
    if len(known):
        given = known[generator.integers(len(known))]
        metric = np.mean(rotations.transpose(0, 2, 1) @ given @ rotations, axis=0)
        shape = np.linalg.cholesky(metric)
    else:
        shape = make_generic_lattice(rotations)
    volume = sum(n * cells.volumes[z] for z, n in sequence.composition.items())
    volume *= np.exp(volume_spread * generator.standard_normal())
    found: FloatArray = shape * np.cbrt(volume / np.linalg.det(shape))
    return found


def _find_alike(number: int, cells: CellStatistics) -> NDArray[np.bool_]:
    """Known cells of a space group; where there is none, of its lattice type."""
    alike = {number}
    if number not in cells.groups:
        wanted = _name_lattice(number)
        alike = {other for other in np.unique(cells.groups) if _name_lattice(other) == wanted}
    return np.isin(cells.groups, sorted(alike))


def _name_lattice(number: int) -> tuple[str, str]:
    """Crystal system and centring."""
    group = classify_space_group(int(number))
    return group.crystal_system, group.symbol[0]


def _draw_sites(
    sequence: WyckoffSequence,
    cell: FloatArray,
    settings: PlacementSettings,
    generator: np.random.Generator,
) -> tuple[Site, ...]:
    """Points of all sites: those without a choice first, the rest in random order."""
    operations = read_database_operations(sequence.number)
    pairs = list(zip(sequence.occupations, sequence.positions, strict=True))
    order = sorted(range(len(pairs)), key=lambda i: (not pairs[i][1].is_fixed, generator.random()))
    points, radii, sites = np.zeros((0, 3)), np.zeros(0), []
    for occupation, position in (pairs[i] for i in order):
        radius = float(covalent_radii[occupation.atomic_number])
        count = 1 if position.is_fixed else settings.points
        trials = position.space.project(generator.random((count, 3)))
        distances = _find_least_distances(operations, trials, points, radii, radius, cell)
        point = trials[_choose(distances, settings.good_distance)]
        images = operations.rotations @ point + operations.translations
        points = np.concatenate([points, images])
        radii = np.append(radii, np.full(len(images), radius))
        sites.append(Site(occupation.atomic_number, position, point))
    return tuple(sites)


def _choose(distances: FloatArray, good: float) -> int:
    """First point that is good, else the best."""
    return int(np.minimum(distances, good).argmax())


def _find_least_distances(
    operations: SymmetryOperations,
    trials: FloatArray,
    points: FloatArray,
    radii: FloatArray,
    radius: float,
    cell: FloatArray,
) -> FloatArray:
    """Least distance of each trial from what is there and from its own images, in sums of radii."""
    images = np.einsum("gab,tb->tga", operations.rotations, trials) + operations.translations
    others = np.concatenate([images, np.broadcast_to(points, (len(trials), *points.shape))], axis=1)
    sums = radius + np.append(np.full(images.shape[1], radius), radii)
    apart = others - trials[:, None]
    apart -= np.rint(apart)
    vectors = (apart[:, :, None] + _NEIGHBOURS) @ cell
    lengths = np.linalg.norm(vectors, axis=-1)
    # Operations of the site symmetry carry a trial to itself.
    own = np.abs(apart).max(axis=-1) < _SAME_POINT
    own[:, images.shape[1] :] = False
    lengths[own, len(_NEIGHBOURS) // 2] = np.inf
    least: FloatArray = (lengths.min(axis=2) / sums).min(axis=1)
    return least
