"""Directives that write the reference from the program itself, so that it cannot be out of date."""  # noqa: INP001

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, ClassVar

import typer
from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.cli import get_docs_for_click

from flows.cli import app
from flows.setting_flags import SettingsCommand
from tasks.examination import LAWS
from tasks.generation.settings import GenerationSettings
from tasks.screening.settings import ScreenSettings
from tasks.training.charge_settings import ChargeTrainingSettings
from tasks.training.labelling import DistillationSettings
from tasks.training.sequence_settings import SequenceTrainingSettings
from tasks.training.settings import TrainingSettings

_FIELDS = "| setting | default | meaning |\n|---|---|---|\n"


class Modules(SphinxDirective):
    """Public names of the modules of a package, from their docstrings.

    Modules of packages inside it have pages of their own.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        package = importlib.import_module(self.arguments[0])
        return _parsed(self, [_package_text(package), *_module_sections(package)])


class Commands(SphinxDirective):
    """Commands of the program with their options."""

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        command = typer.main.get_command(app)
        for found in getattr(command, "commands", {}).values():
            if isinstance(found, SettingsCommand):
                found.describe()
        context = typer.Context(command, info_name="chiralscreen")
        docs = get_docs_for_click(obj=command, ctx=context, name="chiralscreen")
        # The page has its own beginning; each command begins with a heading of the second order.
        text = docs[docs.index("## ") :].replace("```console", "```text")
        return _parsed(self, [text])


class Laws(SphinxDirective):
    """Laws of an examination, with their limits and the reasons for them."""

    def run(self) -> list[nodes.Node]:
        """Write the table."""
        cells = (
            (law.title, law.unit, _number(law.limit), _number(law.bound), law.reason)
            for law in LAWS.values()
        )
        rows = [f"| {' | '.join(row)} |" for row in cells]
        heading = "| measured | unit | good up to | bad beyond | why |\n|---|---|---|---|---|"
        return _parsed(self, ["## Limits\n", heading, *rows])


def _number(limit: float | None) -> str:
    """A limit, or a dash."""
    return "–" if limit is None else f"{limit:g}"


class Settings(SphinxDirective):
    """Groups and fields of a settings model, with defaults, units and meaning."""

    required_arguments = 1
    models: ClassVar[dict[str, type[BaseModel]]] = {
        "screen": ScreenSettings,
        "train": TrainingSettings,
        "charges": ChargeTrainingSettings,
        "sequences": SequenceTrainingSettings,
        "generate": GenerationSettings,
        "distill": DistillationSettings,
    }

    def run(self) -> list[nodes.Node]:
        """Write the tables."""
        model = self.models[self.arguments[0]]
        return _parsed(self, ["### Without a group\n", _own_fields(model), *_group_sections(model)])


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directives known to Sphinx."""
    app.add_directive("modules", Modules)
    app.add_directive("commands", Commands)
    app.add_directive("laws", Laws)
    app.add_directive("settings", Settings)
    app.connect("autodoc-process-docstring", _escape_bars)
    return {"parallel_read_safe": True}


def _escape_bars(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Let |l| stand for a modulus, where reStructuredText would look for a substitution.

    Verbatim text is left alone: indented blocks after a double colon, and double backticks.
    """
    margin: int | None = None
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and margin is not None and indent <= margin:
            margin = None
        if margin is None:
            parts = line.split("``")
            parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
            lines[number] = "``".join(parts)
        if margin is None and line.rstrip().endswith("::"):
            margin = indent


def _parsed(directive: SphinxDirective, sections: Iterable[str]) -> list[nodes.Node]:
    """Markdown as nodes. A heading comes first: MyST moves text before it behind all sections."""
    return directive.parse_text_to_nodes("\n".join(sections), allow_section_headings=True)


def _package_text(package: ModuleType) -> str:
    """Docstring of a package, and what it exports."""
    names = ", ".join(f"`{name}`" for name in getattr(package, "__all__", []))
    exported = f"`from {package.__name__} import …` gives {names}.\n" if names else ""
    return "## Package\n\n" + _autodoc(package.__name__, "no-members") + "\n" + exported


def _module_sections(package: ModuleType) -> Iterator[str]:
    """Public names of each module of a package."""
    for found in pkgutil.iter_modules(package.__path__):
        if not found.name.startswith("_") and not found.ispkg:
            yield f"## {found.name}\n"
            yield _autodoc(f"{package.__name__}.{found.name}", "members")


def _autodoc(name: str, option: str) -> str:
    """Directive in reStructuredText, the language of docstrings."""
    return f"```{{eval-rst}}\n.. automodule:: {name}\n   :{option}:\n```\n"


def _own_fields(model: type[BaseModel]) -> str:
    """Table of the fields of a model that are no groups."""
    rows = [
        f"| `{name}` | {_value(field.get_default(call_default_factory=True))} "
        f"| {_cell(field.description or '')} |\n"
        for name, field in model.model_fields.items()
        if name not in _groups(model)
    ]
    return _FIELDS + "".join(rows) if rows else ""


def _group_sections(model: type[BaseModel]) -> Iterator[str]:
    """A section for each group of a model, and for the groups inside it."""
    for name, group in _groups(model).items():
        yield f"### {name}\n\n{_cell(group.__doc__ or '')}\n\n{_own_fields(group)}"
        yield from _group_sections(group)


def _groups(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Models inside a model, by the name of the field."""
    defaults = {name: field.default for name, field in model.model_fields.items()}
    return {name: type(value) for name, value in defaults.items() if isinstance(value, BaseModel)}


def _value(default: object) -> str:
    """Default as one writes it in YAML."""
    if default is None:
        return "none"
    if isinstance(default, (tuple, frozenset)):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default}`"


def _cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
