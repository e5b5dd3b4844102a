"""Attacks by name, in words and as JSON."""

import dataclasses
import json

import pytest
from conftest import TinyNet, random_batch

from lsp_core.attacks import APGD, FGSM, PGD, AutoAttack, Ensemble, Noise, Square, Transfer
from lsp_core.attacks.describe import label, settings
from lsp_core.attacks.table import ATTACKS, Kind, kind, parse_attack, parse_attacks, rank
from lsp_core.evaluation import evaluate


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
        Square(0.5, queries=9, norm="L2", loss="margin"),
    )


def test_transfer_keeps_going_where_its_source_is_fooled():
    net = TinyNet().eval()
    found = parse_attack("transfer", 0.1, source=("twin", net))
    assert isinstance(found, Transfer)
    assert (found.source, found.name, found.attack.early_stop) == (net, "twin", False)
    assert label(found) == "PGD-20 from twin"


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "transfer"])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_every_name_is_a_sentence_and_json(name, norm):
    attack = parse_attack(name, 0.1, norm)
    assert (attack.eps, attack.norm) == (0.1, norm)
    assert label(attack)
    assert json.loads(json.dumps(settings(attack))) == settings(attack)


def test_the_fast_ensemble_is_named_for_what_it_runs():
    name = label(parse_attack("fast", 0.1))
    assert "AutoAttack" not in name
    assert name == (
        "PGD-10 margin + APGD-T-30 margin + APGD-50 + APGD-T-50 margin + APGD-T-100 + APGD-T-100 margin + "
        "APGD-T-100 margin restarts 4 + Square-200"
    )


def test_what_is_not_as_usual_is_said():
    attack = PGD(0.1, 0.02, steps=5, loss="dlr", restarts=3, random_start=False, momentum=0.5, targeted=True)
    assert label(attack) == "PGD-5 alpha 0.02 dlr restarts 3 random_start False targeted True momentum 0.5"


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown attack 'cw': choose one of noise, transfer, square, fgsm"):
        parse_attack("pgd+cw", 0.1)
    with pytest.raises(ValueError, match="unknown norm 'L1'"):
        parse_attack("pgd", 0.1, "L1")


def test_a_setting_that_no_attack_takes_is_refused():
    with pytest.raises(ValueError, match="steps is given, but no attack here takes it: fgsm takes loss, targeted"):
        parse_attack("fgsm", 0.1, steps=77)
    with pytest.raises(ValueError, match="loss is given, but no attack here takes it: apgd-dlr takes steps, restarts"):
        parse_attack("apgd-dlr", 0.1, loss="ce")
    fgsm, pgd = parse_attacks(["fgsm", "pgd"], [0.1], steps=77, restarts=None)
    assert (fgsm, pgd) == (FGSM(0.1), PGD(0.1, steps=77))


def test_a_name_stands_for_what_is_fixed_and_only_begins_with_what_is_usual():
    assert parse_attack("pgd", 0.1, steps=3) == PGD(0.1, steps=3)
    assert parse_attack("apgd-t", 0.1, steps=3) == APGD(0.1, steps=3, loss="dlr", targets=9)


def test_roles_and_ranks():
    assert [ATTACKS[name].role for name in ("noise", "pgd", "fast", "autoattack")] == [
        "floor",
        "quick",
        "strong",
        "referee",
    ]
    assert sorted(ATTACKS, key=rank) == list(ATTACKS)
    assert rank("mine") < rank("noise")
    assert rank("apgd-t") < rank("fgsm+square") < rank("fast")
    assert kind("mine") is None
    assert kind("fgsm+square").make(0.1) == Ensemble((FGSM(0.1), Square(0.1)))


def test_short_names():
    assert ATTACKS["fast"].short(label(parse_attack("fast", 0.1))) == "fast ensemble"
    assert ATTACKS["transfer"].short("PGD-20 from mnist-cnn-standard") == "PGD-20 transferred"
    assert ATTACKS["pgd"].short("PGD-20") == "PGD-20"


def test_a_transfer_is_known_by_the_weights_of_its_source():
    first, second = (parse_attack("transfer", 0.1, source=("twin", TinyNet(seed).eval())) for seed in (0, 1))
    again = parse_attack("transfer", 0.1, source=("twin", TinyNet(0).eval()))
    assert settings(first) != settings(second)
    assert settings(first) == settings(again)
    assert json.loads(json.dumps(settings(first))) == settings(first)


def test_a_new_attack_is_a_row(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Grey:
        eps: float
        norm: str = "Linf"
        shade: float = 0.5

        def __call__(self, model, images, labels, *, on_step=None):
            return images + (self.shade - images).clamp(-self.eps, self.eps)

    monkeypatch.setitem(ATTACKS, "grey", Kind(Grey, "quick", "every pixel towards grey"))
    attack = parse_attack("grey", 0.2, shade=0.25)
    assert (attack, label(attack)) == (Grey(0.2, shade=0.25), "Grey shade 0.25")
    assert ATTACKS["grey"].takes == ("shade",)
    assert rank("grey") > rank("autoattack")  # the last row
    net = TinyNet().eval()
    assert evaluate(net, *random_batch(net), attack).entry("grey").name == "grey"
