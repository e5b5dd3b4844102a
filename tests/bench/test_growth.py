"""What grows how: every size beside what the smallest leads one to expect, its memory, and the plot."""

import sys

import pytest
import torch
from test_bench import CHECKPOINTS, timed

from lsp_core import bench
from lsp_core.bench import growth, metrics, plot
from lsp_core.bench.growth import Axis
from lsp_core.bench.memory import peak
from lsp_core.bench.timing import Measurement


@pytest.fixture(scope="module")
def digits():
    return bench.open_pairs(["digits"], CHECKPOINTS, None, "cpu")[0][0]


def axis(order, limited=True, sizes=(2, 4, 8)):
    return Axis(
        "work",
        "things",
        lambda extent: sizes,
        order,
        lambda size, extent: lambda: size,
        lambda size, _: 10 * size,
        limited,
    )


def measured(monkeypatch, pair, seconds, peaks, **axes):
    """Return the rows of axes, where a size takes so many seconds and so much memory."""
    monkeypatch.setattr(growth, "AXES", axes)
    monkeypatch.setattr(growth, "peak", lambda arm, device: peaks[arm()])
    monkeypatch.setattr(
        growth, "race", lambda arms, runs, **given: {name: timed(seconds[arm()]) for name, arm in arms.items()}
    )
    return list(growth.cost_growth(pair, bench.Extent(runs=1)))


def test_rows_are_beside_what_the_smallest_leads_one_to_expect(digits, monkeypatch):
    seconds, peaks = {2: 1.0, 4: 2.2, 8: 6.0}, {2: 2**20, 4: 2**21, 8: 2**22}
    rows = measured(monkeypatch, digits, seconds, peaks, things=axis(1))
    assert [row.what for row in rows] == ["work, 2 things", "work, 4 things", "work, 8 things"]
    assert [row.against for row in rows] == ["the smallest", "2 times that of 2", "4 times that of 2"]
    assert [row.ratio for row in rows] == [1, pytest.approx(1.1), pytest.approx(1.5)]
    assert [row.met for row in rows] == [None, True, False]
    assert [row.finding for row in rows] == [
        "50 ms each, 1 MB at the peak",
        "55 ms each, 2 MB at the peak",
        "75 ms each, 4 MB at the peak",
    ]
    squares = measured(monkeypatch, digits, seconds, peaks, things=axis(2, limited=False))
    assert [row.ratio for row in squares] == [1, pytest.approx(2.2 / 4), pytest.approx(6 / 16)]
    assert [row.met for row in squares] == [None] * 3


def test_memory_that_grows_misses_the_goal(digits, monkeypatch):
    seconds = {2: 1.0, 4: 2.0, 8: 4.0}
    rows = measured(monkeypatch, digits, seconds, {2: 0, 4: 2**20, 8: 2**28}, things=axis(1))
    assert [row.met for row in rows] == [None, True, False]
    rows = measured(monkeypatch, digits, seconds, dict.fromkeys(seconds), things=axis(1))  # nothing tells
    assert [row.met for row in rows] == [None, True, True]
    assert rows[0].finding == "50 ms each"


def test_every_image_is_attacked_to_the_end():
    """Else the time would depend on what the attack fools."""
    extent = bench.Extent(growth=8)
    small, large = (growth.AXES["images"].build(size, extent)() for size in (8, 16))
    assert small.clean_accuracy == large.clean_accuracy == 1
    assert large.backward_passes == 2 * small.backward_passes == 16 * growth.STEPS


def test_workers_and_classes_are_what_they_say():
    extent = bench.Extent(growth=2)
    assert growth.AXES["classes"].build(100, extent).args[0].head.out_features == 100
    assert growth.AXES["workers"].build(2, extent).keywords["workers"] == 2
    assert growth.AXES["side"].build(14, extent).args[1].shape == (2, 1, 14, 14)


def test_it_is_measured_once(digits, monkeypatch):
    monkeypatch.setattr(growth, "AXES", {"things": axis(1)})
    assert len(bench.measure(["growth"], [digits, digits], bench.Extent(runs=1))) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells the peak.")
def test_peak_is_what_is_taken_on_the_way():
    def passing():
        torch.ones(2**24).sum()

    passing()  # what was freed before must be seen nevertheless
    assert 60 < peak(passing, "cpu") / 2**20 < 90
    assert peak(lambda: None, "cpu") / 2**20 < 10


def test_the_plot_has_a_panel_for_each_axis(tmp_path):
    pytest.importorskip("vl_convert", reason="Nothing is there that could draw.")

    def row(name, size, held):
        figures = {"axis": name, "size": size, "seconds": 1.0, "peak_bytes": held, "order": 1}
        return Measurement("growth", "a", "b", timed(1.0), timed(1.0), "", figures)

    rows = [row("images", 32, 2**24), row("images", 64, 2**24), row("points", 10, None), row("points", 20, None)]
    path = plot.growth_plot([*rows, row("workers", 1, None)], tmp_path / "plots" / "growth.svg")
    drawn = path.read_text()
    assert "evaluation against images" in drawn
    assert "neighbour search against points" in drawn
    assert "against workers" not in drawn  # one size is no line
    assert plot.growth_plot([Measurement("pgd", "a", "b", timed(1.0), timed(1.0))], tmp_path / "none.svg") is None


def test_many_points_are_measured_once_and_not_in_a_hurry(digits, monkeypatch):
    monkeypatch.setattr(metrics, "MANY", 300)
    full = list(metrics.neighbor_metrics(digits, bench.Extent(runs=1)))
    assert [row.limit for row in full] == [1.0, 1.0, 0.1]
    assert full[-1].what == "10 nearest, drawn normally, 300 points in 512 dimensions"
    assert full[-1].figures["difference"] < 1e-4
    assert len(list(metrics.neighbor_metrics(digits, bench.Extent(runs=1, **{"points": bench.QUICK["points"]})))) == 2
