"""The file of radii, its summaries, and the page of twins."""

import dataclasses
import math

import pytest

from lsp_core.certify.radii import Radii, median
from lsp_core.evaluation.intervals import median_interval, wilson_interval
from lsp_core.store.schema import SchemaError, read
from lsp_core.study.page.radii import page_of, radii_page


def radii(name="digits-cnn-standard", proved=(0.0, 0.02, 0.04, 0.06), found=(0.0, 0.1, 0.2, None), **changes):
    about = {"weights": "0" * 64, "dataset": "digits", "split": "test", "norm": "Linf", "seed": 0}
    made = {"device": "cpu", "versions": {}, "date": "2026-11-26", "attack": "Minimal-20", "proved_seconds": 8.0}
    both = {"proved": proved, "found": found, "found_8bit": found}
    return Radii(checkpoint=name, n=len(proved), **{**about, **made, **both, **changes})


def test_says_how_many_are_certified():
    found = radii()
    assert found.certified(0.04) == [False, False, True, True]
    assert found.accuracy(0.04) == (0.5, *wilson_interval(2, 4))
    assert found.smallest == [0.0, 0.1, 0.2, math.inf]
    assert median(found.smallest)[0] == 0.1


def test_is_written_and_read(tmp_path):
    radii().write(tmp_path / "a.json")
    assert read(Radii, tmp_path / "a.json") == radii()
    (tmp_path / "a.json").write_text('{"schema": "lsp-lab/radii/1"}')
    with pytest.raises(SchemaError, match="checkpoint"):
        read(Radii, tmp_path / "a.json")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"proved": (0.0, 0.2, 0.0, 0.0)}, "image 1 is proved up to 0.2, but was fooled at 0.1"),
        ({"found": (0.1,), "found_8bit": ()}, "for each of the n = 4 images"),
        ({"found": (0.1, 0.1, 0.1, -1.0)}, "below 0"),
    ],
)
def test_refuses_what_cannot_be(changes, match):
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(radii(), **changes)


@pytest.mark.parametrize(
    ("n", "inside"), [(5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (20, (6, 15)), (100, (40, 61))]
)
def test_the_medians_interval_is_that_of_the_tables(n, inside):
    # Order statistics of Conover's table for 95 %.
    assert median_interval(range(n, 0, -1)) == (inside or (-math.inf, math.inf))


def test_the_page_compares_twins_image_by_image():
    before = radii(proved=(0.01,) * 3 + (0.02,) * 4, found=(0.1,) * 7)
    after = radii("digits-cnn-standard-lsp", proved=(0.04,) * 6 + (0.01,), found=(0.15,) * 6 + (None,))
    text = page_of([before, after, radii("digits-cnn-mart", proved=(0.0,) * 7, found=(0.0,) * 7)])
    row = next(line for line in text.splitlines() if line.startswith("| digits-cnn"))
    cells = [text.replace("\u00a0", " ").strip() for text in row.strip("|").split("|")]
    # Three gain 0.03, three 0.02, one loses 0.01; the middle one of seven gains 0.02.
    assert cells[1] == "0.020 → 0.040<br>+0.020 (-0.010 to +0.030)"
    assert cells[2].startswith("0.100 → 0.150<br>+0.050 (+0.050 to ")
    assert cells[3].startswith("57.1 → 85.7<br>+28.6 (")
    assert "digits-cnn-mart" not in text  # without its twin there is nothing to compare
    assert "n = 7 test images drawn by seed 0" in text
    assert "--n 7 --seed 0 --smallest --json" in text
    assert "Minimal-20" in text


def test_the_page_is_of_the_files_in_a_folder(tmp_path):
    for name in ("digits-cnn-standard", "digits-cnn-standard-lsp"):
        radii(name).write(tmp_path / f"{name}.json")
    assert "| digits-cnn-standard |" in radii_page(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(SchemaError, match=r"other\.json"):
        radii_page(tmp_path)
