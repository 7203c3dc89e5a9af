"""Names on the hub against a small server on this machine that answers as the hub does.

What is missing is said in a sentence.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from featalign.errors import FeatalignError
from featalign.sources.address import parse
from featalign.sources.catalogue import load
from featalign.sources.extras import releases, require
from featalign.sources.hub import digest_files, model_folder

hub = pytest.importorskip("huggingface_hub", reason="needs featalign[hf]")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"pickled",
    "code.py": b"import os",
}


class Hub(BaseHTTPRequestHandler):
    """One model, me/tiny, with one revision, main."""

    def log_message(self, *arguments):
        """Says nothing."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if not self.path.startswith(("/api/models/me/tiny", "/me/tiny/")):
            return self.refuse("RepoNotFound")
        if match := re.fullmatch(r"/api/models/me/tiny/revision/([^?]+).*", self.path):
            if match[1] not in ("main", COMMIT):
                return self.refuse("RevisionNotFound")
            content = json.dumps(
                {
                    "id": "me/tiny",
                    "sha": COMMIT,
                    "siblings": [{"rfilename": name} for name in FILES],
                }
            ).encode()
        elif self.path.startswith("/api/models/me/tiny/tree/"):
            content = json.dumps(
                [
                    {"type": "file", "path": name, "size": len(value), "oid": "0" * 40}
                    for name, value in FILES.items()
                ]
            ).encode()
        else:
            content = FILES[self.path.rpartition("/")[2]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hash(content) & 0xFFFFFFFF:x}"')
        self.end_headers()
        if body:
            self.wfile.write(content)

    def refuse(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The address of the server.

    Huggingface_hub asks there and keeps what it fetches in a folder of the test's.
    """
    running = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    use(monkeypatch, tmp_path, f"http://127.0.0.1:{running.server_port}")
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def use(monkeypatch, tmp_path, address):
    from huggingface_hub import constants

    settings = {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
    }
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)


def test_a_name_is_fetched_without_code_and_pickles(server):
    folder = model_folder(parse("hf/", "me/tiny"), extra="hf")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert digest_files(folder, more={}) == digest_files(
        model_folder(parse("hf/", f"me/tiny@{COMMIT}"), extra="hf"), more={}
    )


def test_what_was_fetched_is_found_without_the_network(server, monkeypatch, tmp_path):
    first = model_folder(parse("hf/", "me/tiny"), extra="hf")
    use(monkeypatch, tmp_path, "http://127.0.0.1:9")
    assert model_folder(parse("hf/", "me/tiny"), extra="hf") == first


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "hf/me/nothing",
            r"hf/me/nothing: neither a folder here nor a model on the hub is called me/nothing; "
            r"check the name",
        ),
        (
            "st/me/nothing",
            r"st/me/nothing: neither a folder here nor a model on the hub is called me/nothing; "
            r"check the name",
        ),
        (
            "hf/me/tiny@v9",
            r"hf/me/tiny@v9: the hub's me/tiny has no revision 'v9'; name a branch, tag or commit "
            r"of it",
        ),
        (
            "hf/./nothing",
            r"hf/./nothing: there is no folder ./nothing; name one as the model's library saves "
            r"it, or a name on the hub",
        ),
    ],
)
def test_unknown_names_and_revisions(server, address, words):
    pytest.importorskip("sentence_transformers", reason="needs featalign[st]")
    with pytest.raises(FeatalignError, match=re.escape(words).replace(r"\ ", " ")):
        load(address)


def test_no_network(monkeypatch, tmp_path):
    use(monkeypatch, tmp_path, "http://127.0.0.1:9")
    with pytest.raises(
        FeatalignError,
        match=r"me/tiny is not on disk and the hub cannot be reached \(\w+\); go online once, or "
        r"name a folder",
    ):
        model_folder(parse("hf/", "me/tiny"), extra="hf")


def test_folders_are_what_they_are(tmp_path):
    with pytest.raises(FeatalignError, match=r"expected weights as \*\.safetensors in"):
        model_folder(parse("hf/", str(tmp_path)), extra="hf")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        FeatalignError, match="expected a folder as the model's library saves it, got a file"
    ):
        model_folder(parse("hf/", str(tmp_path / "file")), extra="hf")
    with pytest.raises(FeatalignError, match="a folder has no revisions; leave out @main"):
        model_folder(parse("hf/", f"{tmp_path}@main"), extra="hf")
    with pytest.raises(FeatalignError, match=r"expected no option but \?allow_pickle=FILE"):
        parse("hf/", "me/tiny?trust_remote_code=true")


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("hf/bert", "transformers", "hf"),
        ("st/mini", "sentence_transformers", "st"),
        ("timm/resnet18", "timm", "timm"),
        ("keras/VGG16", "keras", "keras"),
        ("onnx:model.onnx", "onnx", "onnx"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, address, package, extra):
    monkeypatch.setattr("featalign.sources.extras.find_spec", lambda name: None)
    monkeypatch.setattr("featalign.sources.keras_networks.sys.modules", {})
    with pytest.raises(
        FeatalignError,
        match=rf"{address}: it needs the package {package}, which is not installed; install "
        rf"featalign\[{extra}\]",
    ):
        load(address)


def test_a_package_that_does_not_load_is_said(monkeypatch, tmp_path):
    (tmp_path / "brokenpackage.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        FeatalignError,
        match=r"installed and does not load \(operator torchvision::nms does not exist\); install "
        r"featalign\[timm\] anew",
    ):
        require("brokenpackage", extra="timm", address="timm/resnet18")
    assert re.fullmatch(r"\d+\.\d+", releases("numpy")["numpy"])


def test_a_users_own_module(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "import featalign as fa\n"
        "def sums(): return fa.Source.from_function('sums', lambda batch: "
        "batch.reshape(len(batch), -1)[:, :2], revision='1')\n"
        "def number(): return 3\n"
        "def broken(): raise OSError('no file')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load("py:my_models:sums").name == "sums"
    for address, words in (
        (
            "py:my_models:number",
            "expected it to return a fa.Source, got int; wrap it in fa.Source.from_function",
        ),
        (
            "py:my_models:nothing",
            "my_models has no function nothing; write one that returns a fa.Source",
        ),
        ("py:my_models:broken", "it failed with OSError: no file; mend it"),
        ("py:no_such_module:make", "it failed with ModuleNotFoundError"),
        ("py:my_models", "expected py:MODULE:FACTORY"),
    ):
        with pytest.raises(FeatalignError, match=words):
            load(address)
    assert str(Path.cwd()) not in sys.path
