"""The plots of a study: what they say, and when they are drawn."""

import json
import re

import pytest
from written import NEAR, PRESET, N, plotted, put, result

from lsp_core.lsp import LSP
from lsp_core.study.comparison import comparisons
from lsp_core.study.page import write_report
from lsp_core.study.page.canvas import OTHERS, colours
from lsp_core.study.page.frontier import frontier
from lsp_core.study.page.scatter import correlation
from lsp_core.study.result import read_results
from lsp_core.training import TrainConfig

pytest.importorskip("vl_convert")


@pytest.fixture
def study(tmp_path):
    """Return a function that puts a preset down, and the folder of all."""
    return lambda text=PRESET, name="mine": put(tmp_path, text, name)


def test_the_same_results_give_the_same_bytes(study):
    preset, out = study()
    plotted(preset, out)
    before = {path: path.read_bytes() for path in (write_report(out), *sorted((out / "plots").iterdir()))}
    assert [path.name for path in before] == ["README.md", "mine-1-digits.svg", "mine-neighbours.svg"]
    write_report(out)
    assert before == {path: path.read_bytes() for path in (out / "README.md", *sorted((out / "plots").iterdir()))}


def test_plots_say_what_they_show(study):
    preset, out = study()
    plotted(preset, out)
    text = write_report(out).read_text()
    for name in re.findall(r"\((plots/[^)]+)\)", text):
        assert (out / name).is_file()
    curves, scatter = ((out / "plots" / f"mine-{name}.svg").read_text() for name in ("1-digits", "neighbours"))
    assert "Lines: PGD-20 on 40 test images, mean of 3 seeds" in curves
    assert "Points: fast ensemble on 40 test images, mean of 3 seeds" in curves
    assert "Grey: eps, the radius of the row." in curves
    assert "pgd-at, eps 51/255 (0.200)" in curves
    assert "trained at" not in curves
    assert "digits, pgd-at" in scatter
    assert "fast ensemble, n = 40" in scatter
    for svg in (curves, scatter):
        assert "#D0702F" in svg
        assert "#3D8BD4" in svg
        assert 'fill="white"' in svg
        assert not re.findall(r"(?:href|src)=|url\(http|@import", svg)


WEIGHTS = {"ball alone": 0.0, "LSP": 0.1, "half": 0.05, "double": 0.2}
FRONTIER = PRESET.replace("LSP = { lsp = {} }", "\n".join(f'"{name}" = {{ lsp = {{}} }}' for name in WEIGHTS))


def of_weight(name, **others):
    """The configuration of a variant whose neighbours' part has its weight, and that is otherwise the same."""
    lsp = LSP(neighbors="none" if name == "ball alone" else "correlation", neighbors_weight=WEIGHTS[name], **others)
    return TrainConfig("digits", "cnn", "pgd-at", eps=0.2, lsp=lsp).to_record()


def frontier_of(preset, out):
    return frontier(comparisons(preset.grids, read_results(preset.runs(), out / preset.name))[0])


def test_the_frontier_goes_from_the_least_weight_to_the_most(study):
    preset, out = study(FRONTIER.replace("baseline = {}", "baseline = {}\nother = {}"))
    for name, right in (("baseline", 12), ("other", 13)):
        result(out, preset, name, 0, attacks={"pgd": 30, "fast": right}, preservation=NEAR)
    for seed in (0, 1):
        for place, name in enumerate(WEIGHTS):
            attacks, near = {"pgd": 30, "fast": 20 + 2 * place + seed}, {**NEAR, "kept": 0.2 * (place + 1)}
            result(out, preset, name, seed, attacks=attacks, preservation=near, config=of_weight(name))
    points = frontier_of(preset, out)
    assert [(point["name"], point["weight"]) for point in points] == [
        *((f"{weight:g}", weight) for weight in (0, 0.05, 0.1, 0.2)),
        ("baseline", None),
    ]
    assert [point["accuracy"] for point in points] == pytest.approx([20.5 / N, 24.5 / N, 22.5 / N, 26.5 / N, 12 / N])
    assert [point["kept"] for point in points] == pytest.approx([0.1, 0.3, 0.2, 0.4, 0.25])  # at unit length
    assert (points[0]["low"], points[0]["high"]) == (20 / N, 21 / N)
    page = write_report(out).read_text()
    assert "(plots/mine-1-frontier.svg)" in page
    svg = (out / "plots" / "mine-1-frontier.svg").read_text()
    assert ">0.05<" in svg
    assert ">baseline<" in svg


@pytest.mark.parametrize("lost", ["half", "baseline"])
def test_a_line_needs_three_weights_and_a_baseline(study, lost):
    preset, out = study(FRONTIER)
    for name in ("baseline", "LSP", "ball alone", "half"):
        if name != lost:
            config = {} if name == "baseline" else {"config": of_weight(name)}
            result(out, preset, name, 0, attacks={"fast": 20}, preservation=NEAR, **config)
    assert frontier_of(preset, out) == []
    result(out, preset, "double", 0, attacks={"fast": 20}, preservation=NEAR, config=of_weight("double", share=0.9))
    assert frontier_of(preset, out) == []  # it differs in more than the weight


def test_the_scatter_shows_what_most_runs_share(study):
    """AutoAttack of one run of six is not it; ranks of kept 1 1 2 2 3 3, of accuracy 1 4 2 5 3 6."""
    preset, out = study(PRESET.replace('["pgd-at"]', '["pgd-at", "trades"]'))
    plotted(preset, out)
    attacked = {"attacks": {"pgd": 30, "fast": 28, "autoattack": 27}, "preservation": NEAR}
    result(out, preset, "LSP", 0, **attacked)
    write_report(out)
    scatter = (out / "plots" / "mine-neighbours.svg").read_text()
    assert "fast ensemble, n = 40" in scatter
    assert "AutoAttack" not in scatter
    assert "Spearman +0.48, 6 runs" in scatter
    assert "digits, trades" not in scatter
    result(out, preset, "LSP", 0, objective="trades", **attacked)
    write_report(out)
    scatter = (out / "plots" / "mine-neighbours.svg").read_text()
    assert "digits, trades" in scatter
    assert "AutoAttack, n = 40" in scatter
    assert ">1 run<" in scatter


def test_spearman_by_hand():
    """Ranks 1 to 5 and 2, 1, 4, 3, 5: differences squared 1 + 1 + 1 + 1 + 0, 1 - 6 * 4 / (5 * 24) = 0.8."""
    kept, accuracy = (1, 2, 3, 4, 5), (0.2, 0.1, 0.4, 0.3, 0.9)
    points = [{"kept": one, "accuracy": other} for one, other in zip(kept, accuracy, strict=True)]
    assert correlation(points) == pytest.approx(0.8)
    assert correlation(points[:4]) is None
    assert correlation([{**point, "kept": 1} for point in points]) is None


def test_a_large_grid_that_is_not_the_first_is_not_drawn(study):
    many = "".join(f'"weight {weight}" = {{ lsp = {{ weight = {weight}.0 }} }}\n' for weight in range(3))
    second = PRESET[PRESET.index("[[grid]]") :].replace("Main", "Ablation") + many
    preset, out = study(PRESET + second)
    plotted(preset, out)
    text = write_report(out).read_text()
    assert text.count("accuracy against eps") == 1
    assert text.count("#### digits, pgd-at") == 2


def test_plots_of_a_grid_that_is_gone_are_removed_and_no_others(study):
    preset, out = study()
    plotted(preset, out)
    write_report(out)
    (out / "plots" / "mine-own.svg").write_text("drawn by hand")
    for path in (out / "mine").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "directions": None, "preservation": None}))
    write_report(out)
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["mine-1-digits.svg", "mine-own.svg"]


def test_plots_that_cannot_be_drawn_again_stay(study, monkeypatch):
    preset, out = study()
    plotted(preset, out)
    write_report(out)
    monkeypatch.setattr("lsp_core.study.page.canvas.find_spec", lambda name: None)
    write_report(out)
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["mine-1-digits.svg", "mine-neighbours.svg"]


def test_without_altair_the_page_says_so(study, monkeypatch):
    monkeypatch.setattr("lsp_core.study.page.canvas.find_spec", lambda name: None)
    preset, out = study()
    plotted(preset, out)
    text = write_report(out).read_text()
    assert "There are no plots, since altair and vl-convert-python, which draw them, were not there." in text
    assert "![" not in text
    assert not (out / "plots").exists()


def test_colours_are_those_of_the_app():
    charts = pytest.importorskip("app.figures.curves")
    assert colours(["weight 0", "LSP", "baseline", "b"]) == [OTHERS[0], charts.LSP, charts.BASELINE, OTHERS[1]]
