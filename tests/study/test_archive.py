"""Archives of a study: what is in them, and that nothing is put in place of one that is not as it should be."""

import io
import os
import tarfile

import pytest
import torch
from safetensors.torch import save_file

from lsp_core.store.checkpoint import list_checkpoints
from lsp_core.store.parts import parts_of
from lsp_core.study import Archive
from lsp_core.study import archive as module

RUNS = ("a-0", "b-0")


def files(archive):
    found = [(path, path.relative_to(top)) for top in (archive.results, archive.work) for path in top.rglob("*")]
    return {str(name): path.read_bytes() for path, name in found if path.is_file()}


@pytest.fixture
def begun(tmp_path, trained_path):
    """A study of which run a is done, as far as files can tell, and run b is not."""
    archive = Archive(tmp_path / "s.tar", tmp_path / "here" / "results", tmp_path / "here" / "work")
    archive.results.mkdir(parents=True)
    for run in RUNS:
        (archive.results / f"{run}.json").write_text(f'"{run}"')
        (archive.work / run / "states").mkdir(parents=True)
        for kind in ("", ".last", ".resume"):
            (archive.work / run / f"m{kind}.safetensors").write_bytes(trained_path.read_bytes())
        (archive.work / run / "states" / "evaluation.state").write_text("{}")
        (archive.work / run / ".half.safetensors").write_text("of a write that was cut off")
    return archive


@pytest.fixture
def elsewhere(begun, tmp_path):
    return Archive(begun.path, tmp_path / "there" / "results", tmp_path / "there" / "work")


def test_a_run_that_is_done_keeps_its_best_checkpoint_and_another_all(begun, elsewhere):
    begun.write({"a-0": True, "b-0": False})
    assert elsewhere.unpack(RUNS) == set(RUNS)
    names = {"a-0.json", "a-0/m.safetensors", "b-0.json", "b-0/states/evaluation.state"}
    names |= {f"b-0/m{kind}.safetensors" for kind in ("", ".last", ".resume")}
    assert files(elsewhere) == {name: content for name, content in files(begun).items() if name in names}
    assert list(list_checkpoints(elsewhere.work / "a-0")[0]) == ["m"]


def test_it_says_nothing_of_the_machine_and_tar_reads_it(begun):
    begun.write({"b-0": False})
    with tarfile.open(begun.path) as tar:
        members = tar.getmembers()
    assert [member.name for member in members][:2] == ["archive.json", "results/b-0.json"]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}


def test_parts_are_small_and_all_are_needed(begun, elsewhere, monkeypatch):
    monkeypatch.setattr(module, "PART", 50_000)
    parts = begun.write(dict.fromkeys(RUNS, False))
    assert parts == parts_of(begun.path)
    assert len(parts) > 3
    assert all(part.stat().st_size <= 50_000 for part in parts)
    elsewhere.unpack(RUNS)
    hidden = {name: content for name, content in files(begun).items() if ".half" not in name}
    assert files(elsewhere) == hidden
    parts[-1].unlink()
    parts[2].write_bytes(parts[2].read_bytes()[:-1])
    refused(elsewhere, "damaged or incomplete")


def refused(archive, sentence):
    before = files(archive)
    with pytest.raises(module.ArchiveError, match=sentence) as caught:
        archive.unpack(RUNS)
    assert str(archive.path) in str(caught.value)
    assert files(archive) == before
    assert not list(archive.work.glob(".*"))


def test_parts_of_two_archives_are_found(begun, elsewhere, monkeypatch):
    monkeypatch.setattr(module, "PART", 50_000)
    (*_, last) = begun.write(dict.fromkeys(RUNS, False))
    stale = last.read_bytes()
    save_file({"x": torch.ones(3)}, begun.work / "b-0" / "m.safetensors")
    save_file({"x": torch.ones(3)}, begun.work / "b-0" / "m.last.safetensors")
    (*_, last) = begun.write(dict.fromkeys(RUNS, False))
    elsewhere.unpack(["a-0", "b-0"])
    last.write_bytes(stale)
    refused(elsewhere, "damaged or incomplete")


@pytest.mark.parametrize("where", [b"archive.json", b"lsp-lab/archive/1", b"work/a-0/m.safetensors", b'"a-0"', b"}}"])
def test_damage_is_found(begun, elsewhere, where):
    begun.write({"a-0": True})
    content = bytearray(begun.path.read_bytes())
    content[content.index(where) + 1] ^= 1
    begun.path.write_bytes(content)
    refused(elsewhere, "is no archive of a study, or it is damaged or incomplete")


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0" * 2048])
def test_what_is_no_archive_is_refused(elsewhere, content):
    elsewhere.path.write_bytes(content)
    refused(elsewhere, "is no archive of a study")


@pytest.mark.parametrize(
    "name",
    [
        "work/../../a-0.safetensors",
        "/results/a-0.json",
        "work/a-0/../m.safetensors",
        "work/a-0/m.pt",
        "work/a-0/.m.safetensors",
        "work/a-0/a\\..\\m.safetensors",
        "work/c-0/m.safetensors",
        "work/a-0/states/other.state",
        "results/c-0.json",
        "results/a-0.json/x",
        "results/README.md",
    ],
)
def test_a_name_that_no_run_has_is_refused(begun, elsewhere, name):
    hostile(begun.path, tarfile.TarInfo(name))
    refused(elsewhere, "which is no file of a run of this study")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_is_refused(begun, elsewhere, kind):
    member = tarfile.TarInfo("work/a-0/m.safetensors")
    member.type, member.linkname = kind, "/etc/passwd"
    hostile(begun.path, member)
    refused(elsewhere, "which is no plain file")


def test_a_small_member_cannot_unfold_into_a_large_file(begun, elsewhere):
    member = tarfile.TarInfo("work/a-0/m.safetensors")
    member.pax_headers = {"GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"}
    hostile(begun.path, member)
    refused(elsewhere, "which is no plain file")


def hostile(path, member):
    text = b'{"schema": "lsp-lab/archive/1", "files": {}}'
    head = tarfile.TarInfo("archive.json")
    head.size = len(text)
    with tarfile.open(path, "w") as tar:
        tar.addfile(head, io.BytesIO(text))
        tar.addfile(member, io.BytesIO())


@pytest.mark.parametrize(("shift", "stays"), [(-60, "archive"), (0, "here"), (60, "here")])
def test_the_later_of_two_states_of_a_run_stays(begun, elsewhere, shift, stays):
    begun.write({"b-0": False})
    elsewhere.unpack(RUNS)
    for path in elsewhere.work.rglob("*"):
        time = path.stat().st_mtime + shift
        if path.is_file():
            os.utime(path, (time, time))
    os.utime(result := elsewhere.results / "b-0.json", (time, time))
    result.write_text("here")
    os.utime(result, (time, time))
    extra = elsewhere.work / "b-0" / "other.safetensors"
    extra.write_text("here")
    os.utime(extra, (time, time))
    elsewhere.unpack(RUNS)
    assert (result.read_text() == "here") == extra.exists() == (stays == "here")
