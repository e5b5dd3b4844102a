"""The page of a study: figures worked by hand, results in part, and the same bytes from the same results."""

import json
import re

import numpy as np
import pytest
import torch
from conftest import TinyNet, random_batch

from lsp_core.attacks import FGSM
from lsp_core.evaluation import evaluate
from lsp_core.intervals import paired_interval, wilson_interval
from lsp_core.study import parse_preset
from lsp_core.study.canvas import OTHERS, colours
from lsp_core.study.outcome import Neighbors, Score, read_outcomes
from lsp_core.study.preservation import preservation
from lsp_core.study.report import NO_PLOTS, write_report
from lsp_core.study.summary import Spread, strongest_first, tables

N = 40
PRESET = """
seeds = [0, 1, 2]
n = 40
attacks = ["pgd", "fast", "autoattack"]

[[grid]]
title = "Main"
about = "Does it help?"
datasets = ["digits"]
objectives = ["pgd-at"]
[grid.variants]
baseline = {}
LSP = { lsp = {} }
"""
LABELS = {"pgd": "PGD-20", "fast": "a long list", "autoattack": "AutoAttack"}


def entry(name, right, eps=0.2, n=N, clean=36):
    """An evaluation in which the first ``right`` images stand."""
    bits = {"clean_correct": np.arange(n) < clean, "robust_correct": np.arange(n) < right}
    return {
        "name": name,
        "attack": "Any",
        "label": LABELS.get(name, "PGD-20"),
        "eps": eps,
        "n": n,
        "clean_accuracy": clean / n,
        "clean_interval": wilson_interval(clean, n),
        "robust_accuracy": right / n,
        "robust_interval": wilson_interval(right, n),
        **{key: np.packbits(flags).tobytes().hex() for key, flags in bits.items()},
    }


def result(folder, preset, variant, seed, **parts):
    """Write what is known of a run; ``attacks`` names how many images stand under each."""
    run = next(run for run in preset.runs() if (run.variant, run.seed) == (variant, seed))
    record = {
        "schema": "lsp-lab/run/1",
        "id": run.id,
        "config": {"eps": parts.pop("eps", 0.2)},
        "machine": parts.pop(
            "machine", {"processor": "Abacus", "cores": 2, "threads": 1, "date": f"2026-01-0{seed + 1}"}
        ),
    }
    if attacks := parts.pop("attacks", {}):
        eps = record["config"]["eps"]
        record["evaluations"] = [entry(name, right, eps) for name, right in attacks.items()]
    if near := parts.get("preservation"):
        parts["directions"] = {**near, "kept": near["kept"] / 2}
    path = folder / preset.name / f"{run.id}.json"
    path.write_text(json.dumps({**record, **parts}))
    return path


@pytest.fixture
def study(tmp_path):
    """Return a function that puts a preset down, and the folder of all."""

    def put(text=PRESET, name="mine"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "preset.toml").write_text(text)
        return parse_preset(name, text), tmp_path

    return put


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr("lsp_core.study.canvas.find_spec", lambda name: None)


def rows(page, title="variant"):
    """The cells of the table whose first heading row holds ``title``, by variant."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    start = next(place for place, line in enumerate(cells) if title in line)
    found = {}
    for line in cells[start + 2 :]:
        if line[0] == "variant":
            break
        found[line[0]] = dict(zip(cells[start], line, strict=True))
    return found


def three_seeds(preset, out, **parts):
    for seed, right in enumerate((20, 24, 22)):
        result(out, preset, "baseline", seed, attacks={"pgd": 30, "fast": right}, **parts)
        result(out, preset, "LSP", seed, attacks={"pgd": 32, "fast": 28}, **parts)


# --- Figures ---


def test_three_seeds_by_hand(study, no_plots):
    preset, out = study()
    three_seeds(preset, out)
    found = rows(write_report(out), "fast ensemble")
    assert found["baseline"]["seeds"] == "3"
    assert found["baseline"]["n"] == "40"
    assert found["baseline"]["clean"] == "90.0 ± 0.0"
    assert found["baseline"]["fast ensemble"] == "55.0 ± 5.0"  # 50, 60 and 55
    assert found["LSP"]["PGD-20"] == "80.0 ± 0.0"
    assert "AutoAttack" not in found["LSP"]
    # 20, 10 and 15 points. By image 1/3 twice, 2/3 twice and 1 four times, with 1 and -1 added: mean 6 / 42 = 0.142857,
    # variance 7.111111 / 42 - 0.020408 = 0.148904, standard error sqrt(0.148904 / 42) = 0.059543.
    assert found["LSP"]["against baseline, in points"] == "+15.0 ± 5.0 (+2.6 to +26.0), fast ensemble"
    assert found["baseline"]["against baseline, in points"] == ""


def test_one_seed_has_wilson_and_newcombe(study, no_plots):
    preset, out = study(PRESET.replace("[0, 1, 2]", "[0]"))
    result(out, preset, "baseline", 0, attacks={"autoattack": 20})
    result(out, preset, "LSP", 0, attacks={"autoattack": 28})
    found = rows(write_report(out), "AutoAttack")
    assert found["baseline"]["AutoAttack"] == "50.0 (35.2 to 64.8)"
    low, high = paired_interval([True] * 28 + [False] * 12, [True] * 20 + [False] * 20)
    expected = f"+20.0 ({100 * low:+.1f} to {100 * high:+.1f}), AutoAttack"
    assert found["LSP"]["against baseline, in points"] == expected


def test_a_lead_is_of_seeds_that_both_have(study, no_plots):
    preset, out = study()
    three_seeds(preset, out)
    result(out, preset, "LSP", 1, attacks={"pgd": 32, "fast": 28, "autoattack": 27})
    found = rows(write_report(out), "AutoAttack")
    assert found["LSP"]["AutoAttack"] == f"{entry_text(27)}, 1 seed"
    assert found["LSP"]["against baseline, in points"].endswith("fast ensemble")  # the baseline has no AutoAttack
    result(out, preset, "baseline", 1, attacks={"pgd": 30, "fast": 24, "autoattack": 23})
    found = rows(write_report(out), "AutoAttack")
    assert found["LSP"]["against baseline, in points"].startswith("+10.0 (")
    assert found["LSP"]["against baseline, in points"].endswith(", AutoAttack, 1 seed")


def entry_text(right):
    low, high = wilson_interval(right, N)
    return f"{100 * right / N:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def test_other_radii_are_not_compared_and_are_named(study, no_plots):
    preset, out = study()
    result(out, preset, "baseline", 0, attacks={"fast": 20})
    result(out, preset, "LSP", 0, attacks={"fast": 28}, eps=0.1)
    page = write_report(out)
    assert "#### digits, pgd-at, eps 0.1 and 51/255 (0.200)" in page.read_text()
    assert rows(page, "fast ensemble")["LSP (eps 0.1)"]["against baseline, in points"] == ""


def test_no_minus_zero(study, no_plots):
    preset, out = study()
    for seed in range(3):
        result(out, preset, "baseline", seed, attacks={"fast": 20})
        result(out, preset, "LSP", seed, attacks={"fast": 20})
    assert rows(write_report(out), "clean")["LSP"]["against baseline, in points"].startswith("+0.0 ± 0.0 (")


def test_neighbours_and_cost(study, no_plots):
    preset, out = study()
    for variant, kept, seconds in (("baseline", 0.5, 10.0), ("LSP", 0.7, 25.0)):
        for seed in range(3):
            clean = {"trustworthiness": 0.9, "continuity": 0.8, "knn_overlap": 0.3 + seed / 10}
            adversarial = {key: value / 2 for key, value in clean.items()}
            near = {"k": 10, "n": 40, "clean": clean, "adversarial": adversarial, "kept": kept + seed / 10}
            time = {"epoch": seed + 3, "epochs": 6, "seconds_per_epoch": seconds + seed**3}
            last = entry("", 10 + 2 * seed)
            result(out, preset, variant, seed, preservation=near, training=time, last=last)
    page = write_report(out)
    near, cost = rows(page, "kept"), rows(page, "best epoch")
    first, second = page.read_text().split("Neighbourhoods of its directions, at unit length")
    assert "Neighbourhoods in the embedding, k = 10" in first
    assert "0.400 ± 0.050" in second
    assert "0.400 ± 0.050" not in first
    page.write_text(first)
    near = rows(page, "kept")
    assert near["LSP"]["trustworthiness"] == "0.900 → 0.450"
    assert near["LSP"]["k-NN overlap"] == "0.400 → 0.200"
    assert near["LSP"]["kept"] == "0.800 ± 0.100"
    assert cost["LSP"]["seconds per epoch"] == "26.0"  # the median of 25, 26 and 33
    assert cost["LSP"]["times baseline"] == "2.36"  # 26 / 11
    assert cost["LSP"]["best epoch"] == "3, 4, 5 of 6"
    assert cost["LSP"]["last epoch, PGD-20"] == "30.0 ± 5.0"
    assert "k = 10 on 40 test images" in page.read_text()


def test_times_of_two_machines_have_no_ratio(study, no_plots):
    preset, out = study()
    time = {"epoch": 1, "epochs": 1, "seconds_per_epoch": 2.5}
    result(out, preset, "baseline", 0, training=time)
    result(out, preset, "LSP", 0, training=time, machine={"processor": "Antikythera", "date": "2026-02-01"})
    page = write_report(out)
    assert rows(page, "best epoch")["LSP"] == {"variant": "LSP", "seconds per epoch": "2.50", "best epoch": "1 of 1"}
    assert "- Abacus, 2 cores, 1 thread, device unknown: 2026-01-01 (1 run)." in page.read_text()


# --- Results in part ---


def test_a_study_that_has_not_begun(study):
    _, out = study()
    text = write_report(out).read_text()
    assert text.index("PGD alone is never evidence") < text.index("## mine")
    assert "`python -m lsp_core study mine.toml`" in text
    assert "0 of 6 runs have been through every attack.\n" in text
    assert "|" not in text
    assert not (out / "plots").exists()


def test_rows_with_nothing_are_left_out(study, no_plots):
    preset, out = study()
    result(out, preset, "LSP", 0, attacks={"pgd": 30}, last=None, preservation=None)
    page = write_report(out)
    assert "0 of 6 runs have been through every attack, 1 more in part." in page.read_text()
    found = rows(page)
    assert list(found) == ["LSP"]
    assert list(found["LSP"]) == ["variant", "seeds", "n", "clean", "PGD-20"]
    assert found["LSP"]["seeds"] == "1 of 3"
    result(out, preset, "LSP", 0, attacks={"pgd": 30, "fast": 29, "autoattack": 28})
    assert "1 of 6 runs have been through every attack." in write_report(out).read_text()


def test_a_run_that_was_only_trained_has_a_cost_alone(study, no_plots):
    preset, out = study()
    result(out, preset, "baseline", 1, training={"epoch": 2, "epochs": 4, "seconds_per_epoch": 1.0})
    page = write_report(out)
    assert page.read_text().count("| variant |") == 1
    assert rows(page)["baseline"]["best epoch"] == "2 of 4"


def test_pipes_are_no_columns(study, no_plots):
    preset, out = study(PRESET.replace("LSP =", '"ball|both" ='))
    result(out, preset, "ball|both", 0, attacks={"pgd": 30})
    assert list(rows(write_report(out))) == ["ball\\|both"]


def test_several_presets_each_under_its_name(study, no_plots):
    study(name="zeta")
    _, out = study(PRESET.replace('about = "Does it help?"\n', ""), "alpha")
    text = write_report(out).read_text()
    assert text.index("## alpha") < text.index("## zeta")
    assert text.count("Does it help?") == 1


# --- Files ---


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"schema": "other"}', '{"schema": "lsp-lab/run/1"}'],
)
def test_a_file_that_is_no_result_is_named(study, content):
    preset, out = study()
    path = out / "mine" / f"{preset.runs()[0].id}.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as raised:
        write_report(out)
    assert "\n" not in str(raised.value)
    assert not (out / "README.md").exists()


@pytest.mark.parametrize(
    "change", [{"robust_accuracy": 0.1}, {"robust_correct": "zz"}, {"robust_interval": 1}, {"n": 41}]
)
def test_a_figure_that_contradicts_its_images_is_refused(study, change):
    preset, out = study()
    path = result(out, preset, "LSP", 0, curve=[{**entry("", 20), **change}])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_outcomes(out / "mine", preset)


def test_what_evaluation_and_preservation_write_is_what_is_read():
    model = TinyNet().eval()
    images, labels = random_batch(model, 30)
    found = evaluate(model, images, labels, FGSM(0.05))
    score = Score.of(json.loads(json.dumps(found.to_record())))
    assert (score.attack, score.name, score.n) == ("FGSM", "", 30)
    assert torch.equal(torch.from_numpy(score.right), found.robust_correct)
    near = Neighbors.of(preservation(model, images, images, k=5))
    assert near.kept == 1.0
    assert near.trustworthiness[0] == near.trustworthiness[1]


def plotted(preset, out):
    for seed in range(3):
        for variant, right in (("baseline", 20), ("LSP", 28)):
            near = dict.fromkeys(("trustworthiness", "continuity", "knn_overlap"), 0.9)
            result(
                out,
                preset,
                variant,
                seed,
                attacks={"pgd": right + 2, "fast": right + seed},
                curve=[entry("", right - 4 * step, 0.1 * step) for step in (1, 2, 3)],
                preservation={"k": 10, "n": 40, "clean": near, "adversarial": near, "kept": 0.5 + seed / 10},
            )


def test_the_same_results_give_the_same_bytes(study):
    pytest.importorskip("vl_convert")
    preset, out = study()
    plotted(preset, out)
    before = {path: path.read_bytes() for path in (write_report(out), *sorted((out / "plots").iterdir()))}
    assert [path.name for path in before] == ["README.md", "mine-1-digits.svg", "mine-neighbours.svg"]
    write_report(out)
    assert before == {path: path.read_bytes() for path in (out / "README.md", *sorted((out / "plots").iterdir()))}


def test_plots_say_what_they_show(study):
    pytest.importorskip("vl_convert")
    preset, out = study()
    plotted(preset, out)
    text = write_report(out).read_text()
    for name in re.findall(r"\((plots/[^)]+)\)", text):
        assert (out / name).is_file()
    curves, scatter = ((out / "plots" / f"mine-{name}.svg").read_text() for name in ("1-digits", "neighbours"))
    assert "Lines: PGD-20 on 40 test images, mean of 3 seeds" in curves
    assert "Points: fast ensemble on 40 test images, mean of 3 seeds" in curves
    assert "digits: fast ensemble, n = 40" in scatter
    for svg in (curves, scatter):
        assert "#D0702F" in svg
        assert "#3D8BD4" in svg
        assert 'fill="white"' in svg
        assert not re.findall(r"(?:href|src)=|url\(http|@import", svg)


def test_a_large_grid_that_is_not_the_first_is_not_drawn(study):
    pytest.importorskip("vl_convert")
    many = "".join(f'"weight {weight}" = {{ lsp = {{ weight = {weight}.0 }} }}\n' for weight in range(3))
    second = PRESET[PRESET.index("[[grid]]") :].replace("Main", "Ablation") + many
    preset, out = study(PRESET + second)
    plotted(preset, out)
    text = write_report(out).read_text()
    assert text.count("accuracy against eps") == 1
    assert text.count("#### digits, pgd-at") == 2


def test_without_altair_the_page_says_so(study, no_plots):
    preset, out = study()
    plotted(preset, out)
    text = write_report(out).read_text()
    assert NO_PLOTS in text
    assert "![" not in text
    assert not (out / "plots").exists()


# --- Parts ---


def test_a_spread():
    assert Spread((1.0, 2.0, 4.0)).mean == pytest.approx(7 / 3)
    assert Spread((1.0, 2.0, 4.0)).sd == pytest.approx(1.527525)  # with n - 1
    assert Spread((1.0,)).sd is None


def test_the_strongest_attack_comes_first():
    names = ["noise", "pgd", "fast", "apgd", "autoattack", "fgsm"]
    assert strongest_first(names) == ["autoattack", "fast", "apgd", "pgd", "noise", "fgsm"]


def test_the_tables_keep_the_order_of_the_grid(study):
    preset, out = study(PRESET.replace('["pgd-at"]', '["trades", "standard"]'))
    for run in preset.runs():
        path = out / "mine" / f"{run.id}.json"
        path.write_text(json.dumps({"schema": "lsp-lab/run/1", "config": {"eps": 0.1}, "machine": {}}))
    found = tables(preset.grids[0], read_outcomes(out / "mine", preset))
    assert [table.objective for table in found] == ["trades", "standard"]
    assert [row.variant for row in found[0].rows] == ["baseline", "LSP"]
    assert [list(row.outcomes) for row in found[0].rows] == [[0, 1, 2]] * 2


def test_colours_are_those_of_the_app():
    charts = pytest.importorskip("app.charts")
    assert colours(["weight 0", "LSP", "baseline", "b"]) == [OTHERS[0], charts.LSP, charts.BASELINE, OTHERS[1]]


def test_runs_that_stand_above_are_not_told_of_twice(study, no_plots):
    more = PRESET[PRESET.index("[[grid]]") :].replace(
        "[grid.variants]", 'attacks = ["autoattack"]\nseeds = [0]\n[grid.variants]'
    )
    preset, out = study(PRESET + more)
    for variant in ("baseline", "LSP"):
        near = dict.fromkeys(("trustworthiness", "continuity", "knn_overlap"), 0.9)
        kept = {"k": 10, "n": 40, "clean": near, "adversarial": near, "kept": 0.5}
        result(out, preset, variant, 0, attacks={"pgd": 30, "fast": 20, "autoattack": 19}, preservation=kept)
    page = write_report(out).read_text()
    assert page.count("| variant | seeds | n | clean | ") == 2
    assert page.count("Neighbourhoods in the embedding") == 1
