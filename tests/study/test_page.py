"""The page of a study: figures worked by hand, and results in part."""

import re

import numpy as np
import pytest
from written import NEAR, PRESET, TIME, N, entry, put, result, rows, short, three_seeds

from lsp_core.evaluation.intervals import (
    crossed_interval,
    mean_difference_interval,
    paired_interval,
    wilson_interval,
)
from lsp_core.study.lead import strongest_first
from lsp_core.study.page import write_report

OTHER = {"processor": "Antikythera", "cores": 37, "threads": 1, "device": "gears", "versions": {"bronze": "1.2"}}


@pytest.fixture
def study(tmp_path):
    """Return a function that puts a preset down, and the folder of all."""
    return lambda text=PRESET, name="mine": put(tmp_path, text, name)


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr("lsp_core.study.page.canvas.find_spec", lambda name: None)


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
    text = PRESET.replace("[grid.variants]", 'controls = ["noise"]\n[grid.variants]') + "noise = { noise = 0.3 }\n"
    preset, out = study(text)
    for seed in range(3):
        result(out, preset, "baseline", seed, attacks={"fast": 20})
        result(out, preset, "LSP", seed, attacks={"fast": 28})
    assert "attacked vs. noise" not in write_report(out).read_text()
    assert short(out / "README.md")["digits<br>pgd-at<br>eps 51/255 (0.200)"]["noise"] == "not run yet"
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
    alone = short(page)["digits<br>pgd-at<br>eps 51/255 (0.200)"]["noise"]
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
            time = {**TIME, "epoch": seed + 3, "epochs": 6, "seconds_per_epoch": seconds + seed**3}
            last = entry("pgd", 10 + 2 * seed)
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


def by_image(k=2, **digits):
    """Neighbourhoods of 40 images that begin with these numbers of neighbours and then go on with 1."""
    images = {name: text.ljust(N, "1") for name, text in digits.items()}
    shares = {name: sum(map(int, text)) / N / k for name, text in images.items()}
    agreement = dict.fromkeys(("trustworthiness", "continuity"), 0.9)
    return {
        "k": k,
        "n": N,
        "clean": {**agreement, "knn_overlap": shares["overlap"]},
        "adversarial": {**agreement, "knn_overlap": shares["overlap_attacked"]},
        "kept": shares["kept"],
        "images": images,
    }


def test_neighbourhoods_are_compared_image_by_image(study, no_plots):
    preset, out = study(PRESET.replace("seeds = [0, 1, 2]", "seeds = [0, 1]"))
    for seed in (0, 1):
        base = by_image(overlap="00", overlap_attacked="", kept="0" * 10)
        twin = by_image(overlap="22", overlap_attacked="00", kept="2" * (10 + seed))
        for variant, near in (("baseline", base), ("LSP", twin)):
            result(out, preset, variant, seed, attacks={"fast": 20}, preservation=near, directions=near)
    found = rows(write_report(out), "k-NN overlap, attacked")["LSP"]
    # Of 40 images two have all of 2 neighbours where they had none: 2 / 40. The others are as before.
    differences = np.array([[1.0] * 2 + [0.0] * 38] * 2)
    low, high = crossed_interval(differences)
    assert found["k-NN overlap"] == f"+0.050 ({low:+.3f} to {high:+.3f})"
    assert found["k-NN overlap, attacked"].startswith("-0.025 (")  # two lose one of 2
    # Ten have 2 for 0, and of the second seed an eleventh 2 for 1: 10 / 40 and 10.5 / 40.
    assert found["kept"].startswith("+0.256 (")
    cells = short(out / "README.md")["digits<br>pgd-at<br>eps 51/255 (0.200)"]
    assert cells["neighbours kept"].startswith("37.5 → 63.1<br>+25.6 (")


def test_neighbourhoods_of_one_seed_have_the_interval_of_that_training(study, no_plots):
    preset, out = study()
    base = by_image(overlap="00", overlap_attacked="", kept="")
    for variant, near in (("baseline", base), ("LSP", by_image(overlap="22", overlap_attacked="", kept=""))):
        result(out, preset, variant, 0, attacks={"fast": 20}, preservation=near, directions=near)
    low, high = mean_difference_interval([1.0] * 2 + [0.0] * 38)
    found = rows(write_report(out), "k-NN overlap, attacked")["LSP"]
    assert found["k-NN overlap"] == f"+0.050 ({low:+.3f} to {high:+.3f}), seed 0 only"


def test_neighbourhoods_from_before_have_no_differences(study, no_plots):
    preset, out = study()
    for variant in ("baseline", "LSP"):
        result(out, preset, variant, 0, attacks={"fast": 20}, preservation=NEAR)
    text = write_report(out).read_text()
    assert "Differences to baseline, paired" not in text
    assert "neighbours kept" not in text


def test_times_of_two_machines_have_no_ratio(study, no_plots):
    preset, out = study()
    time = {**TIME, "epoch": 1, "epochs": 1, "seconds_per_epoch": 2.5}
    result(out, preset, "baseline", 0, training=time)
    result(out, preset, "LSP", 0, training=time, machine={**OTHER, "date": "2026-02-01"})
    page = write_report(out)
    assert list(rows(page, "best epoch")["LSP (B)"]) == ["variant", "seconds per epoch", "best epoch"]
    assert rows(page, "best epoch")["baseline (A)"]["seconds per epoch"] == "2.50"


def test_machines_say_what_they_trained_and_what_they_evaluated(study, no_plots):
    preset, out = study()
    time = {**TIME, "epoch": 1, "epochs": 1, "seconds_per_epoch": 2.5}
    other = {**OTHER, "date": "2026-02-01"}
    for seed in range(2):
        curve = [entry("pgd", 30, 0.1), {**entry("pgd", 20, 0.2), "machine": other}]
        result(out, preset, "baseline", seed, training=time, attacks={"pgd": 30}, last=entry("pgd", 20), curve=curve)
    text = write_report(out).read_text()
    assert "- **A**: Abacus, 2 cores, 1 thread, device beads; wood 3: 2 trainings, 6 evaluations, " in text
    assert "6 evaluations, 2026-01-01 to 2026-01-02." in text
    assert (
        "- **B**: Antikythera, 37 cores, 1 thread, device gears; bronze 1.2: 0 trainings, 2 evaluations, 2026-02-01."
        in text
    )
    assert list(rows(out / "README.md")) == ["baseline (A)"]
    result(out, preset, "LSP", 0, training=time, attacks={"pgd": 30})
    result(out, preset, "LSP", 1, training=time, attacks={"pgd": 30}, machine=other)
    page = write_report(out)
    assert list(rows(page)) == list(rows(page, "best epoch")) == ["baseline (A)", "LSP (A, B)"]
    assert "digits<br>pgd-at (A, B)<br>eps 51/255 (0.200)" in short(page)


def test_one_machine_needs_no_letter(study, no_plots):
    preset, out = study()
    result(out, preset, "LSP", 0, training={**TIME, "epoch": 1, "epochs": 1, "seconds_per_epoch": 2.5})
    result(out, preset, "LSP", 1, attacks={"pgd": 30})  # its training is still to be written down
    page = write_report(out)
    assert "- Abacus, 2 cores, 1 thread, device beads; wood 3: 1 training, 1 evaluation, 2026-01-01" in page.read_text()
    assert list(rows(page, "best epoch")) == ["LSP"]


@pytest.mark.parametrize(("seconds", "ratio"), [(1.0, "2.00"), (0.9999, None), (0.0, None)])
def test_short_epochs_have_no_ratio(study, no_plots, seconds, ratio):
    preset, out = study()
    result(out, preset, "baseline", 0, training={**TIME, "epoch": 1, "epochs": 1, "seconds_per_epoch": seconds})
    result(out, preset, "LSP", 0, training={**TIME, "epoch": 1, "epochs": 1, "seconds_per_epoch": 2 * seconds})
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
    result(out, preset, "baseline", 1, training={**TIME, "epoch": 2, "epochs": 4, "seconds_per_epoch": 1.0})
    page = write_report(out)
    assert page.read_text().count("| variant |") == 1
    assert rows(page, "best epoch")["baseline"]["best epoch"] == "2 of 4"


def test_pipes_and_breaks_are_neither_columns_nor_rows(study, no_plots):
    text = PRESET.replace("LSP =", '"ball|both\\nor neither" =').replace('title = "Main"', 'title = "Main\\n## Fake"')
    preset, out = study(text)
    result(out, preset, "ball|both\nor neither", 0, attacks={"pgd": 30})
    page = write_report(out)
    assert list(rows(page)) == ["ball\\|both or neither"]
    assert "\n### Main ## Fake\n" in page.read_text()
    assert "\n## Fake" not in page.read_text()


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


# --- Grids ---


def test_the_tables_keep_the_order_of_the_grid(study, no_plots):
    preset, out = study(PRESET.replace('["pgd-at"]', '["trades", "standard"]'))
    for seed in range(3):
        for variant in ("LSP", "baseline"):
            for objective in ("standard", "trades"):
                result(out, preset, variant, seed, objective=objective, attacks={"pgd": 30})
    page = write_report(out)
    headings = re.findall("#### (.*), eps", page.read_text())
    assert headings == ["digits, trades", "digits, standard"]
    assert list(rows(page)) == ["baseline", "LSP"]


def test_the_strongest_attack_comes_first():
    names = ["noise", "pgd", "fast", "apgd", "autoattack", "fgsm"]
    assert strongest_first(names) == ["autoattack", "fast", "apgd", "pgd", "fgsm", "noise"]


def test_runs_that_stand_above_are_not_told_of_twice(study, no_plots):
    more = PRESET[PRESET.index("[[grid]]") :].replace(
        "[grid.variants]", 'attacks = ["autoattack"]\nseeds = [0]\n[grid.variants]'
    )
    preset, out = study(PRESET + more)
    for variant in ("baseline", "LSP"):
        result(out, preset, variant, 0, attacks={"pgd": 30, "fast": 20, "autoattack": 19}, preservation=NEAR)
    page = write_report(out).read_text()
    assert page.count("| variant | seeds | n | clean | ") == 2
    assert page.count("Neighbourhoods in the embedding") == 1
