"""What an earlier training left: it is not overwritten by one of other data, and not done again."""

import dataclasses
import json

import pytest
import torch
from conftest import toy_dataset
from safetensors import safe_open
from safetensors.torch import save_file

import lsp_core
from lsp_core.store.checkpoint import CheckpointError
from lsp_core.training import TrainConfig, Trainer

CONFIG = TrainConfig("a/fruit", "cnn", epochs=2, batch_size=12, held_out=12, eps=0.05, steps=2)
OTHER = dataclasses.replace(CONFIG, dataset="b/fruit")


class Interrupt(Exception):
    pass


def train(config, folder, data=None):
    trainer = Trainer(data or toy_dataset(), config, folder)
    trainer.run()
    return trainer


def interrupt(config, folder, data=None):
    def stop(log):
        raise Interrupt

    trainer = Trainer(data or toy_dataset(), config, folder)
    with pytest.raises(Interrupt):
        trainer.run(on_epoch=stop)
    return trainer


def rewrite_card(path, change):
    """Let a checkpoint be as an older or a newer version would have written it."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        card = json.loads(file.metadata()["card"])
    change(card["config"])
    save_file(tensors, path, {"card": json.dumps(card)})


def rewrite_state(path, change):
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        state = json.loads(file.metadata()["state"])
    change(state)
    save_file(tensors, path, {"state": json.dumps(state)})


# --- Two folders of one last name ---


def test_a_folder_of_the_same_last_name_does_not_overwrite(tmp_path):
    done = train(CONFIG, tmp_path)
    before = done.path().read_bytes()
    with pytest.raises(ValueError, match=r"was trained on other data \(a/fruit: 3 classes of 1x8x8\)") as caught:
        train(OTHER, tmp_path)
    assert "b/fruit" in str(caught.value)
    assert "choose another folder for the checkpoints (--out), or remove it" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert done.path().read_bytes() == before
    train(OTHER, tmp_path / "other")
    done.path().unlink()  # the last epoch's is as good a reason
    with pytest.raises(ValueError, match=r"last.safetensors was trained on other data"):
        train(OTHER, tmp_path)
    done.path(".last").unlink()
    train(OTHER, tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        toy_dataset(seed=5),
        toy_dataset(size=10),
        dataclasses.replace(toy_dataset(), classes=("x", "y", "z")),
    ],
    ids=["other pixels", "other sizes", "other classes"],
)
def test_one_path_seen_from_two_places_does_not_overwrite(tmp_path, data):
    train(CONFIG, tmp_path)
    with pytest.raises(ValueError, match="was trained on other data"):
        train(CONFIG, tmp_path, data)


def test_a_training_on_the_same_data_may_overwrite(tmp_path, monkeypatch):
    first = train(CONFIG, tmp_path).path().read_bytes()
    for change in ({"seed": 1}, {"lr": 0.01}, {"limit": 36}, {"dataset": "./a/../a/fruit"}):
        second = train(dataclasses.replace(CONFIG, **change), tmp_path).path().read_bytes()
        assert second != first
    again = train(CONFIG, tmp_path)
    assert lsp_core.load_checkpoint(again.path())[1].config["lr"] == CONFIG.lr


def test_a_named_data_set_is_no_folder_of_that_name(tmp_path):
    config = dataclasses.replace(CONFIG, dataset="digits")
    train(config, tmp_path)
    with pytest.raises(ValueError, match=r"was trained on other data \(digits:"):
        train(dataclasses.replace(config, dataset="./digits"), tmp_path)


def test_a_damaged_checkpoint_is_overwritten(tmp_path):
    path = train(CONFIG, tmp_path).path()
    path.write_bytes(path.read_bytes()[:-9])
    train(OTHER, tmp_path / "x")
    train(CONFIG, tmp_path)
    assert lsp_core.load_checkpoint(path)[1].dataset == "a/fruit"


def test_the_run_of_another_folder_is_not_resumed(tmp_path):
    cut = interrupt(CONFIG, tmp_path)
    for kind in ("", ".last"):
        cut.path(kind).unlink()
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        Trainer(toy_dataset(), OTHER, tmp_path).resume()
    with pytest.raises(CheckpointError, match="belongs to a run with other images: repeat those, or remove the file"):
        Trainer(toy_dataset(seed=5), CONFIG, tmp_path).resume()


def test_a_folder_is_called_by_its_last_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {dataclasses.replace(CONFIG, dataset=path).name for path in ("x/fruit", "x/fruit/", "x/y/../fruit")}
    assert names == {"fruit-cnn-standard"}
    assert dataclasses.replace(CONFIG, dataset=".").name == f"{tmp_path.name}-cnn-standard"


# --- Versions with more or fewer settings ---


def drop(*keys):
    return lambda settings: [settings.pop(key) for key in keys]


def test_a_setting_added_since_leaves_a_finished_training_finished(tmp_path):
    done = train(CONFIG, tmp_path)
    for kind in ("", ".last"):
        rewrite_card(done.path(kind), drop("noise", "label_smoothing", "gradient_clip"))
    again = Trainer(toy_dataset(), CONFIG, tmp_path)
    assert again.resume() == 2
    assert again.history == done.history
    # What it was trained with then is the default, and nothing else.
    assert Trainer(toy_dataset(), dataclasses.replace(CONFIG, noise=0.1), tmp_path).resume() == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda settings: settings.update(mixup=0.0),
        lambda settings: settings.update(gradient_clip=1.0),
        lambda settings: settings.update(lr=0.01),
        lambda settings: settings.update(history="long"),
        lambda settings: settings["history"][0].update(loss="small"),
        drop("history"),
    ],
)
@pytest.mark.parametrize("kind", ["", ".last"])
def test_a_training_of_other_settings_is_not_finished(tmp_path, change, kind):
    rewrite_card(train(CONFIG, tmp_path).path(kind), change)
    assert Trainer(toy_dataset(), CONFIG, tmp_path).resume() == 0


def test_a_training_that_lacks_an_epoch_is_not_finished(tmp_path):
    done = train(CONFIG, tmp_path)
    for kind in ("", ".last"):
        rewrite_card(done.path(kind), lambda settings: settings.update(history=settings["history"][:1]))
    assert Trainer(toy_dataset(), CONFIG, tmp_path).resume() == 0


def test_what_augmentation_would_have_been_matters_only_where_it_is_on(tmp_path):
    for augment, epochs in ((False, 2), (True, 0)):
        config = dataclasses.replace(CONFIG, augment=augment)
        done = train(config, tmp_path)
        for kind in ("", ".last"):
            rewrite_card(done.path(kind), lambda settings: settings.update(augmentation="rotations, where it is on"))
        assert Trainer(toy_dataset(), config, tmp_path).resume() == epochs


def test_a_finished_training_on_other_images_is_not_finished(tmp_path):
    named = dataclasses.replace(CONFIG, dataset="digits")  # its name stands for the data
    train(named, tmp_path)
    assert Trainer(toy_dataset(seed=5), named, tmp_path).resume() == 0


def test_a_setting_added_since_lets_a_run_go_on(tmp_path):
    path = interrupt(CONFIG, tmp_path).path(".resume")
    rewrite_state(path, lambda state: drop("noise", "ema")(state["config"]))
    resumed = Trainer(toy_dataset(), CONFIG, tmp_path)
    assert resumed.resume() == 1
    resumed.run()
    whole = train(CONFIG, tmp_path / "whole")
    assert all(map(torch.equal, resumed.model.parameters(), whole.model.parameters()))


def test_a_setting_that_is_unknown_does_not_let_a_run_go_on(tmp_path):
    path = interrupt(CONFIG, tmp_path).path(".resume")
    rewrite_state(path, lambda state: state["config"].update(mixup=0.0))
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        Trainer(toy_dataset(), CONFIG, tmp_path).resume()


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(history=[{"epoch": 0}]),
        lambda state: state["history"][0].update(loss="small"),
        lambda state: state.update(config=[1]),
        lambda state: state.update(data=None),
        lambda state: state["data"].update(mean=[]),
        lambda state: state.clear(),
    ],
)
def test_a_state_that_makes_no_sense_is_one_sentence(tmp_path, change):
    path = interrupt(CONFIG, tmp_path).path(".resume")
    rewrite_state(path, change)
    with pytest.raises(CheckpointError, match="remove the file to start anew") as caught:
        Trainer(toy_dataset(), CONFIG, tmp_path).resume()
    assert "\n" not in str(caught.value)


# --- Training without momentum ---


def test_a_training_without_momentum_can_be_cut_off_too(tmp_path):
    config = dataclasses.replace(CONFIG, momentum=0.0)
    whole = train(config, tmp_path / "whole")
    interrupt(config, tmp_path / "cut")
    resumed = Trainer(toy_dataset(), config, tmp_path / "cut")
    assert resumed.resume() == 1
    resumed.run()
    assert all(map(torch.equal, resumed.model.parameters(), whole.model.parameters()))
    assert lsp_core.load_checkpoint(whole.path())[1].config["optimizer"] == "SGD"
