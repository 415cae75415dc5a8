"""Labels of spglib's own test structures are recovered, crystal by crystal.

Needs the structures as a table: the environment variable ``CHIRALSCREEN_REFERENCE`` names a folder
that holds ``structures/spglib_test_structures.parquet`` (see docs/sources.md).
"""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase import Atoms

from tasks.crystals.curation import find_space_groups

_FILE = "structures/spglib_test_structures.parquet"
_REFERENCE = os.environ.get("CHIRALSCREEN_REFERENCE")
# Label, and space group found at 1e-5, 0.01 and 0.1 Å.
DISTORTED = {
    "distorted/POSCAR-11": (11, 4, 4, 11),
    "distorted/POSCAR-161-1": (161, 1, 161, 161),
    "distorted/POSCAR-161-2": (161, 1, 161, 161),
    "distorted/POSCAR-36": (36, 1, 9, 36),
    "distorted/POSCAR-5": (5, 1, 1, 5),
    "distorted/POSCAR-6": (6, 1, 1, 6),
    "distorted/POSCAR-7-1": (7, 1, 7, 7),
    "distorted/POSCAR-7-2": (7, 1, 7, 7),
    "distorted/POSCAR-8": (8, 1, 8, 8),
}

pytestmark = pytest.mark.skipif(not _REFERENCE, reason="CHIRALSCREEN_REFERENCE is not set")


@pytest.fixture(scope="module")
def structures():
    """Label and crystal by file."""
    columns = ["file", "spacegroup_number", "lattice", "atomic_numbers", "frac_coords"]
    table = pq.read_table(Path(_REFERENCE or "") / _FILE, columns=columns)
    return {
        row["file"]: (
            row["spacegroup_number"],
            Atoms(
                numbers=row["atomic_numbers"],
                cell=np.reshape(row["lattice"], (3, 3)),
                scaled_positions=np.reshape(row["frac_coords"], (-1, 3)),
                pbc=True,
            ),
        )
        for row in table.to_pylist()
    }


def test_exactly_the_distorted_structures_miss_their_labels(structures):
    """Of 469 structures 460 have their label to 1e-5 Å, and the nine others are distorted."""
    missed = {
        name
        for name, (label, atoms) in structures.items()
        if find_space_groups(atoms, (1e-5,)) != [label]
    }
    assert len(structures) == 469
    assert missed == set(DISTORTED) == {n for n in structures if n.startswith("distorted/")}


@pytest.mark.parametrize("name", DISTORTED)
def test_each_distorted_structure_has_its_label_to_a_loose_tolerance(structures, name):
    label, atoms = structures[name]
    assert (label, *find_space_groups(atoms, (1e-5, 0.01, 0.1))) == DISTORTED[name]
    assert DISTORTED[name][-1] == label
