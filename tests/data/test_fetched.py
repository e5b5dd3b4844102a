"""A data set is fetched whole or not at all: here from a server of our own."""

import gzip
import hashlib
import http.server
import struct
import threading
import time

import numpy as np
import pytest
from torchvision import datasets

from lsp_core import DatasetError, load_dataset
from lsp_core.data import fetch_dataset

COUNT = {"train": 12, "t10k": 5}


def idx(array):
    """The format that MNIST's files have."""
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + b"".join(struct.pack(">I", size) for size in array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


@pytest.fixture
def served(monkeypatch):
    """The four files of a small MNIST, at an address of this machine that torchvision downloads from."""
    random, files = np.random.default_rng(0), {}
    for split, count in COUNT.items():
        files[f"{split}-images-idx3-ubyte.gz"] = idx(random.integers(0, 256, (count, 28, 28)))
        files[f"{split}-labels-idx1-ubyte.gz"] = idx(np.arange(count) % 10)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path.strip("/"))
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            time.sleep(0.1)  # so that somebody can look on
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    yield files
    server.shutdown()
    server.server_close()


def there(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_it_comes_whole_and_can_be_loaded(served, tmp_path):
    seen = []
    fetch_dataset("mnist", tmp_path, seen.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MNIST"]
    assert there(tmp_path) == sorted(f"MNIST/raw/{name.removesuffix('.gz')}" for name in served)  # no archives
    assert len(load_dataset("mnist", "train", tmp_path)) == 12
    assert len(load_dataset("mnist", "test", tmp_path)) == 5
    assert seen == sorted(seen)
    assert 0 < max(seen) <= sum(map(len, served.values()))


def test_asking_to_download_fetches_what_is_absent_and_nothing_twice(served, tmp_path):
    assert len(load_dataset("mnist", "test", tmp_path, download=True)) == 5
    served.clear()  # the server has nothing any more
    assert len(load_dataset("mnist", "test", tmp_path, download=True)) == 5


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_what_fails_is_a_sentence_and_leaves_nothing(served, tmp_path, harm):
    name = "t10k-labels-idx1-ubyte.gz"
    if harm == "missing":
        del served[name]
    else:
        served[name] = idx(np.zeros(5))
    with pytest.raises(DatasetError) as caught:
        fetch_dataset("mnist", tmp_path / "data")
    said = str(caught.value)
    assert said.startswith(f"mnist could not be downloaded to {tmp_path / 'data'}")
    assert ".mnist-" not in said
    assert "\n" not in said
    assert there(tmp_path) == []
    assert list((tmp_path / "data").iterdir()) == []


def test_damaged_files_are_replaced(served, tmp_path):
    fetch_dataset("mnist", tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(b"no")
    with pytest.raises(DatasetError, match="could not be read"):
        load_dataset("mnist", "test", tmp_path)
    assert len(load_dataset("mnist", "test", tmp_path, download=True)) == 5


@pytest.mark.parametrize("name", ["digits", "nothing"])
def test_what_cannot_be_fetched_is_a_sentence(name, tmp_path):
    with pytest.raises(DatasetError, match=f"{name} is no data set that can be downloaded"):
        fetch_dataset(name, tmp_path)


def test_a_place_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="mnist could not be downloaded to"):
        fetch_dataset("mnist", tmp_path / "file" / "data")
