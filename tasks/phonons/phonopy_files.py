"""Force constants in files of any version of phonopy, and in the files beside them.

What comes in: a YAML file that phonopy or a program of its kind wrote. What goes out: force
constants in eV/Å^2 of a crystal that obeys its space group, in a truly primitive cell. What a file
leaves open is decided by the rules of phonopy; what does not fit together is an error.
"""

import hashlib
import lzma
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from phonopy import Phonopy
from phonopy.cui.load_helper import read_force_constants_from_hdf5, read_force_sets
from phonopy.file_IO import parse_FORCE_CONSTANTS
from phonopy.harmonic.force_constants import compact_fc_to_full_fc, full_fc_to_compact_fc
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.interface.phonopy_yaml import PhonopyYamlData, load_phonopy_yaml
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import guess_primitive_matrix
from phonopy.structure.dataset import get_displacements_and_forces

from tasks.crystals.born_charges import require_sound_charges, symmetrize_response
from tasks.crystals.cells import label_isotopes, make_atoms
from tasks.crystals.dielectric import DielectricResponse
from tasks.crystals.idealisation import idealize
from tasks.failures import RemediableError
from tasks.phonons.convergence import estimate_truncation_error
from tasks.phonons.driver import FloatArray
from tasks.phonons.elasticity import StrainResponse
from tasks.phonons.phonopy_objects import make_phonopy, symmetrize
from tasks.sources.born import read_born
from tasks.tolerances import AS_MADE

OWN_BLOCK: Final = "chiralscreen"
"""Name in a YAML file of what phonopy has no name for, and ignores."""

_MAX_BYTES: Final = 2**31
_SYMPREC: Final = (
    1e-5  # unit of length of the calculator; what phonopy takes where a file states none
)
_MAX_SYMPREC: Final = 0.5  # likewise; beyond it atoms of one bond are taken for one
_SAME: Final = 1e-5  # length of a calculator; files print displacements with 16 digits
# Names that phonopy gives, the one that holds most of a calculation first.
_OWN_NAMES: Final = ("phonopy_params", "phonopy", "phonopy_disp")
_ENDINGS: Final = (".yaml", ".yaml.xz", ".yml")
_FORCE_SETS: Final = "FORCE_SETS"
_FORCE_CONSTANTS: Final = ("FORCE_CONSTANTS", "force_constants.hdf5")
_BORN: Final = "BORN"
_REWRITE: Final = "give the file as phonopy wrote it"
_WITH_FORCES: Final = "make it anew with `phonopy -f` from the outputs of all displaced supercells"


@dataclass(frozen=True)
class ExternalPhonons:
    """Force constants read from files.

    Attributes
    ----------
    phonon : phonopy.Phonopy
        With symmetrised compact force constants, and Born charges where they were given.
    digest : str
        SHA-256 (hex) of all files that were read.
    sum_rule_residual : float
        Largest violation of the acoustic sum rule before symmetrisation (eV/Å^2).
    symmetrisation : float
        Largest change of a force constant by the symmetrisation (eV/Å^2).
    boundary_shift : float
        Estimated error of interpolated frequencies; see `tasks.phonons.convergence`.
    strain : StrainResponse or None
        Response to strain, which the files that `tasks.results.export` writes hold.
    nac_note : str or None
        What was assumed about the Born charges.
    """

    phonon: Phonopy
    digest: str
    sum_rule_residual: float
    symmetrisation: float
    boundary_shift: float
    strain: StrainResponse | None = None
    nac_note: str | None = None


def read_phonopy(path: Path) -> ExternalPhonons:
    """Read a phonopy YAML file, with the force and charge files beside it.

    ``phonopy_params.yaml`` holds everything itself. What ``phonopy.yaml`` or ``phonopy_disp.yaml``
    lacks is taken from ``FORCE_CONSTANTS``, ``force_constants.hdf5`` or ``FORCE_SETS``, the first
    one that exists, and from ``BORN`` in the same folder. Beside ``<name>.yaml`` these are called
    ``<name>.FORCE_SETS``, ``<name>.BORN`` and so on.

    Parameters
    ----------
    path : pathlib.Path
        YAML file, plain or compressed (``.xz``).

    Returns
    -------
    ExternalPhonons
        Ready for analysis.

    Raises
    ------
    RemediableError
        When a file is unreadable, there are no forces, or files do not belong together.
    """
    calculation = _Calculation.from_file(path)
    given, note = _load_calculation(calculation)
    phonon = _convert_to_standard_units(given, calculation.symprec)
    raw = phonon.force_constants.copy()
    symmetrize(phonon)
    shift = estimate_truncation_error(phonon)  # before there are charges, as in a screening
    phonon.nac_params = _map_charges(given, phonon)
    return ExternalPhonons(
        phonon,
        digest=_compute_digest([path, *calculation.used]),
        sum_rule_residual=float(np.abs(raw.sum(axis=1)).max()),
        symmetrisation=float(np.abs(phonon.force_constants - raw).max()),
        boundary_shift=shift,
        strain=_read_strain_response(calculation.document, len(phonon.primitive)),
        nac_note=note,
    )


def find_calculations(path: Path) -> list[Path]:
    """Find the calculations in a folder and below.

    Parameters
    ----------
    path : pathlib.Path
        Folder or file.

    Returns
    -------
    list of pathlib.Path
        Of each folder the one YAML file with a name of phonopy that holds most; the path itself
        where it is a file, or no such file is there.
    """
    if not path.is_dir():
        return [path]
    names = [own + ending for own in _OWN_NAMES for ending in _ENDINGS]
    found = [file for file in path.rglob("phonopy*") if file.name in names and file.is_file()]
    best: dict[Path, Path] = {}
    for file in sorted(found, key=lambda file: names.index(file.name)):
        best.setdefault(file.parent, file)
    return sorted(best.values()) or [path]


def name_calculation(path: Path) -> str:
    """Tell the name of a file without its endings; empty for the names that phonopy gives.

    Parameters
    ----------
    path : pathlib.Path
        Such as ``quartz.yaml.xz``.

    Returns
    -------
    str
        Such as ``quartz``.
    """
    stem = path.name.removesuffix(".xz").removesuffix(".yaml").removesuffix(".yml")
    return "" if stem in _OWN_NAMES else stem


@dataclass(frozen=True)
class _Calculation:
    """A YAML file, what it says, and which files beside it were used so far."""

    path: Path
    document: Mapping[str, Any]
    data: PhonopyYamlData
    symprec: float
    used: list[Path] = field(default_factory=list)

    @classmethod
    def from_file(cls, path: Path) -> "_Calculation":
        """Read the YAML file."""
        document = _read_document(path)
        with _name_file_in_errors(path.name):
            data = load_phonopy_yaml(_modernize_units(document))
        if data.unitcell is None:
            known = ", ".join(sorted(map(str, document))[:8])
            message = f"{path.name} has no unit cell; it has: {known}"
            raise RemediableError(message, "give phonopy.yaml, phonopy_disp.yaml or another of its")
        if data.unitcell.has_mixtures or data.unitcell.has_weighted_species:
            message = f"{path.name} has sites that several elements share"
            raise RemediableError(message, "give a crystal with one element on each site")
        return cls(path, document, data, _read_tolerance(document, path))

    def find_beside(self, *names: str) -> Path | None:
        """First of some files that exist in the folder under the names that belong to this one."""
        own = name_calculation(self.path)
        files = (self.path.with_name(f"{own}.{name}" if own else name) for name in names)
        found = next((file for file in files if file.is_file()), None)
        if found:
            self.used.append(found)
        return found

    @property
    def primitive_matrices(self) -> list[FloatArray]:
        """Primitive cells in units of the unit cell that the file may mean, the likeliest first.

        Up to version 3 of phonopy no matrix means the unit cell itself, since then the primitive
        cell that symmetry tells.
        """
        if self.data.primitive_matrix is not None:
            return [self.data.primitive_matrix]
        by_symmetry = guess_primitive_matrix(self.data.unitcell, symprec=self.symprec)
        major = str(self.data.version or "0").split(".", maxsplit=1)[0]
        is_new = major.isdecimal() and int(major) > 3
        return [by_symmetry, np.eye(3)] if is_new else [np.eye(3), by_symmetry]


def _read_document(path: Path) -> Mapping[str, Any]:
    """What a YAML file says; nothing but plain values is made of it."""
    text = _read_text_file(path)
    try:
        found = yaml.load(text, yaml.CSafeLoader)
    except yaml.constructor.ConstructorError as error:
        message = f"{path.name} has a YAML tag or key{_find_line(error)} that phonopy never writes"
        raise RemediableError(message, _REWRITE) from error
    except (yaml.YAMLError, ValueError) as error:
        message = f"{path.name} is no YAML, or cut off{_find_line(error)}"
        raise RemediableError(message, _REWRITE) from error
    if found is None:
        raise RemediableError(f"{path.name} is empty", _REWRITE)
    if not isinstance(found, dict):
        message = f"{path.name} holds no names with values, as the files of phonopy do"
        raise RemediableError(message, _REWRITE)
    return found


def _find_line(error: Exception) -> str:
    """Line in which a parser of YAML found a fault, where it tells."""
    mark = getattr(error, "problem_mark", None)
    return f" in line {mark.line + 1}" if mark else ""


def _read_text_file(path: Path) -> str:
    """Text of a plain or compressed file of a bearable size."""
    opened = lzma.open if path.suffix == ".xz" else open
    try:
        with opened(path, "rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        text = content.decode()
    except FileNotFoundError as error:
        raise RemediableError(f"no such file: {path.name}", "check the path") from error
    except IsADirectoryError as error:
        message = f"{path.name} is a folder without {', '.join(_OWN_NAMES)}.yaml in it or below"
        raise RemediableError(message, "give YAML files of other names one by one") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        message = f"{path.name} cannot be read: {_format_error(error)}"
        raise RemediableError(message, _REWRITE) from error
    except UnicodeDecodeError as error:
        raise RemediableError(f"{path.name} is no text", _REWRITE) from error
    if len(content) > _MAX_BYTES:
        raise RemediableError(f"{path.name} is larger than 2 GiB", "use compact force constants")
    return text


@contextmanager
def _name_file_in_errors(place: str) -> Iterator[None]:
    """Say of an error of a reader in which file it arose."""
    try:
        yield
    except (RemediableError, MemoryError):
        raise
    except (IndexError, KeyError, TypeError, AttributeError, EOFError) as error:
        message = f"{place} is cut off, or not as phonopy writes it"
        raise RemediableError(message, _REWRITE) from error
    except Exception as error:
        message = f"{place} cannot be used: {_format_error(error)}"
        raise RemediableError(message, _REWRITE) from error


def _format_error(error: Exception) -> str:
    """Text of an error of a reader without line breaks and in words of the field."""
    text = " ".join(str(error).split()) or type(error).__name__
    for words in ("could not convert string to float:", "invalid literal for int() with base 10:"):
        text = text.replace(words, "text in place of a number:")
    return text


def _modernize_units(document: Mapping[str, Any]) -> dict[str, Any]:
    """Document with units as phonopy writes them since version 2.7: angstrom in small letters."""
    units = document.get("physical_unit")
    if not isinstance(units, dict):
        return dict(document)
    lower = {key: str(unit).replace("Angstrom", "angstrom") for key, unit in units.items()}
    return {**document, "physical_unit": lower}


def _read_tolerance(document: Mapping[str, Any], path: Path) -> float:
    """Tolerance of the search for symmetry that a file states, in its unit of length."""
    header = document.get("phonopy")
    stated: Any = None
    if isinstance(header, dict):
        asked = header.get("configuration")
        asked = asked.get("symmetry_tolerance") if isinstance(asked, dict) else None
        stated = header.get("symmetry_tolerance", asked)
    if stated is None:
        return _SYMPREC
    try:
        value = float(stated)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 < value <= _MAX_SYMPREC:
        message = f"{path.name} states a symmetry_tolerance of {stated!r}"
        raise RemediableError(message, f"give a length up to {_MAX_SYMPREC}")
    return value


def _load_calculation(calculation: _Calculation) -> tuple[Phonopy, str | None]:
    """Phonopy object in units of the calculator, and what was assumed of its Born charges."""
    errors: list[RemediableError] = []
    for matrix in calculation.primitive_matrices:
        try:
            phonon = _add_force_constants(calculation, matrix)
            return phonon, _add_born_charges(phonon, calculation)
        except RemediableError as error:
            errors.append(error)
            calculation.used.clear()
    raise errors[0]


def _add_force_constants(calculation: _Calculation, primitive_matrix: FloatArray) -> Phonopy:
    """Phonopy object with force constants, for one choice of the primitive cell."""
    data, path = calculation.data, calculation.path
    with _name_file_in_errors(path.name):
        phonon = Phonopy(
            data.unitcell,
            np.eye(3, dtype=int) if data.supercell_matrix is None else data.supercell_matrix,
            primitive_matrix=primitive_matrix,
            symprec=calculation.symprec,
            calculator=data.calculator,
        )
    if data.force_constants is not None:
        phonon.force_constants = _require_matching_shape(phonon, data.force_constants, path.name)
    elif _has_forces(data.dataset):
        _solve_constants(phonon, data.dataset, calculation, path.name)
    elif file := calculation.find_beside(*_FORCE_CONSTANTS):
        phonon.force_constants = _require_matching_shape(
            phonon, _read_force_constants(file, phonon), file.name
        )
    elif file := calculation.find_beside(_FORCE_SETS):
        _solve_constants(
            phonon, _read_force_sets(file, phonon, data.dataset), calculation, file.name
        )
    else:
        _raise_missing_forces(calculation)
    return phonon


def _has_forces(dataset: Any) -> bool:  # noqa: ANN401
    """Whether a data set of phonopy has forces, be it of some displacements only."""
    items = (dataset or {}).get("first_atoms", [dataset or {}])
    return any("forces" in item for item in items)


def _raise_missing_forces(calculation: _Calculation) -> None:
    """Say where forces are expected."""
    path, own = calculation.path, name_calculation(calculation.path)
    names = (_FORCE_SETS, *_FORCE_CONSTANTS)
    expected = [f"{own}.{name}" if own else name for name in names]
    remedy = f"put {', '.join(expected[:-1])} or {expected[-1]} beside it"
    if own and any(path.with_name(name).is_file() for name in names):
        remedy += f"; {_FORCE_SETS} and the like without a name belong to phonopy.yaml"
    message = f"{path.name} has neither forces nor force constants, nor have files beside it"
    raise RemediableError(message, remedy)


def _read_force_constants(file: Path, phonon: Phonopy) -> FloatArray:
    """Force constants of a file, in units of the calculator."""
    with _name_file_in_errors(file.name):
        sites = phonon.primitive.p2s_map
        if file.name.endswith(".hdf5"):
            return np.asarray(read_force_constants_from_hdf5(file, sites, phonon.calculator))
        return np.asarray(parse_FORCE_CONSTANTS(file, sites))


def _require_matching_shape(phonon: Phonopy, constants: FloatArray, place: str) -> FloatArray:
    """Force constants that are those of the supercell."""
    n_primitive, n_supercell = len(phonon.primitive), len(phonon.supercell)
    expected = [(n, n_supercell, 3, 3) for n in (n_primitive, n_supercell)]
    if constants.shape not in expected:
        found = " x ".join(map(str, constants.shape[:2]))
        message = (
            f"{place} has force constants of {found} atoms, where the crystal needs "
            f"{n_primitive} or {n_supercell} x {n_supercell}"
        )
        raise RemediableError(message, "give force constants of this supercell")
    if not np.isfinite(constants).all():
        raise RemediableError(f"{place} has a force constant that is no number", _REWRITE)
    rows = np.arange(n_supercell) if len(constants) == n_supercell else phonon.primitive.p2s_map
    own = np.abs(constants[np.arange(len(constants)), rows]).max(axis=(1, 2))
    if not own.all():
        message = f"{place}: the force constants of {_name_first_atom(own == 0)} on itself are zero"
        raise RemediableError(message, "compute them; a force constant must not be missing")
    return constants


def _name_first_atom(where: FloatArray) -> str:
    """Name the first atom of a mask and count the others."""
    atoms = np.flatnonzero(where) + 1
    others = f" and {len(atoms) - 1} others" if len(atoms) > 1 else ""
    return f"atom {atoms[0]}{others}"


def _read_force_sets(file: Path, phonon: Phonopy, announced: Any) -> Any:  # noqa: ANN401
    """Displacements and forces of a file; they must be those that the YAML file announces."""
    with _name_file_in_errors(file.name):
        found = read_force_sets(file, supercell=phonon.supercell)
        if announced is None:
            return found
        wanted, moved = (get_displacements_and_forces(d)[0] for d in (announced, found))
    # Of random displacements any number may have been computed, from the first one on.
    enough = len(moved) <= len(wanted) if "displacements" in found else len(moved) == len(wanted)
    if not enough:
        message = f"{file.name} has {len(moved)} displacements, the YAML file {len(wanted)}"
        raise RemediableError(message, _WITH_FORCES)
    if moved.shape[1:] != wanted.shape[1:] or np.abs(moved - wanted[: len(moved)]).max() > _SAME:
        message = f"{file.name} has other displacements than the YAML file"
        raise RemediableError(message, "give the two files of one calculation")
    return found


def _solve_constants(phonon: Phonopy, dataset: Any, calculation: _Calculation, place: str) -> None:  # noqa: ANN401
    """Obtain force constants from displacements and forces."""
    _require_forces(dataset, place)
    is_random = "displacements" in dataset
    try:
        with _name_file_in_errors(place):
            phonon.dataset = dataset
            phonon.produce_force_constants(
                calculate_full_force_constants=False, fc_calculator="symfc" if is_random else None
            )
    except RemediableError as error:
        if "not enough" not in str(error):
            raise
        count = len(dataset["displacements" if is_random else "first_atoms"])
        message = (
            f"{place}: {count} displacements are too few for the symmetry that the crystal has at "
            f"a tolerance of {calculation.symprec:g}"
        )
        remedy = "state the tolerance they were made with: phonopy: symmetry_tolerance"
        raise RemediableError(message, remedy) from error


def _require_forces(dataset: Any, place: str) -> None:  # noqa: ANN401
    """Refuse displacements without forces, and what is zero or no number."""
    if "displacements" in dataset:
        moved, forces = dataset["displacements"], dataset["forces"]
    else:
        items = dataset["first_atoms"]
        lacking = [i for i, item in enumerate(items, 1) if "forces" not in item]
        if lacking:
            message = f"{place}: displacement {lacking[0]} of {len(items)} has no forces"
            raise RemediableError(message, _WITH_FORCES)
        moved = np.array([[item["displacement"]] for item in items])
        forces = [item["forces"] for item in items]
    for name, values in (("displacement", moved), ("set of forces", forces)):
        for i, value in enumerate(values, 1):
            if not np.isfinite(value).all():
                raise RemediableError(f"{place}: {name} {i} holds no number", _WITH_FORCES)
            if not np.any(value):
                raise RemediableError(f"{place}: {name} {i} is zero throughout", _WITH_FORCES)


def _add_born_charges(phonon: Phonopy, calculation: _Calculation) -> str | None:
    """Give a crystal its Born charges, where there are any; return what was assumed of them."""
    found, note, place = calculation.data.nac_params, None, calculation.path.name
    method = (found or {}).get("method")
    if found is None:
        if (file := calculation.find_beside(_BORN)) is None:
            _require_no_orphan(calculation.path)
            return None
        response, note = read_born(file, phonon.primitive, calculation.symprec)
        place = file.name
    else:
        with _name_file_in_errors(place):
            born = np.reshape(found["born"], (len(phonon.primitive), 3, 3))
            response = DielectricResponse(born, np.reshape(found["dielectric"], (3, 3)))
    require_sound_charges(response, phonon.primitive, calculation.symprec, place)
    response = symmetrize_response(response, phonon.primitive, calculation.symprec)
    factor = get_calculator_physical_units("vasp").nac_factor
    charges = {"born": response.born_charges, "dielectric": response.dielectric, "factor": factor}
    phonon.nac_params = charges | ({"method": method} if method else {})
    return note


def _require_no_orphan(path: Path) -> None:
    """Refuse a file beside which lies a BORN file that belongs to no other one."""
    own, orphan = name_calculation(path), path.with_name(_BORN)
    owners = (path.with_name(name + ending) for name in _OWN_NAMES for ending in _ENDINGS)
    if own and orphan.is_file() and not any(file.is_file() for file in owners):
        message = f"{_BORN} beside {path.name} belongs to no file: it is for phonopy.yaml"
        raise RemediableError(message, f"name it {own}.{_BORN}, or remove it")


def _convert_to_standard_units(phonon: Phonopy, symprec: float) -> Phonopy:
    """Same crystal in Å and eV, idealised, with compact force constants of its primitive cell."""
    given = get_calculator_physical_units(phonon.calculator)
    cell = phonon.unitcell
    unit_cell = PhonopyAtoms(
        numbers=cell.numbers,
        cell=cell.cell * given.distance_to_A,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
    )
    if symprec > _SYMPREC:
        unit_cell = _idealize_cell(unit_cell, symprec * given.distance_to_A)
    matrix = _choose_primitive_matrix(phonon.primitive_matrix, unit_cell)
    result = make_phonopy(unit_cell, phonon.supercell_matrix, matrix)
    factor = given.force_to_eVperA / given.distance_to_A
    result.force_constants = factor * _compact_force_constants(phonon, result)
    return result


def _map_charges(given: Phonopy, wanted: Phonopy) -> dict[str, Any] | None:
    """Born charges of the atoms of another primitive cell of the same supercell."""
    if given.nac_params is None:
        return None
    sites = given.primitive.s2p_map[wanted.primitive.p2s_map]
    atoms = [given.primitive.p2p_map[int(site)] for site in sites]
    return {**given.nac_params, "born": given.nac_params["born"][atoms]}


def _idealize_cell(cell: PhonopyAtoms, symprec: float) -> PhonopyAtoms:
    """Cell that obeys its space group exactly."""
    atoms = idealize(make_atoms(cell), symprec)
    return PhonopyAtoms(
        numbers=cell.numbers,
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
        masses=cell.masses,
    )


def _choose_primitive_matrix(stated: FloatArray, unit_cell: PhonopyAtoms) -> FloatArray:
    """Primitive cell in units of the unit cell: as stated, unless it is none.

    Bands of a cell that holds lattice points inside are folded, and with them the directions to
    which helicity refers; a cell that unlike isotopes do not share mixes them up.
    """
    found = guess_primitive_matrix(
        label_isotopes(unit_cell), symprec=AS_MADE, distinguish_symbol_index=True
    )
    same_size = np.isclose(np.linalg.det(found), np.linalg.det(stated))
    return stated if same_size else found


def _compact_force_constants(given: Phonopy, wanted: Phonopy) -> FloatArray:
    """Force constants between the atoms of the wanted primitive cell and all of the supercell."""
    constants: FloatArray = given.force_constants
    same_sites = np.array_equal(given.primitive.p2s_map, wanted.primitive.p2s_map)
    if len(constants) < len(given.supercell):
        if same_sites:
            return constants
        constants = compact_fc_to_full_fc(given.primitive, constants)
    return np.asarray(full_fc_to_compact_fc(wanted.primitive, constants))


def _read_strain_response(document: Mapping[str, Any], n_atoms: int) -> StrainResponse | None:
    """Response to strain in a file of this program; None in others."""
    own = document.get(OWN_BLOCK)
    if not isinstance(own, dict):
        return None
    with _name_file_in_errors(OWN_BLOCK):
        stiffness = np.reshape(np.asarray(own["clamped_stiffness"], float), (3, 3, 3, 3))
        forces = np.reshape(np.asarray(own["strain_forces"], float), (n_atoms, 3, 3, 3))
        stress = own.get("residual_stress")
        stress = None if stress is None else np.reshape(np.asarray(stress, float), (3, 3))
    return StrainResponse(stiffness, forces, stress)


def _compute_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of some files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
