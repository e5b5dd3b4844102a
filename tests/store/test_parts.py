"""Files in parts."""

import contextlib

import pytest

from lsp_core.store.parts import Joined, Parting, parts_of


def write(path, content, size=10):
    with Parting(path, size) as parts:
        assert parts.write(content) == len(content)


def read(path):
    with contextlib.closing(Joined(path)) as joined:
        return b"".join(iter(lambda: joined.read(7), b""))


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (10, [10]), (11, [10, 1]), (35, [10, 10, 10, 5])])
def test_parts_are_full_but_for_the_last_and_read_as_one(tmp_path, count, sizes):
    path, content = tmp_path / "a.tar", bytes(range(count))
    write(path, content)
    assert [part.name for part in parts_of(path)] == ["a.tar", "a.tar.1", "a.tar.2", "a.tar.3"][: len(sizes)]
    assert [part.stat().st_size for part in parts_of(path)] == sizes
    assert b"".join(part.read_bytes() for part in parts_of(path)) == read(path) == content


def test_a_shorter_file_leaves_no_part_of_a_longer_one(tmp_path):
    write(tmp_path / "a", b"x" * 35)
    write(tmp_path / "a", b"y" * 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.1"]
    assert read(tmp_path / "a") == b"y" * 12


def test_an_error_leaves_the_old_parts(tmp_path):
    write(tmp_path / "a", b"x" * 15)
    with pytest.raises(TypeError), Parting(tmp_path / "a", 10) as parts:
        parts.write(parts.write(b"y" * 25))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.1"]
    assert read(tmp_path / "a") == b"x" * 15
