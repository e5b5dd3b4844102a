"""What README and documentation say of the shipped checkpoints is what was measured."""

import json
from pathlib import Path

import pytest

from lsp_core.attacks import fast
from lsp_core.attacks.describe import label
from lsp_core.evaluation.intervals import paired_interval
from lsp_core.evaluation.records import Evaluations
from lsp_core.radius import show_eps
from lsp_core.store.checkpoint import list_checkpoints
from lsp_core.store.schema import read
from lsp_core.store.weights import weights_sha256

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "checkpoints"
PAGE = ROOT / "docs" / "checkpoints.md"
CARDS, PROBLEMS = list_checkpoints(FOLDER)
KINDS = ("PGD", "Ensemble", "AutoAttack")
GROUPS = sorted({f"{card.dataset}-{card.objective}" for card in CARDS.values()})


def row(name: str) -> str:
    """Return the row in the table of all checkpoints: three attacks at the radius that it was trained or chosen for."""
    entries, eps = read(Evaluations, FOLDER / f"{name}.json").evaluations, CARDS[name].eps
    here = {
        found.attack: found
        for found in entries
        if found.eps == pytest.approx(eps) and (found.norm, found.dataset) == ("Linf", CARDS[name].dataset)
    }
    assert here["PGD"].label == "PGD-20"
    assert "Ensemble" not in here or here["Ensemble"].label == label(fast(eps))
    shown = [f"{here[kind].robust_accuracy:.1%}" if kind in here else "-" for kind in KINDS]
    last = [here[kind] for kind in KINDS if kind in here][-1]
    low, high = last.robust_interval
    assert len({found.n for kind, found in here.items() if kind in KINDS}) == 1
    return (
        f"| `{name}` | {last.clean_accuracy:.1%} | {show_eps(eps)} | {' | '.join(shown)} "
        f"| {low:.1%} to {high:.1%} | {last.n} |"
    )


@pytest.mark.parametrize("name", CARDS)
def test_the_row_of_each_checkpoint_is_what_was_measured(name):
    assert row(name) in PAGE.read_text(encoding="utf-8").splitlines()


def test_every_data_set_has_a_pair_with_and_without_adversarial_training():
    assert {f"{dataset}-{kind}" for dataset in ("digits", "mnist", "cifar10") for kind in ("standard", "pgd-at")} <= {
        *GROUPS
    }


def test_every_shipped_file_is_sound():
    assert not PROBLEMS
    for name, card in CARDS.items():
        assert card.name == name
        assert card.twin in CARDS
        assert card.command.startswith(("python -m lsp_core train", "python -m lsp_core study"))
        kept = read(Evaluations, FOLDER / f"{name}.json")
        assert kept.weights == weights_sha256(FOLDER / f"{name}.safetensors")
        assert len({entry.eps for entry in kept.evaluations if entry.name == "pgd"}) >= 3
        assert (FOLDER / f"{name}.safetensors").stat().st_size < 25_000_000


@pytest.mark.parametrize("group", GROUPS)
def test_twins_are_shipped_and_differ_in_nothing_but_the_term(group):
    dataset, objective = group.split("-", 1)
    pair = [card for card in CARDS.values() if (card.dataset, card.objective) == (dataset, objective)]
    assert len(pair) == 2
    settings = [{key: value for key, value in card.config.items() if key not in ("lsp", "history")} for card in pair]
    assert settings[0] == settings[1]
    assert sorted(card.lsp is None for card in pair) == [False, True]


def audit_row(name: str) -> str:
    """Return the row of the quick audit that lies beside the checkpoint: accuracies and counts."""
    report = json.loads((FOLDER / f"{name}.audit.json").read_text(encoding="utf-8"))
    found = {check["name"]: check["figures"] for check in report["checks"]}
    steps = found["one step against many"]
    shares = [
        steps["fgsm_accuracy"],
        steps["pgd_accuracy"],
        found["convergence"]["ordinary"],
        found["sample size"]["worst_case_accuracy"],
        found["eps curve"]["accuracy"][-1],
    ]
    counts = [found[check]["found"] for check in ("transfer", "black box")]
    controls = f"{found['known-answer controls']['noticed']} of {found['known-answer controls']['controls']}"
    failed = [check["name"] for check in report["checks"] if check["status"] != "pass"]
    cells = [f"`{name}`", show_eps(report["eps"]), *(f"{share:.1%}" for share in shares), *map(str, counts)]
    return f"| {' | '.join([*cells, controls, 'not: ' + ', '.join(failed) if failed else 'all'])} |"


@pytest.mark.parametrize("name", CARDS)
def test_the_page_has_the_audit_of_each_checkpoint(name):
    assert audit_row(name) in PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", CARDS)
def test_the_audit_is_not_kinder_than_the_fast_ensemble_on_the_same_images(name):
    report = json.loads((FOLDER / f"{name}.audit.json").read_text(encoding="utf-8"))
    entry = next(
        each
        for each in read(Evaluations, FOLDER / f"{name}.json").evaluations
        if each.name == "fast" and each.eps == pytest.approx(report["eps"]) and each.seed == report["seed"]
    )
    same = entry.robust_right[: report["n"]]  # a seed draws the images in one order
    convergence = next(check for check in report["checks"] if check["name"] == "convergence")
    assert report["robust_accuracy"] <= same.mean() + 0.03 or "not converged" in convergence["evidence"]


@pytest.mark.parametrize("objective", ["standard", "pgd-at"])
@pytest.mark.parametrize("dataset", ["digits", "mnist", "cifar10"])
def test_the_first_page_has_the_headline_pairs(objective, dataset):
    baseline = next(
        name for name, card in CARDS.items() if (card.dataset, card.objective, card.lsp) == (dataset, objective, None)
    )
    found = [
        {one.name: one for one in read(Evaluations, FOLDER / f"{name}.json").evaluations if one.eps == CARDS[name].eps}
        for name in (baseline, CARDS[baseline].twin)
    ]
    strongest = "autoattack" if all("autoattack" in entries for entries in found) else "fast"
    one, other = (entries[strongest] for entries in found)
    low, high = paired_interval(other.robust_right, one.robust_right)
    gained = f"{100 * (other.robust_accuracy - one.robust_accuracy):+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    shown = [f"{a.robust_accuracy:.1%} → {b.robust_accuracy:.1%}" for a, b in [(f["fast"] for f in found)]]
    lines = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if f"| {gained} | " in line]
    assert len(lines) == 1
    assert f"`{objective}`" in lines[0]
    assert shown[0] in lines[0]
    assert strongest == "fast" or f"{one.robust_accuracy:.1%} → {other.robust_accuracy:.1%}" in lines[0]


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
