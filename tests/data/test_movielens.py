"""Real zips from a real HTTPS server on this machine, whose certificate is trusted during the tests."""

import hashlib
import io
import os
import signal
import socket
import ssl
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from movie_recs.data.movielens import ARCHIVES, Archive, download, find_dataset, main, resolve_dataset
from movie_recs.errors import UserError

NAME = "ml-test"
FILES = {
    f"{NAME}/ratings.csv": b"userId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n",
    f"{NAME}/movies.csv": b"movieId,title,genres\r\n1,Toy Story (1995),Animation\r\n",
    f"{NAME}/tags.csv": b"userId,movieId,tag,timestamp\r\n",
    f"{NAME}/links.csv": b"movieId,imdbId,tmdbId\r\n1,0114709,862\r\n",
    f"{NAME}/README.txt": b"Terms of use\n",
}


def make_zip(files: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


def make_dataset(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for file in ("ratings.csv", "movies.csv", "tags.csv", "links.csv"):
        (folder / file).touch()
    return folder


GOOD_ZIP = make_zip(FILES)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self)
        self.server.answer(self)

    def send(self, body: bytes, announced: int | None = None):
        self.send_response(200)
        self.send_header("Content-Length", str(announced or len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def redirect(self, url: str):
        self.send_response(302)
        self.send_header("Location", url)
        self.end_headers()

    def log_message(self, *args):
        pass


class _Server(ThreadingHTTPServer):
    """Serves the good zip, or whatever its `answer`, a function of the request's handler, sends."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.requests = []
        self.answer = lambda request: request.send(GOOD_ZIP)
        self.stopped = threading.Event()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}/{NAME}.zip"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *args):
        self.stopped.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *args):
        pass  # many of these tests make the client give up


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority, tmp_path_factory, monkeypatch):
    trusted = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with _Server(context) as https:
        yield https


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.delenv("MOVIELENS_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def raw_dir(tmp_path) -> Path:
    folder = tmp_path / "01_raw"
    folder.mkdir()
    return folder


def frozen(url: str, content: bytes = GOOD_ZIP) -> dict[str, Archive]:
    return {NAME: Archive(url, len(content), hashlib.sha256(content).hexdigest())}


def unfrozen(url: str) -> dict[str, Archive]:
    return {NAME: Archive(url)}


def assert_refused(raw_dir, archives, match, zip_path=None, timeout=10.0):
    with pytest.raises(UserError, match=match) as caught:
        download(NAME, raw_dir, zip_path, archives, timeout)
    assert all(way in str(caught.value) for way in ("--archive", str(raw_dir / NAME), "MOVIELENS_DIR"))
    assert list(raw_dir.iterdir()) == []


# Finding what is on disk


LAYOUTS = [("ratings.csv", "movies.csv"), ("ratings.dat", "movies.dat"), ("u.data", "u.item")]


@pytest.mark.parametrize("files", LAYOUTS)
def test_a_data_set_is_a_folder_with_the_ratings_and_the_movies_of_one_layout(raw_dir, files):
    for missing in (None, *files):
        folder = raw_dir / f"without-{missing}"
        folder.mkdir()
        for file in set(files) - {missing}:
            (folder / file).touch()
        assert find_dataset(folder.name, raw_dir) == (None if missing else folder)


def test_files_of_two_layouts_do_not_make_a_data_set(raw_dir):
    folder = raw_dir / NAME
    folder.mkdir()
    for file in ("ratings.csv", "movies.dat", "u.data"):
        (folder / file).touch()
    assert find_dataset(NAME, raw_dir) is None


def test_tags_and_links_are_optional(raw_dir):
    folder = make_dataset(raw_dir / NAME)
    for file in ("tags.csv", "links.csv"):
        (folder / file).unlink()
    assert find_dataset(NAME, raw_dir) == folder


def test_ratings_written_by_spark_as_a_folder_count(raw_dir):
    folder = make_dataset(raw_dir / NAME)
    (folder / "ratings.csv").unlink()
    (folder / "ratings.csv").mkdir()
    assert find_dataset(NAME, raw_dir) == raw_dir / NAME


def test_movielens_dir_comes_before_raw_dir(raw_dir, tmp_path, monkeypatch):
    make_dataset(raw_dir / NAME)
    make_dataset(raw_dir / "only-here")
    elsewhere = make_dataset(tmp_path / "elsewhere" / NAME)
    monkeypatch.setenv("MOVIELENS_DIR", str(tmp_path / "elsewhere"))
    assert find_dataset(NAME, raw_dir) == elsewhere
    assert find_dataset("only-here", raw_dir) == raw_dir / "only-here"


@pytest.mark.parametrize("value", ["elsewhere", "~/elsewhere"])
def test_movielens_dir_may_be_relative_or_in_the_home_folder(value, raw_dir, tmp_path, monkeypatch):
    elsewhere = make_dataset(tmp_path / "elsewhere" / NAME)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MOVIELENS_DIR", value)
    assert find_dataset(NAME, raw_dir) == elsewhere


def test_an_empty_movielens_dir_is_an_unset_one(raw_dir, tmp_path, monkeypatch):
    make_dataset(tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOVIELENS_DIR", "")
    assert find_dataset(NAME, raw_dir) is None


def test_a_movielens_dir_that_is_no_folder_is_an_error(raw_dir, monkeypatch):
    make_dataset(raw_dir / NAME)
    monkeypatch.setenv("MOVIELENS_DIR", "/no/such/folder")
    with pytest.raises(UserError, match="MOVIELENS_DIR is '/no/such/folder', which is not a folder"):
        find_dataset(NAME, raw_dir)


@pytest.mark.parametrize("name", ["", ".", "..", "../01_raw", "a/b", "/etc", "a\\b", "c:", "a\n", "a\0b"])
def test_a_name_that_is_a_path_is_refused(name, raw_dir):
    for use in (find_dataset, resolve_dataset, download):
        with pytest.raises(UserError, match="is not a valid data set name"):
            use(name, raw_dir)


# Resolving the name a run was given


def test_auto_is_ml_latest_small_where_it_is_on_disk(raw_dir, caplog):
    make_dataset(raw_dir / "sample")
    folder = make_dataset(raw_dir / "ml-latest-small")
    assert resolve_dataset("auto", raw_dir) == ("ml-latest-small", folder)
    assert not caplog.records


def test_auto_falls_back_to_the_sample_with_one_warning(raw_dir, caplog):
    folder = make_dataset(raw_dir / "sample")
    assert resolve_dataset("auto", raw_dir) == ("sample", folder)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert all(word in record.getMessage() for word in ("SYNTHETIC", "`make data ", "MOVIELENS_DIR"))


def test_the_sample_by_name_gives_no_warning(raw_dir, caplog):
    folder = make_dataset(raw_dir / "sample")
    assert resolve_dataset("sample", raw_dir) == ("sample", folder)
    assert not caplog.records


@pytest.mark.parametrize(("name", "missing"), [("ml-25m", "ml-25m"), ("auto", "ml-latest-small")])
def test_a_missing_archive_is_an_error_that_says_how_to_get_it(name, missing, raw_dir):
    with pytest.raises(UserError, match=f"'{missing}' is not in .*found there: none") as caught:
        resolve_dataset(name, raw_dir)
    assert f"`make data DATASET={missing}`" in str(caught.value)
    assert "set MOVIELENS_DIR" in str(caught.value)


def test_an_unknown_name_is_an_error_that_lists_what_is_there(raw_dir, tmp_path, monkeypatch):
    make_dataset(raw_dir / "sample")
    make_dataset(tmp_path / "elsewhere" / "ml-20m")
    for name, files in (("old", LAYOUTS[1]), ("oldest", LAYOUTS[2])):
        (raw_dir / name).mkdir()
        for file in files:
            (raw_dir / name / file).touch()
    (make_dataset(raw_dir / "unfinished") / "movies.csv").unlink()
    monkeypatch.setenv("MOVIELENS_DIR", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"'ml-20n' is not in .*\(found there: ml-20m, old, oldest, sample\)") as caught:
        resolve_dataset("ml-20n", raw_dir)
    assert all(word in str(caught.value) for word in (*ARCHIVES, *(file for files in LAYOUTS for file in files)))


# Downloading


@pytest.mark.parametrize("archives", [frozen, unfrozen])
def test_a_download_leaves_the_unpacked_data_set_and_nothing_else(archives, server, raw_dir):
    assert download(NAME, raw_dir, archives=archives(server.url)) == raw_dir / NAME
    assert list(raw_dir.iterdir()) == [raw_dir / NAME]
    assert {f"{NAME}/{path.name}": path.read_bytes() for path in (raw_dir / NAME).iterdir()} == FILES
    assert server.requests[0].headers["User-Agent"].startswith("movie_recs")


def test_a_data_set_on_disk_is_not_downloaded_again(server, raw_dir, capsys):
    make_dataset(raw_dir / NAME)
    assert download(NAME, raw_dir, archives=frozen(server.url)) == raw_dir / NAME
    assert server.requests == []
    assert "is already on disk" in capsys.readouterr().out


def test_a_redirect_to_https_is_followed(server, raw_dir):
    server.answer = lambda request: request.send(GOOD_ZIP) if request.path == "/moved" else request.redirect("/moved")
    assert download(NAME, raw_dir, archives=frozen(server.url)) == raw_dir / NAME


def test_plain_http_is_refused_without_a_request(server, raw_dir):
    with _Server() as plain:
        server.answer = lambda request: request.redirect(plain.url)
        assert_refused(raw_dir, frozen(server.url), "http://.* is not https")
        assert_refused(raw_dir, frozen(plain.url), "http://.* is not https")
        assert plain.requests == []


def test_a_certificate_that_is_not_trusted_is_refused(server, raw_dir, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert_refused(raw_dir, frozen(server.url), "CERTIFICATE_VERIFY_FAILED")
    assert server.requests == []


def test_different_content_of_the_same_size_is_refused(server, raw_dir):
    server.answer = lambda request: request.send(GOOD_ZIP[:-1] + b"x")
    assert_refused(raw_dir, frozen(server.url), "its SHA-256 is [0-9a-f]{64} instead of [0-9a-f]{64}")


def test_longer_content_is_refused(server, raw_dir):
    server.answer = lambda request: request.send(GOOD_ZIP + b"x")
    assert_refused(raw_dir, frozen(server.url), "larger than expected")


@pytest.mark.parametrize("archives", [frozen, unfrozen])
def test_a_connection_that_breaks_is_an_error(archives, server, raw_dir):
    server.answer = lambda request: request.send(GOOD_ZIP[:100], announced=len(GOOD_ZIP))
    assert_refused(raw_dir, archives(server.url), f"broke after 100 of {len(GOOD_ZIP)} bytes")


def test_a_missing_page_is_an_error(server, raw_dir):
    server.answer = lambda request: request.send_error(404)
    assert_refused(raw_dir, frozen(server.url), "HTTP Error 404: Not Found")


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: request.wfile.write(b"What?\r\n\r\n"),
        lambda request: request.redirect("https://127.0.0.1:nonsense"),
        lambda request: request.redirect(request.path),
    ],
    ids=["not-http", "not-a-url", "endless-redirect"],
)
def test_a_malformed_response_is_an_error_of_one_line(answer, server, raw_dir):
    server.answer = answer
    assert_refused(raw_dir, frozen(server.url), r"\A.+\Z")


def test_a_server_that_never_responds_times_out(raw_dir):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/{NAME}.zip"
        assert_refused(raw_dir, frozen(url), "timed out", timeout=0.5)


def test_a_server_that_stops_midway_times_out(server, raw_dir):
    def stall(request):
        request.send(GOOD_ZIP[:100], announced=len(GOOD_ZIP))
        server.stopped.wait(30)

    server.answer = stall
    assert_refused(raw_dir, frozen(server.url), "timed out", timeout=0.5)


def test_a_refused_connection_is_an_error(raw_dir):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"https://127.0.0.1:{closed.getsockname()[1]}/{NAME}.zip"
    assert_refused(raw_dir, frozen(url), "refused")


def test_an_unknown_name_cannot_be_downloaded(raw_dir):
    with pytest.raises(UserError, match=r"'ml-20n' cannot be downloaded, only ml-latest-small, ml-100k, .* can"):
        download("ml-20n", raw_dir)


def test_an_unfinished_folder_is_neither_used_nor_overwritten(server, raw_dir):
    (raw_dir / NAME).mkdir()
    (raw_dir / NAME / "ratings.csv").touch()
    with pytest.raises(UserError, match=r"lacks ratings.csv and movies.csv, or .* move it away"):
        download(NAME, raw_dir, archives=frozen(server.url))
    assert server.requests == []
    assert (raw_dir / NAME / "ratings.csv").exists()


# Unpacking


def symlink(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "member",
    [
        f"{NAME}/../../outside",
        "../outside",
        "/outside",
        "C:/outside",
        f"{NAME}/C:outside",
        f"{NAME}\\..\\outside",
        "ml-other/ratings.csv",
        "outside",
        symlink(f"{NAME}/links.csv"),
    ],
    ids=str,
)
def test_a_zip_with_a_member_outside_its_folder_is_refused(member, raw_dir, tmp_path):
    zip_path = tmp_path / "evil.zip"
    zip_path.write_bytes(make_zip(FILES | {member: b"/etc/passwd"}))
    assert_refused(raw_dir, unfrozen("https://unused"), "its member '.*' is n", zip_path)
    assert list(tmp_path.rglob("outside")) == []


def test_a_zip_that_declares_too_much_content_is_refused(raw_dir, tmp_path):
    zip_path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(zip_path, "w") as file:
        for name, content in FILES.items():
            file.writestr(name, content)
        file.getinfo(f"{NAME}/README.txt").file_size = 10**10
    assert_refused(raw_dir, unfrozen("https://unused"), "would unpack to more than", zip_path)


def test_a_zip_that_declares_less_than_it_holds_is_refused(raw_dir, tmp_path):
    zip_path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in FILES.items():
            file.writestr(name, content * 1000)
        file.getinfo(f"{NAME}/README.txt").file_size = 10
    assert_refused(raw_dir, unfrozen("https://unused"), "Bad CRC-32", zip_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>Please log in</html>", "File is not a zip file"),
        (b"", "File is not a zip file"),
        (make_zip({f"{NAME}/é": b""}).replace("é".encode(), b"\xff\xff"), "can't decode"),
        (make_zip({f"{NAME}/README.txt": b""}), "lacks ratings.csv and movies.csv, or ratings.dat"),
        (make_zip({f"{NAME}/ratings.dat": b"", f"{NAME}/u.item": b""}), "or u.data and u.item"),
    ],
)
def test_a_zip_that_is_not_a_data_set_is_refused(content, reason, raw_dir, tmp_path):
    zip_path = tmp_path / "other.zip"
    zip_path.write_bytes(content)
    assert_refused(raw_dir, unfrozen("https://unused"), reason, zip_path)


@pytest.mark.parametrize("files", LAYOUTS)
def test_a_zip_of_any_layout_is_installed(files, raw_dir, tmp_path):
    zip_path = tmp_path / "fetched.zip"
    zip_path.write_bytes(make_zip({f"{NAME}/{file}": b"1" for file in files}))
    assert download(NAME, raw_dir, zip_path, unfrozen("https://unused")) == raw_dir / NAME
    assert sorted(path.name for path in (raw_dir / NAME).iterdir()) == sorted(files)


def test_a_zip_whose_folder_has_another_name_is_installed_under_the_data_sets_name(raw_dir, tmp_path):
    zip_path = tmp_path / "fetched.zip"
    zip_path.write_bytes(make_zip({f"ml-TEST100K/{file}": b"1" for file in LAYOUTS[1]}))
    archives = {NAME: Archive("https://unused", folder="ml-TEST100K")}
    assert download(NAME, raw_dir, zip_path, archives) == raw_dir / NAME
    assert list(raw_dir.iterdir()) == [raw_dir / NAME]
    assert (raw_dir / NAME / "ratings.dat").read_bytes() == b"1"


def test_only_the_one_expected_folder_is_unpacked(raw_dir, tmp_path):
    zip_path = tmp_path / "fetched.zip"
    zip_path.write_bytes(make_zip({f"{NAME}/{file}": b"1" for file in LAYOUTS[1]}))
    archives = {NAME: Archive("https://unused", folder="ml-TEST100K")}
    assert_refused(raw_dir, archives, "its member '.*' is not in ml-TEST100K/", zip_path)


def test_any_damage_to_a_zip_is_a_user_error_or_harmless(raw_dir, tmp_path):
    zip_path = tmp_path / "damaged.zip"
    for position in range(len(GOOD_ZIP)):
        damaged = bytearray(GOOD_ZIP)
        damaged[position] ^= 0xFF
        zip_path.write_bytes(damaged)
        target = raw_dir / str(position)
        try:
            download(NAME, target, zip_path, unfrozen("https://unused"))
        except UserError:
            assert list(target.iterdir()) == []


# The command


def test_the_command_prints_where_the_data_and_its_terms_are(server, raw_dir, capsys):
    assert main([NAME, "--raw-dir", str(raw_dir)], frozen(server.url)) == 0
    said = capsys.readouterr().out
    assert str(raw_dir / NAME / "README.txt") in said
    assert all(word in said for word in ("no commercial use", "Harper & Konstan (2015)"))


@pytest.mark.parametrize(
    ("name", "readme", "redistributable"),
    [
        ("ml-latest-small", "README.txt", True),
        ("ml-100k", "README", False),
        ("ml-1m", "README", False),
        ("ml-10m", "README.html", False),
        ("ml-20m", "README.txt", False),
        ("ml-25m", "README.txt", False),
        ("ml-32m", "README.txt", True),
        ("ml-latest", "README.txt", True),
    ],
)
def test_the_command_prints_the_terms_of_each_release(name, readme, redistributable, raw_dir, capsys):
    make_dataset(raw_dir / name)
    assert main([name, "--raw-dir", str(raw_dir)]) == 0
    said = capsys.readouterr().out
    assert str(raw_dir / name / readme) + "\n" in said
    assert ("You may redistribute it" in said) == redistributable
    assert ("You may not redistribute it" in said) == (not redistributable)
    for words in ("no commercial use", "no claim of their endorsement", "Harper & Konstan (2015)"):
        assert words in said


def test_the_command_prints_no_terms_of_movielens_for_other_data(raw_dir, capsys):
    make_dataset(raw_dir / "sample")
    assert main(["sample", "--raw-dir", str(raw_dir)]) == 0
    assert "MovieLens is" not in capsys.readouterr().out


def test_every_release_can_be_downloaded_and_all_but_the_changing_one_are_checked():
    sizes = ["latest-small", "100k", "1m", "10m", "20m", "25m", "32m", "latest"]
    assert list(ARCHIVES) == [f"ml-{size}" for size in sizes]
    for name, archive in ARCHIVES.items():
        assert archive.url == f"https://files.grouplens.org/datasets/movielens/{name}.zip"
        checked = archive.size is not None and archive.sha256 is not None and len(archive.sha256) == 64
        assert checked == (name != "ml-latest")


def test_the_command_takes_an_archive_from_disk_with_the_same_checks(raw_dir, tmp_path, capsys):
    zip_path = tmp_path / "fetched.zip"
    command = [NAME, "--raw-dir", str(raw_dir), "--archive", str(zip_path)]
    archives = frozen("https://unused")

    assert main(command, archives) == 1
    assert "No such file" in capsys.readouterr().err
    zip_path.write_bytes(GOOD_ZIP[:-1])
    assert main(command, archives) == 1
    assert f"it has {len(GOOD_ZIP) - 1} bytes instead of {len(GOOD_ZIP)}" in capsys.readouterr().err
    zip_path.write_bytes(GOOD_ZIP)
    assert main(command, archives) == 0
    assert (raw_dir / NAME / "ratings.csv").exists()
    assert zip_path.exists()


def test_an_error_is_one_line_on_stderr_and_exit_code_1(raw_dir, capsys):
    assert main(["ml-20n", "--raw-dir", str(raw_dir)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pthread_kill")
def test_ctrl_c_leaves_nothing_behind_and_gives_exit_code_130(server, raw_dir):
    def interrupt(request):
        request.send(GOOD_ZIP[:100], announced=len(GOOD_ZIP))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        server.stopped.wait(30)

    server.answer = interrupt
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    try:
        assert main([NAME, "--raw-dir", str(raw_dir)], frozen(server.url)) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(raw_dir.iterdir()) == []
