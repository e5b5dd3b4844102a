"""The samples of test images that are shipped, so that the app opens in colour without a network."""

from pathlib import Path

import pytest
import torch
from conftest import toy_dataset

from lsp_core.data import load_dataset
from lsp_core.data.registry import DATASETS, data_root
from lsp_core.data.sheets import Sheets, load_sheets, write_sheets
from lsp_core.store.schema import read

SAMPLES = Path(__file__).parents[2] / "checkpoints" / "samples"
MOST_BYTES = 1_200_000


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_sample_has_each_class_and_says_where_it_is_from(name):
    sample = load_sheets(SAMPLES / name, "test")
    assert len(sample) == 500
    assert min(sample.labels.bincount()) >= 42  # in proportion: MNIST has fewer fives than ones
    assert len(set(sample.rows.tolist())) == 500
    facts = read(Sheets, SAMPLES / name / "test.json")
    assert (facts.origin, facts.terms) == (DATASETS[name].origin, DATASETS[name].terms) != ("", "")
    assert sum(path.stat().st_size for path in (SAMPLES / name).iterdir()) < MOST_BYTES


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_sample_is_those_rows_of_the_test_images(name):
    sample = load_sheets(SAMPLES / name, "test")
    try:
        data = load_dataset(name, "test")
    except ValueError:
        pytest.skip(f"{name} is not under {data_root()}, so the sample cannot be compared with it.")
    assert torch.equal(data.images[sample.rows], sample.images)
    assert torch.equal(data.labels[sample.rows], sample.labels)


def test_rows_go_with_what_is_taken_of_a_data_set(tmp_path):
    data = toy_dataset("test")
    part = data.subset(torch.tensor([5, 3, 8])).subset(slice(1, 3))
    assert part.rows.tolist() == [3, 8]
    write_sheets(part, tmp_path / "toy")
    again = load_sheets(tmp_path / "toy", "test")
    assert again.rows.tolist() == [3, 8]
    assert torch.equal(again.images, data.images[[3, 8]])
    write_sheets(data, tmp_path / "toy")
    assert load_sheets(tmp_path / "toy", "test").rows is None


@pytest.mark.parametrize("rows", ["1", "1 -2"])
def test_rows_that_do_not_fit_are_refused(rows):
    facts = {"name": "toy", "split": "test", "image_shape": (1, 8, 8), "classes": ("a",), "labels": "0 0", "sha256": ""}
    with pytest.raises(ValueError, match="rows must be a number from 0 for each label"):
        Sheets(**facts, rows=rows)
