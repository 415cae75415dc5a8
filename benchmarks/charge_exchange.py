"""Which part of predicted Born charges changes the velocity-angular-momentum tensor.

    python -m benchmarks.charge_exchange --reference DIR
    python -m benchmarks.charge_exchange --reference DIR --only ZnO --dielectric 5.2 5.2 5.3

DIR holds phonopy files (``*.yaml.xz``) of force constants with Born charges. The tensor at 300 K
with the charges of the file is compared with those where one thing is exchanged: charges and
dielectric tensor by predicted ones, together and one at a time; the dielectric tensor by its mean;
no charges; another division of the force constants among periodic images. Changes are norms of
differences, relative to the tensor with the charges of the file. Crystals in which the tensor is
forbidden are left out.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from phonopy import Phonopy

from potentials import load_charge_model
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.tensor import (
    TensorResult,
    compute_velocity_angular_momentum_tensor,
    make_thermal_sample,
)
from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.crystals.cells import make_atoms
from tasks.phonons.phonopy_files import read_phonopy
from tasks.phonons.sum_rules import OTHER_WEIGHTS, WEIGHTS, impose_sum_rules
from tasks.tolerances import DEGENERACY

Charges = Mapping[str, Any] | None
FORBIDDEN = 1e-6  # of the sum of the sizes of all contributions


def compute_tensor(
    phonon: Phonopy, charges: Charges, spacing: float, weights: float = WEIGHTS
) -> TensorResult:
    """Tensor at room temperature with some charges; force constants divided by r^-weights."""
    phonon.nac_params = charges
    rules = impose_sum_rules(phonon)
    assert rules.distribute
    crystal = rules.distribute(weights)
    mesh = make_irreducible_mesh(crystal, spacing)
    modes = compute_modes(crystal, mesh.q_points)
    sets = find_degenerate_sets(modes.frequencies, DEGENERACY)
    sample = make_thermal_sample(crystal, modes, sets, mesh.weights, irreducible=True)
    return compute_velocity_angular_momentum_tensor(sample, [ROOM_TEMPERATURE])


def exchanged(
    path: Path, spacing: float, dielectric: NDArray[np.float64] | None
) -> dict[str, Any] | None:
    """Changes of the tensor of one crystal; None without charges or where it is forbidden."""
    phonon = read_phonopy(path).phonon
    if phonon.nac_params is None:
        return None
    told = dict(phonon.nac_params) | ({} if dielectric is None else {"dielectric": dielectric})
    found = load_charge_model().predict(make_atoms(phonon.primitive))
    mean = np.eye(3) * np.trace(told["dielectric"]) / 3
    others: dict[str, Charges] = {
        "predicted": told | {"born": found.born, "dielectric": found.dielectric},
        "Z* predicted": told | {"born": found.born},
        "ε predicted": told | {"dielectric": found.dielectric},
        "ε its mean": told | {"dielectric": mean},
        "none": None,
    }
    first = compute_tensor(phonon, told, spacing)
    size = np.linalg.norm(first.response)
    if size < FORBIDDEN * first.scale[0]:
        return None
    tensors = {name: compute_tensor(phonon, each, spacing) for name, each in others.items()}
    tensors["other division"] = compute_tensor(phonon, told, spacing, OTHER_WEIGHTS)
    return {
        "crystal": path.name.removesuffix(".yaml.xz"),
        "bar (e)": f"{found.uncertainty:.3f}",
        "left of the sum": f"{size / first.scale[0]:.1%}",
        **{
            name: f"{np.linalg.norm(each.response - first.response) / size:.1%}"
            for name, each in tensors.items()
        },
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of phonopy files")
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    parser.add_argument(
        "--mesh-spacing", type=float, default=0.01, help="of the q-mesh (1/Å, without 2π)"
    )
    parser.add_argument(
        "--dielectric", type=float, nargs=3, help="diagonal that replaces the file's tensor"
    )
    options = parser.parse_args()
    dielectric = None if options.dielectric is None else np.diag(options.dielectric)
    paths = sorted(options.reference.glob(f"*{options.only}*.yaml.xz"))
    found = (exchanged(path, options.mesh_spacing, dielectric) for path in paths)
    table = pd.DataFrame([row for row in found if row])
    sys.stdout.write(f"{table.to_markdown(index=False)}\n")


if __name__ == "__main__":
    main()
