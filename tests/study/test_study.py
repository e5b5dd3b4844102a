"""The study: what a preset means, and that a run cut off anywhere ends as one that was not."""

import dataclasses
import functools
import json

import pytest
import torch
from conftest import TinyNet, random_batch
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from lsp_core.attacks import FGSM
from lsp_core.data import load_dataset
from lsp_core.store.checkpoint import checkpoint_weights, read_card
from lsp_core.store.files import sha256
from lsp_core.study import Grid, Run, Worker, parse_preset, read_preset
from lsp_core.study import worker as module
from lsp_core.study.plan import Plan
from lsp_core.study.preservation import preservation
from lsp_core.study.preset import FOLDER
from lsp_core.study.result import MEASURED

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
        ("weight = 5.0", "mass = 5.0", "preset tiny cannot be read: .*mass"),
        ("seeds = [0, 1]", "seeds = []", "seeds of 'Main' is empty"),
        ("n = 30", "n = 20", "n of 'Main' is 20, but 10 neighbours"),
        ("n = 30", "", "a grid lacks n; it needs"),
        ('title = "Main"', 'titel = "Main"', "unknown key of a grid 'titel'"),
        ("seeds = [0, 1]", "seeds = 3", "seeds of 'Main' is 3, but it must be a list .*, each item a whole number"),
        ("seeds = [0, 1]", "seeds = [true]", r"seeds of 'Main' is \(True,\), but it must be a list"),
        ("seeds = [0, 1]", "seeds = [0, 0]", r"seeds of 'Main' is \[0, 0\], but each may stand there only once"),
        ('["pgd"]', '["pgd", "pgd"]', r"attacks of 'Main' is \['pgd', 'pgd'\], but each may stand there only once"),
        ("n = 30", "n = 30.5", "n of 'Main' is 30.5, but it must be a whole number"),
        ("n = 30", "n = nan", "n of 'Main' is nan, but it must be a whole number"),
        ('title = "Main"', 'title = "Main"\nabout = 3', "about of 'Main' is 3, but it must be text"),
        ("weight = 5.0", "k = 2.5", "k of LSP is 2.5, but it must be a whole number"),
        (
            'limit = 300 }\n[grid.variants]\nbaseline = {}\n"W',
            'lsp = { k = 2.5 } }\n[grid.variants]\nx = {}\n"W',
            "k of LSP",
        ),
        ("n = 30", "n = 30\nm = 3", "preset tiny has m; it needs"),
        (TINY, "", "preset tiny has no .*grid"),
        ("[[grid]]", "[grid", "preset tiny cannot be read"),
    ],
)
def test_a_preset_that_means_nothing_is_refused_in_one_sentence(old, new, message):
    with pytest.raises(ValueError, match=message):
        parse_preset("tiny", TINY.replace(old, new))


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
    with pytest.raises(ValueError, match=r"unknown preset 'smog': choose one of cpu, gpu, smoke, or the path"):
        read_preset("smog")


# --- Plans ---


@pytest.mark.parametrize(
    ("eps", "radii"),
    [(0.2, [0.05, 0.1, 0.2, 0.3, 0.4]), (0.6, [0.15, 0.3, 0.6, 0.9, 1.0]), (0.8, [0.2, 0.4, 0.8, 1.0])],
)
def test_the_curve_ends_where_pixels_do(eps, radii):
    run = Run("digits", "standard", "LSP", 0, {}, ("pgd",), 100)
    assert [attack.eps for attack in Plan.of(run, eps, 599).curve] == pytest.approx(radii)


def test_a_run_has_no_more_images_than_its_test_set():
    run = Run("digits", "standard", "LSP", 0, {}, ("pgd",), 1000)
    assert (Plan.of(run, 0.1, 599).n, Plan.of(run, 0.1, 599).few, Plan.of(run, 0.1, 400).few) == (599, 500, 400)
    with pytest.raises(ValueError, match="digits has 20 test images, but 10 neighbours need more than 20"):
        Plan.of(run, 0.1, 20)


# --- Runs ---


class Killed(Exception):
    pass


def strip(record):
    """What must not depend on when and how often a run was cut off: all but times."""
    text = json.loads(json.dumps(record))
    for entry in [*text["evaluations"], *text["curve"], text["last"]]:
        entry.pop("seconds")
    text["training"].pop("seconds_per_epoch")
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
    assert set(first) > {"weights", "training", "evaluations", "last", "curve", "preservation", "directions"}
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


@pytest.fixture
def done(worker, tmp_path):
    """The tiny baseline with all its parts: its run, its record, its file and its checkpoint."""
    run = parse_preset("tiny", TINY).runs()[0]
    record = worker().do(run)
    (best,) = (path for path in (tmp_path / "work" / run.id).glob("*.safetensors") if ".last" not in path.name)
    return run, record, tmp_path / "results" / f"{run.id}.json", best


def test_what_was_asked_otherwise_before_is_measured_again(worker, done):
    run, first, path, _ = done
    small = {"n": 29}
    stale = {
        "evaluations": [{**first["evaluations"][0], "settings": {**first["evaluations"][0]["settings"], "steps": 19}}],
        "last": {**first["last"], **small},
        "curve": first["curve"][:4],
        "preservation": {**first["preservation"], **small},
    }
    for part, changed in stale.items():
        path.write_text(json.dumps({**first, part: changed}))
        heard = []
        again = worker(on_part=lambda _run, name: heard.append(name)).do(run)  # noqa: B023
        assert heard == ["training", "pgd" if part == "evaluations" else part]
        assert strip(again) == strip(first)
    path.write_text(json.dumps(first))
    heard = []
    fewer = worker(on_part=lambda _run, name: heard.append(name)).do(dataclasses.replace(run, n=28))
    assert heard == ["training", "pgd", "last", "curve", "preservation", "directions"]
    assert [entry["n"] for entry in [*fewer["evaluations"], fewer["last"], *fewer["curve"]]] == [28] * 7


def test_parts_from_another_machine_say_so(worker, done, monkeypatch):
    run, first, path, best = done
    more = dataclasses.replace(run, attacks=("pgd", "fgsm"))
    partial = {key: value for key, value in first.items() if key not in ("last", "curve", "directions")}
    for change, expected in (({"date": "2001-01-01"}, False), ({"processor": "Abacus"}, True)):
        other = {**first["machine"], **change}
        monkeypatch.setattr(module, "machine", lambda _device: other)  # noqa: B023
        path.write_text(json.dumps(partial))
        found = worker().do(more)
        assert found["machine"] == first["machine"]
        fresh = [found["evaluations"][1], found["last"], *found["curve"], found["directions"]]
        assert [part.get("machine") for part in fresh] == [other if expected else None] * 8
        assert "machine" not in found["evaluations"][0]
    path.write_text(json.dumps({key: first[key] for key in first if key not in MEASURED} | {"weights": "of others"}))
    best.unlink()
    assert worker().do(run)["machine"] == other  # trained anew, and nothing had been measured


def test_the_same_weights_trained_again_keep_their_figures(worker, done):
    run, first, _, best = done
    best.unlink()
    again = worker().do(dataclasses.replace(run, attacks=("pgd", "fgsm")))
    assert [entry["name"] for entry in again["evaluations"]] == ["pgd", "fgsm"]
    assert {**again, "evaluations": again["evaluations"][:1]} == first
    assert first["weights"] == checkpoint_weights(best)


@pytest.mark.parametrize("key", ["weights", "sha256"])
def test_figures_of_other_weights_are_neither_mixed_nor_thrown_away(worker, done, key):
    run, first, path, _ = done
    more = dataclasses.replace(run, attacks=("pgd", "fgsm"))
    path.write_text(json.dumps({**{name: first[name] for name in first if name != "weights"}, key: "of others"}))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"-baseline-0.json holds figures of other weights .* remove it to measure"):
        worker().do(more)
    assert path.read_bytes() == before
    assert worker().do(run)[key] == "of others"  # nothing is missing of that one


def test_an_older_file_is_known_by_its_checkpoint(worker, done):
    run, first, path, best = done
    old = {("sha256" if name == "weights" else name): first[name] for name in first} | {"sha256": sha256(best)}
    path.write_text(json.dumps(old))
    again = worker().do(dataclasses.replace(run, attacks=("pgd", "fgsm")))
    assert list(again) == list(first)
    assert again["weights"] == first["weights"]
    assert again["evaluations"][0] == first["evaluations"][0]


def test_both_views_of_the_neighbours_share_their_attack(worker, done, monkeypatch):
    run, first, path, _ = done
    calls, craft = [], Worker._craft
    monkeypatch.setattr(Worker, "_craft", lambda *arguments: (calls.append(1), craft(*arguments))[1])
    path.write_text(json.dumps({key: first[key] for key in first if key not in ("preservation", "directions")}))
    assert strip(worker().do(run)) == strip(first)
    assert calls == [1]


def test_a_cut_loses_a_quarter_of_a_thousand_images_of_autoattack(worker, done, monkeypatch):
    run, _, _, _ = done
    sizes, evaluate = {}, module.evaluate

    def spy(model, images, labels, attack, batch_size, **callbacks):
        sizes[type(attack).__name__] = batch_size
        return evaluate(model, images, labels, FGSM(attack.eps), batch_size, **callbacks)

    monkeypatch.setattr(module, "evaluate", spy)
    worker().do(dataclasses.replace(run, attacks=("pgd", "noise", "autoattack")))
    assert sizes == {"Noise": 256, "AutoAttack": 250}


def test_the_card_says_how_to_repeat_this_run(worker):
    run = parse_preset("tiny", TINY).runs()[0]
    named = worker(command="python -m lsp_core study 'my presets/tiny.toml'")
    named.do(run)
    (path,) = (named.work / run.id).glob("*.last.safetensors")
    assert read_card(path).command == f"python -m lsp_core study 'my presets/tiny.toml' --only {run.id}"


def test_other_settings_do_not_throw_work_away(worker, tmp_path):
    run = parse_preset("tiny", TINY).runs()[0]
    worker().do(run)
    before = (tmp_path / "results" / f"{run.id}.json").read_bytes()
    other = parse_preset("tiny", TINY.replace("epochs = 2", "epochs = 1")).runs()[0]
    with pytest.raises(ValueError, match=r"baseline-0.json was made with other settings than .* remove the file"):
        worker().do(other)
    assert (tmp_path / "results" / f"{run.id}.json").read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "else"}', "[" * 100_000, "\\xff"])
def test_a_file_that_is_no_result_is_refused(worker, tmp_path, content):
    run = parse_preset("tiny", TINY).runs()[0]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{run.id}.json").write_text(content)
    with pytest.raises(ValueError, match="remove it, and it is made again"):
        worker().do(run)


DAMAGE = {
    "no config": {"config": ...},
    "config is null": {"config": None},
    "config.lsp is text": {"config": {"lsp": "vicinity"}},
    "config has a field of its own": {"config": {"surprise": 1}},
    "config has another kind of value": {"config": {"epochs": "ten"}},
    "no machine": {"machine": ...},
    "training is null": {"training": None},
    "evaluations are null": {"evaluations": None},
    "evaluations are nested": {"evaluations": [[[1]]]},
    "an entry without name": {
        "evaluations": [{"n": 30, "settings": {}, "clean_accuracy": 1.0, "robust_accuracy": 1.0}]
    },
    "an entry without clean_accuracy": {
        "evaluations": [{"name": "pgd", "n": 30, "settings": {}, "robust_accuracy": 1.0}]
    },
    "the last is a number": {"last": 3},
    "the curve is no list": {"curve": 3},
    "preservation is null": {"preservation": None},
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_result_is_refused_in_one_sentence(worker, tmp_path, change):
    run = parse_preset("tiny", TINY).runs()[0]
    _, _, record = worker().check(run)
    if isinstance(change.get("config"), dict):
        change = {"config": {**record["config"], **change["config"]}}
    record = {key: value for key, value in {**record, **change}.items() if value is not ...}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{run.id}.json").write_text(json.dumps(record))
    with pytest.raises(
        ValueError, match=r"baseline-0.json is damaged .*: remove it, and it is made again\.$"
    ) as caught:
        worker().check(run)
    assert "\n" not in str(caught.value)


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
