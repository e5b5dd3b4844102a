"""The page of a study: figures worked by hand, results in part, and the same bytes from the same results."""

import json
import re

import numpy as np
import pytest
import torch
from conftest import TinyNet, random_batch

from lsp_core.attacks import FGSM
from lsp_core.evaluation import evaluate
from lsp_core.evaluation.intervals import crossed_interval, paired_interval, wilson_interval
from lsp_core.study import parse_preset
from lsp_core.study.outcome import Neighbors, read_outcomes
from lsp_core.study.page.canvas import OTHERS, colours
from lsp_core.study.page.report import NO_PLOTS, write_report
from lsp_core.study.page.scatter import correlation
from lsp_core.study.preservation import preservation
from lsp_core.study.score import Score, strongest_first
from lsp_core.study.spread import Spread
from lsp_core.study.summary import tables

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
    clean = parts.pop("clean", 36)
    if attacks := parts.pop("attacks", {}):
        eps = record["config"]["eps"]
        record["evaluations"] = [entry(name, right, eps, clean=clean) for name, right in attacks.items()]
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
    monkeypatch.setattr("lsp_core.study.page.canvas.find_spec", lambda name: None)


def rows(page, title="seeds", first="variant"):
    """The cells of the first table whose heading row begins with ``first`` and holds ``title``, by their first."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("\u00a0", " ") for cell in line] for line in lines]
    start = next(place for place, line in enumerate(cells) if line[0] == first and title in line)
    found = {}
    for line in cells[start + 2 :]:
        if line[0] == first or len(line) != len(cells[start]):
            break
        found[line[0]] = dict(zip(cells[start], line, strict=True))
    return found


def short(page):
    """The first table of the page."""
    return rows(page, "clean", "data set, objective")


def three_seeds(preset, out, **parts):
    for seed, right in enumerate((18, 26, 22)):
        result(out, preset, "baseline", seed, attacks={"pgd": 30, "fast": right}, **parts)
        result(out, preset, "LSP", seed, attacks={"pgd": 32, "fast": 28}, **parts)


# --- Figures ---


def test_three_seeds_by_hand(study, no_plots):
    preset, out = study()
    three_seeds(preset, out)
    page = write_report(out)
    found = rows(page, "fast ensemble")
    assert found["baseline"]["seeds"] == "3"
    assert found["baseline"]["n"] == "40"
    assert found["baseline"]["clean"] == "90.0 ± 0.0"
    assert found["baseline"]["fast ensemble"] == "55.0 ± 10.0"  # 45, 65 and 55
    assert found["LSP"]["PGD-20"] == "80.0 ± 0.0"
    assert "AutoAttack" not in found["LSP"]
    # 25, 5 and 15 points: of images 18 to 27 four by one seed, four by two, two by all. Mean squares: seeds
    # 40 (2 * 0.1^2) / 2 = 0.4, images 3 (4 / 9 + 16 / 9 + 2 - 40 * 0.15^2) / 39 = 0.255556, rest
    # (18 - 2.7 - 0.8 - 9.966667) / 78 = 0.058120. Together 0.597436, over 120 0.0049786, standard error 0.070559;
    # degrees of freedom 2 (0.597436 / 0.4)^2 = 4.46162, Student's t 2.66674, and 18.8 points.
    assert rows(page, "attacked vs. baseline")["LSP"] == {
        "variant": "LSP",
        "clean vs. baseline": "+0.0 ± 0.0 (-6.6 to +6.6)",
        "attacked vs. baseline": "+15.0 ± 10.0 (-3.8 to +33.8), fast ensemble",
    }
    assert list(rows(page, "attacked vs. baseline")) == ["LSP"]


def test_the_interval_has_the_spread_of_the_trainings(study, no_plots):
    preset, out = study()
    for seed, right in enumerate((12, 30, 22)):
        result(out, preset, "baseline", seed, attacks={"fast": right})
        result(out, preset, "LSP", seed, attacks={"fast": 34})
    low, high = crossed_interval([(np.arange(N) < 34) * 1.0 - (np.arange(N) < right) for right in (12, 30, 22)])
    assert low < 0 < high  # the images alone would say +15 to +49
    page = write_report(out)
    found = rows(page, "attacked vs. baseline")["LSP"]["attacked vs. baseline"]
    assert found == f"+31.7 ± 22.5 ({100 * low:+.1f} to {100 * high:+.1f}), fast ensemble"
    assert short(page)["digits<br>pgd-at<br>eps 51/255 (0.200)"]["with LSP"] == "no difference seen"
    assert "it covers other test images and other trainings" in page.read_text()


def test_one_seed_has_wilson_and_newcombe(study, no_plots):
    preset, out = study(PRESET.replace("[0, 1, 2]", "[0]"))
    result(out, preset, "baseline", 0, attacks={"autoattack": 20})
    result(out, preset, "LSP", 0, attacks={"autoattack": 28}, clean=38)
    page = write_report(out)
    assert rows(page, "AutoAttack")["baseline"]["AutoAttack"] == "50.0 (35.2 to 64.8)"

    def newcombe(first, second):
        low, high = paired_interval(np.arange(N) < first, np.arange(N) < second)
        return f"({100 * low:+.1f} to {100 * high:+.1f})"

    found = rows(page, "attacked vs. baseline")["LSP"]
    assert found["attacked vs. baseline"] == f"+20.0 {newcombe(28, 20)}, AutoAttack"
    assert found["clean vs. baseline"] == f"+5.0 {newcombe(38, 36)}"


def test_a_lead_is_of_seeds_that_both_have(study, no_plots):
    preset, out = study()
    three_seeds(preset, out)
    result(out, preset, "LSP", 1, attacks={"pgd": 32, "fast": 28, "autoattack": 27})
    page = write_report(out)
    assert rows(page, "AutoAttack")["LSP"]["AutoAttack"] == f"{entry_text(27)}, seed 1 only"
    found = rows(page, "attacked vs. baseline")["LSP"]["attacked vs. baseline"]
    assert found.endswith(", fast ensemble")  # the baseline has no AutoAttack
    result(out, preset, "baseline", 1, attacks={"pgd": 30, "fast": 26, "autoattack": 23})
    found = rows(write_report(out), "attacked vs. baseline")["LSP"]["attacked vs. baseline"]
    assert found.startswith("+10.0 (")
    assert found.endswith(", AutoAttack, seed 1 only")


@pytest.mark.parametrize(("lacks", "has"), [("LSP", "baseline"), ("baseline", "LSP")])
def test_a_lead_names_its_seeds_where_the_columns_do_not_subtract_to_it(study, no_plots, lacks, has):
    preset, out = study()
    for seed, right in enumerate((10, 20, 30)):
        result(out, preset, has, seed, attacks={"fast": right})
    for seed in (0, 2):
        result(out, preset, lacks, seed, attacks={"fast": 30})
    found = rows(write_report(out), "clean vs. baseline")["LSP"]
    sign = "+" if lacks == "LSP" else "-"
    assert found["attacked vs. baseline"].startswith(f"{sign}25.0 ± 35.4 (")  # 30 - 10 and 30 - 30, of 40
    assert found["attacked vs. baseline"].endswith("), fast ensemble, seeds 0 and 2 only")
    assert found["clean vs. baseline"].endswith("), seeds 0 and 2 only")


def test_a_lead_names_its_seeds_while_the_grid_asks_for_more(study, no_plots):
    preset, out = study()
    for variant in ("baseline", "LSP"):
        result(out, preset, variant, 0, attacks={"fast": 20})
    found = rows(write_report(out), "clean vs. baseline")["LSP"]
    assert found["attacked vs. baseline"].endswith("), fast ensemble, seed 0 only")


def test_pgd_is_never_evidence(study, no_plots):
    preset, out = study()
    for seed in range(3):
        result(out, preset, "baseline", seed, attacks={"pgd": 10})
        result(out, preset, "LSP", seed, attacks={"pgd": 30})
    page = write_report(out)
    assert rows(page, "clean vs. baseline")["LSP"]["attacked vs. baseline"].endswith("), PGD-20 only")
    pair = short(page)["digits<br>pgd-at<br>eps 51/255 (0.200)"]
    assert pair["under attack"].endswith("<br>PGD-20 only<br>n 40, 3 seeds")
    assert pair["with LSP"] == "PGD-20 only"


def test_the_clean_difference_is_of_clean_images(study, no_plots):
    preset, out = study()
    for seed in range(3):
        result(out, preset, "baseline", seed, attacks={"fast": 20}, clean=38)
        result(out, preset, "LSP", seed, attacks={"fast": 28}, clean=34 + seed)
    found = rows(write_report(out), "clean vs. baseline")["LSP"]
    assert found["clean vs. baseline"].startswith("-7.5 ± 2.5 (")
    assert found["attacked vs. baseline"].startswith("+20.0 ± 0.0 (")


def test_a_control_has_a_column_of_its_own(study, no_plots):
    text = PRESET.replace("[grid.variants]", 'control = "noise"\n[grid.variants]') + "noise = { noise = 0.3 }\n"
    preset, out = study(text)
    for seed in range(3):
        result(out, preset, "baseline", seed, attacks={"fast": 20})
        result(out, preset, "LSP", seed, attacks={"fast": 28})
    assert "attacked vs. noise" not in write_report(out).read_text()
    assert short(out / "README.md")["digits<br>pgd-at<br>eps 51/255 (0.200)"]["noise alone"] == "not run yet"
    result(out, preset, "noise", 1, attacks={"fast": 26})
    page = write_report(out)
    found = rows(page, "clean vs. baseline")
    low, high = paired_interval(np.arange(N) < 28, np.arange(N) < 26)
    expected = f"+5.0 ({100 * low:+.1f} to {100 * high:+.1f}), fast ensemble, seed 1 only"
    assert found["LSP"]["attacked vs. noise"] == expected
    assert found["baseline"]["attacked vs. noise"].startswith("-15.0 (")
    assert found["baseline"]["attacked vs. baseline"] == ""
    assert found["noise"]["attacked vs. noise"] == ""
    assert found["noise"]["attacked vs. baseline"].startswith("+15.0 (")
    alone = short(page)["digits<br>pgd-at<br>eps 51/255 (0.200)"]["noise alone"]
    assert alone == f"{entry_text(26)}<br>seed 1 only"


def entry_text(right):
    low, high = wilson_interval(right, N)
    return f"{100 * right / N:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def test_other_radii_are_not_compared_and_are_named(study, no_plots):
    preset, out = study()
    result(out, preset, "baseline", 0, attacks={"fast": 20})
    result(out, preset, "LSP", 0, attacks={"fast": 28}, eps=0.1)
    page = write_report(out)
    assert "#### digits, pgd-at, eps 0.1 and 51/255 (0.200)" in page.read_text()
    assert rows(page, "clean vs. baseline")["LSP (eps 0.1)"]["attacked vs. baseline"] == ""


def test_no_minus_zero(study, no_plots):
    preset, out = study()
    for seed in range(3):
        result(out, preset, "baseline", seed, attacks={"fast": 20})
        result(out, preset, "LSP", seed, attacks={"fast": 20})
    found = rows(write_report(out), "attacked vs. baseline")["LSP"]
    assert found["attacked vs. baseline"].startswith("+0.0 ± 0.0 (")


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
    first, second = page.read_text().replace("\u00a0", " ").split("Neighbourhoods of its directions, at unit length")
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
    assert list(rows(page, "best epoch")["LSP (B)"]) == ["variant", "seconds per epoch", "best epoch"]
    assert rows(page, "best epoch")["baseline (A)"]["seconds per epoch"] == "2.50"


def test_machines_say_what_they_trained_and_what_they_evaluated(study, no_plots):
    preset, out = study()
    time = {"epoch": 1, "epochs": 1, "seconds_per_epoch": 2.5}
    other = {"processor": "Antikythera", "device": "gears", "versions": {"bronze": "1.2"}, "date": "2026-02-01"}
    for seed in range(2):
        curve = [entry("", 30, 0.1), {**entry("", 20, 0.2), "machine": other}]
        result(out, preset, "baseline", seed, training=time, attacks={"pgd": 30}, last=entry("", 20), curve=curve)
    text = write_report(out).read_text()
    assert "- **A**: Abacus, 2 cores, 1 thread, device unknown: 2 trainings, 6 evaluations, " in text
    assert "6 evaluations, 2026-01-01 to 2026-01-02." in text
    assert "- **B**: Antikythera, device gears; bronze 1.2: 0 trainings, 2 evaluations, 2026-02-01." in text
    assert list(rows(out / "README.md")) == ["baseline (A)"]
    result(out, preset, "LSP", 0, training=time, attacks={"pgd": 30})
    result(out, preset, "LSP", 1, training=time, attacks={"pgd": 30}, machine=other)
    page = write_report(out)
    assert list(rows(page)) == list(rows(page, "best epoch")) == ["baseline (A)", "LSP (A, B)"]
    assert "digits<br>pgd-at (A, B)<br>eps 51/255 (0.200)" in short(page)


def test_one_machine_needs_no_letter(study, no_plots):
    preset, out = study()
    result(out, preset, "LSP", 0, training={"epoch": 1, "epochs": 1, "seconds_per_epoch": 2.5})
    result(out, preset, "LSP", 1, attacks={"pgd": 30})  # its training is still to be written down
    page = write_report(out)
    assert "- Abacus, 2 cores, 1 thread, device unknown: 1 training, 1 evaluation, 2026-01-01" in page.read_text()
    assert list(rows(page, "best epoch")) == ["LSP"]


@pytest.mark.parametrize(("seconds", "ratio"), [(1.0, "2.00"), (0.9999, None), (0.0, None)])
def test_short_epochs_have_no_ratio(study, no_plots, seconds, ratio):
    preset, out = study()
    result(out, preset, "baseline", 0, training={"epoch": 1, "epochs": 1, "seconds_per_epoch": seconds})
    result(out, preset, "LSP", 0, training={"epoch": 1, "epochs": 1, "seconds_per_epoch": 2 * seconds})
    page = write_report(out)
    assert rows(page, "best epoch")["LSP"].get("times baseline") == ratio
    assert "other jobs may have run beside it" in page.read_text()


# --- Results in part ---


def test_a_study_that_has_not_begun(study):
    _, out = study()
    text = write_report(out).read_text()
    assert text.index("PGD alone is never evidence") < text.index("## mine")
    assert "`python -m lsp_core study mine.toml`" in text
    assert "0 of 6 runs have been through every attack.\n" in text
    assert "| variant |" not in text
    assert list(short(out / "README.md").values()) == [
        {
            "data set, objective": "digits<br>pgd-at",
            "clean": "not run yet",
            "under attack": "not run yet",
            "AutoAttack": "not run yet",
            "with LSP": "not run yet",
        }
    ]
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
    assert rows(page, "best epoch")["baseline"]["best epoch"] == "2 of 4"


def test_pipes_are_no_columns(study, no_plots):
    preset, out = study(PRESET.replace("LSP =", '"ball|both" ='))
    result(out, preset, "ball|both", 0, attacks={"pgd": 30})
    assert list(rows(write_report(out))) == ["ball\\|both"]


def test_several_presets_each_under_its_name(study, no_plots):
    study(name="zeta")
    _, out = study(PRESET.replace('about = "Does it help?"\n', ""), "alpha")
    text = write_report(out).read_text()
    assert text.index("\n## alpha") < text.index("\n## zeta")
    assert text.index("## In short: alpha") < text.index("## In short: zeta") < text.index("## How to read it")
    assert text.count("Does it help?") == 1
    assert "- [alpha](#alpha): [Main](#main)\n- [zeta](#zeta): [Main](#main-1)\n" in text


# --- The first screen ---

TWO = """
[[grid]]
title = "Referee"
datasets = ["digits"]
objectives = ["pgd-at"]
seeds = [0]
attacks = ["autoattack"]
[grid.variants]
baseline = {}
LSP = { lsp = {} }

[[grid]]
title = "Other"
datasets = ["mnist"]
objectives = ["standard"]
attacks = ["pgd", "fast"]
[grid.variants]
baseline = {}
LSP = { lsp = {} }
"""


def test_the_page_begins_with_each_pair_in_short(study, no_plots):
    preset, out = study(PRESET.replace('"fast", "autoattack"', '"fast"') + TWO)
    for seed in range(3):
        more = {} if seed else {"autoattack": 1}
        result(out, preset, "baseline", seed, attacks={"pgd": 30, "fast": 12, **{key: 10 for key in more}}, clean=38)
        result(out, preset, "LSP", seed, attacks={"pgd": 33, "fast": 32, **{key: 30 for key in more}}, clean=36)
    page = write_report(out)
    text = page.read_text()
    places = [
        text.index(mark) for mark in ("# Study", "## In short\n", "- [How to read it]", "## How to read it", "## mine")
    ]
    assert places == sorted(places)
    assert text[: text.index("## In short")].count("\n") == 4  # the title and the question, nothing else
    assert "[In short]" not in text  # it stands above the contents
    low, high = paired_interval(np.arange(N) < 30, np.arange(N) < 10)
    found = short(page)
    assert list(found) == ["digits<br>pgd-at<br>eps 51/255 (0.200)", "mnist<br>standard"]
    pair = found["digits<br>pgd-at<br>eps 51/255 (0.200)"]
    assert pair.pop("clean").startswith("95.0 → 90.0<br>-5.0 (")
    assert pair.pop("under attack").startswith("30.0 → 80.0<br>+50.0 (")
    assert pair["AutoAttack"] == f"25.0 → 75.0<br>+50.0 ({100 * low:+.1f} to {100 * high:+.1f})<br>seed 0 only"
    assert pair["with LSP"] == "higher"
    assert short(page)["digits<br>pgd-at<br>eps 51/255 (0.200)"]["under attack"].endswith(
        "fast ensemble<br>n 40, 3 seeds"
    )
    assert found["mnist<br>standard"]["AutoAttack"] == ""  # no grid asks for it
    assert found["mnist<br>standard"]["with LSP"] == "not run yet"


def test_lsp_can_be_lower_and_seeds_can_lack(study, no_plots):
    preset, out = study()
    for seed in range(2):
        result(out, preset, "baseline", seed, attacks={"fast": 32})
        result(out, preset, "LSP", seed, attacks={"fast": 12})
    pair = short(write_report(out))["digits<br>pgd-at<br>eps 51/255 (0.200)"]
    assert pair["with LSP"] == "lower"
    assert pair["under attack"].endswith("<br>n 40, 2 of 3 seeds")
    assert pair["clean"].endswith("<br>seeds 0 and 1 only")
    assert pair["AutoAttack"] == "not run yet"


def test_evidence_of_fewer_seeds_comes_before_pgd_of_more(study, no_plots):
    preset, out = study()
    for seed in range(3):
        more = {"fast": 20} if seed else {}
        result(out, preset, "baseline", seed, attacks={"pgd": 30, **more})
        result(out, preset, "LSP", seed, attacks={"pgd": 30, **more})
    pair = short(write_report(out))["digits<br>pgd-at<br>eps 51/255 (0.200)"]
    assert pair["under attack"].endswith("<br>fast ensemble<br>n 40, 2 of 3 seeds")


def test_pages_beside_it_are_linked_if_they_are_there(study, no_plots):
    _, out = study()
    text = write_report(out).read_text()
    assert "method.md" not in text
    assert "(bench.md)" not in text
    out = out / "results"
    (out.parent / "docs").mkdir()
    out.mkdir()
    for path in (out.parent / "docs" / "method.md", out / "bench.md"):
        path.touch()
    text = write_report(out).read_text()
    assert "\n[What it means](../docs/method.md). [What it costs](bench.md).\n" in text
    assert "the ratio of the steps alone is in [the bench](bench.md)." in text


def test_a_grid_without_twins_has_nothing_in_short(study, no_plots):
    _, out = study(PRESET.replace("LSP =", "other ="))
    text = write_report(out).read_text()
    assert "In short" not in text
    assert "\n- [How to read it](#how-to-read-it)\n- [mine](#mine): [Main](#main)\n" in text


def test_a_figure_does_not_break(study, no_plots):
    preset, out = study()
    three_seeds(preset, out)
    text = write_report(out).read_text()
    assert "| 55.0\u00a0±\u00a010.0 |" in text
    assert " (-3.8\u00a0to\u00a0+33.8), fast ensemble |" in text


def test_the_page_says_what_eps_is(study, no_plots):
    _, out = study()
    text = write_report(out).read_text()
    assert "The objective `standard` is trained for no radius" in text
    assert "trained for, in Linf" not in text


# --- Files ---


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"schema": "other"}', '{"schema": "lsp-lab/run/1"}', '{"schema": ' + "[" * 100_000],
)
def test_a_file_that_is_no_result_is_named(study, content):
    preset, out = study()
    path = out / "mine" / f"{preset.runs()[0].id}.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as raised:
        write_report(out)
    assert "\n" not in str(raised.value)
    assert not (out / "README.md").exists()


METRICS = dict.fromkeys(("trustworthiness", "continuity", "knn_overlap"), 0.9)
NEAR = {"k": 10, "n": 40, "clean": METRICS, "adversarial": METRICS, "kept": 0.5}
TIME = {"epoch": 2, "epochs": 4, "seconds_per_epoch": 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robust_accuracy": 0.1}, "robust_accuracy is 0.1 of 40, which is not that of robust_correct"),
        ({"clean_accuracy": 0.8}, "clean_accuracy is 0.8 of 40, which is not that of clean_correct"),
        ({"clean_accuracy": float("nan")}, "clean_accuracy is nan, but it must be a number from 0 to 1"),
        ({"robust_accuracy": float("inf")}, "robust_accuracy is inf"),
        ({"robust_accuracy": -0.5}, "robust_accuracy is -0.5"),
        ({"robust_accuracy": 10**400}, "robust_accuracy is 1000"),
        ({"robust_accuracy": True}, "robust_accuracy is True"),
        ({"robust_correct": "zz"}, "robust_correct cannot be read"),
        ({"clean_correct": [1]}, "clean_correct is [1], but it must be a text"),
        ({"clean_correct": "ff" * 9}, "clean_accuracy"),
        ({"clean_correct": "ff" * 5, "clean_accuracy": 1.0}, "clean_interval is 0.769"),
        ({"robust_interval": 1}, "robust_interval is 1, but it must be two numbers"),
        ({"robust_interval": [0.6, 0.7]}, "robust_interval is 0.6 to 0.7, but 0.5 must lie between them"),
        ({"clean_interval": [0.5, float("inf")]}, "clean_interval is inf"),
        ({"n": 41}, "of 41"),
        ({"n": 40.0}, "n is 40.0, but it must be a whole number"),
        ({"n": 0}, "n is 0"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"label": None}, "label is None, but it must be a text"),
        ({"machine": ["Abacus"]}, "machine is ['Abacus'], but it must be a table"),
        ({"machine": {"cores": "2"}}, "cores is '2'"),
    ],
)
def test_an_evaluation_that_is_nonsense_is_refused(study, change, message):
    preset, out = study()
    path = result(out, preset, "LSP", 0, curve=[{**entry("", 20), **change}])
    refused(preset, out, path, message)


def test_more_right_under_attack_than_before_is_refused(study):
    preset, out = study()
    path = result(out, preset, "LSP", 0, last=entry("", 20, clean=10))
    refused(preset, out, path, "robust_correct has images that clean_correct lacks under PGD-20")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"preservation": {**NEAR, "kept": 1.5}}, "kept is 1.5, but it must be a number from 0 to 1"),
        ({"preservation": {**NEAR, "kept": float("nan")}}, "kept is nan"),
        ({"preservation": {**NEAR, "clean": {**METRICS, "continuity": -0.1}}}, "continuity is -0.1"),
        ({"preservation": {**NEAR, "adversarial": {**METRICS, "trustworthiness": 2}}}, "trustworthiness is 2"),
        ({"preservation": {**NEAR, "clean": {**METRICS, "knn_overlap": "1"}}}, "knn_overlap is '1'"),
        ({"preservation": {**NEAR, "clean": [0.9]}}, "clean is [0.9], but it must be a table"),
        ({"preservation": {**NEAR, "k": 0}}, "k is 0"),
        ({"training": {**TIME, "seconds_per_epoch": -1.0}}, "seconds_per_epoch is -1.0"),
        ({"training": {**TIME, "seconds_per_epoch": float("inf")}}, "seconds_per_epoch is inf"),
        ({"training": {**TIME, "epoch": 5}}, "epoch is 5, but there were 4"),
        ({"training": [1]}, "training is [1], but it must be a table"),
        ({"training": {"epoch": 1, "epochs": 1}}, "seconds_per_epoch is missing"),
        ({"evaluations": {"pgd": 1}}, "evaluations is {'pgd': 1}, but it must be a list"),
        ({"evaluations": ["pgd"]}, "an entry of evaluations is 'pgd', but it must be a table"),
        ({"curve": 3}, "curve is 3"),
        ({"config": [0.2]}, "config is [0.2]"),
        ({"config": {"eps": "0.2"}}, "eps is '0.2'"),
        ({"machine": []}, "machine is [], but it must be a table"),
        ({"machine": {"versions": ["torch"]}}, "versions is ['torch'], but it must be a table"),
    ],
)
def test_a_result_that_is_nonsense_is_refused(study, parts, message):
    preset, out = study()
    path = result(out, preset, "LSP", 0)
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))
    refused(preset, out, path, message)


def refused(preset, out, path, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read_outcomes(out / "mine", preset)
    assert str(raised.value).startswith(f"{path} is no result of a run: ")
    assert re.fullmatch(r"[^\n]+[^.\n]\.", str(raised.value))


def test_what_evaluation_and_preservation_write_is_what_is_read():
    model = TinyNet().eval()
    images, labels = random_batch(model, 30)
    found = evaluate(model, images, labels, FGSM(0.05))
    score = Score.of(json.loads(json.dumps(found.entry().to_record())))
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


def test_the_scatter_shows_what_most_runs_share(study):
    """AutoAttack of one run of six is not it; ranks of kept 1 1 2 2 3 3, of accuracy 1 4 2 5 3 6."""
    pytest.importorskip("vl_convert")
    preset, out = study(PRESET.replace('["pgd-at"]', '["pgd-at", "trades"]'))
    plotted(preset, out)
    path = result(out, preset, "LSP", 0, attacks={"pgd": 30, "fast": 28, "autoattack": 27}, preservation={**NEAR})
    write_report(out)
    scatter = (out / "plots" / "mine-neighbours.svg").read_text()
    assert "fast ensemble, n = 40" in scatter
    assert "AutoAttack" not in scatter
    assert "Spearman +0.48, 6 runs" in scatter
    assert "digits, trades" not in scatter
    moved = json.loads(path.read_text())
    other = next(run for run in preset.runs() if run.objective == "trades")
    (out / "mine" / f"{other.id}.json").write_text(json.dumps(moved))
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
    pytest.importorskip("vl_convert")
    many = "".join(f'"weight {weight}" = {{ lsp = {{ weight = {weight}.0 }} }}\n' for weight in range(3))
    second = PRESET[PRESET.index("[[grid]]") :].replace("Main", "Ablation") + many
    preset, out = study(PRESET + second)
    plotted(preset, out)
    text = write_report(out).read_text()
    assert text.count("accuracy against eps") == 1
    assert text.count("#### digits, pgd-at") == 2


def test_plots_of_a_grid_that_is_gone_are_removed_and_no_others(study):
    pytest.importorskip("vl_convert")
    preset, out = study()
    plotted(preset, out)
    write_report(out)
    (out / "plots" / "mine-own.svg").write_text("drawn by hand")
    for path in (out / "mine").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "directions": None, "preservation": None}))
    write_report(out)
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["mine-1-digits.svg", "mine-own.svg"]


def test_plots_that_cannot_be_drawn_again_stay(study, monkeypatch):
    pytest.importorskip("vl_convert")
    preset, out = study()
    plotted(preset, out)
    write_report(out)
    monkeypatch.setattr("lsp_core.study.page.canvas.find_spec", lambda name: None)
    write_report(out)
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["mine-1-digits.svg", "mine-neighbours.svg"]


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
    charts = pytest.importorskip("app.figures.curves")
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
