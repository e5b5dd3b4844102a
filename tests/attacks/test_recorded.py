"""Attacks as JSON and back."""

import json

import pytest

from lsp_core.attacks import APGD, FGSM, PGD, Noise, Square, Transfer, fast
from lsp_core.attacks.recorded import from_record, to_record


@pytest.mark.parametrize(
    "attack",
    [
        PGD(0.1, alpha=0.01, steps=7, norm="L2", early_stop=False, seed=3),
        APGD(8 / 255, targets=3, loss="margin"),
        FGSM(0.3),
        Noise(0.1, draws=4),
        Square(0.1, queries=9),
        fast(8 / 255),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_an_attack_comes_back_as_it_was(attack):
    assert from_record(json.loads(json.dumps(to_record(attack)))) == attack


def test_what_is_left_out_is_as_usual():
    assert from_record({"class": "PGD", "eps": 0.1}) == PGD(0.1)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "of the class None"),
        ({"class": "os.system", "eps": 0.1}, "must be one of APGD"),
        ({"class": ["PGD"], "eps": 0.1}, "must be one of APGD"),
        ({"class": "PGD"}, "missing"),
        ({"class": "PGD", "eps": 0.1, "evil": 1}, "no setting 'evil'"),
        ({"class": "PGD", "eps": "0.1"}, "PGD"),
        ({"class": "PGD", "eps": 7.0}, "eps is 7"),
        ({"class": "PGD", "eps": 0.1, "steps": 2.5}, "steps of PGD is 2.5"),
        ({"class": "PGD", "eps": 0.1, "steps": 10**9}, "100,000 is the most"),
        ({"class": "Ensemble", "attacks": "PGD"}, "list of tables"),
        ({"class": "Ensemble", "attacks": []}, "one or more"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(record, said):
    with pytest.raises(ValueError, match=said):
        from_record(record)


def test_an_attack_that_carries_a_model_is_not_kept():
    with pytest.raises(ValueError, match="Transfer cannot be kept in a file"):
        to_record(Transfer(PGD(0.1, early_stop=False), None, "x"))
