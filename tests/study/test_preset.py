"""Presets: what they mean, and that what means nothing is refused."""

import dataclasses
import re

import pytest

from lsp_core.study import Grid, Run, parse_preset, read_preset
from lsp_core.study.agenda import Agenda
from lsp_core.study.preset import FOLDER

TINY = """
seeds = [0, 1]
n = 30
attacks = ["pgd"]

[[grid]]
title = "Main"
datasets = ["digits"]
objectives = ["standard", "pgd-at"]
settings = { epochs = 2, limit = 300 }
[grid.variants]
baseline = {}
"Weight 5" = { lsp = { weight = 5.0 } }

[[grid]]
title = "Referee"
datasets = ["digits"]
objectives = ["standard"]
seeds = [0]
attacks = ["pgd", "fgsm"]
[grid.variants]
baseline = { epochs = 2, limit = 300 }
"""


# --- Presets ---


def test_runs_come_grid_by_grid_with_all_variants_of_a_seed_together():
    runs = parse_preset("tiny", TINY).runs()
    assert len(runs) == 8 + 1
    first = ["digits-standard-baseline-0", "digits-standard-weight-5-0", "digits-standard-baseline-1"]
    assert [run.id for run in runs[:3]] == first
    assert runs[8] == dataclasses.replace(runs[0], attacks=("pgd", "fgsm"))


def test_one_run_cannot_mean_two_things():
    other = TINY.replace('attacks = ["pgd", "fgsm"]', "n = 31")
    with pytest.raises(ValueError, match=r"'baseline' of digits-standard-baseline-0 has other settings or n"):
        parse_preset("tiny", other)


def test_two_folders_of_one_last_name_cannot_share_a_file():
    message = "a/x and b/x have one last name, and so one file: rename one"
    with pytest.raises(ValueError, match=message):
        parse_preset("tiny", TINY.replace('datasets = ["digits"]', 'datasets = ["a/x", "b/x"]', 1))
    with pytest.raises(ValueError, match="a/digits and digits have one last name"):
        parse_preset("tiny", TINY.replace('datasets = ["digits"]', 'datasets = ["a/digits"]', 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pgd-at", "pgd-bat", "unknown objective 'pgd-bat'"),
        ('attacks = ["pgd"]', 'attacks = ["pdg"]', "unknown attack 'pdg'"),
        ("epochs = 2", "epoch = 2", "unknown setting of variant 'baseline' 'epoch'"),
        ("weight = 5.0", "weight = -5.0", "weight of LSP is -5"),
        (
            "weight = 5.0",
            "mass = 5.0",
            "unknown setting of lsp of variant 'Weight 5' 'mass': choose one of ball, eps, k, ",
        ),
        ("seeds = [0, 1]", "seeds = []", "seeds of 'Main' is empty"),
        ("n = 30", "n = 20", "n of 'Main' is 20, but 10 neighbours"),
        ("n = 30", "", "grid.0.n: Field required"),
        ('title = "Main"', 'titel = "Main"', "grid.0.title: Field required"),
        ("seeds = [0, 1]", "seeds = 3", r"grid.0.seeds \(3\): Input should be"),
        ("seeds = [0, 1]", "seeds = [true]", r"grid.0.seeds.0 \(True\): Input should be a valid integer"),
        ("seeds = [0, 1]", "seeds = [0, 0]", r"seeds of 'Main' is \[0, 0\], but each may stand there only once"),
        ('["pgd"]', '["pgd", "pgd"]', r"attacks of 'Main' is \['pgd', 'pgd'\], but each may stand there only once"),
        ("n = 30", "n = 30.5", r"grid.0.n \(30.5\): Input should be a valid integer"),
        ("n = 30", "n = nan", r"grid.0.n \(nan\): Input should be a valid integer"),
        ('title = "Main"', 'title = "Main"\nabout = 3', r"grid.0.about \(3\): Input should be a valid string"),
        ("weight = 5.0", "k = 2.5", "k of LSP is 2.5, but it must be a whole number"),
        (
            'limit = 300 }\n[grid.variants]\nbaseline = {}\n"W',
            'lsp = { k = 2.5 } }\n[grid.variants]\nx = {}\n"W',
            "k of LSP",
        ),
        ("n = 30", "n = 30\nm = 3", r"m \(3\): Unexpected"),
        (TINY, "", r"it has no \[\[grid\]\]"),
        ("[[grid]]", "[grid", "Expected"),
        (TINY, "grid = 3", r"grid \(3\): Input should be"),
        ('title = "Main"', 'title = "Main"\ncolour = 3', r"grid.0.colour \(3\): Unexpected"),
        ("{ lsp = { weight = 5.0 } }", "3", r"grid.0.variants.Weight 5 \(3\): Input should be"),
        ("{ lsp = { weight = 5.0 } }", "{ lsp = 3 }", "lsp of variant 'Weight 5' is 3, but it must be a table"),
        ("n = 30", "n = 1979-05-27", "not JSON serializable"),
    ],
)
def test_a_preset_that_means_nothing_is_refused_in_one_sentence(old, new, message):
    with pytest.raises(ValueError, match=f"^preset tiny cannot be read: .*{message}") as raised:
        parse_preset("tiny", TINY.replace(old, new))
    assert re.fullmatch(r"[^\n]+[^.\n]\.", str(raised.value))


def test_a_grid_from_python_is_checked_like_one_from_a_file():
    with pytest.raises(ValueError, match=r"seeds of 'Main' is \[0\], but it must be a list \(in Python a tuple\)"):
        Grid("Main", ("digits",), ("standard",), {"baseline": {}}, [0], ("pgd",), 30)


def test_a_run_that_stands_in_two_grids_ends_with_the_attacks_of_both():
    runs = parse_preset("tiny", TINY.replace('["pgd", "fgsm"]', '["fgsm"]')).runs()
    assert (runs[0].attacks, runs[8].attacks) == (("pgd",), ("pgd", "fgsm"))  # else each would undo the other's last


def test_a_preset_of_ones_own_cannot_pass_for_one_of_the_package(tmp_path):
    (tmp_path / "smoke.toml").write_text(TINY)
    with pytest.raises(ValueError, match=r"smoke.toml has the name of a preset of the package, .* rename it\."):
        read_preset(str(tmp_path / "smoke.toml"))
    (tmp_path / "smoke.toml").write_text(read_preset("smoke").text)
    assert read_preset(str(tmp_path / "smoke.toml")) == read_preset("smoke")


def test_presets_of_the_package_are_sound(tmp_path):
    names = [path.stem for path in FOLDER.glob("*.toml")]
    assert {"smoke", "cpu", "gpu"} <= set(names)
    for name in names:
        assert read_preset(name).runs()
    (tmp_path / "own.toml").write_text(TINY)
    assert read_preset(str(tmp_path / "own.toml")).name == "own"
    with pytest.raises(ValueError, match=r"unknown preset 'smog': choose one of cpu, gpu, smoke, terms, or the path"):
        read_preset("smog")


# --- Agendas ---


@pytest.mark.parametrize(
    ("eps", "radii"),
    [(0.2, [0.05, 0.1, 0.2, 0.3, 0.4]), (0.6, [0.15, 0.3, 0.6, 0.9, 1.0]), (0.8, [0.2, 0.4, 0.8, 1.0])],
)
def test_the_curve_ends_where_pixels_do(eps, radii):
    run = Run("digits", "standard", "LSP", 0, {}, ("pgd",), 100)
    assert [attack.eps for attack in Agenda.of(run, eps, 599).curve] == pytest.approx(radii)


def test_a_run_has_no_more_images_than_its_test_set():
    run = Run("digits", "standard", "LSP", 0, {}, ("pgd",), 1000)
    assert (Agenda.of(run, 0.1, 599).n, Agenda.of(run, 0.1, 599).few, Agenda.of(run, 0.1, 400).few) == (599, 500, 400)
    with pytest.raises(ValueError, match="digits has 20 test images, but 10 neighbours need more than 20"):
        Agenda.of(run, 0.1, 20)
