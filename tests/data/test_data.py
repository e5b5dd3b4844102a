"""Data sets: the bundled digits, folders of images, the cache, and what is said when something is absent."""

import dataclasses
import os
import re

import numpy as np
import pytest
import torch
from conftest import toy_dataset
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from lsp_core import DatasetError, load_dataset
from lsp_core.data import DATASETS, data_root, stratified_split
from lsp_core.data import folder as folders
from lsp_core.data.downloaded import CIFAR10
from lsp_core.data.images import ImageError


def refused(*args, **settings) -> str:
    with pytest.raises(DatasetError) as caught:
        load_dataset(*args, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Digits ---


def test_digits_have_the_promised_sizes_and_kinds(digits_train, digits_test):
    assert (len(digits_train), len(digits_test)) == (1198, 599)
    for data in (digits_train, digits_test):
        assert data.image_shape == (1, 8, 8)
        assert data.images.dtype == torch.uint8
        assert data.labels.dtype == torch.int64
        assert data.classes == tuple("0123456789")
        assert (data.images.min(), data.images.max()) == (0, 255)


def test_digits_are_all_of_scikit_learn_once(digits_train, digits_test):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    expected = np.round(bunch.images * 255 / 16).astype(np.uint8).reshape(1797, -1)
    ours = torch.cat([digits_train.images, digits_test.images]).flatten(1).numpy()
    labels = torch.cat([digits_train.labels, digits_test.labels]).numpy()

    def rows(pixels, targets):
        return sorted((row.tobytes(), int(label)) for row, label in zip(pixels, targets, strict=True))

    assert rows(ours, labels) == rows(expected, bunch.target)


def test_digits_are_stratified_and_the_same_every_time(digits_train, digits_test):
    shares = digits_test.labels.bincount() / (digits_train.labels.bincount() + digits_test.labels.bincount())
    assert ((shares - 599 / 1797).abs() < 0.01).all()
    again = load_dataset("digits", "train")
    assert again.images.equal(digits_train.images)
    assert again.labels.equal(digits_train.labels)
    assert load_dataset("digits").images.equal(digits_test.images)  # test is the default split


def test_the_digits_test_set_is_the_one_that_scikit_learn_sets_apart(digits_test):
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    _, rows = train_test_split(np.arange(1797), test_size=599, random_state=0, stratify=bunch.target)
    expected = np.round(bunch.images[np.sort(rows)] * 255 / 16).astype(np.uint8)
    assert (digits_test.images[:, 0].numpy() == expected).all()
    assert (digits_test.labels.numpy() == bunch.target[np.sort(rows)]).all()


def test_digits_without_scikit_learn_are_one_sentence(monkeypatch):
    monkeypatch.setattr("lsp_core.data.downloaded.find_spec", lambda name: None)
    assert "pip install scikit-learn" in refused("digits")


# --- ImageDataset ---


def test_float_subset_and_to():
    data = toy_dataset(count=12, channels=3, size=6)
    assert (len(data), data.image_shape) == (12, (3, 6, 6))
    rows = torch.tensor([3, 1])
    assert data.float(rows).equal(data.images[rows].float() / 255)
    assert data.float().amax() <= 1
    part = data.subset(rows)
    assert part.labels.tolist() == [0, 1]
    assert part.images.equal(data.images[rows])
    assert (part.name, part.split, part.classes) == (data.name, data.split, data.classes)
    assert data.subset(slice(0, 5)).to("cpu").images.equal(data.images[:5])


def test_what_is_made_of_a_data_set_keeps_its_random_changes():
    data = dataclasses.replace(toy_dataset(count=12), changes=("flip",))
    assert data.subset(slice(0, 5)).changes == data.to("cpu").changes == ("flip",)
    assert toy_dataset().changes == ("shift",)  # nothing is mirrored unasked


@pytest.mark.parametrize(
    ("labels", "held_out", "message"),
    [
        ([0] * 5 + [1] * 5, 1, "1 of 10 images cannot be set apart with some of each of 2 classes on both sides"),
        ([0] * 5 + [1] * 5, 9, "the number must be from 2 to 8"),
        ([0] * 9 + [1], 4, "a class has a single image"),
    ],
)
def test_a_split_that_cannot_be_stratified_is_one_sentence(labels, held_out, message):
    with pytest.raises(ValueError, match=message) as caught:
        stratified_split(torch.tensor(labels), held_out, seed=0)
    assert "\n" not in str(caught.value)


def test_a_stratified_split_is_disjoint_complete_and_seeded():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    kept, apart = stratified_split(labels, 20, seed=1)
    assert sorted(kept.tolist() + apart.tolist()) == list(range(100))
    assert labels[apart].bincount().tolist() == [10, 6, 4]
    assert kept.tolist() == sorted(kept.tolist())
    assert stratified_split(labels, 20, seed=1)[1].equal(apart)
    assert not stratified_split(labels, 20, seed=2)[1].equal(apart)


def test_a_stratified_split_has_the_rows_of_scikit_learn():
    """Every checkpoint was trained and measured on such rows: ties, empty classes and remainders included."""
    from sklearn.model_selection import train_test_split

    generator = np.random.default_rng(0)
    for _ in range(200):
        counts = generator.integers(0, 40, size=generator.integers(1, 12)) * generator.integers(0, 2) + 6
        labels = generator.permutation(np.repeat(np.arange(len(counts)) * 2, counts))
        held_out = int(generator.integers(len(counts), len(labels) - len(counts) + 1))
        seed = int(generator.integers(2**32))
        rows = np.arange(len(labels))
        expected = train_test_split(rows, test_size=held_out, random_state=seed, stratify=labels)
        for found, theirs in zip(stratified_split(torch.tensor(labels), held_out, seed), expected, strict=True):
            assert found.tolist() == sorted(theirs.tolist())


# --- Names and absence ---


def test_an_unknown_name_lists_the_valid_ones():
    message = refused("imagenet")
    assert "unknown data set 'imagenet'" in message
    assert all(name in message for name in DATASETS)


def test_an_unknown_split_is_refused():
    assert "split is 'validation', but it must be train or test" in refused("digits", "validation")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"])
def test_an_absent_data_set_says_how_to_get_it(name, tmp_path):
    message = refused(name, "test", tmp_path)
    assert f"{name} is not under {tmp_path}" in message
    assert f"python -m lsp_core info {name} --download" in message
    assert "--data-root" in message
    assert os.listdir(tmp_path) in ([], ["svhn"])  # nothing was fetched


def test_the_root_is_the_argument_then_the_environment_then_data(monkeypatch, tmp_path):
    monkeypatch.setenv("LSP_DATA", str(tmp_path))
    assert data_root("elsewhere").name == "elsewhere"
    assert data_root() == tmp_path
    monkeypatch.delenv("LSP_DATA")
    assert str(data_root()) == "data"


# --- Folders of images ---


def write(path, shape=(8, 8), value=100, kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path, kind)
    return path


@pytest.fixture
def folder(tmp_path):
    base = tmp_path / "fruit"
    for split, offset in (("train", 0), ("test", 5)):
        for label, title in enumerate(("apple", "banana", "cherry")):
            for number in range(2):
                write(base / split / title / f"{number}.png", value=50 * label + 10 * number + offset)
    return base


def test_a_folder_becomes_a_data_set(folder):
    data = load_dataset(str(folder), "train")
    assert data.classes == ("apple", "banana", "cherry")
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.image_shape == (1, 8, 8)
    assert data.images[:, 0, 0, 0].tolist() == [0, 10, 50, 60, 100, 110]
    assert load_dataset(str(folder), "test").images[:, 0, 0, 0].tolist() == [5, 15, 55, 65, 105, 115]


def test_a_folder_is_not_mirrored_and_the_named_ones_are_as_their_row_says(folder, monkeypatch):
    assert load_dataset(str(folder), "train").changes == ("shift",)
    assert load_dataset("digits").changes == ("shift",)
    monkeypatch.setitem(DATASETS, "digits", dataclasses.replace(DATASETS["digits"], changes=("shift", "flip")))
    assert load_dataset("digits").changes == ("shift", "flip")


def test_grey_and_colour_together_become_colour(folder):
    write(folder / "train" / "apple" / "2.png", (8, 8, 3), 7)
    data = load_dataset(str(folder), "train")
    assert data.image_shape == (3, 8, 8)
    assert data.images[3, :, 0, 0].tolist() == [50, 50, 50]


@pytest.mark.parametrize("shape", [(9, 31), (40, 20), (8, 9), (100, 100)])
def test_odd_sizes_are_cropped_and_resized(folder, shape):
    for file in folder.rglob("*.png"):
        write(file, shape)
    data = load_dataset(str(folder), "train")
    assert data.image_shape == (1, 32, 32)
    assert (data.images == 100).all()


def test_unequal_sizes_are_made_equal(folder):
    write(folder / "train" / "apple" / "2.png", (20, 14))
    assert load_dataset(str(folder), "train").image_shape == (1, 32, 32)


def test_a_folder_is_read_in_the_size_that_is_wanted_and_the_cache_tells_them_apart(folder):
    for shape in ((8, 8), (100, 80)):
        for file in folder.rglob("*.png"):
            write(file, shape, value=90)
        for size in (70, 12, 70):
            data = load_dataset(str(folder), "train", size=size)
            assert data.image_shape == (1, size, size)
            assert (data.images == 90).all()
    assert load_dataset(str(folder), "train").image_shape == (1, 32, 32)
    assert load_dataset("digits", size=12).image_shape == (1, 8, 8)


def test_labels_follow_the_names_of_classes_into_another_list(folder):
    data = load_dataset(str(folder), "train")
    other = data.named(("plum", "cherry", "apple", "banana"))
    assert other.labels.tolist() == [2, 2, 3, 3, 1, 1]
    assert other.classes == ("plum", "cherry", "apple", "banana")
    assert other.images.equal(data.images)
    assert data.named(data.classes) is data
    with pytest.raises(DatasetError, match="has the class 'banana', which is none of the 2 given"):
        data.named(("apple", "cherry"))


def test_files_that_are_no_images_of_the_set_are_passed_by(folder):
    (folder / "train" / "apple" / "notes.txt").write_text("no image")
    (folder / "train" / "apple" / "._0.png").write_bytes(b"what a file manager leaves")
    (folder / "train" / "apple" / "deeper.png").mkdir()
    (folder / "train" / ".cache").mkdir()
    assert len(load_dataset(str(folder), "train")) == 6


def test_an_empty_class_is_refused(folder):
    for file in (folder / "train" / "banana").iterdir():
        file.unlink()
    message = refused(str(folder), "train")
    assert "banana holds no image" in message
    assert "PNG" in message


def test_one_class_is_refused(tmp_path):
    write(tmp_path / "train" / "only" / "0.png")
    assert "holds 1 class folder(s), but a classifier needs at least two" in refused(str(tmp_path), "train")


def test_a_missing_split_is_refused(folder):
    (folder / "test").rename(folder / "validation")
    assert "has no folder test: it must hold train/<class>/ and test/<class>/" in refused(str(folder), "test")
    assert len(load_dataset(str(folder), "train")) == 6


def test_splits_of_other_classes_are_refused(folder):
    # Labels are the places of the sorted names, so 1 would mean banana in one split and cherry in the other.
    (folder / "test" / "banana").rename(folder / "test" / "zebra")
    for split in ("train", "test"):
        assert "other class folders" in refused(str(folder), split)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"no image"])
def test_a_damaged_file_is_named(folder, damage):
    broken = folder / "train" / "cherry" / "1.png"
    broken.write_bytes(damage(broken.read_bytes()))
    message = refused(str(folder), "train")
    assert str(broken) in message
    assert re.search("damaged|no image", message)


# --- The cache ---


@pytest.fixture
def no_decoding(monkeypatch):
    def forbid():
        def fail(content):
            raise ImageError("decoded again.")

        monkeypatch.setattr(folders, "decode_image", fail)

    return forbid


def test_the_second_load_comes_from_the_cache(folder, no_decoding):
    first = load_dataset(str(folder), "train")
    no_decoding()
    second = load_dataset(str(folder), "train")
    assert second.images.equal(first.images)
    assert second.labels.equal(first.labels)
    assert "decoded again" in refused(str(folder), "test")  # the other split has an entry of its own


@pytest.mark.parametrize(
    "change",
    [
        lambda base: write(base / "apple" / "9.png"),
        lambda base: (base / "apple" / "0.png").unlink(),
        lambda base: write(base / "apple" / "0.png", (9, 9)),
        lambda base: os.utime(base / "apple" / "0.png", (1, 1)),
        lambda base: (base / "apple" / "0.png").rename(base / "apple" / "7.png"),
    ],
)
def test_a_change_in_the_folder_is_noticed(folder, no_decoding, change):
    load_dataset(str(folder), "train")
    change(folder / "train")
    no_decoding()
    assert "decoded again" in refused(str(folder), "train")


def test_files_that_change_places_between_classes_are_noticed(folder):
    # Archives unpack with one time for all files, and images of one size may have one length in bytes.
    for file in folder.rglob("*.png"):
        os.utime(write(file.with_suffix(".bmp"), value=np.array(Image.open(file))[0, 0]), (1, 1))
        file.unlink()
    before = load_dataset(str(folder), "train")
    train = folder / "train"
    for old, new in (("apple", "swap"), ("cherry", "apple"), ("swap", "cherry")):
        (train / old).rename(train / new)
    after = load_dataset(str(folder), "train")
    assert after.images[:2].equal(before.images[4:])


def test_a_damaged_cache_is_passed_by_and_replaced(folder, tmp_path, no_decoding):
    first = load_dataset(str(folder), "train")
    (cached,) = (tmp_path / "cache" / "lsp-lab").iterdir()
    for junk in (b"", b"junk", cached.read_bytes()[:-10]):
        cached.write_bytes(junk)
        assert load_dataset(str(folder), "train").images.equal(first.images)
    save_file({"other": torch.zeros(1)}, cached)
    assert load_dataset(str(folder), "train").images.equal(first.images)
    no_decoding()
    load_dataset(str(folder), "train")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda images: images[:-1],
        lambda images: images.float(),
        lambda images: images.to(torch.int16),
        lambda images: images[:, 0],
        lambda images: images.expand(-1, 2, -1, -1).contiguous(),
        lambda images: images[:, :, :, 1:].contiguous(),
        lambda images: images.repeat(1, 1, 10, 10),
    ],
    ids=["fewer", "float", "int16", "three dimensions", "two channels", "not square", "too large"],
)
def test_a_cache_that_does_not_match_is_never_served(folder, tmp_path, spoil):
    first = load_dataset(str(folder), "train")
    (cached,) = (tmp_path / "cache" / "lsp-lab").iterdir()
    with safe_open(cached, framework="pt") as file:
        images, about = file.get_tensor("images"), file.metadata()
    for metadata in (about, None):
        save_file({"images": spoil(images)}, cached, metadata)
        again = load_dataset(str(folder), "train")
        assert again.images.equal(first.images)
        assert again.images.dtype == torch.uint8


@pytest.mark.parametrize(
    ("setting", "value"), [("FOLDER_SIZE", 16), ("LARGEST_AS_IS", 4), ("CACHE_FORMAT", 99), ("PIL.__version__", "0")]
)
def test_other_rules_of_decoding_are_noticed(folder, no_decoding, monkeypatch, setting, value):
    for file in folder.rglob("*.png"):
        write(file, (50, 50))
    load_dataset(str(folder), "train")
    monkeypatch.setattr(f"lsp_core.data.folder.{setting}", value)
    no_decoding()
    assert "decoded again" in refused(str(folder), "train")


def test_the_cache_of_another_folder_is_never_served(folder, tmp_path):
    images = load_dataset(str(folder), "train").images
    (cached,) = (tmp_path / "cache" / "lsp-lab").iterdir()
    load_dataset(str(folder), "test")
    (other,) = set((tmp_path / "cache" / "lsp-lab").iterdir()) - {cached}
    other.replace(cached)
    assert load_dataset(str(folder), "train").images.equal(images)


def test_a_folder_that_changes_leaves_one_cache_behind(folder, tmp_path):
    for number in range(2, 5):
        write(folder / "train" / "apple" / f"{number}.png")
        load_dataset(str(folder), "train")
    assert len(list((tmp_path / "cache" / "lsp-lab").iterdir())) == 1


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(folder, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert len(load_dataset(str(folder), "train")) == 6


# --- CIFAR-10 as a folder, and the real thing ---


def test_cifar10_as_a_folder_keeps_its_order_of_classes(tmp_path):
    for split in ("train", "test"):
        for label, title in enumerate(CIFAR10):
            write(tmp_path / "cifar10" / split / title / "0.png", (32, 32, 3), label)
    data = load_dataset("cifar10", "test", tmp_path)
    assert (data.name, data.classes, data.image_shape) == ("cifar10", CIFAR10, (3, 32, 32))
    assert data.images[:, 0, 0, 0].tolist() == data.labels.tolist() == list(range(10))


def test_cifar10_with_other_folders_is_refused(tmp_path):
    for split in ("train", "test"):
        for title in ("cat", "dog"):
            write(tmp_path / "cifar10" / split / title / "0.png", (32, 32, 3))
    assert "must hold the folders airplane, automobile" in refused("cifar10", "test", tmp_path)


def test_torchvision_layout_is_read(tmp_path):
    # MNIST in its own format: a magic number, the sizes, and the bytes.
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train", "t10k"):
        pixels = np.arange(2 * 28 * 28, dtype=np.uint8).tobytes()
        (raw / f"{name}-images-idx3-ubyte").write_bytes(np.array([0x803, 2, 28, 28], ">i4").tobytes() + pixels)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(np.array([0x801, 2], ">i4").tobytes() + bytes([7, 2]))
    data = load_dataset("mnist", "test", tmp_path)
    assert (data.image_shape, data.labels.tolist(), data.classes) == ((1, 28, 28), [7, 2], tuple("0123456789"))
    assert data.images.dtype == torch.uint8
    assert data.images[0, 0, 1, :3].tolist() == [28, 29, 30]


@pytest.mark.parametrize("spoil", [lambda data: data[:100], lambda data: b"\x00" * 50, lambda data: b""])
def test_a_damaged_torchvision_file_is_one_sentence(tmp_path, spoil):
    test_torchvision_layout_is_read(tmp_path)
    broken = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    broken.write_bytes(spoil(broken.read_bytes()))
    assert "mnist could not be read under" in refused("mnist", "test", tmp_path)


def test_real_mnist(real_data):
    try:
        train, test = (load_dataset("mnist", split, real_data) for split in ("train", "test"))
    except DatasetError as error:
        pytest.skip(str(error))
    assert (len(train), len(test)) == (60_000, 10_000)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert train.float().mean().item() == pytest.approx(0.1307, abs=1e-4)


def test_real_cifar10(real_data, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")  # decoding 10,000 files takes longer than all the other tests here
    try:
        test = load_dataset("cifar10", "test", real_data)
    except DatasetError as error:
        pytest.skip(str(error))
    assert len(test) == 10_000
    assert test.labels.bincount().tolist() == [1000] * 10
    assert test.float().mean((0, 2, 3)).tolist() == pytest.approx([0.4942, 0.4851, 0.4504], abs=1e-3)
