"""Evaluations in a file: merging, schema, processes at once, and files that are something else."""

import json
import multiprocessing
import time

import pytest
from conftest import make_entry

from lsp_core.evaluation import records
from lsp_core.evaluation.entry import Fooled
from lsp_core.evaluation.records import Evaluations, add_evaluations, read_evaluations
from lsp_core.store import files
from lsp_core.store.card import Card
from lsp_core.store.schema import SchemaError, read

CARD = Card("model", "cnn", "digits", "standard", (1, 8, 8), ("0", "1"), (0.5,), (0.5,), config={"eps": 32 / 255})
RIGHT, WRONG = (True,), (False,)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "model.json"


def test_what_is_written_comes_back_sorted(path):
    entries = [make_entry(eps=0.2, settings={"eps": 0.2}), make_entry(), make_entry(attack="FGSM")]
    add_evaluations(path, CARD, "weights", entries)
    found = read(Evaluations, path)
    assert (found.checkpoint, found.weights) == ("model", "weights")
    assert found.evaluations == (entries[2], entries[1], entries[0])
    assert json.loads(path.read_text())["schema"] == "lsp-lab/evaluations/2"


def test_an_entry_of_the_same_settings_gives_way(path):
    add_evaluations(path, CARD, "weights", [make_entry()])
    again = make_entry(robust=RIGHT * 3 + WRONG * 7)
    add_evaluations(path, CARD, "weights", [again])
    assert read_evaluations(path, "weights") == (again,)


@pytest.mark.parametrize(
    "change",
    [
        {"clean": RIGHT * 5, "robust": RIGHT * 5},
        {"seed": 1},
        {"dataset": "mnist"},
        {"settings": {"eps": 0.1, "steps": 40}},
        {"norm": "L2"},
    ],
)
def test_an_entry_of_other_settings_stays(path, change):
    add_evaluations(path, CARD, "weights", [make_entry()])
    add_evaluations(path, CARD, "weights", [make_entry(**change)])
    assert len(read_evaluations(path, "weights")) == 2


def test_entries_of_other_weights_are_dropped(path):
    add_evaluations(path, CARD, "weights", [make_entry()])
    assert read_evaluations(path, "others") == ()
    add_evaluations(path, CARD, "others", [make_entry(seed=1)])
    assert [entry.seed for entry in read_evaluations(path, "others")] == [1]


def test_no_file_holds_nothing(path):
    assert read_evaluations(path, "weights") == ()


@pytest.mark.skipif(files.fcntl is None, reason="this system has no file locks")
def test_of_two_processes_at_once_none_loses_what_the_other_adds(path, monkeypatch):
    look = records.read_evaluations

    def look_slowly(*arguments):
        found = look(*arguments)
        time.sleep(0.3)  # long enough for the other to look, too, were it not kept waiting
        return found

    monkeypatch.setattr(records, "read_evaluations", look_slowly)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)

    def add(seed):
        barrier.wait()
        add_evaluations(path, CARD, "weights", [make_entry(seed=seed)])

    both = [context.Process(target=add, args=(seed,)) for seed in (1, 2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert {entry.seed for entry in look(path, "weights")} == {1, 2}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_card_for_robustbench(path):
    add_evaluations(path, CARD, "weights", [make_entry()])
    assert json.loads(path.read_text())["robustbench"] == {
        "name": "model",
        "dataset": "digits",
        "architecture": "cnn",
        "threat_model": "Linf",
        "eps": "32/255",
        "clean_acc": "90.00",
        "autoattack_acc": None,
        "n_examples": None,
        "number_forward_passes": 1,
        "additional_data": False,
    }
    facts = {"name": "autoattack", "attack": "AutoAttack", "eps": 32 / 255, "fooled_by": (Fooled("AutoAttack", 11),)}
    strong = {"clean": RIGHT * 16, "robust": RIGHT * 5 + WRONG * 11, **facts}
    wide = {"clean": RIGHT * 40, "robust": RIGHT * 29 + WRONG * 11, **facts, "eps": 0.2, "settings": {"eps": 0.2}}
    add_evaluations(path, CARD, "weights", [make_entry(**strong), make_entry(**strong, norm="L2"), make_entry(**wide)])
    found = read(Evaluations, path).robustbench
    assert (found.autoattack_acc, found.n_examples, found.clean_acc) == ("31.25", 16, "100.00")


BAD = {
    "no json": "{",
    "a list": "[]",
    "nothing": "",
    "no schema": '{"evaluations": []}',
    "another schema": '{"schema": "lsp-lab/evaluations/99", "evaluations": []}',
    "depth": "[" * 200_000,
}
ODD = {
    "no list": {"evaluations": {}},
    "an entry that is none": {"evaluations": [None]},
    "an entry that lacks everything": {"evaluations": [{"n": 5}]},
    "no weights": {"weights": None},
    "another field": {"mine": 1},
    "a card that is none": {"robustbench": {}},
}


@pytest.mark.parametrize("kind", [*BAD, *ODD])
def test_other_files_are_refused_and_left_alone(path, kind):
    add_evaluations(path, CARD, "weights", [make_entry()])
    text = BAD[kind] if kind in BAD else json.dumps({**json.loads(path.read_text()), **ODD[kind]})
    path.write_text(text)
    with pytest.raises(SchemaError, match=r"model\.json is no lsp-lab/evaluations/2 file: ") as caught:
        read_evaluations(path, "weights")
    assert "\n" not in str(caught.value)
    with pytest.raises(SchemaError):
        add_evaluations(path, CARD, "weights", [make_entry()])
    assert path.read_text() == text
