"""The Materials Project is asked page by page, charges included, and the key stays secret."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from tasks.crystals.structures import make_material
from tasks.failures import RemediableError
from tasks.sources import paging, parse_record, read_raw_records
from tasks.sources.materials_project import Query, fetch, parse_conditions

KEY = "secret-key-of-a-test"
META = {"api_version": "0.86.0", "time_stamp": "2026-01-01T00:00:00", "max_limit": 1000}
CRYSTALS = {
    "mp-22862": bulk("NaCl", "rocksalt", a=5.69),
    "mp-10695": bulk("ZnS", "zincblende", a=5.45),
    "mp-149": bulk("Si"),
}
# As published for zinc blende, in e; the signs tell the atoms apart.
ZINC_SULPHIDE = [(2.0 * np.eye(3)).tolist(), (-2.0 * np.eye(3)).tolist()]
ELECTRONIC, STATIC = (5.9 * np.eye(3)).tolist(), (9.4 * np.eye(3)).tolist()


def structure_of(atoms):
    return AseAtomsAdaptor.get_structure(atoms).as_dict()


def summary_of(name):
    """Document of the route ``materials/summary``."""
    return {
        "material_id": name,
        "structure": structure_of(CRYSTALS[name]),
        "symmetry": {"crystal_system": "Cubic", "symbol": "F-43m", "number": 216},
        "energy_above_hull": 0.01,
        "band_gap": 2.5,
        "theoretical": name == "mp-10695",
        "ordering": "NM" if name == "mp-149" else "Unknown",
        "database_IDs": {"icsd": ["icsd-51688", "icsd-60389"], "pf": ["pf-1"]},
        "builder_meta": {"database_version": "2025.09.25", "license": "BY-C"},
    }


def phonons_of(name):
    """Documents of the route ``materials/phonon``: one for a material of three, turned by 90°."""
    if name != "mp-10695":
        return []
    atoms = CRYSTALS[name][::-1]
    atoms.rotate(90, "z", rotate_cell=True)
    return [
        {
            "material_id": name,
            "structure": structure_of(atoms),
            "born": ZINC_SULPHIDE[::-1],
            "epsilon_electronic": ELECTRONIC,
            "epsilon_static": STATIC,
            "phonon_method": "dfpt",
        }
    ]


class Api(BaseHTTPRequestHandler):
    """Answers in the format of api.materialsproject.org, and notes what it is asked."""

    asked: ClassVar[list[str]] = []
    keys: ClassVar[list[str | None]] = []
    failing: ClassVar[list[int]] = []
    elsewhere: ClassVar[list[str]] = []
    longest: ClassVar[int] = 1000
    phonons: ClassVar = staticmethod(phonons_of)

    def do_GET(self):
        self.asked.append(self.path)
        self.keys.append(self.headers.get("X-API-KEY"))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.elsewhere:
            self.answer(302, {}, {"Location": f"{self.elsewhere[0]}{self.path}"})
        elif self.failing:
            self.answer(self.failing.pop(0), {"detail": f"refused: {self.keys[-1]}"})
        elif self.keys[-1] != KEY:
            self.answer(401, {"detail": "Unauthorized"})
        elif parts.path == "/materials/summary/":
            skip, limit = int(query["_skip"]), int(query["_limit"])
            names = list(CRYSTALS)[skip : skip + min(limit, Api.longest)]
            meta = {**META, "total_doc": len(CRYSTALS)}
            self.answer(200, {"data": [summary_of(name) for name in names], "meta": meta})
        else:
            names = query["material_ids"].split(",")
            found = [document for name in names for document in Api.phonons(name)]
            self.answer(200, {"data": found, "meta": {**META, "total_doc": len(found)}})

    def answer(self, code, content, headers=None):
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Starts servers; all are stopped afterwards."""
    monkeypatch.setattr(paging, "_FIRST_WAIT", 0.001)
    for name in ("asked", "keys", "failing", "elsewhere"):
        monkeypatch.setattr(Api, name, [])
    monkeypatch.setenv("MP_API_KEY", KEY)
    servers = []

    def start():
        server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def query_of(url, **values):
    return Query({"elements": "S"}, page_limit=2, base_url=url, **values)


def test_pages_become_a_source_with_what_is_known_of_each_material(serve, tmp_path):
    assert list(fetch(query_of(serve()), tmp_path)) == [2, 1]
    records = {raw.material_id: parse_record(raw) for raw in read_raw_records(tmp_path)}
    assert list(records) == list(CRYSTALS)
    said = records["mp-149"].provenance
    assert (said.database, said.database_version) == ("Materials Project", "2025.09.25")
    assert (said.energy_above_hull, said.band_gap, said.space_group_stated) == (0.01, 2.5, 216)
    assert (said.observed, said.observed_source) == (True, "Materials Project, 2025.09.25")
    assert (said.magnetic_ordering, said.icsd_id, said.cod_id) == ("NM", "51688, 60389", None)
    other = records["mp-10695"].provenance
    assert (other.observed, other.magnetic_ordering) == (False, None)
    fields = parse_qs(urlsplit(Api.asked[0]).query)["_fields"][0].split(",")
    assert {"theoretical", "ordering", "database_IDs"} <= set(fields)
    assert said.licence == "CC-BY-4.0"
    assert said.url == "https://next-gen.materialsproject.org/materials/mp-149"
    assert parse_qs(urlsplit(Api.asked[0]).query)["elements"] == ["S"]


def test_charges_come_with_the_structure_they_belong_to(serve, tmp_path):
    """The phonon document has its atoms in another order: zinc must keep its positive charge."""
    list(fetch(query_of(serve()), tmp_path))
    materials = {
        raw.material_id: make_material(parse_record(raw), 0.01)
        for raw in read_raw_records(tmp_path)
    }
    zinc_blende = materials["mp-10695"]
    charges = dict(zip(zinc_blende.atoms.symbols, zinc_blende.response.born_charges, strict=True))
    assert charges["Zn"] == pytest.approx(2 * np.eye(3))
    assert charges["S"] == pytest.approx(-2 * np.eye(3))
    assert zinc_blende.response.dielectric == pytest.approx(5.9 * np.eye(3))
    assert materials["mp-149"].response is None


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon_electronic": None},
        {"born": ZINC_SULPHIDE[:1]},
        {"structure": None},
    ],
)
def test_incomplete_charges_are_not_taken(serve, tmp_path, monkeypatch, change):
    """The static tensor of DFPT contains the ions; charges of some atoms do not say of which."""
    changed = [phonons_of("mp-10695")[0] | change]
    monkeypatch.setattr(Api, "phonons", staticmethod(lambda _: changed))
    list(fetch(query_of(serve()), tmp_path))
    [record] = [parse_record(r) for r in read_raw_records(tmp_path) if r.material_id == "mp-10695"]
    assert make_material(record, 0.01).response is None


def test_a_tensor_of_clamped_ions_has_another_name_in_other_methods(serve, tmp_path, monkeypatch):
    change = {"epsilon_electronic": None, "epsilon_static": ELECTRONIC, "phonon_method": "pheasy"}
    changed = [phonons_of("mp-10695")[0] | change]
    monkeypatch.setattr(Api, "phonons", staticmethod(lambda _: changed))
    list(fetch(query_of(serve()), tmp_path))
    [record] = [parse_record(r) for r in read_raw_records(tmp_path) if r.material_id == "mp-10695"]
    assert make_material(record, 0.01).response.dielectric == pytest.approx(5.9 * np.eye(3))


def test_fetching_continues_where_it_stopped(serve, tmp_path):
    query = query_of(serve())
    assert list(fetch(query, tmp_path, max_pages=1)) == [2]
    asked = len(Api.asked)
    assert list(fetch(query, tmp_path)) == [1]
    assert len(Api.asked) == asked + 2
    assert list(fetch(query, tmp_path)) == []
    assert len(Api.asked) == asked + 2


def test_charges_are_left_out_when_not_wanted(serve, tmp_path):
    list(fetch(query_of(serve(), charges=False), tmp_path))
    assert not [path for path in Api.asked if "phonon" in path]


def test_what_passes_is_tried_again(serve, tmp_path):
    Api.failing[:] = [503, 429]
    assert list(fetch(query_of(serve()), tmp_path)) == [2, 1]


def test_a_short_page_in_the_midst_is_no_end(serve, tmp_path, monkeypatch):
    """The next page begins where this one should have ended: what lies between would be lost."""
    monkeypatch.setattr(Api, "longest", 1)
    with pytest.raises(RemediableError, match="sent 1 of 2 documents, and has 3"):
        list(fetch(query_of(serve()), tmp_path))


def test_the_key_is_told_to_nobody(serve, tmp_path):
    """It is in no address, no file, no message, even where the server repeats it."""
    Api.failing[:] = [403]
    with pytest.raises(RemediableError, match="HTTP 403") as error:
        list(fetch(query_of(serve()), tmp_path))
    list(fetch(query_of(serve()), tmp_path / "again"))
    assert KEY not in f"{error.value} {error.value.remedy} {Api.asked}"
    saved = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    opened = [gzip.decompress(c) if c[:2] == b"\x1f\x8b" else c for c in saved]
    assert len(opened) > 2
    assert not any(KEY.encode() in content for content in opened)
    assert KEY not in repr(
        paging.Client("a provider", "test", "http://a", secret=("X-API-KEY", KEY))
    )


def test_a_redirection_does_not_get_the_key(serve, tmp_path):
    first, second = serve(), serve()
    Api.elsewhere[:] = [second]
    with pytest.raises(RemediableError, match="leads from"):
        list(fetch(query_of(first), tmp_path))
    assert Api.keys == [KEY]
    with pytest.raises(RemediableError):
        list(fetch(query_of(first), tmp_path, hosts=("127.0.0.1",)))
    assert Api.keys.count(KEY) == 2
    assert len(Api.keys) > 2
    del Api.keys[1]
    assert set(Api.keys[1:]) == {None}


def test_the_key_does_not_travel_in_the_clear(serve, tmp_path):
    with pytest.raises(RemediableError, match="in the clear"):
        list(fetch(query_of("http://example.org"), tmp_path))


def test_a_missing_key_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    with pytest.raises(RemediableError, match="MP_API_KEY is not set"):
        list(fetch(query_of("http://127.0.0.1:1"), tmp_path))


def test_conditions_are_read():
    assert parse_conditions("elements=Te,O energy_above_hull_max=0.05") == {
        "elements": "Te,O",
        "energy_above_hull_max": "0.05",
    }


@pytest.mark.parametrize("text", ["Te", "elements=", "_limit=5", "a&b=1"])
def test_wrong_conditions_are_told(text):
    with pytest.raises(RemediableError, match="no condition"):
        parse_conditions(text)
