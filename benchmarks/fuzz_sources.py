"""Damage files of every kind and see what the readers make of them.

    python benchmarks/fuzz_sources.py [--number 10000] [--seed 16] [--limit 10]

Damage is what happens to files on their way: lines and words that are lost, doubled or exchanged,
an end that is missing, other encodings. Noise changes single bytes. What is accepted has to have
the composition of the original; else the file has to be a failure. Noise can turn a text into one
that states another crystal (Te becomes Tl), which a format without a sum of any kind cannot know:
these are counted apart.
"""

import argparse
import csv
import gzip
import io
import json
import signal
import sqlite3
import tarfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from ase import Atoms
from ase.db import connect
from ase.spacegroup import crystal

from tasks.crystals.structures import reduce_formula
from tasks.failures import Failure
from tasks.sources import SourceSettings
from tasks.sources.materials import read_materials

Outcome = Literal["same", "refused", "other", "lost", "crash", "hang"]

SYMPREC: Final = 0.01
LIMITS: Final = SourceSettings(max_record_bytes=2**20, max_members=100)
OUTCOMES: Final[tuple[Outcome, ...]] = ("same", "refused", "other", "lost", "crash", "hang")
_CIF: Final = """data_quartz
_chemical_formula_sum 'Si O2'
_cell_formula_units_Z 3
_cell_length_a 4.9137
_cell_length_b 4.9137
_cell_length_c 5.4047
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_IT_number 154
_space_group_name_H-M_alt 'P 32 2 1'
loop_
_space_group_symop_operation_xyz
'x,y,z'
'-y,x-y,z+2/3'
'-x+y,-x,z+1/3'
'y,x,-z'
'x-y,-y,-z+1/3'
'-x,-x+y,-z+2/3'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Si1 Si 0.4697 0 0.6667 1.0
O1 O 0.4135 0.2669 0.7858 1.0
"""


class Hang(BaseException):
    """A record that took too long; no reader may catch it."""


@dataclass(frozen=True)
class Verdict:
    """What became of a damaged file.

    Attributes
    ----------
    kind, change : str
        The file, and what was done to it.
    is_noise : bool
        Whether single bytes were changed.
    outcome : str
        ``same``: a crystal of the right composition; ``refused``: failures only; ``other``:
        another composition; ``lost``: neither a crystal nor a failure; ``crash``; ``hang``.
    seconds : float
        CPU time of the reading.
    told : str
        Messages, or the traceback.
    """

    kind: str
    change: str
    is_noise: bool
    outcome: Outcome
    seconds: float
    told: str


def quartz() -> Atoms:
    """The crystal that every file holds."""
    return crystal(
        ["Si", "O"],
        [(0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858)],
        spacegroup=154,
        cellpar=[4.9137, 4.9137, 5.4047, 90, 90, 120],
    )


def originals() -> dict[str, bytes]:
    """Content of a sound file of every kind, by its name."""
    atoms = quartz()
    texts = {
        "x.cif": _CIF,
        "x.vasp": _poscar(atoms),
        "x.xyz": _xyz(atoms),
        "x.json": json.dumps({"data": [_entry(atoms)]}, indent=1),
        "x.jsonl": f"{json.dumps(_entry(atoms))}\n" * 2,
        "x.csv": _csv(),
    }
    found = {name: text.encode() for name, text in texts.items()}
    found |= {"x.cif.gz": gzip.compress(_CIF.encode(), mtime=0), "x.parquet": _parquet(atoms)}
    return found | {
        "x.zip": _zip(),
        "x.tar.gz": _tar(),
        "x.db": _database(atoms),
        "x.pt": _tensors(atoms),
    }


def verdicts(number: int, seed: int, limit: float) -> Iterator[Verdict]:
    """Damage files one after the other and judge what is read.

    Parameters
    ----------
    number : int
        How many files.
    seed : int
        Of the random changes.
    limit : float
        Seconds after which a file hangs.

    Yields
    ------
    Verdict
        The kinds take turns.
    """
    rng, sound = np.random.default_rng(seed), originals()
    names = list(sound)
    with TemporaryDirectory() as folder:
        for index in range(number):
            name = names[index % len(names)]
            changes = _changes_of(name)
            change = list(changes)[int(rng.integers(len(changes)))]
            content = changes[change](sound[name], rng)
            yield judge(Path(folder), name, change, content, limit)


def judge(folder: Path, name: str, change: str, content: bytes, limit: float) -> Verdict:
    """Read a damaged file."""
    path = folder / name
    path.write_bytes(content)
    start, outcome, told = time.process_time(), "crash", ""
    signal.signal(signal.SIGALRM, _raise_hang)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        outcome, told = _outcome(path)
    except Hang:
        outcome = "hang"
    except Exception:  # noqa: BLE001 - this is what is looked for
        told = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.process_time() - start
    return Verdict(name, change, change in NOISE, outcome, seconds, told)  # type: ignore[arg-type]


def _outcome(path: Path) -> tuple[Outcome, str]:
    """Outcome of reading, and what it tells."""
    items = list(read_materials(path, SYMPREC, LIMITS))
    failures = [item.message for item in items if isinstance(item, Failure)]
    formulas = {reduce_formula(item.atoms) for item in items if not isinstance(item, Failure)}
    told = "; ".join([*sorted(formulas), *failures])
    if formulas - {"SiO2"}:
        return "other", told
    return ("same" if formulas else "refused" if failures else "lost"), told


def _raise_hang(*_: object) -> None:
    raise Hang


def _poscar(atoms: Atoms) -> str:
    """POSCAR with the symbols behind the coordinates, as pymatgen writes it."""
    cell = [" ".join(f"{x:.6f}" for x in vector) for vector in atoms.cell.array]
    rows = [
        " ".join([*(f"{x:.6f}" for x in position), symbol])
        for symbol, position in zip(atoms.symbols, atoms.get_scaled_positions(), strict=True)
    ]
    return "\n".join(["low quartz", "1.0", *cell, "Si O", "3 6", "Direct", *rows]) + "\n"


def _xyz(atoms: Atoms) -> str:
    lattice = " ".join(f"{x:.6f}" for x in atoms.cell.array.ravel())
    rows = [
        " ".join([symbol, *(f"{x:.6f}" for x in position)])
        for symbol, position in zip(atoms.symbols, atoms.positions, strict=True)
    ]
    head = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"'
    return "\n".join([str(len(rows)), head, *rows]) + "\n"


def _entry(atoms: Atoms) -> dict[str, object]:
    """Entry of OPTIMADE."""
    kinds = [
        {"name": s, "chemical_symbols": [s], "concentration": [1.0]}
        for s in dict.fromkeys(atoms.symbols)
    ]
    attributes = {
        "lattice_vectors": atoms.cell.array.round(6).tolist(),
        "cartesian_site_positions": atoms.positions.round(6).tolist(),
        "species_at_sites": list(atoms.symbols),
        "species": kinds,
        "nsites": len(atoms),
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "structure_features": [],
    }
    return {"id": "quartz", "type": "structures", "attributes": attributes}


def _csv() -> str:
    stream = io.StringIO()
    csv.writer(stream).writerows([["material_id", "band_gap", "cif"], ["quartz", "6.1", _CIF]])
    return stream.getvalue()


def _parquet(atoms: Atoms) -> bytes:
    stream = io.BytesIO()
    columns = {
        "material_id": ["quartz"],
        "lattice": [atoms.cell.array.ravel().tolist()],
        "atomic_numbers": [atoms.numbers.tolist()],
        "frac_coords": [atoms.get_scaled_positions().ravel().tolist()],
    }
    pq.write_table(pa.table(columns), stream, write_page_checksum=True)
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a/quartz.cif"), _CIF)
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("a/quartz.cif")
        member.size = len(_CIF.encode())
        archive.addfile(member, io.BytesIO(_CIF.encode()))
    return gzip.compress(stream.getvalue(), mtime=0)


def _database(atoms: Atoms) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        with connect(path) as database:
            database.write(atoms, material_id="quartz")
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE systems SET ctime = 0, mtime = 0, unique_id = '0'")
        return path.read_bytes()


def _tensors(atoms: Atoms) -> bytes:
    stream = io.BytesIO()
    parameters = torch.tensor(atoms.cell.cellpar())
    content = {
        "num_atoms": torch.tensor([len(atoms)]),
        "atom_types": torch.tensor(atoms.numbers.tolist()),
        "frac_coords": torch.tensor(atoms.get_scaled_positions().tolist()),
        "lengths": parameters[None, :3],
        "angles": parameters[None, 3:],
    }
    torch.save(content, stream)
    return stream.getvalue()


_Change = Callable[[bytes, np.random.Generator], bytes]


def _on_lines(
    change: Callable[[list[bytes], np.random.Generator], list[bytes]],
    content: bytes,
    rng: np.random.Generator,
) -> bytes:
    """Change the lines of a text."""
    return b"".join(change(content.splitlines(keepends=True), rng))


def _lose_lines(lines: list[bytes], rng: np.random.Generator, most: int) -> list[bytes]:
    place, size = int(rng.integers(len(lines))), int(rng.integers(1, most + 1))
    return lines[:place] + lines[place + size :]


def _double_line(lines: list[bytes], rng: np.random.Generator) -> list[bytes]:
    place = int(rng.integers(len(lines)))
    return [*lines[:place], lines[place], *lines[place:]]


def _exchange_lines(lines: list[bytes], rng: np.random.Generator) -> list[bytes]:
    first, second = rng.integers(len(lines), size=2)
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def _empty_line(lines: list[bytes], rng: np.random.Generator) -> list[bytes]:
    place = int(rng.integers(len(lines) + 1))
    return [*lines[:place], b"\n", *lines[place:]]


def _change_word(
    lines: list[bytes], rng: np.random.Generator, change: Callable[[bytes], list[bytes]]
) -> list[bytes]:
    place = int(rng.integers(len(lines)))
    words = lines[place].split()
    if words:
        at = int(rng.integers(len(words)))
        lines[place] = b" ".join([*words[:at], *change(words[at]), *words[at + 1 :]]) + b"\n"
    return lines


def _cut_off(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _other_newlines(content: bytes, rng: np.random.Generator) -> bytes:
    return content.replace(b"\n", (b"\r\n", b"\r")[int(rng.integers(2))])


def _other_encoding(content: bytes, rng: np.random.Generator) -> bytes:
    name = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32")[int(rng.integers(4))]
    return content.decode().encode(name)


def _flip_bit(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _other_bytes(content: bytes, rng: np.random.Generator, size: int) -> bytes:
    place = int(rng.integers(len(content)))
    return content[:place] + rng.bytes(size) + content[place + size :]


def _insert_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content)))
    return content[:place] + rng.bytes(int(rng.integers(1, 9))) + content[place:]


def _lose_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content)))
    return content[:place] + content[place + int(rng.integers(1, 9)) :]


def _odd_number(content: bytes, rng: np.random.Generator) -> bytes:
    odd = (b"nan", b"inf", b"-1", b"1e999", b"0", b"99999999999", b"?", b".", b"null", b"[]")
    replacement = odd[int(rng.integers(len(odd)))]
    return _on_lines(partial(_change_word, change=lambda _: [replacement]), content, rng)


DAMAGE_OF_TEXTS: Final[Mapping[str, _Change]] = {
    "a line is lost": partial(_on_lines, partial(_lose_lines, most=1)),
    "lines are lost": partial(_on_lines, partial(_lose_lines, most=8)),
    "a line is doubled": partial(_on_lines, _double_line),
    "lines are exchanged": partial(_on_lines, _exchange_lines),
    "an empty line": partial(_on_lines, _empty_line),
    "a word is lost": partial(_on_lines, partial(_change_word, change=lambda _: [])),
    "a word is doubled": partial(_on_lines, partial(_change_word, change=lambda w: [w, w])),
    "other ends of lines": _other_newlines,
    "another encoding": _other_encoding,
    "the end is missing": _cut_off,
}
NOISE: Final[Mapping[str, _Change]] = {
    "a bit is flipped": _flip_bit,
    "other bytes": partial(_other_bytes, size=4),
    "bytes are inserted": _insert_bytes,
    "bytes are lost": _lose_bytes,
}
ODD_NUMBERS: Final[Mapping[str, _Change]] = {"an odd number": _odd_number}
_TEXTS: Final = frozenset((".cif", ".vasp", ".xyz", ".json", ".jsonl", ".csv"))


def _changes_of(name: str) -> Mapping[str, _Change]:
    """Changes that make sense for a file."""
    if Path(name).suffix in _TEXTS:
        return {**DAMAGE_OF_TEXTS, **ODD_NUMBERS, **NOISE}
    return {"the end is missing": _cut_off, **NOISE}


def main() -> None:
    """Print how many files of each kind had each outcome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--limit", type=float, default=10.0)
    parser.add_argument("--show", default="other,lost,crash,hang", help="outcomes to print in full")
    options = parser.parse_args()
    counts: dict[tuple[str, bool], Counter[str]] = {}
    slowest: Verdict | None = None
    for verdict in verdicts(options.number, options.seed, options.limit):
        key = (verdict.kind, verdict.is_noise)
        counts.setdefault(key, Counter())[verdict.outcome] += 1
        slowest = max(slowest or verdict, verdict, key=lambda v: v.seconds)
        if verdict.outcome in options.show.split(","):
            print(f"{verdict.kind}, {verdict.change}: {verdict.outcome}: {verdict.told}\n")
    print(f"| file | change | {' | '.join(OUTCOMES)} |")
    print(f"|---|---|{'---|' * len(OUTCOMES)}")
    for (kind, is_noise), found in sorted(counts.items()):
        numbers = " | ".join(str(found[outcome]) for outcome in OUTCOMES)
        print(f"| {kind} | {'noise' if is_noise else 'damage'} | {numbers} |")
    if slowest:
        where = f"{slowest.kind}, {slowest.change}"
        print(f"\nslowest file: {slowest.seconds:.2f} s of CPU time ({where})")


if __name__ == "__main__":
    main()
