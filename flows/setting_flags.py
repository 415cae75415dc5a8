"""Flags of single settings: their names, meaning and defaults are those of the settings."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

# Flags that change most, as Python spells them, and their settings; groups do not matter there.
FLAGS: Final = {
    "symprec": "symmetry.symprec",
    "dtype": "potential.dtype",
    "max_force": "relaxation.max_force",
    "displacement": "phonons.displacement",
    "min_supercell_length": "phonons.min_supercell_length",
    "max_atoms": "phonons.max_atoms",
    "max_boundary_shift": "phonons.max_boundary_shift",
    "nac": "phonons.nac",
    "mesh_spacing": "chirality.mesh_spacing",
    "path_spacing": "chirality.path_spacing",
    "shortlist_score": "score.shortlist_score",
}
Overrides = dict[str, object]
_OLDER_NAMES: Final = {"mesh_spacing": ("--q-spacing",)}


class SettingsCommand(TyperCommand):
    """A command with flags of settings, whose models are loaded for its help only."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's own
        """Write the help."""
        self.describe()
        super().format_help(ctx, formatter)

    def describe(self) -> None:
        """Give each flag of a setting the meaning and the default that the setting has."""
        from tasks.screening.settings import find_setting  # noqa: PLC0415 - a second that only help needs

        for parameter in self.params:
            if parameter.name in FLAGS:
                field = find_setting(FLAGS[parameter.name])
                meaning = f"{field.description or ''}; {field.default} by default."
                parameter.help = meaning[0].upper() + meaning[1:]  # type: ignore[attr-defined]


def with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command flags of settings.

    Parameters
    ----------
    *names : str
        Of `FLAGS`.

    Returns
    -------
    callable
        Decorator of a function with the parameter `overrides`, which gets the values by the dotted
        names of the settings, as texts; None where a flag is not given.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 - the parameters of any command
            overrides = {FLAGS[name]: given.pop(name) for name in names}
            command(**given, overrides=overrides)

        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.name != "overrides"]
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own] + [*map(_flag, names)]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _flag(name: str) -> inspect.Parameter:
    """Parameter for a setting; its value is checked with all others of the settings."""
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        *_OLDER_NAMES.get(name, ()),
        metavar="VALUE",
        rich_help_panel="Settings, as in the file of --config",
    )
    kind = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
