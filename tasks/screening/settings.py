"""All settings of a screening, and what each stage's results depend on."""

import difflib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from potentials.ase_calculator import Option
from tasks.chirality import ChiralitySettings, ScoreSettings
from tasks.crystals.curation import CurationSettings
from tasks.failures import RemediableError
from tasks.phonons import PhononSettings
from tasks.relaxation import RelaxationSettings
from tasks.sources import SourceSettings
from tasks.tolerances import AS_GIVEN

M = TypeVar("M", bound=BaseModel)
_WIDTH: Final = 80  # characters in a line of YAML for people


class SymmetrySettings(BaseModel):
    """How symmetry is searched."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    symprec: float = Field(AS_GIVEN, gt=0, description="distance tolerance (Å)")


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
    second_opinion: str | None = Field(
        None, description="potential with which a screening computes every crystal once more"
    )

    @property
    def of_second_opinion(self) -> Self:
        """The same settings with the other potential in place of the first; it must be named."""
        if self.second_opinion is None:
            raise ValueError("second_opinion is not set")
        other = PotentialSettings(name=self.second_opinion, dtype=self.potential.dtype)
        return self.model_copy(update={"potential": other, "second_opinion": None})


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
    return read_settings_of(ScreenSettings, path, overrides)


def read_settings_of(
    kind: type[M], path: Path | None, overrides: Mapping[str, object] = MappingProxyType({})
) -> M:
    """Read settings of any kind from a YAML file and let single values override it.

    Parameters
    ----------
    kind : type
        The settings that are wanted.
    path : pathlib.Path or None
        YAML file with the groups and fields of `kind`; None for the defaults.
    overrides : mapping
        Values by dotted name; None values are ignored.

    Returns
    -------
    BaseModel
        Of that kind, checked.

    Raises
    ------
    RemediableError
        For an unreadable file, an unknown name, or a value out of range.
    """
    tree = _read_yaml(path) if path else {}
    for name, value in overrides.items():
        if value is not None:
            _assign(tree, name.split("."), value)
    return _validate_settings(tree, kind)


def read_settings_by_kind(kinds: Mapping[str, type[M]], usual: type[M], path: Path) -> M:
    """Read settings whose file tells by ``kind`` what they are of.

    Parameters
    ----------
    kinds : mapping from str to type
        Settings by the values of ``kind``.
    usual : type
        Those of a file without it.
    path : pathlib.Path
        YAML file.

    Returns
    -------
    BaseModel
        Of one of these kinds, checked.

    Raises
    ------
    RemediableError
        As `read_settings_of`.
    """
    tree = _read_yaml(path)
    return _validate_settings(tree, kinds.get(str(tree.get("kind")), usual))


def _validate_settings(tree: Mapping[str, object], kind: type[M]) -> M:
    """Settings of a tree of mappings, or all that is wrong with it."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        problems = [
            _describe_unknown(item["loc"], kind)
            if item["type"] == "extra_forbidden"
            else f"{'.'.join(map(str, item['loc']))}: {item['msg']} (found {item['input']!r})"
            for item in error.errors()
        ]
        remedy = "correct the setting; `chiralscreen settings` prints those of a screening"
        raise RemediableError(f"wrong settings: {'; '.join(problems)}", remedy) from error


def _describe_unknown(place: Sequence[int | str], kind: type[BaseModel]) -> str:
    """Say that there is no such setting, and which one may be meant: beside it, or elsewhere."""
    *above, name = map(str, place)
    known = _list_siblings(above, kind)
    elsewhere = {path.rsplit(".", 1)[-1]: path for path, _ in _list_settings(kind)}
    meant = next(iter(difflib.get_close_matches(name, known, 1)), None)
    if meant is None:
        near = difflib.get_close_matches(name, elsewhere, 1)
        meant = elsewhere[near[0]] if near else None
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
    return f"no setting {'.'.join([*above, name])}; {hint}"


def _list_siblings(place: Sequence[str], kind: type[BaseModel]) -> list[str]:
    """Names that a group has; numbers in its place count the entries of a list."""
    for name in place:
        if name in kind.model_fields:
            kind = next(_find_models(kind.model_fields[name].annotation), kind)
    return list(kind.model_fields)


def _find_models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """Models that an annotation names, as that in `tuple[StageSettings, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _find_models(inner)


def _list_settings(kind: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted names and fields of a model and of the groups inside it."""
    for name, field in kind.model_fields.items():
        yield f"{above}{name}", field
        for group in _find_models(field.annotation):
            yield from _list_settings(group, f"{above}{name}.")


def find_setting(name: str) -> FieldInfo:
    """Look up a setting of a screening.

    Parameters
    ----------
    name : str
        Dotted, such as ``phonons.displacement``.

    Returns
    -------
    pydantic.fields.FieldInfo
        With default, unit and meaning.

    Raises
    ------
    KeyError
        When there is no such setting.
    """
    return dict(_list_settings(ScreenSettings))[name]


def format_settings(settings: BaseModel) -> str:
    """Write settings as YAML that tells unit and meaning of each.

    Parameters
    ----------
    settings : BaseModel
        Such as `ScreenSettings`.

    Returns
    -------
    str
        `read_settings` makes equal settings of it.
    """
    return "".join(f"{line}\n" for line in _format_lines(settings, "")).lstrip()


def _format_lines(settings: BaseModel, indent: str) -> Iterator[str]:
    """Lines of a group: each setting below its meaning, with what is inside it."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        group = isinstance(value, BaseModel)
        said = (type(value).__doc__ or "").splitlines()[0] if group else field.description
        if not indent:
            yield ""
        mark = f"{indent}# "
        yield from textwrap.wrap(
            said or "", _WIDTH, initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False
        )
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _format_lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {_format_value(value)}"


def _format_value(value: object) -> str:
    """Value of a setting in YAML."""
    listed = [to_jsonable_python(value)]
    return yaml.safe_dump(listed, default_flow_style=True, allow_unicode=True, width=10**6)[1:-2]


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
