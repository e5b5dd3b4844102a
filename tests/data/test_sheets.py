"""Data sets packed as sheets: the same pixels again, and one sentence for what is not as it was written."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from conftest import toy_dataset
from PIL import Image

from lsp_core import DatasetError, load_dataset
from lsp_core.data import sheets
from lsp_core.data.images import MAX_BYTES
from lsp_core.data.sheets import load_sheets, write_sheets


def named(name="toy", **settings):
    return dataclasses.replace(toy_dataset("test", **settings), name=name)


@pytest.fixture
def packed(tmp_path):
    """A folder with twelve packed images, and what it was made of."""
    data = named(count=12, channels=3)
    write_sheets(data, tmp_path / "toy", "us", "none")
    return tmp_path / "toy", data


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "size"), [(1, 8), (7, 8), (12, 28), (50, 64)])
def test_the_same_images_come_back(tmp_path, count, size, channels):
    data = named(count=count, classes=min(count, 3), size=size, channels=channels)
    write_sheets(data, tmp_path / "toy", "us", "none")
    again = load_sheets(tmp_path / "toy", "test")
    assert again.images.equal(data.images)
    assert again.images.is_contiguous()
    assert again.labels.equal(data.labels)
    assert again.labels.dtype == torch.int64
    assert (again.name, again.split, again.classes) == (data.name, data.split, data.classes)
    assert load_sheets(tmp_path / "toy", "train") is None


def test_images_that_are_not_square_come_back(tmp_path):
    data = dataclasses.replace(named(count=40), images=torch.randint(0, 256, (40, 3, 64, 2), dtype=torch.uint8))
    write_sheets(data, tmp_path / "toy")
    assert load_sheets(tmp_path / "toy", "test").images.equal(data.images)


def test_a_sheet_is_read_from_the_upper_left_row_by_row(packed):
    folder, data = packed
    with Image.open(folder / "test-0.webp") as sheet:
        assert (sheet.format, sheet.size) == ("WEBP", (4 * 8, 3 * 8))
        pixels = np.asarray(sheet)
    for index in range(12):
        top, left = index // 4 * 8, index % 4 * 8
        assert (pixels[top : top + 8, left : left + 8].transpose(2, 0, 1) == data.images[index].numpy()).all()


def test_the_list_says_what_the_images_are(packed):
    folder, data = packed
    assert json.loads((folder / "test.json").read_text()) == {
        "schema": "lsp-lab/sheets/1",
        "name": "toy",
        "split": "test",
        "image_shape": [3, 8, 8],
        "classes": ["class 0", "class 1", "class 2"],
        "labels": "0 1 2 0 1 2 0 1 2 0 1 2",
        "sha256": hashlib.sha256(data.images.numpy().tobytes()).hexdigest(),
        "origin": "us",
        "terms": "none",
    }


def test_many_images_are_several_sheets_and_fewer_leave_none_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "SIDE", 24)  # nine images of eight pixels
    many = named(count=20)
    files = write_sheets(many, tmp_path / "toy")
    assert [file.name for file in files] == ["test-0.webp", "test-1.webp", "test-2.webp", "test.json"]
    assert load_sheets(tmp_path / "toy", "test").images.equal(many.images)
    write_sheets(many.subset(slice(0, 9)), tmp_path / "toy")
    assert sorted(file.name for file in (tmp_path / "toy").iterdir()) == ["test-0.webp", "test.json"]
    assert load_sheets(tmp_path / "toy", "test").images.equal(many.images[:9])


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_even_a_full_sheet_of_noise_can_be_read(tmp_path, size):
    count = (sheets.SIDE // size) ** 2
    noise = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = dataclasses.replace(named(count=count), images=noise)
    sheet, _ = write_sheets(data, tmp_path / "toy")
    assert 0.9 * noise.numel() < sheet.stat().st_size <= MAX_BYTES
    assert load_sheets(tmp_path / "toy", "test").images.equal(noise)


def test_a_named_data_set_is_found_packed(tmp_path, digits_test):
    few = digits_test.subset(slice(0, 30))
    write_sheets(few, tmp_path / "digits")
    found = load_dataset("digits", "test", tmp_path)
    assert found.images.equal(few.images)
    assert len(load_dataset("digits", "train", tmp_path)) == 1198  # which is not packed there
    write_sheets(dataclasses.replace(few, name="cifar10"), tmp_path / "cifar10")
    assert load_dataset("cifar10", "test", tmp_path).changes == ("shift", "flip")


# --- Files that nobody vouches for ---


def refused(folder) -> str:
    with pytest.raises(DatasetError) as caught:
        load_sheets(folder, "test")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": "0 1 2 0 1 2 0 1 2 0 1 3"}, "labels must be numbers from 0 to 2, and one at least"),
        ({"labels": "0 -1"}, "labels must be numbers from 0 to 2"),
        ({"labels": ""}, "labels must be numbers"),
        ({"labels": "9" * 5000}, "test.json is no lsp-lab/sheets/1 file"),
        ({"labels": "x"}, "test.json is no lsp-lab/sheets/1 file"),
        ({"classes": []}, "labels must be numbers"),
        ({"image_shape": [3, 65, 8]}, "image_shape is [3, 65, 8], not 1 or 3 channels of up to 64 pixels"),
        ({"image_shape": [3, 0, 8]}, "image_shape is [3, 0, 8]"),
        ({"image_shape": [2, 8, 8]}, "image_shape is [2, 8, 8]"),
        ({"image_shape": [3, 8, 16]}, "test-0.webp has another size than a sheet of 12 such images"),
        ({"labels": "0 " * 40_000}, "test-0.webp has another size"),
        ({"labels": "0 " * 11}, "other pixels than it was written with"),
        ({"image_shape": [1, 8, 8]}, "other pixels than it was written with"),
        ({"name": "../toy"}, "is of the test split of ../toy, not of what its place says"),
        ({"split": "train"}, "is of the train split of toy, not of what its place says"),
        ({"schema": "lsp-lab/sheets/2"}, "its schema is 'lsp-lab/sheets/2'"),
        ({"more": 1}, "more"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(packed, change, sentence):
    folder, _ = packed
    path = folder / "test.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert sentence in refused(folder)


def test_a_list_of_gigabytes_is_not_read(packed):
    folder, _ = packed
    with open(folder / "test.json", "ab") as file:
        file.truncate(2**33)
    assert "has more than 10 MB, too many for a list of labels" in refused(folder)


def other(folder, kind="WEBP", size=(32, 24), **settings):
    Image.new("RGB", size, (1, 2, 3)).save(folder / "test-0.webp", kind, **settings)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "test-0.webp").unlink(), "test-0.webp cannot be read: No such file"),
        (lambda folder: (folder / "test-0.webp").write_bytes(b"no image"), "test-0.webp: The file is no image"),
        (lambda folder: (folder / "test-0.webp").write_bytes(b"\0" * (MAX_BYTES + 1)), "the limit is 10 MB"),
        (lambda folder: other(folder, size=(8000, 4000)), "the limit is 24"),
        (lambda folder: other(folder, size=(32, 32)), "has another size than a sheet of 12"),
        (lambda folder: Image.new("L", (32, 24)).save(folder / "test-0.webp", "PNG"), "has another size"),
        (other, "other pixels than it was written with: pack them again"),
    ],
)
def test_a_sheet_that_was_not_written_here_is_refused(packed, spoil, sentence):
    folder, _ = packed
    spoil(folder)
    assert sentence in refused(folder)


def test_a_sheet_that_is_cut_off_is_refused(packed):
    folder, _ = packed
    path = folder / "test-0.webp"
    path.write_bytes(path.read_bytes()[:-100])
    assert "test-0.webp" in refused(folder)


# --- The real ones ---


@pytest.mark.parametrize(("name", "least", "most"), [("cifar10", 1500, 1900), ("mnist", 120, 180)])
def test_real_images_are_packed_as_they_are(real_data, tmp_path, name, least, most):
    data = load_dataset(name, "test", real_data).subset(slice(0, None, 10))
    files = write_sheets(data, tmp_path / name)
    again = load_sheets(tmp_path / name, "test")
    assert again.images.equal(data.images)
    assert again.labels.equal(data.labels)
    assert least < files[0].stat().st_size / len(data) < most  # bytes an image
