"""Any ASE calculator as a potential, CHGNet among them."""

import hashlib
import importlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from potentials.checkpoint import compute_file_digest
from potentials.interface import UNIVERSAL_LIMITS, Equivariance, Evaluation, PotentialCard

Option = str | int | float | bool
ALL_ELEMENTS = frozenset(range(1, len(chemical_symbols)))


@dataclass(frozen=True)
class AseCalculator:
    """A potential that asks an ASE calculator, one structure at a time.

    Attributes
    ----------
    card : PotentialCard
        Identity.
    calculator : ase.calculators.calculator.Calculator
        Gives energy, forces and stress.
    """

    card: PotentialCard
    calculator: Any

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate the structures one after the other.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            Periodic structures.

        Returns
        -------
        Evaluation
            In the order of `structures`.
        """
        start = time.perf_counter()
        results = [self._evaluate_one(atoms) for atoms in structures]
        return Evaluation(
            energies=np.array([energy for energy, _, _ in results], dtype=np.float64),
            forces=tuple(np.asarray(forces, dtype=np.float64) for _, forces, _ in results),
            stresses=np.array([stress for _, _, stress in results], dtype=np.float64),
            wall_time=time.perf_counter() - start,
        )

    def _evaluate_one(self, structure: Atoms) -> tuple[float, Any, Any]:
        """Energy, forces and stress matrix of one structure."""
        atoms = structure.copy()
        atoms.calc = self.calculator
        try:
            forces = atoms.get_forces()
            return atoms.get_potential_energy(), forces, atoms.get_stress(voigt=False)
        except Exception:
            # Some calculators take what they failed at for done when asked again.
            self.calculator.reset()
            raise


def load_ase_calculator(path: str, options: Mapping[str, Option]) -> AseCalculator:
    """Build a calculator from its import path.

    Nothing is known of its parity, so that it counts as SO(3)-invariant only; elements are not
    restricted here, and one that the calculator refuses is reported by the calculator itself.

    Parameters
    ----------
    path : str
        ``package.module:callable``, for example ``mace.calculators:mace_mp``.
    options : mapping of str to str, int, float or bool
        Keyword arguments of the callable.

    Returns
    -------
    AseCalculator
        Ready to evaluate.

    Raises
    ------
    ValueError
        When the path cannot be imported.
    """
    card = PotentialCard(
        name=f"ase:{path}",
        digest=_compute_digest(path, options),
        equivariance=Equivariance.SO3,
        elements=ALL_ELEMENTS,
        licence="see the calculator's package",
        citation=f"the calculator {path}; its package says what to cite",
        limits=("Nothing is known here of this calculator: judge it by known phonons first.",),
        milliseconds_per_atom=30.0,
    )
    return AseCalculator(card, _import_callable(path)(**options))


def load_chgnet(device: str) -> AseCalculator:
    """Load CHGNet with the weights of its wheel (float32 only).

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    AseCalculator
        Ready to evaluate.

    Raises
    ------
    ValueError
        When the ``chgnet`` package is not installed.
    """
    calculator = _import_callable("chgnet.model.dynamics:CHGNetCalculator")(use_device=device)
    card = PotentialCard(
        name="chgnet",
        digest=_compute_digest("chgnet.model.dynamics:CHGNetCalculator", {}),
        equivariance=Equivariance.O3,
        elements=frozenset(range(1, 95)) - {84, 85, 86, 87, 88},
        licence="BSD-3-Clause (code and weights, CHGNet)",
        citation="Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3",
        limits=(
            *UNIVERSAL_LIMITS,
            "Its energy surface is rough on the scale of the displacements: a smoke test.",
        ),
        milliseconds_per_atom=6.0,
    )
    return AseCalculator(card, calculator)


def _import_callable(path: str) -> Callable[..., Any]:
    """Import ``package.module:callable``."""
    module, _, name = path.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        message = (
            f"cannot import the calculator {path!r}: {error}. "
            "Give it as package.module:callable and install its package."
        )
        raise ValueError(message) from error
    return found


def _compute_digest(path: str, options: Mapping[str, Option]) -> str:
    """SHA-256 over import path, package version, options and the files they name."""
    package = path.partition(":")[0].partition(".")[0]
    distributions = importlib.metadata.packages_distributions().get(package, [])
    versions = sorted(f"{name} {importlib.metadata.version(name)}" for name in distributions)
    files = {
        name: compute_file_digest(Path(value))
        for name, value in options.items()
        if isinstance(value, str) and Path(value).is_file()
    }
    identity = json.dumps([path, versions, dict(options), files], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()
