"""File formats: what is written comes back, what does not belong there is one sentence, also without pydantic."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from safetensors.torch import save_file
from torch import zeros

from lsp_core.store import schema
from lsp_core.store.schema import SchemaError, Stored, build, parse, read, schema_of


@dataclass(frozen=True)
class Part(Stored):
    name: str
    share: float
    note: str | None = None

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}, but it must be from 0 to 1.")


@dataclass(frozen=True)
class Whole(Stored):
    SCHEMA: ClassVar[str] = "lsp-lab/whole/3"

    shape: tuple[int, int]
    parts: tuple[Part, ...]
    other: Part | None
    table: dict[str, tuple[float, ...]] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)


WHOLE = Whole((1, 2), (Part("a", 0.5), Part("b", 1.0, "last")), None, {"x": (1.0, 2.5)}, {"deep": [{"a": None}]})


@pytest.fixture(params=["pydantic", "without pydantic"])
def _library(request, monkeypatch):
    schema._checker.cache_clear()
    if request.param == "without pydantic":
        monkeypatch.setitem(sys.modules, "pydantic", None)
    yield
    schema._checker.cache_clear()


@pytest.mark.usefixtures("_library")
def test_what_is_written_comes_back(tmp_path):
    WHOLE.write(tmp_path / "a.json")
    assert read(Whole, tmp_path / "a.json") == WHOLE
    assert json.loads((tmp_path / "a.json").read_text()) == WHOLE.to_record()
    assert schema_of(tmp_path / "a.json") == "lsp-lab/whole/3"


def test_the_schema_comes_first_and_what_is_usually_none_is_left_out():
    record = WHOLE.to_record()
    assert next(iter(record)) == "schema"
    assert record["other"] is None  # it has no default: a reader must find it
    assert record["parts"] == [{"name": "a", "share": 0.5}, {"name": "b", "share": 1.0, "note": "last"}]
    assert record["facts"] == {"deep": [{"a": None}]}


GOOD = {"schema": "lsp-lab/whole/3", "shape": [1, 2], "parts": [], "other": None}


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it holds no JSON."),
        ("{", "it holds no JSON."),
        ("[" * 100_000, "it holds no JSON."),
        ('{"a": NaN}', "it holds no JSON."),
        ("[]", "it holds no table."),
        ("null", "it holds no table."),
        ("{}", "its schema is None."),
        ('{"schema": "lsp-lab/whole/2"}', "its schema is 'lsp-lab/whole/2'."),
        (json.dumps({**GOOD, "schema": ["x" * 99]}), "its schema is ['xxxxx"),
        (json.dumps({**GOOD, "parts": [{"name": "a", "share": 2}]}), "share is 2"),
        (json.dumps({**GOOD, "surprise": 1}), "surprise"),
        (json.dumps({"schema": "lsp-lab/whole/3", "shape": [1, 2], "parts": []}), "other"),
    ],
)
def test_what_is_something_else_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(SchemaError) as caught:
        parse(Whole, text)
    assert sentence in str(caught.value)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SchemaError, match="is no lsp-lab/whole/3 file: ") as caught:
        read(Whole, tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"shape": [1, 2, 3]}, "shape"),
        ({"shape": [1, 2.5]}, "shape.1 (2.5)"),
        ({"shape": [1, True]}, "shape.1 (True)"),
        ({"shape": "12"}, "shape ('12')"),
        ({"parts": {}}, "parts ({})"),
        ({"parts": [None]}, "parts.0 (None)"),
        ({"parts": [{"name": "a", "share": "0.5"}]}, "parts.0.share ('0.5')"),
        ({"parts": [{"name": "a", "share": 0.5, "size": 1}]}, "parts.0.size (1)"),
        ({"parts": [{"name": "a"}]}, "parts.0.share: Field required"),
        ({"other": {"name": "a", "share": -1}}, "other: share is -1"),
        ({"table": {"x": [1, "2"]}}, "table.x.1 ('2')"),
        ({"facts": [1]}, "facts ([1])"),
        ({"table": {"x": [1e999]}}, "table.x.0 (inf)"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(changes, where):
    record = {key: value for key, value in {**GOOD, **changes}.items() if key != "schema"}
    with pytest.raises(SchemaError, match=re.escape(where)) as caught:
        build(Whole, record)
    assert re.fullmatch(r"[^\n]+\.", str(caught.value))


def test_a_whole_number_may_stand_for_a_number():
    share = build(Part, {"name": "a", "share": 1}).share
    assert (share, type(share)) == (1, float)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(SchemaError):
        build(Part, {"name": object(), "share": 1.0})


def test_files_that_cannot_be_read_are_one_sentence(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, why in (("none", "No such file or directory"), (".", "Is a directory"), ("binary", "UnicodeDecodeError")):
        with pytest.raises(SchemaError, match=f"cannot be read: {why}\\."):
            read(Whole, tmp_path / name)
        assert schema_of(tmp_path / name) is None


ALONE = """
import sys
sys.modules["pydantic"] = None
import torch, lsp_core.training, lsp_core.study
from lsp_core import Card, evaluate, load_checkpoint, save_checkpoint, CheckpointError
from lsp_core.attacks import FGSM
from lsp_core.evaluation.records import Evaluations, add_evaluations
from lsp_core.models import build_model
from lsp_core.store.schema import read
card = Card("n", "cnn", "digits", "standard", (1, 8, 8), tuple("01"), (0.5,), (0.5,), lsp={"k": 8}, config={"eps": 0.1})
save_checkpoint("a.safetensors", build_model("cnn", (1, 8, 8), 2, (0.5,), (0.5,)), card)
model, again = load_checkpoint("a.safetensors")
assert again == card, again
entry = evaluate(model, torch.rand(9, 1, 8, 8), torch.zeros(9, dtype=torch.int64), FGSM(0.1)).entry("fgsm")
add_evaluations("a.json", card, "w", [entry])
assert read(Evaluations, "a.json").evaluations == (entry,)
try:
    load_checkpoint("bad.safetensors")
except CheckpointError as error:
    print(error)
"""


def test_training_and_attacks_save_and_load_without_pydantic(tmp_path):
    save_file({"a": zeros(1)}, tmp_path / "bad.safetensors", {"card": '{"schema": "lsp-lab/checkpoint/2", "name": 1}'})
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=env
    )
    assert found.returncode == 0, found.stderr
    assert "bad.safetensors is no checkpoint: its card is no lsp-lab/checkpoint/2: " in found.stdout
