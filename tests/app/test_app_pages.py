"""Robustness and Models in a simulated session."""

import json
import re
import shutil

import session
from samples import FAST, audit, entry, kept
from session import DIGITS, choose, drawn, open_view, read, settle, texts, verdicts

from app.figures.measured import measured
from app.panels.measured.report import evaluation_report
from app.state.shelf import catalogue, evaluations, weights_of
from lsp_core import load_checkpoint
from lsp_core.attacks import PGD
from lsp_core.attacks.table import ATTACKS, Kind
from lsp_core.evaluation.records import Evaluations, add_evaluations
from lsp_core.store.checkpoint import checkpoint_weights, list_checkpoints, save_checkpoint
from lsp_core.store.schema import read as read_stored
from lsp_core.training.objectives import OBJECTIVES

empty, shipped = session.empty, session.shipped
TWINS = ("digits-cnn-standard", "digits-cnn-standard-lsp")
EPS = 32 / 255


def evaluate(folder, name, *entries, only=None):
    """Add evaluations to a file, of which those of the attacks in ``only`` are kept."""
    path, weights = folder / f"{name}.json", checkpoint_weights(folder / f"{name}.safetensors")
    card = load_checkpoint(folder / f"{name}.safetensors")[1]
    before = read_stored(Evaluations, path).evaluations
    path.unlink()
    add_evaluations(path, card, weights, [old for old in before if only is None or old.name in only])
    add_evaluations(path, card, weights, entries)


def save_audit(folder, name, **changes):
    weights = checkpoint_weights(folder / f"{name}.safetensors")
    audit(**{"weights": weights, "dataset": "digits", **changes}).write(folder / f"{name}.audit.json")


def test_robustness_compares_every_evaluated_pair(shipped):
    at = open_view("robustness")
    assert "baseline keeps" in texts(at.markdown)
    table = at.dataframe[1].value
    assert set(table["checkpoint"]) == set(DIGITS)
    assert table["interval"].str.contains("% to ").all()
    assert "Wilson 95 % intervals" in texts(at.caption)
    at.get_by_key("threat-digits").set_value("FGSM, Linf")
    settle(at.run())
    assert set(at.dataframe[1].value["attack"]) == {"FGSM"}


def test_a_broken_evaluations_file_gets_a_sentence_and_the_others_are_drawn(shipped):
    path = shipped / "digits-cnn-pgd-at.json"
    good = json.loads(path.read_text())
    impossible = {**good, "evaluations": [{**good["evaluations"][0], "robust_accuracy": 2}]}
    at = open_view("robustness")
    for text in ("", "{", "[]", "null", '{"schema": "other"}', json.dumps(impossible), "[" * 100_000):
        path.write_text(text)
        settle(at.run())
        assert len(at.warning) == 1
        assert "digits-cnn-pgd-at.json is no lsp-lab/evaluations" in texts(at.warning)
        assert "digits-cnn-pgd-at" not in set(at.dataframe[1].value["checkpoint"])
    at.switch_page("views/models.py").run()
    choose(at, "digits-cnn-pgd-at")
    assert "not evaluated on test images" in drawn(at)


def test_figures_of_other_weights_are_not_shown(shipped):
    save_audit(shipped, TWINS[1])
    shutil.copy(shipped / f"{TWINS[1]}.audit.json", shipped / f"{TWINS[0]}.audit.json")
    shutil.copy(shipped / f"{TWINS[1]}.json", shipped / f"{TWINS[0]}.json")
    at = open_view("robustness")
    said = texts(at.warning)
    for suffix in (".json", ".audit.json"):
        assert f"{TWINS[0]}{suffix} speaks of other weights than {TWINS[0]}.safetensors holds" in said
    assert TWINS[0] not in set(at.dataframe[1].value["checkpoint"])
    assert drawn(at).count("Carlini") == 3  # the three checks of the one audit that speaks of its own weights


def test_one_checkpoint_evaluated_twice_is_compared_by_the_larger(shipped):
    for name in TWINS:
        evaluate(shipped, name, entry(kept(0, 10), eps=EPS, dataset="digits"))
    at = open_view("robustness")
    assert "keeps 0.0%" not in texts(at.markdown)
    assert len(at.dataframe[1].value) > 20


def test_the_referee_has_his_say_where_he_was_asked(shipped):
    for name in DIGITS:
        evaluate(shipped, name, only=("pgd", "fgsm"))
    at = open_view("robustness")
    assert "ladder" not in drawn(at)
    assert "AutoAttack has not been run on these checkpoints" in texts(at.caption)
    for name, share in zip(TWINS, (0.29, 0.671), strict=True):
        left = [round(599 * (share - taken)) for taken in (0, 0.05, 0.06)]
        names = (("pgd", "PGD-20"), ("fast", FAST), ("autoattack", "AutoAttack"))
        own = [
            entry(kept(count, 599), short, label, EPS, dataset="digits", attack=short)
            for count, (short, label) in zip(left, names, strict=True)
        ]
        evaluate(shipped, name, *own, only=("fgsm",))
    settle(at.run())
    written, said = drawn(at), texts(at.caption)
    assert written.count('class="card ladder"') == 1  # nothing beyond PGD was run on the other pair
    assert "PGD-20 is too kind to both: beyond it, AutoAttack takes 6.0 points" in written
    assert "our own sequence, not AutoAttack" in said
    assert "APGD-T-30" in said
    assert "ends at or below 3 points" in said
    at.get_by_key("threat-digits").set_value("AutoAttack, Linf")
    settle(at.run())
    assert "not the last word" in texts(at.caption)
    assert set(at.dataframe[1].value["attack"]) == {"AutoAttack"}
    at.switch_page("views/models.py").run()
    table = settle(at).get_by_key("models").value.set_index("checkpoint")
    assert list(table.loc[list(TWINS), "under"]) == ["AutoAttack, 32/255"] * 2
    assert "under AutoAttack at Linf 32/255" in drawn(choose(at, TWINS[0]))


def test_a_new_attack_and_a_new_objective_are_drawn(shipped, monkeypatch):
    """A row in each table is all it takes: nothing on the page knows them by name."""
    monkeypatch.setitem(ATTACKS, "judge", Kind(PGD, "referee", "an attack of tomorrow", usual={"steps": 9}))
    for number in range(6):
        monkeypatch.setitem(OBJECTIVES, f"own-{number}", OBJECTIVES["standard"])
    for name in TWINS:
        model, card = load_checkpoint(shipped / f"{name}.safetensors")
        changed = type(card)(**{**vars(card), "objective": "own-5"})
        save_checkpoint(shipped / f"{name}.safetensors", model, changed)
        judged = entry(kept(100, 599), "judge", "PGD-9", EPS, dataset="digits", attack="Judge")
        evaluate(shipped, name, judged)
    at = open_view("robustness")
    assert not at.warning
    assert "own-5" in drawn(at)
    assert '<div class="rung referee"><span class="name"><b>PGD-9</b>' in drawn(at)
    assert "PGD-9 (an attack of tomorrow)" in texts(at.caption)
    assert "PGD-9, Linf" in [name.replace("\\", "") for name in at.get_by_key("threat-digits").options]
    assert "own-5" in texts(at.markdown)


def test_an_audit_stands_beside_the_figures_and_on_the_card(shipped):
    save_audit(shipped, TWINS[0], statuses=("pass", "pass", "pass"))
    save_audit(shipped, TWINS[1])
    (shipped / "nobody.audit.json").write_text("{")  # it has no checkpoint, so nobody asks for it
    at = open_view("robustness")
    written = drawn(at)
    at.switch_page("views/models.py").run()
    table = settle(at).get_by_key("models").value.set_index("checkpoint")
    cards = drawn(choose(at, TWINS[0])) + drawn(choose(at, TWINS[1]))
    for both in (written, cards):
        assert "✓ 3 pass" in both
        assert "! 1 warn" in both
        assert "No sign of masking found." in both
        assert "Signs of masking or of a weak attack: restarts (warn)." in both
    assert not at.warning
    assert list(table.loc[list(TWINS), "audit"]) == ["✓ no sign found", "! 1 warn"]
    assert list(table["audit"]).count("not audited") == 2
    assert list_checkpoints(shipped)[0].keys() == set(DIGITS)


def test_a_broken_audit_gets_a_sentence_and_everything_else_is_drawn(shipped):
    save_audit(shipped, TWINS[1], statuses=("pass", "pass", "pass"))
    at = open_view("robustness")
    for text in ("", "{", '{"schema": "lsp-lab/audit/9"}', '{"schema": "lsp-lab/audit/2", "weights": "0"}'):
        (shipped / f"{TWINS[0]}.audit.json").write_text(text)
        settle(at.run())
        assert len(at.warning) == 1
        assert f"{TWINS[0]}.audit.json is no lsp-lab/audit" in texts(at.warning)
        assert "✓ 3 pass" in drawn(at)
    at.switch_page("views/models.py").run()
    assert len(settle(at).warning) == 1


def test_the_checklist_has_the_gravest_first_and_everything_a_sceptic_asks_for(shipped):
    save_audit(shipped, TWINS[0], statuses=("pass", "warn", "fail"))
    written = drawn(choose(open_view("models"), TWINS[0]))
    for words in ("✓ 1 pass", "! 1 warn", "✕ 1 fail", "more than 1 point", "Carlini et al. 2019", "Linf 0.1, seed 0"):
        assert words in written
    assert written.index("known-answer controls</b>") < written.index("restarts</b>") < written.index("outputs</b>")
    assert "left 3, curve [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5 …]" in written
    assert "Left out: loss surface (a picture)." in written
    assert "What passes is no proof" in written


def test_every_checkpoint_has_a_row_and_its_card(shipped):
    at = open_view("models")
    table = at.get_by_key("models").value.set_index("checkpoint")
    assert set(table.index) == set(DIGITS)
    row = table.loc["digits-cnn-standard-lsp"]
    assert list(row["trained"]) == ["● LSP"]
    assert (row["under"], row["n"], row["95 %"]) == ("AutoAttack, 32/255", 599, "61.2 to 68.8")
    assert round(row["robust"], 1) == 65.1
    assert len(row["held out"]) == 46
    assert [one.label for one in at.expander] == ["Bring a model"]
    assert not at.warning
    for name in DIGITS:
        written = drawn(choose(at, name))
        assert f"<b>{name}</b>" in written
        assert ('class="chip lsp"' in written) == name.endswith("-lsp")
        assert "under PGD-20 at Linf" in read(written)
        assert "held-out training images" in texts(at.markdown)
        assert "under PGD-10 at" in texts(at.markdown)
        assert all("python" in code.value or "lsp_core" in code.value for code in at.code)
        assert [one.label for one in at.expander] == ["Bring a model", "Card"]


def test_what_is_shipped_opens_in_every_view(monkeypatch, tmp_path):
    """The real folder, whatever it holds, without any data set beside the digits."""
    session.forget()
    monkeypatch.setenv("LSP_DATA", str(tmp_path))
    monkeypatch.delenv("LSP_CHECKPOINTS", raising=False)
    at = open_view()
    assert len(verdicts(at)) == 2
    assert not at.error
    for view in ("robustness", "models"):
        at.switch_page(f"views/{view}.py").run()
        settle(at)
        assert not at.error
        assert not at.warning


def test_the_report_of_an_evaluation_holds_its_figures_and_asks_for_nothing(shipped):
    at = open_view("robustness")
    assert at.get_by_key("download-report") is not None
    cards, _ = catalogue()
    records, _ = evaluations()
    whole = measured({name: records[name] for name in DIGITS}, cards)
    chosen = [one for one in whole if one.short == "PGD-20"]
    markup = evaluation_report(chosen, whole, {}, {name: weights_of(name) for name in DIGITS}).decode()
    sources = re.findall(r'(?:src|href)="([^"]*)"', markup)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in markup
    for one in chosen:
        assert f"{one.entry.robust_accuracy:.1%}" in markup
        assert weights_of(one.checkpoint) in markup
