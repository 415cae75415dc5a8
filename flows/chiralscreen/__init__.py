"""The names most used in notebooks, each loaded when it is first asked for.

>>> import chiralscreen
>>> te = chiralscreen.load("results/first")["te"]
"""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flows.screening import screen
    from potentials import load_potential
    from tasks.chirality import analyze_force_constants, angular_momentum
    from tasks.notebook import Results, ScreenedCrystal, load
    from tasks.screening.settings import ScreenSettings, read_settings
    from tasks.symmetry import analyze_symmetry, classify_space_group

# A module of each package, by which one knows it.
_PACKAGES: Final = {"flows": "screening", "potentials": "registry", "tasks": "notebook"}


def _require_own_packages() -> None:
    """Refuse files and folders of the user that Python would take for packages of ours."""
    for name, module in _PACKAGES.items():
        found = find_spec(name)
        places = (found.submodule_search_locations if found else None) or []
        if not any((Path(place) / f"{module}.py").is_file() for place in places):
            origin = found.origin if found else None
            foreign = origin or ", ".join(places) or f"no package {name}"
            message = f"{foreign} stands in the place of chiralscreen's package {name}"
            raise ImportError(f"{message}: rename it, or work in another folder")


_require_own_packages()
# Sets the environment that libraries read at their own import.
import_module("flows")

__version__ = version("chiralscreen")
__all__ = [
    "Results",
    "ScreenSettings",
    "ScreenedCrystal",
    "analyze_force_constants",
    "analyze_symmetry",
    "angular_momentum",
    "classify_space_group",
    "load",
    "load_potential",
    "read_settings",
    "screen",
]
_HOMES = {
    "Results": "tasks.notebook",
    "ScreenSettings": "tasks.screening.settings",
    "ScreenedCrystal": "tasks.notebook",
    "analyze_force_constants": "tasks.chirality",
    "analyze_symmetry": "tasks.symmetry",
    "angular_momentum": "tasks.chirality",
    "classify_space_group": "tasks.symmetry",
    "load": "tasks.notebook",
    "load_potential": "potentials",
    "read_settings": "tasks.screening.settings",
    "screen": "flows.screening",
}


def __getattr__(name: str) -> object:
    """Load a name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'chiralscreen' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Names that completion offers."""
    return [*__all__, "__version__"]
