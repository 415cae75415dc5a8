"""Crystals and phonons in the formats of other programs."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import yaml
from ase import Atoms
from ase.formula import Formula
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.physical_units import get_physical_units

from tasks.chirality.brillouin import BandPath, make_band_path
from tasks.chirality.modes import compute_modes
from tasks.crystals.cells import make_atoms

Json = dict[str, Any]

_OPTIMADE = "1.2.0"
_REPETITIONS = 3
_IDENTIFIER: Final = re.compile(
    r"doi:\s*(?P<doi>10\.\S+?)(?=[,;]?(?:\s|$))|arXiv:(?P<arxiv>\d{4}\.\d+)"
)
_ADDRESSES: Final = {
    "doi": r"https://doi.org/\g<doi>",
    "arxiv": r"https://arxiv.org/abs/\g<arxiv>",
}


def make_phononwebsite_data(phonon: Phonopy, name: str, spacing: float = 0.03) -> Json:
    """Bands and displacements in the format that phononwebsite animates.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    name : str
        Title.
    spacing : float
        Largest distance of q-points, 1/Å without 2 pi.

    Returns
    -------
    dict
        Lengths in Å, frequencies in cm^-1; ``vectors`` (q-point, band, atom, component, real and
        imaginary part) are displacements e / sqrt(M) normalised to 1.
    """
    path, atoms = make_band_path(phonon, spacing), make_atoms(phonon.primitive)
    modes = compute_modes(phonon, path.q_points)
    starts = np.flatnonzero(np.diff(path.segments, prepend=-1))
    return {
        "name": name,
        "natoms": len(atoms),
        "lattice": atoms.cell.tolist(),
        "atom_types": atoms.get_chemical_symbols(),
        "atom_numbers": atoms.numbers.tolist(),
        "formula": atoms.get_chemical_formula(),
        "repetitions": [_REPETITIONS] * 3,
        "atom_pos_car": atoms.positions.tolist(),
        "atom_pos_red": atoms.get_scaled_positions().tolist(),
        "qpoints": path.q_points.tolist(),
        "distances": path.distances.tolist(),
        "highsym_qpts": _list_named_points(path),
        "line_breaks": [
            [int(a), int(b)] for a, b in zip(starts, [*starts[1:], len(path.segments)], strict=True)
        ],
        "eigenvalues": np.round(modes.frequencies * get_physical_units().THzToCm, 4).tolist(),
        "vectors": _compute_motions(modes.eigenvectors, phonon.primitive.masses).round(5).tolist(),
    }


def make_optimade_structure(atoms: Atoms, material_id: str, **extra: object) -> Json:
    """Crystal as an entry of type ``structures`` in the manner of OPTIMADE.

    Parameters
    ----------
    atoms : ase.Atoms
        Periodic crystal without partial occupation.
    material_id : str
        Its name.
    **extra
        Further attributes, written with the prefix ``_chiralscreen_``.

    Returns
    -------
    dict
        With the attributes that the specification 1.2 requires; lengths in Å.
    """
    symbols = sorted(set(atoms.get_chemical_symbols()))
    counts = atoms.symbols.formula.count()
    shares = [counts[symbol] / len(atoms) for symbol in symbols]
    attributes = {
        "elements": symbols,
        "nelements": len(symbols),
        "elements_ratios": shares,
        "chemical_formula_descriptive": str(atoms.symbols.formula.reduce()[0]),
        "chemical_formula_reduced": _sort_formula(atoms.symbols.formula.reduce()[0]),
        "chemical_formula_anonymous": _anonymize_formula(atoms.symbols.formula.reduce()[0]),
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": atoms.cell.tolist(),
        "nsites": len(atoms),
        "cartesian_site_positions": atoms.positions.tolist(),
        "species_at_sites": atoms.get_chemical_symbols(),
        "species": [
            {"name": symbol, "chemical_symbols": [symbol], "concentration": [1.0]}
            for symbol in symbols
        ],
        "structure_features": [],
        "last_modified": None,
    }
    prefixed = {f"_chiralscreen_{name}": value for name, value in extra.items()}
    return {"id": material_id, "type": "structures", "attributes": attributes | prefixed}


def make_optimade_response(entries: Sequence[Json]) -> Json:
    """Answer that holds entries, in the manner of OPTIMADE.

    Parameters
    ----------
    entries : sequence of dict
        From `make_optimade_structure`.

    Returns
    -------
    dict
        With ``data`` and ``meta``.
    """
    return {
        "data": list(entries),
        "meta": {
            "api_version": _OPTIMADE,
            "query": {"representation": ""},
            "more_data_available": False,
            "data_returned": len(entries),
            "provider": {
                "name": "chiralscreen",
                "description": "Chiral-phonon screening",
                "prefix": "chiralscreen",
            },
        },
    }


def format_citation_file(version: str, references: Iterable[str], licences: Iterable[str]) -> str:
    """Text of a CITATION.cff for a catalogue.

    Parameters
    ----------
    version : str
        Version of the program.
    references : iterable of str
        Works to cite besides: potentials and databases.
    licences : iterable of str
        Licences of the structures' data.

    Returns
    -------
    str
        YAML of the Citation File Format 1.2.0.
    """
    terms = sorted(set(licences))
    content: Json = {
        "cff-version": "1.2.0",
        "message": "If you use this catalogue, cite the program and the works listed.",
        "title": "Catalogue of chiral-phonon materials, made with chiralscreen",
        "type": "dataset",
        "authors": [{"name": "The chiralscreen developers"}],
        "version": version,
    }
    if terms:
        content["abstract"] = f"Licences of the structures' data: {', '.join(terms)}."
    works = [
        {"type": "generic", "title": text, "authors": [{"name": text.split(",")[0]}]}
        for text in sorted(set(references))
    ]
    if works:
        content["references"] = works
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def format_bibtex(version: str, references: Iterable[str]) -> str:
    """Text of a BibTeX file with the program and some works.

    Parameters
    ----------
    version : str
        Version of the program.
    references : iterable of str
        Works as cards of potentials state them, such as ``Park et al., ..., doi:10.1021/...``.

    Returns
    -------
    str
        One entry of type ``misc`` each. The whole statement is the title, since a card does not
        tell its parts apart; ``url`` is the first DOI or number of arXiv in it.
    """
    program = {
        "author": "{The chiralscreen developers}",
        "title": "{chiralscreen: chiral phonons from crystal structures}",
        "version": version,
    }
    works = map(_format_work, sorted(set(references)))
    return "\n".join([_format_entry("chiralscreen", program), *works])


def _format_work(text: str) -> str:
    """Entry of a work."""
    braces = str.maketrans({letter: f"\\{letter}" for letter in "&%$#_{}"})
    fields = {"title": f"{{{text.translate(braces)}}}"}
    if found := _IDENTIFIER.search(text):
        fields["url"] = found.expand(_ADDRESSES[found.lastgroup or ""])
    named = f"{text.split(',', maxsplit=1)[0]} {found[0] if found else ''}"
    return _format_entry("-".join(re.findall(r"[a-z0-9]+", named.lower())), fields)


def _format_entry(key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])


def _list_named_points(path: BandPath) -> list[list[object]]:
    """Row and name of each named q-point."""
    return [[int(row), path.labels[row]] for row in np.flatnonzero(path.is_labelled)]


def _compute_motions(
    eigenvectors: NDArray[np.complex128], masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Displacements of each mode, shape (nq, nb, n, 3, 2), normalised to 1."""
    n_q, _, n_bands = eigenvectors.shape
    motion = np.swapaxes(eigenvectors, 1, 2).reshape(n_q, n_bands, -1, 3)
    motion = motion / np.sqrt(masses)[:, None]
    motion /= np.linalg.norm(motion, axis=(2, 3), keepdims=True)
    return np.stack([motion.real, motion.imag], axis=-1)


def _sort_formula(formula: Formula) -> str:
    """Reduced formula with its elements in alphabetic order."""
    counts = sorted(formula.count().items())
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in counts)


def _anonymize_formula(formula: Formula) -> str:
    """Formula with A for the most frequent element, B for the next, and so on."""
    counts = sorted(formula.count().values(), reverse=True)
    return "".join(f"{_name_letter(i)}{n if n > 1 else ''}" for i, n in enumerate(counts))


def _name_letter(index: int) -> str:
    """A, B, ..., Z, Aa, Ba, ..."""
    wrapped, letter = divmod(index, 26)
    return chr(ord("A") + letter) + (chr(ord("a") + wrapped - 1) if wrapped else "")
