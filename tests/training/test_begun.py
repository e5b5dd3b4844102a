"""A precision left to the machine: it is written down, and a training goes on in the one that it was begun in."""

import dataclasses
from pathlib import Path

import pytest
import torch
from conftest import toy_dataset

from lsp_core.store.checkpoint import CheckpointError, read_card
from lsp_core.training import TrainConfig, Trainer
from lsp_core.training.recipes import RECIPES, recipe

SHIPPED = sorted((Path(__file__).parents[2] / "checkpoints").glob("*.safetensors"))
CONFIG = TrainConfig("toy", "cnn", epochs=2, batch_size=12, held_out=12, eps=0.05, precision="auto")
HAS, LACKS = (True, False), (False, False)
NAMES = {HAS: "bfloat16", LACKS: "float32"}


class Interrupt(Exception):
    pass


def stop(_log):
    raise Interrupt


def train(config, folder):
    trainer = Trainer(toy_dataset(), config, folder)
    trainer.run()
    return trainer


def interrupted(config, folder):
    with pytest.raises(Interrupt):
        Trainer(toy_dataset(), config, folder).run(on_epoch=stop)


def weights(trainer):
    return torch.cat([value.flatten() for value in trainer.model.parameters()])


def passes_of(trainer, monkeypatch):
    """The kinds of numbers that come out of the passes of a step."""
    seen, real = set(), trainer.model.features

    def features(images):
        seen.add((found := real(images)).dtype)
        return found

    monkeypatch.setattr(trainer.model, "features", features)
    trainer.model.train()
    trainer._step(torch.arange(12), 0.5)
    return seen


@pytest.mark.parametrize("kind", [HAS, LACKS])
def test_auto_is_what_the_machine_has_and_is_written_down(processor, tmp_path, monkeypatch, kind):
    processor(*kind)
    auto, said = (train(dataclasses.replace(CONFIG, precision=name), tmp_path / name) for name in ("auto", NAMES[kind]))
    assert weights(auto).equal(weights(said))
    assert auto.config == said.config
    for suffix in ("", ".last"):
        assert read_card(auto.path(suffix)).config["precision"] == NAMES[kind]
    assert passes_of(auto, monkeypatch) == {getattr(torch, NAMES[kind])}


@pytest.mark.parametrize(("begun", "then"), [(HAS, LACKS), (LACKS, HAS)])
def test_a_training_goes_on_in_the_precision_that_it_was_begun_in(processor, tmp_path, monkeypatch, begun, then):
    processor(*begun)
    whole = train(CONFIG, tmp_path / "whole")
    interrupted(CONFIG, tmp_path / "cut")
    processor(*then)
    resumed = Trainer(toy_dataset(), CONFIG, tmp_path / "cut")
    assert resumed.config.precision == NAMES[then]
    assert resumed.resume() == 1
    resumed.run()
    assert weights(resumed).equal(weights(whole))
    assert resumed.config.precision == read_card(resumed.path()).config["precision"] == NAMES[begun]
    assert passes_of(resumed, monkeypatch) == {getattr(torch, NAMES[begun])}


def test_a_run_cut_off_twice_remembers_the_first_machine(processor, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=3)
    for kind in (HAS, LACKS):
        processor(*kind)
        trainer = Trainer(toy_dataset(), config, tmp_path)
        trainer.resume()
        with pytest.raises(Interrupt):
            trainer.run(on_epoch=stop)
    last = Trainer(toy_dataset(), config, tmp_path)
    assert (last.resume(), last.config.precision) == (2, "bfloat16")


@pytest.mark.parametrize(("begun", "then"), [(HAS, LACKS), (LACKS, HAS)])
def test_a_training_that_another_machine_has_done_is_done(processor, tmp_path, begun, then):
    processor(*begun)
    done = train(CONFIG, tmp_path)
    processor(*then)
    again = Trainer(toy_dataset(), CONFIG, tmp_path)
    assert (again.resume(), again.history, again.config) == (2, done.history, done.config)


def test_a_precision_that_a_person_chose_is_another_setting(processor, tmp_path):
    processor(*HAS)
    other = dataclasses.replace(CONFIG, precision="float32")
    interrupted(CONFIG, tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a run with other settings: repeat those"):
        Trainer(toy_dataset(), other, tmp_path).resume()
    train(CONFIG, tmp_path)
    assert Trainer(toy_dataset(), other, tmp_path).resume() == 0
    assert Trainer(toy_dataset(), dataclasses.replace(CONFIG, precision="bfloat16"), tmp_path).resume() == 2


def test_checkpoints_of_two_precisions_are_of_no_one_training(processor, tmp_path):
    processor(*HAS)
    best = train(CONFIG, tmp_path).path().read_bytes()
    processor(*LACKS)
    train(CONFIG, tmp_path).path().write_bytes(best)
    assert Trainer(toy_dataset(), CONFIG, tmp_path).resume() == 0


@pytest.mark.parametrize("objective", ["standard", "pgd-at"])
@pytest.mark.parametrize("dataset", [name for name, own in RECIPES.items() if own.common.get("precision")])
def test_no_recipe_asks_a_machine_for_what_it_has_not(processor, dataset, objective):
    config = recipe(toy_dataset(count=600), dataset, objective, None)
    for kind, name in NAMES.items():
        processor(*kind)
        assert config.on("cpu").precision == name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_recipes_are_still_those_of_the_shipped_checkpoints(path):
    card = read_card(path)
    begun = TrainConfig.from_record(
        {key: card.config[key] for key in card.config if key in TrainConfig.__annotations__}
    )
    data = toy_dataset(count=600, channels=card.image_shape[0])
    asked = recipe(data, card.dataset, card.objective, None if card.lsp is None else {}, seed=card.seed)
    assert asked.as_begun(begun) == begun
    assert begun.precision in ("float32", "bfloat16")
