"""Small files made to take the memory or the time of whoever reads them, and what they announce."""

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tests.bad_inputs import SILICON, SILICON_CELL, cif_block

N_COPIES = 5
_ATOM_COLUMNS = "species:S:1:pos:R:3"
_CUBE = "30 0 0 0 30 0 0 0 30"


def _frame(count: object, lattice: str, columns: str, rows: str) -> bytes:
    """One frame of extended XYZ."""
    return f'{count}\nLattice="{lattice}" Properties={columns}\n{rows}'.encode()


def _grid(count: int) -> str:
    """Rows of as many rattled atoms."""
    places = np.stack(np.meshgrid(*[np.arange(15.0)] * 3, indexing="ij"), -1).reshape(-1, 3)[:count]
    rattled = 3 * places + np.random.default_rng(1).normal(scale=0.1, size=(count, 3))
    return "".join(f"Si {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in rattled)


def _sites(count: int) -> list[tuple[str, float, float, float, float]]:
    """Sites of a CIF that lie anywhere."""
    places = np.random.default_rng(2).random((count, 3))
    return [("Si", float(x), float(y), float(z), 1.0) for x, y, z in places]


def _many_operations(count: int) -> bytes:
    """A CIF of two sites and many translations."""
    listed = "\n".join(f"'x+{k}/{count},y,z'" for k in range(count))
    return cif_block("x", SILICON, SILICON_CELL).replace("'x,y,z'", listed).encode()


def _parquet_of_one_text() -> bytes:
    """256 rows of one text of 20 MB."""
    content = io.BytesIO()
    column = pa.DictionaryArray.from_arrays(np.zeros(256, np.int32), ["x" * 20_000_000])
    # The schema of pyarrow would give the dictionary away.
    table = pa.table({"cif": column})
    pq.write_table(table, content, compression="zstd", store_schema=False)
    return content.getvalue()


def _parquet_of_zeros() -> bytes:
    """Four rows, each of 900,000 equal numbers."""
    content = io.BytesIO()
    zeros = pa.ListArray.from_arrays([0, 300_000], np.zeros(300_000))
    table = pa.table({"numbers": zeros, "lattice": zeros, "frac_coords": zeros})
    with pq.ParquetWriter(content, table.schema, compression="zstd") as writer:
        for _ in range(4):
            writer.write_table(table)
    return content.getvalue()


def _lists() -> bytes:
    """JSON of twelve million lists and objects, which does not compress like a bomb."""
    kinds = np.frombuffer(b"[],{},", dtype=np.uint8).reshape(2, 3)
    chosen = kinds[np.random.default_rng(3).integers(0, 2, 12_000_000)]
    return gzip.compress(b"[" + chosen.tobytes() + b"0]", 1)


def _zip_of_zeros() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.cif", bytes(100_000_000))
    return content.getvalue()


def _tar_of_nothing() -> bytes:
    """The head of a member of 10 TB."""
    head = tarfile.TarInfo("x.cif")
    head.size = 10**13
    return head.tobuf(tarfile.GNU_FORMAT)


def _line_of_atoms() -> bytes:
    """One line with three million atoms."""
    cell = json.dumps({"lattice": np.eye(3).tolist(), "fractional": []})
    return gzip.compress(f'{cell[:-1]}, "numbers": [{"1," * 3_000_000}1]}}'.encode())


def _columns_that_grow(path: Path) -> None:
    """A database of ASE whose columns are computed: 200 MB each, stored nowhere."""
    with sqlite3.connect(path) as connection:
        columns = "id, pbc, key_value_pairs, masses, cell"
        grown = "GENERATED ALWAYS AS (zeroblob(200000000)) VIRTUAL"
        connection.execute(f"CREATE TABLE systems ({columns}, numbers {grown}, positions {grown})")
        connection.execute("INSERT INTO systems VALUES (1, 7, '{}', NULL, zeroblob(72))")
    connection.close()


def _tensors_that_repeat(path: Path) -> None:
    """A file of tensors that are one number each, repeated a billion times."""
    numbers = torch.ones(1, dtype=torch.long).expand(10**9)
    triples = torch.zeros(1).expand(3 * 10**9)
    keys = {"num_atoms": numbers, "atom_types": numbers}
    torch.save({**keys, **dict.fromkeys(("frac_coords", "lengths", "angles"), triples)}, path)


_CONTENTS: dict[str, Callable[[], bytes]] = {
    "counts.vasp": lambda: b"x\n1\n3 0 0\n0 3 0\n0 0 3\nSi\n999999999\nDirect\n0 0 0\n",
    "sum.vasp": lambda: (
        b"x\n1\n3 0 0\n0 3 0\n0 0 3\n%s\n%s\nDirect\n0 0 0\n"
        % (b"Si " * 1000, b"999999999 " * 1000)
    ),
    "frame.xyz": lambda: b"33000000\nfoo\nSi 0 0 0",
    "columns.xyz": lambda: _frame(1, _CUBE, f"{_ATOM_COLUMNS}:x:R:2147483648", "Si 0 0 0\n"),
    "none.xyz": lambda: _frame(0, _CUBE, f"{_ATOM_COLUMNS}:x:R:2147483648", ""),
    "needle.xyz": lambda: _frame(1, "3 0 0 1e6 3 0 1e7 1e7 3", _ATOM_COLUMNS, "H 0 0 0\n"),
    "sheet.xyz": lambda: _frame(1, "1e-3 0 0 0 1e3 0 0 0 20", _ATOM_COLUMNS, "H 0 0 0\n"),
    "large.xyz.gz": lambda: gzip.compress(
        _frame(3000, "45 0 0 0 45 0 0 0 45", _ATOM_COLUMNS, _grid(3000))
    ),
    "text.parquet": _parquet_of_one_text,
    "zeros.parquet": _parquet_of_zeros,
    "deep.json.gz": lambda: gzip.compress(b"[" * 200_000),
    "lists.json.gz": _lists,
    "line.jsonl.gz": _line_of_atoms,
    "zeros.cif.gz": lambda: gzip.compress(bytes(100_000_000)),
    "zeros.zip": _zip_of_zeros,
    "head.tar": _tar_of_nothing,
    "sites.cif.gz": lambda: gzip.compress(cif_block("x", _sites(20_000)).encode()),
    "operations.cif": lambda: _many_operations(5000),
}
_WRITERS: dict[str, Callable[[Path], None]] = {
    "grown.db": _columns_that_grow,
    "repeated.pt": _tensors_that_repeat,
}


def write_hostile_inputs(folder: Path) -> list[str]:
    """Write `N_COPIES` of each kind; return the names, all of which must be told as failures."""
    names = []
    for kind in (*_CONTENTS, *_WRITERS):
        first = folder / f"0-{kind}"
        if kind in _WRITERS:
            _WRITERS[kind](first)
        else:
            first.write_bytes(_CONTENTS[kind]())
        for k in range(1, N_COPIES):
            (folder / f"{k}-{kind}").write_bytes(first.read_bytes())
        names += [f"{k}-{kind}" for k in range(N_COPIES)]
    return names
