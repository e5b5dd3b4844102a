"""Evaluations as JSON: merging, schema, and files that are something else."""

import hashlib
import json

import pytest

from lsp_core.evaluation.records import SCHEMA, RecordError, done, read_records, write_records
from lsp_core.store.checkpoint import Card
from lsp_core.store.files import sha256, write_json

CARD = Card("model", "cnn", "digits", "standard", (1, 8, 8), ("0", "1"), (0.5,), (0.5,), config={"eps": 32 / 255})


def entry(**changes):
    record = {
        "dataset": "digits",
        "split": "test",
        "seed": 0,
        "attack": "PGD",
        "norm": "Linf",
        "eps": 0.1,
        "settings": {"eps": 0.1, "steps": 20},
        "n": 100,
        "clean_accuracy": 0.9,
        "clean_interval": [0.83, 0.94],
        "robust_accuracy": 0.4,
        "robust_interval": [0.31, 0.5],
        "seconds": 1.0,
    }
    return {**record, **changes}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "model.json"


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert sha256(tmp_path / "a").startswith("ba7816bf")


def test_what_is_written_comes_back_sorted(path):
    write_records(path, CARD, "digest", [entry(eps=0.2), entry(), entry(attack="FGSM")])
    found = read_records(path)
    assert (found["schema"], found["checkpoint"], found["sha256"]) == (SCHEMA, "model", "digest")
    assert [(e["attack"], e["eps"]) for e in found["evaluations"]] == [("FGSM", 0.1), ("PGD", 0.1), ("PGD", 0.2)]


def test_an_entry_of_the_same_settings_gives_way(path):
    write_records(path, CARD, "digest", [entry()])
    write_records(path, CARD, "digest", [entry(robust_accuracy=0.3)])
    assert [e["robust_accuracy"] for e in read_records(path)["evaluations"]] == [0.3]


@pytest.mark.parametrize(
    "change", [{"n": 50}, {"seed": 1}, {"dataset": "mnist"}, {"settings": {"eps": 0.1, "steps": 40}}, {"norm": "L2"}]
)
def test_an_entry_of_other_settings_stays(path, change):
    write_records(path, CARD, "digest", [entry()])
    write_records(path, CARD, "digest", [entry(**change)])
    assert len(read_records(path)["evaluations"]) == 2


def test_entries_of_other_weights_are_dropped(path):
    write_records(path, CARD, "digest", [entry()])
    write_records(path, CARD, "another digest", [entry(n=50)])
    assert [e["n"] for e in read_records(path)["evaluations"]] == [50]


def test_what_is_done_is_known_by_weights_images_and_settings(path):
    assert not done(path, "digest", entry())
    write_records(path, CARD, "digest", [entry()])
    assert done(path, "digest", entry(robust_accuracy=0.1, seconds=9.0))
    assert not done(path, "another digest", entry())
    for change in ({"n": 50}, {"seed": 1}, {"settings": {"eps": 0.2}}, {"attack": "FGSM"}):
        assert not done(path, "digest", entry(**change))


def test_the_card_for_robustbench(path):
    strong = {"attack": "AutoAttack", "eps": 32 / 255, "robust_accuracy": 0.3125, "n": 80}
    write_records(path, CARD, "digest", [entry()])
    assert read_records(path)["robustbench"] == {
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
    elsewhere = entry(**strong) | {"eps": 0.2, "n": 500}
    write_records(path, CARD, "digest", [entry(**strong), entry(**strong, norm="L2"), elsewhere])
    found = read_records(path)["robustbench"]
    assert (found["autoattack_acc"], found["n_examples"]) == ("31.25", 80)


BAD = {
    "no json": "{",
    "a list": "[]",
    "nothing": "",
    "no schema": json.dumps({"evaluations": []}),
    "another schema": json.dumps({"schema": "lsp-lab/evaluations/99", "evaluations": []}),
    "no list": json.dumps({"schema": SCHEMA, "evaluations": {}}),
    "no interval": json.dumps({"schema": SCHEMA, "evaluations": [{"n": 5}]}),
    "an interval of one": json.dumps({"schema": SCHEMA, "evaluations": [entry(robust_interval=[0.1])]}),
    "a text for a number": json.dumps({"schema": SCHEMA, "evaluations": [entry(eps="large")]}),
    "an infinite n": json.dumps({"schema": SCHEMA, "evaluations": [entry(n=float("inf"))]}),
    "an entry that is none": json.dumps({"schema": SCHEMA, "evaluations": [None]}),
    "depth": "[" * 200_000,
}


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused_and_left_alone(tmp_path, kind):
    path = tmp_path / "model.json"
    path.write_text(BAD[kind])
    with pytest.raises(RecordError, match=r"model\.json") as caught:
        read_records(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RecordError):
        write_records(path, CARD, "digest", [entry()])
    assert path.read_text() == BAD[kind]


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(RecordError, match="FileNotFoundError"):
        read_records(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecordError, match="UnicodeDecodeError"):
        read_records(tmp_path / "binary.json")


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})

    def fail(*args, **kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", fail)
        with pytest.raises(OSError, match="disk full"):
            write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == [path.name]
