"""Checkpoints: what is written comes back, and no file can do harm or pass for what it is not."""

import dataclasses
import json
import os
import pickle
import shutil
import stat

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lsp_core import load_checkpoint, save_checkpoint
from lsp_core.models import build_model
from lsp_core.store import checkpoint as module
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import CheckpointError, checkpoint_weights, list_checkpoints, read_card

CARD = Card(
    name="digits-cnn-standard-lsp",
    model="cnn",
    dataset="digits",
    objective="standard",
    image_shape=(1, 8, 8),
    classes=tuple("0123456789"),
    mean=(0.3,),
    std=(0.4,),
    lsp={"term": "vicinity", "weight": 30.0},
    config={"eps": 0.1},
    seed=3,
    epoch=7,
    held_out={"n": 200, "clean_accuracy": 0.9},
    versions={"torch": "2"},
    date="2026-01-02",
    command="python -m lsp_core train digits",
)


def new_model(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model("cnn", (1, 8, 8), 10, (0.3,), (0.4,)).eval()


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "digits-cnn-standard-lsp.safetensors"
    save_checkpoint(path, new_model(), CARD)
    return path


def rewrite(path, change_weights=lambda weights: None, **card_changes):
    """Write the file again with some weights or card entries changed; a value of ... removes the entry."""
    with safe_open(path, framework="pt") as file:
        card = {**json.loads(file.metadata()["card"]), **card_changes}
    weights = load_file(path)
    change_weights(weights)
    save_file(weights, path, {"card": json.dumps({key: value for key, value in card.items() if value is not ...})})
    return path


def refused(path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


# --- Round trip ---


def test_a_round_trip_gives_the_same_model_and_card(saved):
    model, card = load_checkpoint(saved)
    assert card == CARD
    original = new_model().state_dict()
    assert model.state_dict().keys() == original.keys()
    assert all(value.equal(original[key]) for key, value in model.state_dict().items())
    images = torch.rand(4, 1, 8, 8)
    assert model(images).equal(new_model()(images))
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert read_card(saved) == card


def test_weights_in_another_memory_format_are_written_too(tmp_path):
    model = new_model().to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "a.safetensors", model, CARD)
    loaded, _ = load_checkpoint(tmp_path / "a.safetensors")
    assert all(value.equal(model.state_dict()[key]) for key, value in loaded.state_dict().items())


def test_whole_numbers_may_stand_for_mean_and_deviation(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, new_model(), dataclasses.replace(CARD, mean=(0,), std=(1,)))
    assert load_checkpoint(path)[1].mean == (0,)


def test_the_radius_of_a_card_that_names_none_is_the_usual_one(saved):
    assert CARD.eps == 0.1
    assert load_checkpoint(rewrite(saved, config={}))[1].eps == 8 / 255
    assert load_checkpoint(rewrite(saved, config={"eps": 0}))[1].eps == 0


def test_the_card_of_a_baseline_says_nothing_of_lsp(tmp_path):
    path, plain = tmp_path / "a.safetensors", dataclasses.replace(CARD, lsp=None)
    save_checkpoint(path, new_model(), plain)
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    assert card["schema"] == "lsp-lab/checkpoint/2"
    assert "lsp" not in card
    assert read_card(path) == plain


def test_twins_name_each_other():
    plain = dataclasses.replace(CARD, name="digits-cnn-standard", lsp=None)
    assert CARD.twin == plain.name
    assert plain.twin == CARD.name


def test_a_checkpoint_is_readable_by_others_and_leaves_nothing_beside_it(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o644
    assert os.listdir(saved.parent) == [saved.name]


# --- The digest of the weights ---


def test_the_digest_is_of_the_weights_and_not_of_the_card(saved, tmp_path):
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, new_model(), dataclasses.replace(CARD, date="2030-01-01", name="else"))
    assert other.read_bytes() != saved.read_bytes()
    assert checkpoint_weights(other) == checkpoint_weights(saved)
    assert len(checkpoint_weights(saved)) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w["head.bias"][3].add_(1e-7),
        lambda w: w.update({"head.bias": w["head.bias"].view(2, 5)}),
        lambda w: w.update({"head.bias": w["head.bias"].view(torch.int32)}),
        lambda w: w.update({"tail.bias": w.pop("head.bias")}),
        lambda w: w["body.1.num_batches_tracked"].add_(1),
    ],
)
def test_the_digest_notices_one_value_shape_format_or_name(saved, change):
    before = checkpoint_weights(saved)
    assert checkpoint_weights(rewrite(saved)) == before
    assert checkpoint_weights(rewrite(saved, change)) != before


def test_there_is_no_digest_of_what_is_no_checkpoint(tmp_path):
    (tmp_path / "bad").write_bytes(b"nothing")
    for name in ("bad", "absent"):
        with pytest.raises(CheckpointError, match=f"{name} is no checkpoint"):
            checkpoint_weights(tmp_path / name)


# --- Atomic writing ---


@pytest.mark.parametrize("step", ["save_file", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(saved, monkeypatch, step):
    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    before = saved.read_bytes()
    with monkeypatch.context() as patch:
        if step == "save_file":
            patch.setattr(module, "save_file", fail)
        elif step == "fsync":
            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr("pathlib.Path.replace", fail)
        with pytest.raises(OSError, match="no space"):
            save_checkpoint(saved, new_model(1), CARD)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
    save_checkpoint(saved, new_model(1), CARD)
    assert saved.read_bytes() != before


# --- What is refused ---


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "torch-legacy", "pickle"])
def test_a_malicious_pickle_is_not_executed(tmp_path, how):
    path, harm = tmp_path / "evil.safetensors", tmp_path / "harm"
    payload = {"card": "x", "weights": Malicious(harm)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=how == "torch")
    assert "not a complete safetensors file" in refused(path)
    assert not harm.exists()
    # The file does harm where it is unpickled, or the lines above would prove nothing.
    path = path.rename(tmp_path / "evil.pt")  # by its old name torch.load would take it for safetensors
    pickle.loads(path.read_bytes()) if how == "pickle" else torch.load(path, weights_only=False)
    assert harm.exists()


def test_a_missing_file_is_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.safetensors")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    assert "not a complete safetensors file" in refused(saved)


@pytest.mark.parametrize("data", [b"hello world", b"\xff" * 100, (2**40).to_bytes(8, "little") + b"{}"])
def test_noise_is_refused(tmp_path, data):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(data)
    assert "not a complete safetensors file" in refused(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file_is_refused(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata)
    assert "no model card" in refused(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"schema": "lsp-lab/checkpoint/99"},
            "its card is no lsp-lab/checkpoint/2: its schema is 'lsp-lab/checkpoint/9",
        ),
        ({"schema": ..., "format": "lsp-lab/checkpoint/1"}, "its schema is None"),
        ({"classes": ...}, "classes: Field required"),
        ({"surprise": 1}, "surprise (1): "),
        ({"mean": None}, "mean (None): "),
        ({"mean": ["a"]}, "mean.0 ('a'): "),
        ({"mean": [True]}, "mean.0 (True): "),
        ({"name": 5}, "name (5): "),
        ({"config": []}, "config ([]): "),
        ({"lsp": "vicinity"}, "lsp ('vicinity'): "),
        ({"held_out": "good"}, "held_out ('good'): "),
        ({"epoch": "last"}, "epoch ('last'): "),
        ({"epoch": 1.5}, "epoch (1.5): "),
        ({"epoch": -1}, "epoch is -1"),
        ({"seed": None}, "seed (None): "),
        ({"command": None}, "command (None): "),
        ({"mean": [0.1, 0.2, 0.3]}, "mean and std are of 3 and 1 channels"),
        ({"image_shape": [1, 8]}, "image_shape.2: Field required"),
        ({"image_shape": [1, -8, 8]}, "image_shape is (1, -8, 8)"),
        ({"image_shape": [1, 10**9, 10**9]}, "image_shape is (1, 1000000000, 1000000000)"),
        ({"classes": []}, "classes are 0"),
        ({"classes": ["one"]}, "classes are 1"),
        ({"config": {"eps": None}}, "config.eps is None, but it must be a number from 0 to 1"),
        ({"config": {"eps": [0.1]}}, "config.eps is [0.1]"),
        ({"config": {"eps": "0.1"}}, "config.eps is '0.1'"),
        ({"config": {"eps": True}}, "config.eps is True"),
        ({"config": {"eps": 8}}, "config.eps is 8"),
        ({"config": {"eps": -0.1}}, "config.eps is -0.1"),
        ({"config": {"eps": float("nan")}}, "it holds no JSON"),
        ({"held_out": {"clean_accuracy": "high"}}, "held_out.clean_accuracy is 'high'"),
        ({"held_out": {"robust_accuracy": 101}}, "held_out.robust_accuracy is 101"),
        ({"model": "vgg"}, "unknown model 'vgg': choose one of cnn"),
        ({"model": "preactresnet18"}, "weights do not fit a preactresnet18"),
        ({"image_shape": [1, 28, 28]}, "weights do not fit"),
        ({"classes": ["a", "b", "c"]}, "weights do not fit"),
        ({"image_shape": [3, 8, 8], "mean": [0.0] * 3, "std": [1.0] * 3}, "weights do not fit"),
    ],
)
def test_a_card_that_is_wrong_is_refused(saved, changes, message):
    assert message in refused(rewrite(saved, **changes))


@pytest.mark.parametrize("card", ["", "[]", "null", "{", '"text"', "[" * 100_000])
def test_a_card_that_is_no_json_object_is_refused(saved, card):
    save_file(load_file(saved), saved, {"card": card})
    assert "its card is no lsp-lab/checkpoint/2" in refused(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.bias"), "weights do not fit"),
        (lambda w: w.update(extra=torch.zeros(1)), "weights do not fit"),
        (lambda w: w.update({"head.bias": torch.zeros(11)}), "weights do not fit"),
        (lambda w: w.update({"head.bias": torch.zeros(10, dtype=torch.float64)}), "another number format"),
        (lambda w: w.update({"head.bias": torch.zeros(10, dtype=torch.int64)}), "weights do not fit"),
        (lambda w: w["head.bias"].fill_(torch.nan), "not finite"),
        (lambda w: w["normalize.std"].fill_(torch.inf), "not finite"),
        (lambda w: w["body.1.running_var"].fill_(torch.inf), "not finite"),
    ],
)
def test_weights_that_are_wrong_are_refused(saved, change, message):
    assert message in refused(rewrite(saved, change))


# --- Folders ---


def test_a_folder_lists_good_and_bad_files(saved, tmp_path):
    shutil.copy(saved, tmp_path / "x.last.safetensors")
    shutil.copy(saved, tmp_path / ".hidden.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    cards, problems = list_checkpoints(tmp_path)
    assert cards == {saved.stem: CARD}
    assert list(problems) == ["bad"]
    assert "not a complete safetensors file" in problems["bad"]
    assert list_checkpoints(tmp_path / "nowhere") == ({}, {})
