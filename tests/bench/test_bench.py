"""The bench: takes turns, counts right, tells whose time is whose, and says nothing about whose machine it is."""

import dataclasses
import itertools
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import TinyNet, random_batch

from lsp_core import bench
from lsp_core.attacks import ATTACKS, PGD
from lsp_core.bench import attacks, cores, rivals, timing, training
from lsp_core.bench.report import to_markdown
from lsp_core.bench.timing import Measurement, Timing, race
from lsp_core.precision import pick_precision
from lsp_core.training import recipes
from lsp_core.workers import pick_workers

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def timed(*wall, cpu=None):
    return Timing(wall, tuple(cpu or wall))


@pytest.fixture(scope="module")
def digits():
    pairs, absent = bench.open_pairs(["digits"], CHECKPOINTS, None, "cpu")
    assert absent == []
    return pairs[0]


# --- Timing ---


def test_race_takes_turns_that_go_back_and_forth():
    calls = []
    arms = {name: lambda name=name: calls.append(name) for name in "abc"}
    found = race(arms, 3)
    assert "".join(calls) == "abc" + "abc" + "cba" + "abc"  # the first turn is not counted
    assert {name: len(timing.wall) for name, timing in found.items()} == {"a": 3, "b": 3, "c": 3}
    assert len(found["a"].cpu) == 3
    calls.clear()
    race(arms, 1, warm=False)
    assert calls == ["a", "b", "c"]


def test_race_tells_clock_from_work():
    def work():
        end = time.process_time() + 0.03
        while time.process_time() < end:
            pass

    found = race({"sleep": lambda: time.sleep(0.03), "work": work}, 2, warm=False)
    assert min(found["sleep"].wall) >= 0.03
    assert max(found["sleep"].cpu) < 0.02
    assert min(found["work"].cpu) >= 0.03


def test_race_gives_the_time_of_one_call(monkeypatch):
    clock = itertools.count()  # a second passes between two looks at it
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    calls = []
    found = race({"a": lambda: calls.append(0)}, 2, repeat=4, warm=False)
    assert found["a"].wall == (0.25, 0.25)
    assert len(calls) == 8


@pytest.mark.parametrize("bad", [{"runs": 0}, {"runs": 1, "repeat": 0}])
def test_race_refuses_what_times_nothing(bad):
    with pytest.raises(ValueError, match="both must be 1 or more"):
        race({"a": lambda: None}, **bad)


def test_row_by_hand():
    row = Measurement(
        "pgd", "a", "b", timed(1.0, 2.0, 9.0, cpu=(1, 1, 1)), timed(4.0, 4.0, 6.0, cpu=(5, 4, 3)), limit=0.5
    )
    assert row.ratio == 2 / 4
    assert row.ratio_range == (1 / 4, 9 / 6)
    assert row.cpu_ratio == 1 / 4
    assert row.met is True
    record = row.to_record()
    assert json.loads(json.dumps(record))["ratio_range"] == [0.25, 1.5]


@pytest.mark.parametrize(
    ("limit", "agrees", "met"), [(None, False, None), (0.5, True, True), (0.49, True, False), (0.5, False, False)]
)
def test_a_goal_wants_speed_and_the_same_finding(limit, agrees, met):
    assert Measurement("pgd", "a", "b", timed(1.0), timed(2.0), limit=limit, agrees=agrees).met is met


# --- What is compared ---


def test_compare_counts_who_fools_what():
    ours, theirs = torch.tensor([1, 1, 1, 0, 0], dtype=bool), torch.tensor([1, 0, 0, 1, 0], dtype=bool)
    words, figures = attacks.compare(ours, theirs)
    assert figures == {"n": 5, "ours": 3, "theirs": 2, "only_ours": 2, "only_theirs": 1}
    assert words == "fooled: ours 3, theirs 2 of 5; only ours 2, only theirs 1"


def test_the_rivals_do_the_same_pgd():
    net = TinyNet(classes=10).eval()
    images, labels = random_batch(net, 40)
    attack = PGD(0.06, steps=7, random_start=False, early_stop=False)
    ours = attacks.fooled_by(attack, net, images, labels)
    assert 0 < ours.sum() < 40
    plan = (net, images, labels, 0.06, attack.step_size, 7)
    assert ours.equal(rivals.plain_fooled(*plan))
    pytest.importorskip("foolbox", reason="Foolbox is not installed: nothing to compare with.")
    assert ours.equal(rivals.foolbox_fooled(*plan))


def test_only_images_that_the_model_gets_right(digits):
    for which, model in digits.models.items():
        images, labels = digits.right(which, 599, 0)
        assert (model(images).argmax(1) == labels).all()
        assert 580 < len(images) < 599
    few = digits.right("plain", 20, 0)[0]
    assert len(few) == 20
    assert few.equal(digits.right("plain", 20, 0)[0])
    assert not few.equal(digits.right("plain", 20, 1)[0])


def replace_attack(monkeypatch, name, attack):
    """Let a name stand for another attack, whatever the radius."""
    monkeypatch.setitem(ATTACKS, name, dataclasses.replace(ATTACKS[name], build=lambda eps, norm, seed: attack))


def test_the_ensemble_must_fool_as_many(digits, monkeypatch):
    extent = bench.Extent(referee_images=30, referee_runs=1)
    weak, strong = PGD(0.01, steps=1), PGD(0.3, steps=20)
    replace_attack(monkeypatch, "fast", weak)
    replace_attack(monkeypatch, "autoattack", strong)
    plain, row = attacks.ensemble(digits, extent)
    assert plain.what.startswith("fast ensemble, digits plain, eps ")
    assert row.what.startswith("fast ensemble, digits robust, eps ")
    assert row.figures["n"] == 30
    assert row.figures["only_theirs"] > 5
    assert not row.agrees
    assert row.met is False
    replace_attack(monkeypatch, "fast", strong)
    _, row = attacks.ensemble(digits, extent)
    assert row.agrees


def test_a_training_step_is_that_of_the_recipe_and_has_its_goal(digits, monkeypatch):
    seen = []

    def watch(arms, runs, **given):
        seen.append(arms)
        return {"lsp": timed(1.5), "base": timed(1.0), "bare": timed(0.5)}

    half = dataclasses.replace(
        recipes.RECIPES["digits"], clean_lsp={"vicinity": "noise", "weight": 100.0, "eps": 0.3, "share": 0.5}
    )
    monkeypatch.setitem(recipes.RECIPES, "digits", half)
    monkeypatch.setattr(training, "race", watch)
    trainers, real = [], training._step
    monkeypatch.setattr(training, "_step", lambda trainer: (trainers.append(trainer), real(trainer))[1])
    rows = list(training.training_steps(digits, bench.Extent(runs=1)))
    assert [(row.limit, row.met) for row in rows] == [(1.6, True), (None, None), (1.1, False), (None, None)]
    assert "with LSP on 50% of the images" in rows[0].what
    assert "with LSP on 25% of the images" in rows[2].what
    standard, _, crafting, _ = (trainer.config for trainer in trainers)
    for config in (standard, crafting):
        expected = recipes.recipe(digits.train, "digits", config.objective, {}, limit=config.limit)
        assert config == expected
    images = []
    monkeypatch.setattr(type(trainers[0].model), "features", lambda net, batch: images.append(len(batch)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        seen[0]["lsp"]()
    assert images == [64 + 32]


def test_data_that_is_not_here_is_left_out(tmp_path):
    pairs, absent = bench.open_pairs(["digits", "mnist"], CHECKPOINTS, str(tmp_path), "cpu")
    assert [pair.dataset for pair in pairs] == ["digits"]
    assert absent == ["mnist"]
    page = to_markdown([], {"versions": {}, **dict.fromkeys(("date", "processor", "cores", "threads", "device"), "")}
                       | {"load_before": 0}, bench.Extent(), absent)  # fmt: skip
    assert "Left out, since the data was not there: mnist." in page


# --- The command ---


@pytest.fixture
def quick(run):
    """Run the quick bench on the shipped checkpoints."""
    return lambda *arguments: run("bench", "--checkpoints", CHECKPOINTS, "--quick", *arguments)


def test_quick_bench_writes_a_page_and_json(quick, tmp_path, monkeypatch):
    pytest.importorskip("foolbox", reason="Foolbox is not installed: nothing to compare with.")
    replace_attack(monkeypatch, "autoattack", PGD(51 / 255))  # the referee itself takes long
    monkeypatch.setattr(bench, "NEEDS", {"pgd": "foolbox"})
    page, record = tmp_path / "results" / "bench.md", tmp_path / "bench.json"
    started = time.process_time()
    status, out, err = quick("--runs", 1, "--out", page, "--json", record)
    assert status == 0, err
    assert time.process_time() - started < 40  # seconds of work, for the machine may be busy with something else
    found = json.loads(record.read_text())
    assert found["schema"] == "lsp-lab/bench/1"
    alone = pick_workers(None, "cpu") == 1  # then there are no cores to compare
    assert [part for part in bench.PARTS if part != "cores" or not alone] == list(
        dict.fromkeys(row["part"] for row in found["rows"])
    )
    for row in found["rows"]:
        assert row["ratio"] > 0
        assert len(row["ours"]["wall"]) == 1
    assert "PGD-20, digits plain" in out
    pgd = [row for row in found["rows"] if row["against"] == "foolbox LinfPGD"]
    limits = {(row["what"].split(", eps")[0], row["limit"]) for row in pgd if row["limit"]}
    half = pick_precision("auto", "cpu") == "bfloat16"
    wanted = {("PGD-20, digits plain", 0.5), ("PGD-20, digits robust", 0.65)}
    ways = {("PGD-20 by way of bfloat16, digits plain", 0.3), ("PGD-20 by way of bfloat16, digits robust", 0.35)}
    assert limits == wanted | (ways if half else set())
    assert all(row["figures"]["only_theirs"] == 0 for row in pgd if "bfloat16" not in row["what"])
    metrics = [row for row in found["rows"] if row["part"] == "metrics"]
    assert all(row["figures"]["difference"] < 1e-5 for row in metrics)
    text = page.read_text()
    assert all(f"## {part}\n" in text for part in bench.PARTS if part != "cores" or not alone)
    assert "## Goals" in text
    assert text.count("<details>") == text.count("</details>") == len({row["part"] for row in found["rows"]})
    assert {line.count(" | ") for line in text.splitlines() if line.startswith("|")} == {4, 8}
    for private in (socket.gethostname(), str(tmp_path), str(CHECKPOINTS), str(Path.home())):
        assert private not in text
        assert private not in record.read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--parts", "speed"), "unknown part 'speed': choose one of pgd, ensemble"),
        (("--datasets", "svhn"), "unknown data set of the bench 'svhn': choose one of digits, mnist, cifar10"),
        (("--runs", 0), "runs is 0, but it must be 1 or more"),
        (("--n", 0), "n is 0, but it must be 1 or more"),
        (("--checkpoints", "none"), "does not exist"),
    ],
)
def test_bench_refuses_bad_input(quick, arguments, sentence):
    status, out, err = quick(*arguments)
    assert (status, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("part", "library"), [("pgd", "foolbox"), ("ensemble", "pyautoattack")])
def test_bench_names_the_library_that_it_lacks(quick, monkeypatch, part, library):
    find = rivals.importlib.util.find_spec
    monkeypatch.setattr(rivals.importlib.util, "find_spec", lambda name: None if name == library else find(name))
    status, _, err = quick("--parts", part)
    assert status == 2
    assert f"bench needs {library} to measure against, but it is not installed: pip install {library}." in err


def test_the_core_runs_without_the_rivals():
    code = (
        "import sys; sys.modules.update(foolbox=None, pyautoattack=None)\n"
        "import lsp_core.cli.bench, lsp_core.bench.attacks"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_all_cores_make_the_same_images(digits, monkeypatch):
    monkeypatch.setattr(cores, "pick_workers", lambda workers, device: 2)
    one, threads = cores.every_core(digits, bench.Extent(images=16, runs=1))
    assert one.figures["same"]
    assert one.limit == pytest.approx(1 / 1.8)
    assert threads.limit == 1
    monkeypatch.setattr(cores, "pick_workers", lambda workers, device: 1)
    assert not list(cores.every_core(digits, bench.Extent(images=16, runs=1)))
