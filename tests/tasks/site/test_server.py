"""The server gives the site's files to this machine, and nothing else to nobody else."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.failures import RemediableError
from tasks.site.build import ASSETS
from tasks.site.server import POLICY, make_site_server

pytestmark = pytest.mark.slow


@pytest.fixture
def port(site, tmp_path) -> Iterator[int]:
    with make_site_server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, path: str, host: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    return connection.getresponse()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/app/main.js", "text/javascript"),
        ("/materials.parquet", "application/vnd.apache.parquet"),
        ("/site.json", "application/json"),
    ],
)
def test_files_come_with_their_type_and_the_policy(port, path, kind):
    answer = ask(port, path)
    assert answer.status == 200
    assert answer.getheader("Content-Type").startswith(kind)
    assert answer.getheader("Content-Security-Policy") == POLICY
    assert answer.getheader("X-Content-Type-Options") == "nosniff"


def test_the_page_has_the_policy_of_the_server():
    assert f'content="{POLICY}"' in (ASSETS / "index.html").read_text()


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/materials/", "/no"]
)
def test_nothing_outside_and_no_listing(port, path):
    assert ask(port, path).status == 404


def test_a_link_out_of_the_folder_is_not_followed(port, site, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link = site / "link"
    link.symlink_to(secret)
    try:
        assert ask(port, "/link").status == 404
    finally:
        link.unlink()


@pytest.mark.parametrize("path", ["/%00", "/site.json%00", "/app/%00.js"])
def test_a_zero_byte_is_a_bad_request(port, path):
    assert ask(port, path).status == 400


def test_a_path_beyond_all_lengths_is_not_found(port):
    assert ask(port, f"/{'a' * 5000}").status == 404


def test_a_circle_of_links_is_not_found(port, site):
    (site / "circle").symlink_to("circle")
    try:
        assert ask(port, "/circle").status == 404
    finally:
        (site / "circle").unlink()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LocalHost", "127.0.0.1:80"])
def test_port_80_is_left_out_by_browsers(port, host):
    assert ask(port, "/site.json", host).status == 200


def test_a_port_that_others_have_is_told(port, site):
    with pytest.raises(RemediableError, match=f"port {port} cannot be used") as error:
        make_site_server(site, port)
    assert "--port" in error.value.remedy


HOSTS = ["evil.example", "evil.example:80", "127.0.0.1.evil.example:1", ":80", "localhost:80:evil"]


@pytest.mark.parametrize("host", HOSTS)
def test_other_names_for_this_machine_are_refused(port, host):
    assert ask(port, "/site.json", host).status == 403


def test_localhost_is_this_machine(port):
    assert ask(port, "/site.json", f"localhost:{port}").status == 200


def test_it_listens_on_loopback_only(site):
    with make_site_server(site, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_folder_without_a_site_is_refused(tmp_path: Path):
    with pytest.raises(RemediableError, match="no site"):
        make_site_server(tmp_path)
