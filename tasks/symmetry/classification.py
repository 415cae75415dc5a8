"""Chirality class, helicity wave and tensor form of the 230 space groups, from their operations."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import spglib

from tasks.symmetry.operations import (
    FloatArray,
    IntArray,
    find_standard_hall_number,
    make_generic_lattice,
    read_database_operations,
)
from tasks.symmetry.point_groups import (
    ChiralityClass,
    CrystalSystem,
    HelicityWave,
    count_helicity_harmonics,
    find_chirality_class,
    find_crystal_system,
    find_tensor_basis,
    is_polar,
)

HELICITY_ORDERS = (0, 2, 4, 6)
_WAVES: tuple[HelicityWave, ...] = ("s", "d", "g", "i")
_TENSOR_LABELS = tuple(i + j for i in "xyz" for j in "xyz")


@dataclass(frozen=True)
class SpaceGroupClass:
    """What a space group says about phonon chirality before any force is known.

    Attributes
    ----------
    number : int
        Space-group number, 1-230.
    symbol : str
        Short international symbol.
    point_group : str
        International symbol of the point group.
    crystal_system : str
        One of the seven crystal systems.
    chirality_class : {"I", "II", "III"}
        I: centrosymmetric, no angular momentum anywhere; II: one of the 65 Sohncke types, whose
        crystals are chiral; III: achiral without inversion centre.
    helicity_wave : {"none", "s", "d", "g", "i"}
        Lowest harmonic order L = 0, 2, 4, 6 of the helicity h(q) the group allows.
    helicity_multiplicities : tuple of int
        Number of allowed harmonics of order L = 0, 2, 4, 6.
    polar : bool
        Whether the point group leaves a polar vector unchanged.
    enantiomorphic_partner : int or None
        Number of the mirrored space-group type where that is another type (22 groups).
    n_tensor_components : int
        Number of independent components of the velocity-angular-momentum tensor.
    tensor_components : tuple of str
        Its form in the standard setting (a along x, b in the xy plane), one label for each
        independent component, e.g. ``("xx = yy", "xy = -yx", "zz")``; the first index belongs to
        the angular momentum, the second to the velocity (or the temperature gradient).
    tensor_basis : ndarray, shape (n_tensor_components, 3, 3)
        Orthonormal basis of the allowed tensors in the same order and frame; read-only.
    """

    number: int
    symbol: str
    point_group: str
    crystal_system: CrystalSystem
    chirality_class: ChiralityClass
    helicity_wave: HelicityWave
    helicity_multiplicities: tuple[int, ...]
    polar: bool
    enantiomorphic_partner: int | None
    n_tensor_components: int
    tensor_components: tuple[str, ...]
    tensor_basis: FloatArray = field(compare=False, repr=False)

    @property
    def allows_angular_momentum(self) -> bool:
        """Whether phonons may carry angular momentum at a general wave vector."""
        return self.chirality_class != "I"


@cache
def classify_space_group(number: int) -> SpaceGroupClass:
    """Classify a space group by the phonon chirality it allows.

    Everything is derived from the operations of the group. The angular momentum transforms as
    l(Rq) = det(R) R l(q) and is odd under time reversal, so the helicity h = l . q/|q| is a
    pseudoscalar function, even in q; see ``count_helicity_harmonics`` and
    ``make_tensor_projector``.

    Parameters
    ----------
    number : int
        Space-group number, 1-230.

    Returns
    -------
    SpaceGroupClass
        Cached; equal numbers give the same object.

    Raises
    ------
    ValueError
        When the number is outside 1-230.
    """
    description = spglib.get_spacegroup_type(find_standard_hall_number(number))
    rotations = read_database_operations(number).cartesian_rotations
    multiplicities = tuple(count_helicity_harmonics(rotations, order) for order in HELICITY_ORDERS)
    basis = find_tensor_basis(rotations)
    basis.setflags(write=False)
    return SpaceGroupClass(
        number=number,
        symbol=description.international_short,
        point_group=description.pointgroup_international,
        crystal_system=find_crystal_system(rotations),
        chirality_class=find_chirality_class(rotations),
        helicity_wave=_name_helicity_wave(multiplicities),
        helicity_multiplicities=multiplicities,
        polar=is_polar(rotations),
        enantiomorphic_partner=_find_enantiomorphic_partner(number),
        n_tensor_components=len(basis),
        tensor_components=tuple(_format_component(tensor) for tensor in basis),
        tensor_basis=basis,
    )


def _name_helicity_wave(multiplicities: tuple[int, ...]) -> HelicityWave:
    """Name of the lowest allowed harmonic."""
    allowed = [wave for wave, n in zip(_WAVES, multiplicities, strict=True) if n]
    return allowed[0] if allowed else "none"


def _find_enantiomorphic_partner(number: int) -> int | None:
    """Type of the inverted operations {R|-t} where it is another one."""
    table = spglib.get_symmetry_from_database(find_standard_hall_number(number))
    rotations: IntArray = table["rotations"]
    inverted = spglib.get_spacegroup_type_from_symmetry(
        rotations, -table["translations"], make_generic_lattice(rotations)
    )
    return None if inverted.number == number else int(inverted.number)


def _format_component(tensor: FloatArray) -> str:
    """Readable form of one basis tensor, e.g. ``xy = -yx``."""
    flat = tensor.reshape(9)
    indices = np.flatnonzero(flat)
    ratios = np.rint(flat[indices] / flat[indices[0]]).astype(int)
    signs = {1: "", -1: "-"}
    return " = ".join(
        signs[ratio] + _TENSOR_LABELS[i] for i, ratio in zip(indices, ratios, strict=True)
    )
