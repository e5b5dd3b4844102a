"""Attacks by name, in words and as JSON."""

import json

import pytest
from conftest import TinyNet
from lsp_core.attacks.named import NAMED, parse_attack

from lsp_core.attacks import APGD, FGSM, PGD, AutoAttack, Ensemble, Noise, Square, Transfer
from lsp_core.attacks.describe import label, settings


@pytest.mark.parametrize(
    ("text", "attack"),
    [
        ("noise", Noise(0.1, seed=3)),
        ("fgsm", FGSM(0.1)),
        ("pgd", PGD(0.1, steps=20, seed=3)),
        ("apgd", APGD(0.1, seed=3)),
        ("apgd-dlr", APGD(0.1, loss="dlr", seed=3)),
        ("apgd-t", APGD(0.1, loss="dlr", targets=9, seed=3)),
        ("square", Square(0.1, seed=3)),
        ("autoattack", AutoAttack(0.1, seed=3)),
        ("fgsm + square", Ensemble((FGSM(0.1), Square(0.1, seed=3)))),
    ],
)
def test_names(text, attack):
    assert parse_attack(text, 0.1, seed=3) == attack


def test_settings_go_to_those_that_have_them():
    own = {"steps": 7, "restarts": 2, "loss": "margin", "queries": 9}
    found = parse_attack("noise+fgsm+pgd+apgd-t+square", 0.5, "L2", **own)
    assert found.attacks == (
        Noise(0.5, norm="L2"),
        FGSM(0.5, norm="L2", loss="margin"),
        PGD(0.5, steps=7, restarts=2, loss="margin", norm="L2"),
        APGD(0.5, steps=7, restarts=2, loss="dlr", targets=9, norm="L2"),
        Square(0.5, queries=9, norm="L2"),
    )


def test_transfer_keeps_going_where_its_source_is_fooled():
    net = TinyNet().eval()
    found = parse_attack("transfer", 0.1, source=("twin", net))
    assert isinstance(found, Transfer)
    assert (found.source, found.name, found.attack.early_stop) == (net, "twin", False)
    assert label(found) == "PGD-20 from twin"


@pytest.mark.parametrize("name", set(NAMED) - {"transfer"})
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_every_name_is_a_sentence_and_json(name, norm):
    attack = parse_attack(name, 0.1, norm)
    assert (attack.eps, attack.norm) == (0.1, norm)
    assert label(attack)
    assert json.loads(json.dumps(settings(attack))) == settings(attack)


def test_the_fast_ensemble_is_named_for_what_it_runs():
    name = label(parse_attack("fast", 0.1))
    assert "AutoAttack" not in name
    assert name == "PGD-10 margin + APGD-100 + APGD-T-100 margin + APGD-T-250 + Square-500"


def test_what_is_not_as_usual_is_said():
    attack = PGD(0.1, steps=5, loss="dlr", restarts=3, random_start=False, momentum=0.5, targeted=True)
    assert label(attack) == "PGD-5 dlr restarts 3 targeted True random_start False momentum 0.5"


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown attack 'cw': choose one of noise, fgsm, pgd"):
        parse_attack("pgd+cw", 0.1)
    with pytest.raises(ValueError, match="unknown norm 'L1'"):
        parse_attack("pgd", 0.1, "L1")
