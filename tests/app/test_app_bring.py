"""A model is brought on the Models page: both folders, the form, what is proposed and kept, and attacks on it."""

import shutil
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("onnx2pytorch", reason="onnx2pytorch is not installed: no graph can be read.")
import session
import torch
from session import DIGITS, SHIPPED, choose, drawn, open_view, settle, texts

from app.figures.brought import tried_rows
from app.panels.pair import comparable
from app.state import bringing
from app.state.bringing import Bringing, Offer, offer_of
from app.state.models import load
from app.state.orders import board
from app.state.shelf import audits, catalogue, evaluations, imported, path_of, weights_of
from lsp_core import load_checkpoint
from lsp_core.store.origin import Origin, Tried

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "outside"))
from exported import LINEAR, by_hand, exported, tensor

empty, shipped = session.empty, session.shipped
PATIENCE = 60.0


@pytest.fixture(scope="module")
def model():
    return load_checkpoint(SHIPPED / f"{DIGITS[0]}.safetensors")


@pytest.fixture(scope="module")
def onnx(model, tmp_path_factory):
    """The shipped digits baseline as ONNX."""
    return exported(model[0], (1, 8, 8), tmp_path_factory.mktemp("onnx"))[0]


@pytest.fixture(scope="module")
def rounded(model):
    """A linear model that rounds its images, so that none of its outputs has a gradient."""
    generator = torch.Generator().manual_seed(0)
    weights = [tensor("w", torch.randn(10, 64, generator=generator).numpy()), tensor("b", [0.0] * 10)]
    return by_hand(
        [("Round", ["in"], ["whole"], {}), ("Flatten", ["whole"], ["flat"], {}), LINEAR],
        weights,
        (None, 1, 8, 8),
        "logits",
    )


def until(what):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def bring_it(content, name="mine", preparation=None, **facts):
    """Bring a model without a page, and keep it; return how that ended."""
    found = Bringing(Offer(content, facts.pop("file", "some.onnx"), "digits", name, **facts)).begin()
    until(lambda: not found.active)
    if found.state == "proposed":
        found.keep(preparation or found.card.origin.preparation)
        until(lambda: not found.active)
    return found


def test_checkpoints_of_both_folders_are_there_and_their_files_are_found_beside_them(shipped):
    imported().mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(SHIPPED / f"{DIGITS[0]}{suffix}", imported() / f"mine{suffix}")
    cards, problems = catalogue()
    assert set(cards) == {*DIGITS, "mine"}
    assert not problems
    assert path_of("mine") == imported() / "mine.safetensors"
    assert load("mine").name == "mine"
    assert weights_of("mine") == weights_of(DIGITS[0]) != ""
    assert evaluations()[0]["mine"] == evaluations()[0][DIGITS[0]]
    assert audits() == ({}, [])


def test_of_one_name_in_both_folders_the_shipped_one_counts_and_a_sentence_says_so(shipped):
    imported().mkdir()
    shutil.copy(SHIPPED / f"{DIGITS[2]}.safetensors", imported() / f"{DIGITS[0]}.safetensors")
    (imported() / f"{DIGITS[0]}.json").write_text("{}")  # nobody reads it, so it is no problem
    cards, problems = catalogue()
    assert cards[DIGITS[0]].objective == "standard"
    assert load(DIGITS[0]).card.objective == "standard"
    assert list(problems.values()) == [
        f"imported/{DIGITS[0]}.safetensors is not shown, because checkpoints/ has a checkpoint of that name: give it "
        "another."
    ]
    assert evaluations()[1] == []
    assert "is not shown" in texts(open_view("models").warning)


def test_one_folder_named_twice_is_one(shipped, monkeypatch):
    monkeypatch.setenv("LSP_IMPORTED", str(shipped))
    assert catalogue()[1] == {}


def test_files_are_one_model_and_its_companion():
    files = {"m.onnx": b"graph", "m.onnx.data": b"weights"}
    assert offer_of(files, "digits", " mine ", "") == Offer(b"graph", "m.onnx", "digits", "mine", b"weights")
    with pytest.raises(ValueError, match="2 may be a model"):
        offer_of({"a.onnx": b"", "b.onnx": b""}, "digits", "mine", "")
    with pytest.raises(ValueError, match="0 may be a model"):
        offer_of({"m.onnx.data": b""}, "digits", "mine", "")


@pytest.mark.parametrize("name", ["", "../mine", "a/b", ".hidden", "mine.last", "mine.audit", "x" * 101, DIGITS[0]])
def test_a_name_is_one_of_a_file_and_none_that_is_taken(shipped, name):
    with pytest.raises(ValueError, match=r"^name is .*\.$"):
        Offer(b"", "m.onnx", "digits", name).check()


def test_the_best_preparation_is_proposed_and_nothing_kept_before_somebody_says_so(shipped, onnx, model):
    found = Bringing(Offer(onnx, "../../evil name.onnx", "digits", "mine")).begin()
    until(lambda: not found.active)
    assert (found.state, found.card.origin.preparation) == ("proposed", "unit")
    assert not imported().exists()
    found.keep("unit")
    until(lambda: not found.active)
    assert [path.name for path in imported().iterdir()] == ["mine.safetensors"]
    mine, own = load("mine"), model[1]
    assert comparable(mine.card, own)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(mine.model(images), model[0](images), atol=1e-4)
    assert mine.card.command == ("python -m lsp_core import '../../evil name.onnx' --data digits --name mine")


def test_another_preparation_is_kept_if_a_person_decides_so(shipped, onnx):
    found = bring_it(onnx, preparation="signed")
    assert found.state == "kept"
    card = load("mine").card
    assert (card.origin.preparation, card.mean) == ("signed", (0.5,))
    assert "--preprocessing signed" in card.command


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x04pickle", "is a pickle, whose loading can run code"),
        (b"", "it is empty"),
        (b"\x0a\xff\xff\xff\xff\x0f nothing", "cannot be imported"),
        (b"\x10\0\0\0\0\0\0\0{no json at all}", "name their architecture"),
    ],
)
def test_a_hostile_file_is_one_sentence(shipped, content, said):
    found = bring_it(content, file="*bad*.onnx")
    assert found.state == "failed"
    assert said in found.problem
    assert found.problem.startswith("*bad*.onnx cannot be imported: ")
    assert "\n" not in found.problem
    assert not imported().exists()


def test_it_is_stopped_before_the_next_preparation(shipped, onnx, monkeypatch):
    calls = []
    found = Bringing(Offer(onnx, "m.onnx", "digits", "mine"))

    def whole(*_, on_progress, **__):
        for done in range(1, 4):
            calls.append(done)
            found.stop()
            on_progress(done, 3)

    monkeypatch.setattr(bringing, "bring", whole)
    found.begin()
    until(lambda: not found.active)
    assert (found.state, calls, found.problem) == ("stopped", [1], "")


def test_preparations_are_in_the_order_of_what_they_got_right():
    origin = Origin("m.onnx", "f" * 64, tried=(Tried("unit", 10, 20), Tried("bytes", 15, 20)))
    rows = tried_rows(origin)
    assert [(row["preprocessing"], row["right"]) for row in rows] == [("bytes", 75.0), ("unit", 50.0)]
    assert rows[1]["95 %"] == "29.9 to 70.1"  # Wilson, by hand: 0.5 +- 1.96 sqrt(0.25 / 20 + 3.84 / 1600) / 1.192


def bring_on_page(at, *files, name="mine"):
    at.session_state["bring"] = True
    settle(at.run())
    at.file_uploader(key="import-model").set_value(list(files))
    at.text_input(key="import-name").set_value(name)
    settle(at.run())
    at.button(key="import-start").click()
    settle(at.run())
    if at.session_state["bringing"] is not None:
        until(lambda: not at.session_state["bringing"].active)
    return settle(at.run())


def test_on_the_page_it_is_brought_kept_and_attacked(shipped, onnx):
    at = bring_on_page(open_view("models"), ("m.onnx", onnx, "application/octet-stream"))
    assert at.dataframe[0].value["preprocessing"][0] == "unit"
    assert "as ONNX defines it" in drawn(at)
    at.button(key="import-keep").click()
    settle(at.run())
    until(lambda: not at.session_state["bringing"].active)
    settle(at.run())
    assert "mine" in list(at.get_by_key("models").value["checkpoint"])
    assert "<b>mine</b>" in drawn(choose(at, "mine"))
    at.button(key="attack-import").click()
    settle(settle(at.run()))
    assert at.selectbox(key="model-a").value == "mine"
    assert set(DIGITS) < set(at.selectbox(key="model-b").options)
    assert at.selectbox(key="model-b").value in DIGITS
    assert not at.error


def test_on_the_page_a_bad_file_and_a_bad_name_are_a_sentence(shipped, onnx):
    at = bring_on_page(open_view("models"), ("m.pt", b"\x80\x04pickle", "application/octet-stream"))
    assert "m.pt cannot be imported: it is a pickle" in texts(at.error)
    at = bring_on_page(at, ("m.onnx", onnx, "application/octet-stream"), name="a/b")
    assert "name is 'a/b', but it must be of letters" in texts(at.error)


def test_a_model_without_a_gradient_gets_attacks_that_need_none(shipped, rounded):
    assert bring_it(rounded).state == "kept"
    assert not load("mine").card.gradient
    at = open_view()
    at.selectbox(key="model-a").set_value("mine")
    settle(at.run())
    at.selectbox(key="model-b").set_value(DIGITS[0])
    settle(at.run())
    assert "mine has no gradient with respect to the pixels" in texts(at.caption)
    assert at.selectbox(key="attack").options == ["noise", "square"]
    assert at.session_state["job"].state == "done"
    assert not at.error
    assert at.button(key="smallest").disabled
    assert at.selectbox(key="method").options[0].startswith("Occlusion")
    at.switch_page("views/robustness.py").run()
    settle(at)
    at.selectbox(key="order-checkpoint").set_value("mine")
    settle(at.run())
    assert at.selectbox(key="order-attack").options == ["noise", "square"]


def test_an_order_on_what_was_brought_is_kept_beside_it(shipped, onnx):
    bring_it(onnx)
    at = open_view("robustness")
    at.selectbox(key="order-checkpoint").set_value("mine")
    at.selectbox(key="order-attack").set_value("fgsm")
    settle(at.run())
    at.number_input(key="order-n-evaluation").set_value(20)
    settle(at.run())
    at.button(key="measure").click()
    settle(at.run())
    until(lambda: not board(imported()).active)
    assert evaluations()[0]["mine"][0].n == 20
    assert (imported() / "mine.json").exists()
    assert not (shipped / "mine.json").exists()
