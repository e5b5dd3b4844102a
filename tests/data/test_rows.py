"""Which images of the whole a part of a data set is: known to what is taken of it, and kept in its sheets."""

import pytest
import torch
from conftest import toy_dataset

from lsp_core.data.sheets import Sheets, load_sheets, write_sheets


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
