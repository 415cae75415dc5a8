"""Cells as a database has them, whose symmetry depends on the tolerance.

Structures of the Materials Project (CC BY 4.0), coordinates rounded to 1e-6.
"""

from typing import NamedTuple

from ase import Atoms


class Trap(NamedTuple):
    """A crystal, its space group at 0.01 Å and at 0.1 Å, and the cell it has in truth."""

    name: str
    atoms: Atoms
    tight: int
    loose: int
    classes_differ: bool
    n_primitive: int


CINNABAR = Atoms(
    "Hg3S3",
    cell=[
        [3.92332039, 0.0, 0.00327348],
        [-1.96305834, 3.39679285, -0.00333433],
        [0.0, 0.0, 9.69015360],
    ],
    scaled_positions=[
        [0.63985669, 0.63987714, 0.00001064],
        [0.36034389, 0.99997531, 0.33343401],
        [0.00000111, 0.36035575, 0.66655118],
        [0.74057564, 0.74066011, 0.50001412],
        [0.25911660, 0.99989512, 0.83335677],
        [0.00010707, 0.25923656, 0.16663328],
    ],
    pbc=True,
)
_HALF_NIOBATE = Atoms(
    "Li4Nb4O12",
    cell=[
        [5.153943, 0.000000, 0.000000],
        [2.576590, 4.894391, 0.000000],
        [0.002818, 2.714955, 8.504565],
    ],
    scaled_positions=[
        [0.441315, 0.118895, 0.146975],
        [0.941491, 0.119337, 0.646778],
        [0.191021, 0.616836, 0.397807],
        [0.689432, 0.618240, 0.897154],
        [0.017421, 0.965302, 0.005821],
        [0.517741, 0.965133, 0.505770],
        [0.767457, 0.465319, 0.255673],
        [0.267235, 0.465493, 0.755748],
        [0.743943, 0.775936, 0.364638],
        [0.787004, 0.776111, 0.057653],
        [0.304920, 0.775969, 0.189500],
        [0.186763, 0.275998, 0.307667],
        [0.668920, 0.276083, 0.439438],
        [0.243398, 0.776392, 0.864497],
        [0.730074, 0.276180, 0.114603],
        [0.287055, 0.776325, 0.557738],
        [0.804814, 0.775958, 0.689549],
        [0.686580, 0.276356, 0.807742],
        [0.168930, 0.275988, 0.939443],
        [0.230290, 0.276548, 0.614407],
    ],
    pbc=True,
)
SILVER_THIOGALLATE = Atoms(
    "Ga2Ag2S4",
    cell=[
        [5.178034, 0.000000, 2.503058],
        [-1.211012, 5.034430, 2.503058],
        [0.000000, 0.000000, 6.594583],
    ],
    scaled_positions=[
        [0.618734, 0.369277, 0.993733],
        [0.369277, 0.618734, 0.493733],
        [0.118166, 0.872251, 0.993961],
        [0.872251, 0.118166, 0.493961],
        [0.496080, 0.282937, 0.742162],
        [0.703980, 0.994575, 0.245145],
        [0.282937, 0.496080, 0.242162],
        [0.994575, 0.703980, 0.745145],
    ],
    pbc=True,
)
COPPER_CHLORIDE = Atoms(
    "CuCl",
    cell=[
        [3.286401, 0.000000, 1.835411],
        [-2.209200, 3.104845, 0.000000],
        [0.000000, 0.000000, 3.764195],
    ],
    scaled_positions=[
        [0.022613, 0.011307, 0.011307],
        [0.511387, 0.755693, 0.755693],
    ],
    pbc=True,
)
# The database has a cell of 40 atoms, which repeats one of 20.
LITHIUM_NIOBATE = _HALF_NIOBATE * (1, 1, 2)
TRAPS = (
    Trap("mp-634", CINNABAR, 5, 152, classes_differ=False, n_primitive=6),
    Trap("mp-3731", LITHIUM_NIOBATE, 1, 161, classes_differ=True, n_primitive=10),
    Trap("mp-5342", SILVER_THIOGALLATE, 9, 122, classes_differ=False, n_primitive=8),
    Trap("mp-22914", COPPER_CHLORIDE, 160, 216, classes_differ=False, n_primitive=2),
)
