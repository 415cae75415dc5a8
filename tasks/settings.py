"""All settings of a screening, and what each stage's results depend on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from potentials.ase_calculator import Option
from tasks.chirality import ChiralitySettings, ScoreSettings
from tasks.curation import CurationSettings
from tasks.failures import RemediableError
from tasks.phonons import PhononSettings
from tasks.relaxation import RelaxationSettings
from tasks.sources import SourceSettings

M = TypeVar("M", bound=BaseModel)


class SymmetrySettings(BaseModel):
    """How symmetry is searched."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    symprec: float = Field(0.01, gt=0, description="distance tolerance (Å)")


class PotentialSettings(BaseModel):
    """Which potential gives the forces."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field("nequix-mp-1-pft", description="name as load_potential takes it")
    dtype: Literal["float32", "float64"] = Field("float64", description="precision")
    options: dict[str, Option] = Field(
        default_factory=dict, description="keyword arguments of an ase: calculator"
    )


class ScreenSettings(BaseModel):
    """Settings of a screening, one group per stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: SourceSettings = SourceSettings()
    curation: CurationSettings = CurationSettings()
    symmetry: SymmetrySettings = SymmetrySettings()
    potential: PotentialSettings = PotentialSettings()
    relaxation: RelaxationSettings = RelaxationSettings()
    phonons: PhononSettings = PhononSettings()
    chirality: ChiralitySettings = ChiralitySettings()
    score: ScoreSettings = ScoreSettings()
    include_centrosymmetric: bool = Field(
        False, description="compute crystals whose symmetry forbids angular momentum as well"
    )
    both_hands: bool = Field(
        False, description="compute both of two enantiomorphs, instead of mirroring one"
    )


def read_settings(path: Path | None, overrides: Mapping[str, object]) -> ScreenSettings:
    """Read settings of a screening from a YAML file and let single values override it.

    Parameters
    ----------
    path : pathlib.Path or None
        YAML file with the groups and fields of `ScreenSettings`; None for the defaults.
    overrides : mapping
        Values by dotted name, such as ``{"potential.name": "7net-0"}``; None values are ignored.

    Returns
    -------
    ScreenSettings
        Checked.

    Raises
    ------
    RemediableError
        For an unreadable file, an unknown name, or a value out of range.
    """
    tree = _read_yaml(path) if path else {}
    for name, value in overrides.items():
        if value is not None:
            _assign(tree, name.split("."), value)
    return _checked(tree, ScreenSettings)


def read_settings_of(kind: type[M], path: Path) -> M:
    """Read settings of any kind from a YAML file.

    Parameters
    ----------
    kind : type
        The settings that are wanted.
    path : pathlib.Path
        YAML file with the groups and fields of `kind`.

    Returns
    -------
    BaseModel
        Of that kind, checked.

    Raises
    ------
    RemediableError
        For an unreadable file, an unknown name, or a value out of range.
    """
    return _checked(_read_yaml(path), kind)


def _checked(tree: Mapping[str, object], kind: type[M]) -> M:
    """Settings of a tree of mappings, or all that is wrong with it."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']} (found {item['input']!r})"
            for item in error.errors()
        )
        raise RemediableError(f"wrong settings: {wrong}", "correct the setting") from error


def _read_yaml(path: Path) -> dict[str, object]:
    """Mapping at the top of a YAML file."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"cannot read the settings file {path}: {error}"
        raise RemediableError(message, "give a YAML file with groups and fields") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        message = f"the settings file {path} holds a {type(tree).__name__}, not groups of fields"
        raise RemediableError(message, "write 'group:' lines with indented 'field: value' lines")
    # A group with nothing under it is one whose defaults hold.
    return {name: value for name, value in tree.items() if value is not None}


def _assign(tree: dict[str, object], names: list[str], value: object) -> None:
    """Set a value deep in a tree of mappings."""
    *groups, last = names
    for group in groups:
        below = tree.setdefault(group, {})
        if not isinstance(below, dict):
            raise RemediableError(f"wrong settings: {group} is not a group", "correct the file")
        tree = below
    tree[last] = value
