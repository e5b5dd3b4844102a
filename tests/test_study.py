"""The study: what a preset means, and that a run cut off anywhere ends as one that was not."""

import dataclasses
import functools
import json

import pytest
import torch
from conftest import TinyNet, random_batch
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from lsp_core.data import load_dataset
from lsp_core.study import Worker, parse_preset, read_preset
from lsp_core.study.preservation import preservation
from lsp_core.study.preset import FOLDER
from lsp_core.study.result import missing

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
load = functools.cache(load_dataset)


@pytest.fixture
def worker(tmp_path):
    return functools.partial(Worker, tmp_path / "results", tmp_path / "work", load)


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pgd-at", "pgd-bat", "unknown objective 'pgd-bat'"),
        ('attacks = ["pgd"]', 'attacks = ["pdg"]', "unknown attack 'pdg'"),
        ("epochs = 2", "epoch = 2", "unknown setting of variant 'baseline' 'epoch'"),
        ("weight = 5.0", "weight = -5.0", "weight of LSP is -5"),
        ("weight = 5.0", "mass = 5.0", "preset tiny cannot be read: .*mass"),
        ("seeds = [0, 1]", "seeds = []", "seeds of 'Main' is empty"),
        ("n = 30", "n = 20", "n of 'Main' is 20, but 10 neighbours"),
        ("n = 30", "", "a grid lacks n; it needs"),
        ('title = "Main"', 'titel = "Main"', "unknown key of a grid 'titel'"),
        ("seeds = [0, 1]", "seeds = 3", "preset tiny cannot be read"),
        ("n = 30", "n = 30\nm = 3", "preset tiny has m; it needs"),
        (TINY, "", "preset tiny has no .*grid"),
        ("[[grid]]", "[grid", "preset tiny cannot be read"),
    ],
)
def test_a_preset_that_means_nothing_is_refused_in_one_sentence(old, new, message):
    with pytest.raises(ValueError, match=message):
        parse_preset("tiny", TINY.replace(old, new))


def test_presets_of_the_package_are_sound(tmp_path):
    names = [path.stem for path in FOLDER.glob("*.toml")]
    assert {"smoke", "cpu", "gpu"} <= set(names)
    for name in names:
        assert read_preset(name).runs()
    (tmp_path / "own.toml").write_text(TINY)
    assert read_preset(str(tmp_path / "own.toml")).name == "own"
    with pytest.raises(ValueError, match=r"unknown preset 'smog': choose one of cpu, gpu, smoke, or the path"):
        read_preset("smog")


# --- Runs ---


class Killed(Exception):
    pass


def strip(record):
    """What must not depend on when and how often a run was cut off: all but times, and the file that holds dates."""
    text = json.loads(json.dumps(record))
    for entry in [*text["evaluations"], *text["curve"], text["last"]]:
        entry.pop("seconds")
    text["training"].pop("seconds_per_epoch")
    text.pop("sha256")  # the card in that file has the seconds of every epoch
    return text


def test_a_run_killed_at_every_part_ends_as_one_that_was_not(worker, tmp_path):
    run = parse_preset("tiny", TINY).runs()[5]
    assert run.id == "digits-pgd-at-weight-5-0"
    whole = Worker(tmp_path / "a", tmp_path / "b", load).do(run)
    heard = []

    def die(_run, part):
        if part not in heard:
            heard.append(part)
            raise Killed

    def die_in_epoch_2(epoch, *_):
        if epoch == 1 and "epoch 2" not in heard:
            heard.append("epoch 2")
            raise Killed

    def die_in_an_attack(passes, _total):
        if passes > 10 and "attack" not in heard:
            heard.append("attack")
            raise Killed

    for _ in range(20):
        try:
            record = worker(on_part=die, on_batch=die_in_epoch_2, on_progress=die_in_an_attack).do(run)
            break
        except Killed:
            continue
    assert heard == ["training", "epoch 2", "pgd", "attack", "last", "curve", "preservation", "directions"]
    assert strip(record) == strip(whole)


def test_what_is_done_is_skipped_also_without_the_checkpoint(worker, tmp_path):
    run = parse_preset("tiny", TINY).runs()[0]
    first = worker().do(run)
    assert missing(first, run) == []
    for path in (tmp_path / "work" / run.id).rglob("*.safetensors"):
        path.unlink()

    def never(_run, part):
        raise AssertionError(part)

    assert worker(on_part=never).do(run) == first
    assert not (tmp_path / "work" / run.id / "states").exists()


def test_another_grid_adds_its_attacks_and_repeats_nothing(worker):
    runs = parse_preset("tiny", TINY).runs()
    first, heard = worker().do(runs[0]), []
    second = worker(on_part=lambda _run, part: heard.append(part)).do(runs[8])
    assert heard == ["training", "fgsm"]  # training looks whether it is done
    assert second["evaluations"][0] == first["evaluations"][0]
    assert {key: second[key] for key in first if key != "evaluations"} == {
        key: first[key] for key in first if key != "evaluations"
    }


def test_figures_of_other_weights_are_measured_again(worker, tmp_path):
    runs = parse_preset("tiny", TINY).runs()
    run, again = runs[0], runs[8]
    assert (run.id, run.attacks, again.attacks) == (again.id, ("pgd",), ("pgd", "fgsm"))
    first = worker().do(run)
    path = tmp_path / "results" / f"{run.id}.json"
    path.write_text(json.dumps({**first, "sha256": "of a checkpoint that was lost"}))
    heard = []
    second = worker(on_part=lambda _run, part: heard.append(part)).do(again)
    assert heard == ["training", "pgd", "fgsm", "last", "curve", "preservation", "directions"]
    assert second["sha256"] == first["sha256"]
    assert [entry["name"] for entry in second["evaluations"]] == ["pgd", "fgsm"]
    assert second["evaluations"][0]["robust_correct"] == first["evaluations"][0]["robust_correct"]


def test_other_settings_do_not_throw_work_away(worker, tmp_path):
    run = parse_preset("tiny", TINY).runs()[0]
    worker().do(run)
    before = (tmp_path / "results" / f"{run.id}.json").read_bytes()
    other = parse_preset("tiny", TINY.replace("epochs = 2", "epochs = 1")).runs()[0]
    with pytest.raises(ValueError, match=r"baseline-0.json was made with other settings than .* remove the file"):
        worker().do(other)
    assert (tmp_path / "results" / f"{run.id}.json").read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "else"}'])
def test_a_file_that_is_no_result_is_refused(worker, tmp_path, content):
    run = parse_preset("tiny", TINY).runs()[0]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{run.id}.json").write_text(content)
    with pytest.raises(ValueError, match="remove it, and it is made again"):
        worker().do(run)


# --- Preservation ---


def test_preservation_agrees_with_scikit_learn():
    model = TinyNet().eval()
    images, _ = random_batch(model, 60)
    moved = (images + 0.2 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    found = preservation(model, images, moved, k=5)
    pixels = images.flatten(1).numpy()
    with torch.no_grad():
        clean, after = model.features(images).numpy(), model.features(moved).numpy()
    for name, points in (("clean", clean), ("adversarial", after)):
        assert found[name]["trustworthiness"] == pytest.approx(trustworthiness(pixels, points, n_neighbors=5), abs=1e-6)
        assert found[name]["continuity"] == pytest.approx(trustworthiness(points, pixels, n_neighbors=5), abs=1e-6)
    shares = []
    for row in range(60):
        others = [other for other in range(60) if other != row]
        search = NearestNeighbors(n_neighbors=5).fit(clean[others])
        before, now = (set(search.kneighbors(points[[row]])[1][0]) for points in (clean, after))
        shares.append(len(before & now) / 5)
    assert found["kept"] == pytest.approx(sum(shares) / 60, abs=1e-9)
    assert 0 < found["kept"] < 1


def test_an_image_that_was_not_moved_keeps_all():
    model = TinyNet().eval()
    images, _ = random_batch(model, 30)
    found = preservation(model, images, images, k=4)
    assert found["kept"] == 1
    assert found["clean"] == found["adversarial"]
