"""Twins differ in nothing but the LSP term, whichever machine and version trained them."""

import dataclasses
from pathlib import Path

import pytest
from conftest import toy_dataset

from lsp_core.lsp.lsp import LSP
from lsp_core.store.card import Card
from lsp_core.store.checkpoint import read_card
from lsp_core.training import TrainConfig, Trainer
from lsp_core.training.twins import are_twins

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
SHIPPED = sorted(path.stem for path in CHECKPOINTS.glob("*-lsp.safetensors"))
CONFIG = TrainConfig("toy", "cnn", epochs=1, batch_size=12, held_out=12, eps=0.05)


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """A baseline and its twin, as a training writes them down."""
    trainers = [
        Trainer(toy_dataset(), dataclasses.replace(CONFIG, lsp=lsp), tmp_path_factory.mktemp("twins"))
        for lsp in (None, LSP(eps=0.1))
    ]
    for trainer in trainers:
        trainer.run()
    return [read_card(trainer.path()) for trainer in trainers]


def changed(card, drop=(), **config):
    kept = {key: value for key, value in card.config.items() if key not in drop}
    return dataclasses.replace(card, config={**kept, **config})


def both(first, second):
    """Whether they are twins, which they are to each other."""
    found = {are_twins(first, second), are_twins(second, first)}
    assert len(found) == 1
    return found.pop()


def test_a_baseline_and_the_same_with_lsp_are_twins(cards):
    plain, lsp = cards
    assert both(plain, lsp)
    assert not are_twins(plain, plain)
    assert not are_twins(lsp, lsp)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_pairs_are_twins(name):
    lsp = read_card(CHECKPOINTS / f"{name}.safetensors")
    assert both(lsp, read_card(CHECKPOINTS / f"{lsp.twin}.safetensors"))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"lr": 0.01}, {"noise": 0.1}, {"gradient_clip": 1.0}, {"mixup": 0.1}, {"augment": True}]
)
def test_what_differs_in_another_setting_is_no_twin(cards, change):
    plain, lsp = cards
    assert not both(changed(plain, **change), lsp)


def test_other_data_makes_no_twin(cards):
    plain, lsp = cards
    assert not both(dataclasses.replace(plain, dataset="other"), lsp)


def test_a_setting_added_since_tells_no_twins_apart(cards):
    plain, lsp = cards
    assert both(changed(plain, drop=("noise", "label_smoothing", "ema")), lsp)
    assert not both(changed(plain, drop=("noise",)), changed(lsp, noise=0.1))


def test_twins_may_come_from_machines_that_multiply_in_another_precision(cards):
    plain, lsp = cards
    assert both(changed(plain, precision="bfloat16"), lsp)
    assert both(changed(plain, drop=("precision",)), changed(lsp, precision="bfloat16"))


@pytest.mark.parametrize(("augment", "twins"), [(False, True), (True, False)])
def test_twins_may_differ_in_an_augmentation_that_neither_had(cards, augment, twins):
    plain, lsp = (changed(card, augment=augment) for card in cards)
    assert both(plain, changed(lsp, augmentation="rotations, where augment is on")) is twins


def test_models_from_elsewhere_are_twins_by_what_their_cards_say():
    head = ("shop", "resnet", "toys", "standard", (1, 8, 8), ("a", "b"), (0.5,), (0.5,))
    plain, lsp = Card(*head, config={"steps": "many"}), Card(*head, lsp={"term": "own"}, config={"steps": "many"})
    assert both(plain, lsp)
    assert not both(plain, changed(lsp, steps="few"))
