"""Whether the compiled code is used: only where its numbers are those of torch."""

import logging
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from ase import Atoms

from potentials.compiler import KernelUnavailableError
from potentials.interface import Evaluation, Potential

P = TypeVar("P", bound=Potential)

# Largest difference of a force relative to the largest force: above the rounding and the error of
# the splines, and far below any fault.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-6}

_logger = logging.getLogger(__name__)


def prefer_compiled(compiled: Callable[[], P], plain: Callable[[], P], exact: P, dtype: str) -> P:
    """Choose the compiled potential where it can be built and gives the right numbers.

    Parameters
    ----------
    compiled, plain : callable
        Build the potential with and without the compiled kernel.
    exact : Potential
        The potential without it, in float64.
    dtype : str
        Precision of the compiled potential.

    Returns
    -------
    Potential
        The compiled one; else the plain one, after a warning that says why and what to do.
    """
    try:
        chosen = compiled()
        _require_equal(chosen, exact, _TOLERANCE[dtype])
    except KernelUnavailableError as error:
        _logger.warning("%s runs several times slower than it could: %s", exact.card.name, error)
        return plain()
    return chosen


def _require_equal(found: Potential, exact: Potential, tolerance: float) -> None:
    """Compare a small crystal without symmetry."""
    crystal = _make_test_crystal(exact)
    mine, theirs = (_flatten(potential.evaluate([crystal])) for potential in (found, exact))
    scale = np.abs(theirs).max()
    if not np.abs(mine - theirs).max() <= tolerance * scale:
        raise KernelUnavailableError(
            "the compiled kernel gives other numbers than torch; another compiler may help"
        )


def _flatten(evaluation: Evaluation) -> np.ndarray:
    """Forces and stress as one array."""
    return np.concatenate([evaluation.forces[0].ravel(), evaluation.stresses.ravel()])


def _make_test_crystal(potential: Potential) -> Atoms:
    """Six atoms of six elements in a sheared cell."""
    elements = sorted(potential.card.elements)
    numbers = [elements[i * (len(elements) - 1) // 5] for i in range(6)]
    cell = np.array([[4.1, 0.3, 0.0], [0.2, 4.4, 0.5], [0.0, 0.1, 5.3]])
    at = np.array([(0, 0, 0), (2, 2, 1), (0, 2, 3), (2, 0, 4), (1, 1, 2), (3, 3, 5)]) / (4, 4, 6)
    shift = 0.2 * np.sin(np.arange(18).reshape(6, 3))
    return Atoms(numbers, cell=cell, positions=at @ cell + shift, pbc=True)
