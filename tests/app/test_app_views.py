"""Every view in a simulated session: with what is shipped, with nothing, and with what is broken."""

import html
import io
import json
import re
import shutil
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import streamlit as st
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.figures.naming import FAST
from lsp_core import Card, load_checkpoint, save_checkpoint
from lsp_core.audit import Check, Report
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.evaluation.records import write_records
from lsp_core.models import build_model
from lsp_core.store.checkpoint import list_checkpoints
from lsp_core.store.files import sha256

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "checkpoints"
DIGITS = ("digits-cnn-standard", "digits-cnn-standard-lsp", "digits-cnn-pgd-at", "digits-cnn-pgd-at-lsp")
PATIENCE = 90.0


@pytest.fixture(autouse=True)
def _fresh_caches():
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of one's own with the shipped digits."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in DIGITS:
        for suffix in (".safetensors", ".json"):
            shutil.copy(SHIPPED / f"{name}{suffix}", folder)
    monkeypatch.setenv("LSP_CHECKPOINTS", str(folder))
    monkeypatch.setenv("LSP_DATA", str(tmp_path / "no-data"))
    return folder


@pytest.fixture
def empty(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv("LSP_CHECKPOINTS", str(folder))
    monkeypatch.setenv("LSP_DATA", str(tmp_path / "no-data"))
    return folder


def open_view(view="attack"):
    at = AppTest.from_file(ROOT / "app" / "main.py", default_timeout=60).run()
    if view != "attack":
        at.switch_page(f"views/{view}.py").run()
    return settle(at)


def settle(at):
    """Look again until the attack is over, as the page does four times a second; nothing may raise."""
    assert not at.exception, at.exception[0].message
    end = time.monotonic() + PATIENCE
    while "job" in at.session_state and at.session_state["job"].active:
        assert time.monotonic() < end, "the attack does not end"
        at.session_state["job"].wait(1)
        at.run()
        assert not at.exception, at.exception[0].message
    return at


def verdicts(at):
    """The sentences of outcome, one a model, as a person reads them."""
    drawn = next(block.value for block in at.markdown if 'class="pair verdicts"' in block.value)
    return [html.unescape(re.sub("<[^>]+>", "", text)) for text in re.findall(r"<p>(.*?)</p>", drawn)]


def texts(elements):
    return " ".join(element.value for element in elements)


def save_card(folder, name, dataset, shape=(1, 8, 8), classes=10, **facts):
    torch.manual_seed(0)
    model = build_model("cnn", shape, classes, (0.5,) * shape[0], (0.5,) * shape[0]).eval()
    names = tuple(str(index) for index in range(classes))
    card = Card(name, "cnn", dataset, "standard", shape, names, (0.5,) * shape[0], (0.5,) * shape[0], **facts)
    save_checkpoint(folder / f"{name}.safetensors", model, card)
    return card


# The main page


def test_the_page_opens_with_an_attack_that_tells_the_twins_apart(shipped):
    at = open_view()
    assert at.selectbox(key="model-a").value == "digits-cnn-standard"
    assert at.selectbox(key="model-b").value == "digits-cnn-standard-lsp"
    baseline, lsp = verdicts(at)
    assert baseline.startswith("Baseline: ")
    assert lsp.startswith("LSP: ")
    assert ("fooled" in baseline) != ("fooled" in lsp)
    assert not at.error
    assert not at.warning
    assert [block.value for block in at.subheader] == ["Are the neighbours kept?", "Where does each model look?"]
    panels = texts(at.markdown)
    assert panels.count("of 8</b> neighbours") == 2
    assert panels.count("saliency of the clean image") == panels.count("saliency of the attacked image") == 2


@pytest.mark.parametrize(
    "key", ["verdict", "step", "neighbors", "saliency", "gallery", "upload", "eps", "steps", "norm", "run-attack"]
)
def test_what_tests_and_links_rely_on_has_its_key(shipped, key):
    at = open_view()
    assert at.get_by_key(key) is not None


def test_another_image_is_attacked_at_once(shipped):
    at = open_view()
    before = at.session_state["job"]
    rows = gallery(at)
    other = next(row for row in rows if row != at.session_state["gallery"])
    at.session_state["gallery"] = other
    settle(at.run())
    after = at.session_state["job"]
    assert after is not before
    assert after.request.picture == f"digits {other}"
    assert len(verdicts(at)) == 2


def gallery(at):
    from app.state.cache import gallery_rows

    return gallery_rows(at.session_state["job"].request.subjects[0].card.dataset)


def test_settings_wait_for_the_button(shipped):
    at = open_view()
    first = at.session_state["job"]
    at.slider(key="steps").set_value(3)
    settle(at.run())
    assert at.session_state["job"] is first
    assert "settings have changed" in texts(at.info)
    at.button(key="run-attack").click()
    settle(at.run())
    assert at.session_state["job"].request.attack.steps == 3
    assert len(at.session_state["job"].lanes[0].trace.images) == 4
    assert not at.info


def test_with_radius_0_nothing_is_fooled(shipped):
    at = open_view()
    at.select_slider(key="eps").set_value(0)
    at.button(key="run-attack").click()
    settle(at.run())
    job = at.session_state["job"]
    assert job.request.attack.eps == 0
    assert all(torch.equal(lane.trace.adversarial, lane.trace.image) for lane in job.lanes)
    assert all("still" in sentence or "wrong before any attack" in sentence for sentence in verdicts(at))
    assert all(lane.neighborhood.kept == set(lane.neighborhood.before.indices[0].tolist()) for lane in job.lanes)


def test_l2_has_radii_of_its_own(shipped):
    at = open_view()
    at.get_by_key("norm").set_value("L2")
    at.run()
    at.button(key="run-attack").click()
    settle(at.run())
    job = at.session_state["job"]
    assert job.request.attack.norm == "L2"
    spent = max(float((lane.trace.images - lane.trace.image).flatten(1).norm(dim=1).max()) for lane in job.lanes)
    assert 0 < spent <= job.request.attack.eps * (1 + 1e-4)


def test_choosing_a_model_brings_its_twin(shipped):
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at-lsp")
    settle(at.run())
    assert at.selectbox(key="model-b").value == "digits-cnn-pgd-at"
    assert [sentence.split(":")[0] for sentence in verdicts(at)] == ["LSP", "Baseline"]
    at.selectbox(key="model-b").set_value("digits-cnn-standard")
    settle(at.run())
    names = [sentence.split(":")[0] for sentence in verdicts(at)]
    assert names == ["digits-cnn-pgd-at-lsp", "digits-cnn-standard"]  # no twins: their own names


@pytest.mark.parametrize("method", ["Integrated gradients", "Gradient"])
def test_saliency_methods(shipped, method):
    at = open_view()
    at.get_by_key("method").set_value(method)
    settle(at.run())
    assert any(caption.value.startswith(f"{method} by Captum") for caption in at.caption)


def test_choices_survive_a_look_at_another_view(shipped):
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    at.slider(key="steps").set_value(7)
    settle(at.run())
    job = at.session_state["job"]
    at.switch_page("views/robustness.py").run()
    at.switch_page("views/attack.py").run()
    settle(at)
    assert at.selectbox(key="model-a").value == "digits-cnn-pgd-at"
    assert at.slider(key="steps").value == 7
    assert at.session_state["job"] is job


# Uploads


def picture(mode="RGB", size=(20, 12), format_="PNG", **options):
    buffer = io.BytesIO()
    channels = len(Image.new(mode, (1, 1)).getbands())
    colour = 20_000 if mode.startswith("I") else tuple(range(60, 60 + 30 * channels, 30)) if channels > 1 else 120
    Image.new(mode, size, colour).save(buffer, format_, **options)
    return buffer.getvalue()


def light_picture():
    buffer = io.BytesIO()
    Image.new("L", (20, 20), 230).save(buffer, "PNG")
    return buffer.getvalue()


def animation():
    buffer = io.BytesIO()
    frames = [Image.new("P", (9, 9), index) for index in range(3)]
    frames[0].putpalette(list(range(256)) * 3)
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def turned():
    image, buffer = Image.new("RGB", (40, 20), (200, 10, 10)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def hundred_megapixels():
    """A PNG of a few bytes whose header promises 10,000 by 10,000 pixels."""
    whole = picture("L", (4, 4))
    header = b"IHDR" + struct.pack(">II", 10_000, 10_000) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


def upload(at, content, name="file.png"):
    at.file_uploader(key="upload").set_value((name, content, "image/png"))
    return settle(at.run())


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (picture(), "Cropped to the centre and resized from 20×12 to 8×8. Its colours became grey."),
        (picture("I;16"), "16 bits a pixel"),
        (picture("RGBA"), "laid on white"),
        (picture("CMYK", format_="JPEG"), "CMYK"),
        (animation(), "first frame"),
        (turned(), "from 20×40"),
        (picture("1"), "resized"),
        (picture("P"), "resized"),
        (picture(size=(1, 1)), "from 1×1"),
        (picture(size=(3000, 2)), "from 3000×2"),
    ],
    ids=["png", "16 bits", "alpha", "cmyk", "animation", "exif", "bilevel", "palette", "one pixel", "ribbon"],
)
def test_an_upload_is_attacked_and_says_what_became_of_it(shipped, content, note):
    at = upload(open_view(), content)
    assert not at.error
    assert note in texts(at.caption)
    assert "Its class is not known" in texts(at.caption)
    job = at.session_state["job"]
    assert job.request.label is None
    assert job.request.image.shape == (1, 8, 8)
    assert "wrong before" not in " ".join(verdicts(at))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no image of a kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image of a kind"),
        (b"%PDF-1.7 nothing", "no image of a kind"),
        (picture(size=(300, 300), format_="JPEG")[:700], "damaged or truncated"),
        (picture(size=(300, 300))[:60], "damaged or truncated"),
        (hundred_megapixels(), "100 megapixels; the limit is 24"),
        (picture() + b"\0" * 10_500_000, "the limit is 10 MB"),
    ],
    ids=["empty", "svg", "pdf", "truncated jpeg", "truncated png", "100 megapixels", "too many bytes"],
)
def test_a_bad_upload_gets_one_sentence_and_the_picture_stays(shipped, content, sentence):
    at = open_view()
    job, before = at.session_state["job"], verdicts(at)
    upload(at, content)
    assert len(at.error) == 1
    assert sentence in at.error[0].value
    assert at.session_state["job"] is job
    assert verdicts(at) == before


def test_after_a_bad_upload_the_good_one_before_it_stays(shipped):
    at = upload(open_view(), picture())
    job = at.session_state["job"]
    upload(at, b"no image")
    assert "The image before it stays." in at.error[0].value
    assert at.session_state["job"] is job
    assert job.request.label is None
    at.file_uploader(key="upload").set_value(None)
    settle(at.run())
    assert not at.error
    assert at.session_state["job"].request.label is not None  # the gallery again


def test_what_was_chosen_last_counts_upload_or_gallery(shipped):
    at = upload(open_view(), picture())
    assert at.session_state["job"].request.label is None
    other = next(row for row in gallery(at) if row != at.session_state["gallery"])
    at.get_by_key("gallery").set_value(other)
    settle(at.run())
    assert at.session_state["job"].request.picture == f"digits {other}"
    assert "chosen after this file" in texts(at.caption)
    upload(at, picture("L"))
    assert at.session_state["job"].request.label is None


# Checkpoints that are missing or broken


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ("attack", "There is no checkpoint to attack"),
        ("robustness", "No checkpoint has been evaluated"),
        ("checkpoints", "There is none in checkpoints/"),
    ],
)
def test_without_a_checkpoint_every_view_says_how_to_make_one(empty, view, sentence):
    at = open_view(view)
    said = texts([*at.error, *at.info])
    assert sentence in said
    assert "python -m lsp_core" in said


def test_a_folder_that_is_not_there_is_an_empty_one(empty, monkeypatch):
    empty.rmdir()
    assert "There is no checkpoint" in texts(open_view().error)


def write_broken(folder):
    """Everything that a folder of checkpoints should not hold, by name."""
    good = (folder / "digits-cnn-standard.safetensors").read_bytes()
    (folder / "a-truncated.safetensors").write_bytes(good[: len(good) // 2])
    (folder / "a-text.safetensors").write_text("hello")
    (folder / "a-nothing.safetensors").write_bytes(b"")
    torch.save({"weight": torch.zeros(2)}, folder / "a-pickle.safetensors")
    safetensors.torch.save_file({"weight": torch.zeros(2)}, folder / "a-foreign.safetensors")
    (folder / "a-link.safetensors").symlink_to(folder / "nowhere")
    (folder / "a-folder.safetensors").mkdir()
    model, card = load_checkpoint(folder / "digits-cnn-standard.safetensors")
    odd = Card(**{**vars(card), "name": "a-card", "config": {"eps": "wide"}})
    save_checkpoint(folder / "a-card.safetensors", model, odd)
    return sorted(path.stem for path in folder.glob("a-*"))


def test_broken_files_beside_good_ones_get_a_sentence_each(shipped):
    broken = write_broken(shipped)
    at = open_view()
    assert not at.error
    assert set(at.selectbox(key="model-a").options) == set(DIGITS)
    at.switch_page("views/checkpoints.py").run()
    settle(at)
    assert len(at.warning) == len(broken)
    for name in broken:
        assert sum(name in warning.value for warning in at.warning) == 1
    assert len(at.expander) == len(DIGITS)


def test_with_broken_files_only_the_page_says_what_is_wrong_with_them(shipped):
    broken = write_broken(shipped)
    for name in DIGITS:
        (shipped / f"{name}.safetensors").unlink()
    at = open_view()
    assert "There is no checkpoint" in texts(at.error)
    assert len(at.warning) == len(broken)


def damage_weights(path):
    """Keep the card, and give the model weights that do not fit it."""
    _, card = load_checkpoint(path)
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, {"card": card.to_json()})


def test_a_checkpoint_that_cannot_be_loaded_leaves_the_former_pair(shipped):
    damage_weights(shipped / "digits-cnn-pgd-at.safetensors")
    at = open_view()
    job, before = at.session_state["job"], verdicts(at)
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    settle(at.run())
    assert len(at.error) == 1
    assert "its weights do not fit" in at.error[0].value
    assert at.session_state["job"] is job
    assert verdicts(at) == before
    at.selectbox(key="model-a").set_value("digits-cnn-standard-lsp")
    settle(at.run())
    assert not at.error


def test_if_the_first_checkpoint_cannot_be_loaded_the_lists_are_there_to_choose_another(shipped):
    damage_weights(shipped / "digits-cnn-standard.safetensors")
    at = open_view()
    assert "its weights do not fit" in at.error[0].value
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    settle(at.run())
    assert not at.error
    assert len(verdicts(at)) == 2


def test_a_model_whose_outputs_are_not_finite_gets_a_sentence(shipped):
    path = shipped / "digits-cnn-pgd-at.safetensors"
    model, card = load_checkpoint(path)
    model.head.weight.fill_(3e38)
    save_checkpoint(path, model, card)
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    settle(at.run())
    assert "not finite" in texts(at.error)
    assert len(verdicts(at)) == 2


def test_a_checkpoint_that_is_deleted_meanwhile_leaves_the_list(shipped):
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    settle(at.run())
    (shipped / "digits-cnn-pgd-at.safetensors").unlink()
    settle(at.run())
    assert at.selectbox(key="model-a").value == "digits-cnn-standard"


# Data sets that are not there


def test_an_absent_data_set_gets_a_sentence_and_the_digits_go_on(shipped):
    save_card(shipped, "mnist-cnn-standard", "mnist", (1, 28, 28))
    at = open_view()
    at.selectbox(key="model-a").set_value("mnist-cnn-standard")
    settle(at.run())
    assert "python -m lsp_core info mnist --download" in texts(at.info)
    assert "shows digits-cnn-standard and digits-cnn-standard-lsp" in texts(at.caption)
    assert len(verdicts(at)) == 2
    assert at.session_state["job"].request.image.shape == (1, 8, 8)
    assert not at.error


def test_an_upload_is_attacked_without_the_data_set(shipped):
    save_card(shipped, "mnist-cnn-standard", "mnist", (1, 28, 28))
    at = open_view()
    at.selectbox(key="model-a").set_value("mnist-cnn-standard")
    settle(at.run())
    upload(at, picture("L"))
    assert at.session_state["job"].request.image.shape == (1, 28, 28)
    assert "its test images are not here" in texts(at.caption)
    assert len(verdicts(at)) == 2
    assert not at.error


def test_dark_strokes_on_white_are_inverted_unless_the_person_says_no(shipped):
    at = upload(open_view(), light_picture())
    inverted = at.session_state["job"].request.image
    assert inverted.mean() < 0.5
    at.toggle(key="invert").set_value(False)
    settle(at.run())
    assert torch.equal(at.session_state["job"].request.image, (255 - (inverted * 255).round()) / 255)


def test_an_absent_data_set_without_digits_says_only_how_to_get_it(empty):
    save_card(empty, "mnist-cnn-standard", "mnist", (1, 28, 28))
    at = open_view()
    assert "--download" in texts(at.info)
    assert "digits" not in texts(at.caption)
    assert at.selectbox(key="model-a").value == "mnist-cnn-standard"


def test_a_checkpoint_for_other_images_than_its_data_set_has_gets_a_sentence(shipped):
    save_card(shipped, "digits-cnn-standard-odd", "digits", (3, 16, 16))
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-standard-odd")
    settle(at.run())
    assert "1×8×8 with 10 classes" in texts(at.info)
    assert len(verdicts(at)) == 2


def test_class_names_are_shown_as_they_are(empty, monkeypatch, tmp_path):
    """Folders may be called anything; nothing of it becomes markup."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = ("a]b (c)", "x *bold* & $y$")
    data = tmp_path / "set"
    for split in ("train", "test"):
        for index, name in enumerate(names):
            (data / split / name).mkdir(parents=True)
            for number in range(6):
                grey = Image.new("L", (8, 8), 40 + 90 * index + number)
                grey.save(data / split / name / f"{number}.png")
    model = build_model("cnn", (1, 8, 8), 2, (0.5,), (0.5,))
    for name in ("odd-cnn-standard", "odd-cnn-standard-lsp"):
        card = Card(name, "cnn", str(data), "standard", (1, 8, 8), names, (0.5,), (0.5,), lsp=None)
        save_checkpoint(empty / f"{name}.safetensors", model, card)
    at = open_view()
    assert not at.error
    assert any(name in " ".join(verdicts(at)) for name in names)
    at.switch_page("views/checkpoints.py").run()
    assert "Nothing was measured on held-out training images." in texts(at.markdown)
    settle(at)


# Robustness and checkpoints


def test_robustness_compares_every_evaluated_pair(shipped):
    at = open_view("robustness")
    assert "baseline keeps" in texts(at.markdown)
    assert set(at.dataframe[0].value["checkpoint"]) == set(DIGITS)
    assert at.dataframe[0].value["interval"].str.contains("% to ").all()
    assert "Wilson 95 % intervals" in texts(at.caption)
    at.get_by_key("threat-digits").set_value("FGSM, Linf")
    settle(at.run())
    assert set(at.dataframe[0].value["attack"]) == {"FGSM"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": "other"}', '{"schema": "lsp-lab/evaluations/1", "evaluations": [{"eps": 1}]}'],
)
def test_a_broken_evaluations_file_gets_a_sentence_and_the_others_are_drawn(shipped, text):
    (shipped / "digits-cnn-pgd-at.json").write_text(text)
    at = open_view("robustness")
    assert len(at.warning) == 1
    assert "digits-cnn-pgd-at.json" in at.warning[0].value
    assert "digits-cnn-pgd-at" not in set(at.dataframe[0].value["checkpoint"])
    at.switch_page("views/checkpoints.py").run()
    settle(at)
    assert "not evaluated on test images" in texts(at.markdown)


def test_evaluations_of_other_weights_are_not_shown(shipped):
    shutil.copy(shipped / "digits-cnn-standard-lsp.safetensors", shipped / "digits-cnn-standard.safetensors")
    at = open_view("robustness")
    assert "digits-cnn-standard.json was measured on other weights" in at.warning[0].value
    assert "digits-cnn-standard" not in set(at.dataframe[0].value["checkpoint"])


def test_one_checkpoint_evaluated_twice_is_compared_by_the_larger(shipped):
    for name in ("digits-cnn-standard", "digits-cnn-standard-lsp"):
        path = shipped / f"{name}.json"
        found = json.loads(path.read_text())
        smaller = [{**entry, "n": 10, "robust_accuracy": 0.0} for entry in found["evaluations"]]
        write_records(path, load_checkpoint(shipped / f"{name}.safetensors")[1], found["sha256"], smaller)
    at = open_view("robustness")
    assert "keeps 0.0%" not in texts(at.markdown)
    assert len(at.dataframe[0].value) > 20


def test_every_checkpoint_has_its_card(shipped):
    at = open_view("checkpoints")
    assert len(at.expander) == len(DIGITS)
    assert not at.warning
    written = texts(at.markdown)
    for name in DIGITS:
        assert f"<b>{name}</b>" in written
    assert written.count('class="chip lsp"') == 2
    assert "held-out training images" in written
    assert all("python" in code.value or "lsp_core" in code.value for code in at.code)


def test_what_is_shipped_opens_in_every_view(monkeypatch, tmp_path):
    """The real folder, whatever it holds, without any data set beside the digits."""
    monkeypatch.setenv("LSP_DATA", str(tmp_path))
    monkeypatch.delenv("LSP_CHECKPOINTS", raising=False)
    at = open_view()
    assert len(verdicts(at)) == 2
    assert not at.error
    for view in ("robustness", "checkpoints"):
        at.switch_page(f"views/{view}.py").run()
        settle(at)
        assert not at.error
        assert not at.warning


# Stronger attacks and audits


def add_evaluation(folder, name, attack, label, share, eps=32 / 255):
    """Write an evaluation as they are now: with a label, and with results image by image."""
    path = folder / f"{name}.json"
    found = json.loads(path.read_text())
    n = 599
    bits = np.arange(n) < round(share * n)
    entry = {
        **{"dataset": "digits", "split": "test", "seed": 0, "n": n, "norm": "Linf", "eps": eps},
        **{"attack": attack, "label": label, "settings": {"eps": eps}, "clean_accuracy": 0.98},
        "clean_interval": [0.96, 0.99],
        "robust_accuracy": float(bits.mean()),
        "robust_interval": list(wilson_interval(int(bits.sum()), n)),
        "robust_correct": np.packbits(bits).tobytes().hex(),
    }
    found["evaluations"] = [
        old for old in found["evaluations"] if (old["attack"], old["eps"]) != (attack, eps) or attack == "FGSM"
    ]
    path.write_text(json.dumps({**found, "evaluations": [*found["evaluations"], entry]}))


def keep_only_pgd_and_fgsm(folder):
    """As the files were before anything stronger was run."""
    for path in folder.glob("digits-*.json"):
        found = json.loads(path.read_text())
        found["evaluations"] = [entry for entry in found["evaluations"] if entry["attack"] in ("PGD", "FGSM")]
        path.write_text(json.dumps(found))


def save_audit(folder, name, statuses=("pass", "pass"), **changes):
    names = ("outputs", "known-answer controls")
    checks = tuple(
        Check(check, status, "It was seen.", "more than 1 point", "Carlini", {"left": 1})
        for check, status in zip(names, statuses, strict=True)
    )
    accuracies = {"clean_accuracy": 0.9, "robust_accuracy": 0.5, "robust_interval": [0.4, 0.6]}
    report = Report(checks, (), 64, 0, 0.1, "Linf", "quick", 256, accuracies, 3.0)
    about = {"checkpoint": name, "sha256": sha256(folder / f"{name}.safetensors"), "dataset": "digits"}
    (folder / f"{name}.audit.json").write_text(json.dumps({**report.to_record(), **about, **changes}))


def test_the_referee_has_his_say_where_he_was_asked(shipped):
    keep_only_pgd_and_fgsm(shipped)
    for name, share in (("digits-cnn-standard", 0.29), ("digits-cnn-standard-lsp", 0.671)):
        add_evaluation(shipped, name, "PGD", "PGD-20", share)
        add_evaluation(shipped, name, "Ensemble", FAST, share - 0.05)
        add_evaluation(shipped, name, "AutoAttack", "AutoAttack", share - 0.06)
    at = open_view("robustness")
    written, said = texts(at.markdown), texts(at.caption).replace("\\", "")
    assert written.count('class="card ladder"') == 1  # nothing beyond PGD was run on the other pair
    assert "AutoAttack takes 6.0 points" in written
    assert "fast ensemble" in written
    assert "our own sequence, not AutoAttack" in said
    assert "APGD-T-250" in said
    assert "AutoAttack has been run on 2 of these 4 checkpoints" in said
    assert "paired 95 %" in written
    at.get_by_key("threat-digits").set_value("AutoAttack, Linf")
    settle(at.run())
    assert "not the last word" in texts(at.caption)
    assert set(at.dataframe[0].value["attack"]) == {"AutoAttack"}
    at.switch_page("views/checkpoints.py").run()
    settle(at)
    assert texts(at.markdown).count("under AutoAttack at Linf 32/255") == 2


def test_older_files_have_no_ladder_and_the_page_says_why(shipped):
    keep_only_pgd_and_fgsm(shipped)
    at = open_view("robustness")
    assert "ladder" not in texts(at.markdown)
    assert "AutoAttack has not been run on these checkpoints" in texts(at.caption)
    assert not at.warning


def test_an_audit_stands_beside_the_figures_and_on_the_card(shipped):
    for path in shipped.glob("*.audit.json"):
        path.unlink()
    save_audit(shipped, "digits-cnn-standard")
    save_audit(shipped, "digits-cnn-standard-lsp", ("warn", "pass"))
    for view in ("robustness", "checkpoints"):
        at = open_view(view)
        written = texts(at.markdown)
        assert "✓ 2 pass" in written
        assert "! 1 warn" in written
        assert "No sign of masking found." in written
        assert "Signs of masking or of a weak attack: outputs (warn)." in written
        assert not at.warning
    assert written.count("not audited") == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no audit"),
        ("{", "is no audit"),
        ('{"schema": "lsp-lab/audit/9"}', "another schema"),
        ('{"schema": "lsp-lab/audit/1", "sha256": "0"}', "is no audit"),
    ],
)
def test_a_broken_audit_gets_a_sentence_and_everything_else_is_drawn(shipped, text, sentence):
    save_audit(shipped, "digits-cnn-standard-lsp")
    (shipped / "digits-cnn-standard.audit.json").write_text(text)
    for view in ("robustness", "checkpoints"):
        at = open_view(view)
        assert len(at.warning) == 1
        assert "digits-cnn-standard.audit.json" in at.warning[0].value
        assert sentence in at.warning[0].value
        assert "✓ 2 pass" in texts(at.markdown)


def test_an_audit_of_other_weights_is_not_shown(shipped):
    save_audit(shipped, "digits-cnn-standard", sha256="0" * 64)
    for view in ("robustness", "checkpoints"):
        at = open_view(view)
        assert "digits-cnn-standard.audit.json is an audit of other weights" in at.warning[0].value
        assert "✓ 2 pass" not in texts(at.markdown)


def test_an_audit_is_not_taken_for_evaluations_nor_asked_for_without_its_checkpoint(shipped):
    save_audit(shipped, "digits-cnn-standard")
    (shipped / "nobody.audit.json").write_text("{")
    at = open_view("robustness")
    assert not at.warning
    assert list_checkpoints(shipped)[0].keys() == set(DIGITS)
