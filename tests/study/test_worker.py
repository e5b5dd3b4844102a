"""Runs: one that was cut off anywhere ends as one that was not, and nothing is done twice or thrown away."""

import dataclasses
import functools
import json
import shutil

import pytest

from lsp_core.data import load_dataset
from lsp_core.store.checkpoint import checkpoint_weights, read_card
from lsp_core.store.provenance import Machine
from lsp_core.study import Worker, parse_preset

TINY = """
seeds = [0]
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
"""
PARTS = ["pgd", "last", "curve", "neighbours"]
RUN, _, _, ADVERSARIAL = parse_preset("tiny", TINY).runs()
MORE = dataclasses.replace(RUN, attacks=("pgd", "fgsm"))
load = functools.cache(load_dataset)


@pytest.fixture
def worker(tmp_path):
    return functools.partial(Worker, tmp_path / "results", tmp_path / "work", load)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder in which the tiny baseline was done, once, and what is known of it."""
    folder = tmp_path_factory.mktemp("done")
    return folder, Worker(folder / "results", folder / "work", load).do(RUN)


@pytest.fixture
def done(original, tmp_path):
    """The same here: what is known of the tiny baseline, its file and its checkpoint."""
    folder, known = original
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (best,) = (path for path in (tmp_path / "work" / RUN.id).glob("*.safetensors") if ".last" not in path.name)
    return known, tmp_path / "results" / f"{RUN.id}.json", best


class Killed(Exception):
    pass


def strip(result):
    """What must not depend on when and how often a run was cut off: all but times."""
    record = result.to_record()
    for entry in [*record["evaluations"], *record["curve"], record["last"]]:
        entry.pop("seconds")
    record["training"].pop("seconds_per_epoch")
    return record


def heard_while(worker, run):
    """Do a run; return what is known of it, and the parts that were done for it."""
    heard = []
    return worker(on_part=lambda _run, part: heard.append(part)).do(run), heard


def test_a_run_killed_at_every_part_ends_as_one_that_was_not(worker, tmp_path):
    whole = Worker(tmp_path / "a", tmp_path / "b", load).do(ADVERSARIAL)
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
            result = worker(on_part=die, on_batch=die_in_epoch_2, on_progress=die_in_an_attack).do(ADVERSARIAL)
            break
        except Killed:
            continue
    assert heard == ["training", "epoch 2", "pgd", "attack", "last", "curve", "neighbours"]
    assert strip(result) == strip(whole)


def test_what_is_done_is_skipped_also_without_the_checkpoint(worker, done, tmp_path):
    first, path, _ = done
    assert not (tmp_path / "work" / RUN.id / "states").exists()
    shutil.rmtree(tmp_path / "work")
    before = path.read_bytes()
    assert heard_while(worker, RUN) == (first, [])
    assert path.read_bytes() == before


def test_all_parts_have_the_settings_that_they_were_asked_for(done):
    first, path, best = done
    assert json.loads(path.read_text()) == json.loads(json.dumps(first.to_record()))
    assert first.weights == checkpoint_weights(best)
    assert [entry.name for entry in (*first.evaluations, first.last, *first.curve)] == ["pgd"] * 7
    assert [entry.eps for entry in first.curve] == pytest.approx([first.eps * part for part in (0.25, 0.5, 1, 1.5, 2)])
    assert [part.n for part in first.measured] == [30] * 9
    assert [part.machine for part in first.measured] == [None] * 9


def test_another_grid_adds_its_attacks_and_repeats_nothing(worker, done):
    first, _, _ = done
    second, heard = heard_while(worker, MORE)
    assert heard == ["training", "fgsm"]  # training looks whether it is done
    assert dataclasses.replace(second, evaluations=second.evaluations[:1]) == first


@pytest.mark.parametrize("part", PARTS)
def test_what_was_asked_otherwise_before_is_measured_again(worker, done, part):
    first, path, _ = done
    attack, last = first.evaluations[0], first.last
    stale = {
        "pgd": {"evaluations": (dataclasses.replace(attack, settings={**attack.settings, "steps": 19}),)},
        "last": {"last": dataclasses.replace(last, settings={**last.settings, "seed": 1})},
        "curve": {"curve": first.curve[:4]},
        "neighbours": {"directions": dataclasses.replace(first.directions, n=29, images={})},
    }[part]
    dataclasses.replace(first, **stale).write(path)
    again, heard = heard_while(worker, RUN)
    assert heard == ["training", part]
    assert strip(again) == strip(first)


def test_a_curve_goes_on_from_the_radius_that_it_was_cut_off_at(worker, done):
    first, path, _ = done
    dataclasses.replace(first, curve=()).write(path)
    ends = []

    def die_in_the_third(passes, total):
        ends.append(passes == total)
        if sum(ends) == 2 and not ends[-1]:
            raise Killed

    with pytest.raises(Killed):
        worker(on_progress=die_in_the_third).do(RUN)
    held = json.loads(path.read_text())["curve"]
    assert [entry["eps"] for entry in held] == [entry.eps for entry in first.curve[:2]]
    again = worker().do(RUN)
    assert strip(again) == strip(first)
    assert [entry.to_record() for entry in again.curve[:2]] == held  # with its seconds: not measured again


def test_fewer_images_are_other_images(worker, done):
    fewer, heard = heard_while(worker, dataclasses.replace(RUN, n=28))
    assert heard == ["training", *PARTS]
    assert [part.n for part in fewer.measured] == [28] * 9


@pytest.mark.parametrize(("change", "named"), [({"date": "2001-01-01"}, False), ({"processor": "Abacus"}, True)])
def test_parts_from_another_machine_say_so(worker, done, monkeypatch, change, named):
    first, path, _ = done
    other = dataclasses.replace(first.machine, **change)
    monkeypatch.setattr(Machine, "of", lambda _device: other)
    dataclasses.replace(first, last=None, curve=(), directions=None).write(path)
    found = worker().do(MORE)
    assert found.machine == first.machine
    assert found.evaluations[0].machine is None
    fresh = [found.evaluations[1], found.last, *found.curve, found.preservation, found.directions]
    assert [part.machine for part in fresh] == [other if named else None] * 9


def test_a_training_of_which_nothing_was_measured_gives_way(worker, done, monkeypatch):
    first, path, best = done
    other = dataclasses.replace(first.machine, processor="Abacus")
    monkeypatch.setattr(Machine, "of", lambda _device: other)
    empty = {"evaluations": (), "last": None, "curve": (), "preservation": None, "directions": None}
    dataclasses.replace(first, weights="of others", **empty).write(path)
    best.unlink()
    assert worker().do(RUN).machine == other


def test_the_same_weights_trained_again_keep_their_figures(worker, done):
    first, _, best = done
    best.unlink()
    again = worker().do(MORE)
    assert dataclasses.replace(again, evaluations=again.evaluations[:1]) == first


def test_figures_of_other_weights_are_neither_mixed_nor_thrown_away(worker, done):
    first, path, _ = done
    dataclasses.replace(first, weights="of others").write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"{RUN.id} holds figures of other weights .* remove it to measure"):
        worker().do(MORE)
    assert path.read_bytes() == before
    assert worker().do(RUN).weights == "of others"  # nothing is missing of that one


def test_the_card_says_how_to_repeat_this_run(worker, tmp_path):
    worker(command="python -m lsp_core study 'my presets/tiny.toml'").do(RUN)
    (path,) = (tmp_path / "work" / RUN.id).glob("*.last.safetensors")
    assert read_card(path).command == f"python -m lsp_core study 'my presets/tiny.toml' --only {RUN.id}"


def test_other_settings_do_not_throw_work_away(worker, done):
    _, path, _ = done
    before = path.read_bytes()
    other = parse_preset("tiny", TINY.replace("epochs = 2", "epochs = 1")).runs()[0]
    with pytest.raises(ValueError, match=r"baseline-0.json was made with other settings than .* remove the file"):
        worker().do(other)
    assert path.read_bytes() == before


def test_a_setting_that_came_later_had_its_default_before(worker, done):
    first, path, _ = done
    earlier = {key: value for key, value in first.config.items() if key not in ("noise", "label_smoothing")}
    dataclasses.replace(first, config=earlier).write(path)
    known, heard = heard_while(worker, RUN)
    assert heard == []
    assert known.config == earlier


def test_a_damaged_file_is_refused_before_anything_is_done(worker, done):
    _, path, _ = done
    path.write_text("{")
    with pytest.raises(ValueError, match=r"baseline-0.json is no lsp-lab/run/2 file: .* remove it"):
        worker().check(RUN)


# --- A precision that is left to the machine ---

AUTO, *_ = parse_preset("tiny", TINY.replace("limit = 300", 'limit = 300, precision = "auto"')).runs()
HAS, LACKS = (True, False), (False, False)


def die(_run, part):
    if part == "pgd":
        raise Killed


def die_in_epoch_2(epoch, *_):
    if epoch == 1:
        raise Killed


def test_a_result_says_in_which_precision_its_run_was_trained(worker, tmp_path, processor):
    processor(*HAS)
    assert worker().check(AUTO)[2].config["precision"] == "bfloat16"
    found = worker().do(AUTO)
    (path,) = (tmp_path / "work" / AUTO.id).glob("*.last.safetensors")
    assert found.config["precision"] == read_card(path).config["precision"] == "bfloat16"


@pytest.mark.parametrize("cut", [{"on_batch": die_in_epoch_2}, {"on_part": die}], ids=["training", "attacking"])
def test_a_study_goes_on_in_the_precision_that_a_run_was_begun_in(worker, tmp_path, processor, cut):
    processor(*HAS)
    whole = Worker(tmp_path / "a", tmp_path / "b", load).do(AUTO)
    with pytest.raises(Killed):
        worker(**cut).do(AUTO)
    processor(*LACKS)
    assert strip(worker().do(AUTO)) == strip(whole)


def test_figures_from_a_machine_of_another_precision_are_added_to(worker, tmp_path, processor):
    processor(*HAS)
    first = worker().do(AUTO)
    shutil.rmtree(tmp_path / "work")
    processor(*LACKS)
    assert heard_while(worker, AUTO) == (first, [])
    again, heard = heard_while(worker, dataclasses.replace(AUTO, attacks=MORE.attacks))
    assert heard == ["training", "fgsm"]  # trained anew as it was, so its figures are of these weights
    assert dataclasses.replace(again, evaluations=again.evaluations[:1]) == first


def test_a_precision_that_a_preset_names_is_another_setting(worker, processor):
    processor(*HAS)
    worker().do(AUTO)
    with pytest.raises(ValueError, match="was made with other settings"):
        worker().check(dataclasses.replace(AUTO, settings={**AUTO.settings, "precision": "float32"}))
