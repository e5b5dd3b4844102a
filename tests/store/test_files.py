"""Files: the old one or the new one, and nobody's change lost."""

import errno
import hashlib
import json
import multiprocessing
import time

import pytest

from lsp_core.store import files
from lsp_core.store.files import locked, replacing, sha256, write_json


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert sha256(tmp_path / "a").startswith("ba7816bf")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "model.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})

    def fail(*args, **kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", fail)
        with pytest.raises(OSError, match="disk full"):
            write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_written_is_named_as_the_caller_named_it(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path / "folder") as partial:
        partial.write_text("x")
    assert caught.value.filename == str(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def count(path, barrier, times):
    """Read a number and write the next one, slowly."""
    barrier.wait()
    for _ in range(times):
        with locked(path):
            number = int(path.read_text() or 0)
            time.sleep(0.002)
            path.write_text(str(number + 1))


def count_together(path, processes=4, times=15):
    path.write_text("0")
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)
    crowd = [context.Process(target=count, args=(path, barrier, times)) for _ in range(processes)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    assert [one.exitcode for one in crowd] == [0] * processes
    return int(path.read_text())


@pytest.mark.skipif(files.fcntl is None, reason="this system has no file locks")
def test_processes_that_change_one_file_wait_for_each_other(tmp_path, monkeypatch):
    assert count_together(tmp_path / "a") == 60
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    monkeypatch.setattr(files, "fcntl", None)
    assert count_together(tmp_path / "a") < 60  # else the line above would prove nothing


def test_the_lock_is_given_back_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path / "new" / "a"):
            raise KeyError
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("lack", ["of the system", "of the file system"])
def test_without_locks_the_work_is_done_all_the_same(tmp_path, monkeypatch, lack):
    class NoLocks:
        LOCK_EX = 2

        @staticmethod
        def flock(file, kind):
            raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(files, "fcntl", None if lack == "of the system" else NoLocks)
    with locked(tmp_path / "a"):
        (tmp_path / "a").write_text("1")
    assert (tmp_path / "a").read_text() == "1"
