"""Checkpoints and data sets that are missing or broken."""

import json

import pytest
import safetensors.torch
import session
import torch
from session import DIGITS, open_view, save_card, settle, texts, verdicts
from test_app_uploads import light_picture, picture, upload

from lsp_core import load_checkpoint, save_checkpoint
from lsp_core.store.checkpoint import save_tensors

empty, shipped = session.empty, session.shipped


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ("attack", "There is no checkpoint to attack"),
        ("robustness", "No checkpoint has been evaluated"),
        ("models", "There is none in checkpoints/"),
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
    odd = {**card.to_record(), "config": {"eps": "wide"}}
    save_tensors(folder / "a-card.safetensors", model.state_dict(), {"card": json.dumps(odd)})
    return sorted(path.stem for path in folder.glob("a-*"))


def test_broken_files_beside_good_ones_get_a_sentence_each(shipped):
    broken = write_broken(shipped)
    at = open_view()
    assert not at.error
    assert set(at.selectbox(key="model-a").options) == set(DIGITS)
    at.switch_page("views/models.py").run()
    settle(at)
    assert len(at.warning) == len(broken)
    for name in broken:
        assert sum(f"{name}." in texts([warning]) for warning in at.warning) == 1
    assert set(at.get_by_key("models").value["checkpoint"]) == set(DIGITS)


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
    save_tensors(path, {"weight": torch.zeros(2)}, {"card": json.dumps(card.to_record())})


def test_a_checkpoint_that_cannot_be_loaded_leaves_the_former_pair(shipped):
    damage_weights(shipped / "digits-cnn-pgd-at.safetensors")
    at = open_view()
    job, before = at.session_state["job"], verdicts(at)
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    settle(at.run())
    assert len(at.error) == 1
    assert "its weights do not fit" in texts(at.error)
    assert at.session_state["job"] is job
    assert verdicts(at) == before
    at.selectbox(key="model-a").set_value("digits-cnn-standard-lsp")
    settle(at.run())
    assert not at.error


def test_if_the_first_checkpoint_cannot_be_loaded_the_lists_are_there_to_choose_another(shipped):
    damage_weights(shipped / "digits-cnn-standard.safetensors")
    at = open_view()
    assert "its weights do not fit" in texts(at.error)
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
    save_card(shipped, "fashion-mnist-cnn-standard", "fashion-mnist", (1, 28, 28))
    at = open_view()
    at.selectbox(key="model-a").set_value("fashion-mnist-cnn-standard")
    settle(at.run())
    assert "python -m lsp_core info fashion-mnist --download" in texts(at.info)
    assert "shows digits-cnn-standard and digits-cnn-standard-lsp" in texts(at.caption)
    assert len(verdicts(at)) == 2
    assert at.session_state["job"].request.image.shape == (1, 8, 8)
    assert not at.error


def test_an_upload_is_attacked_without_the_data_set(shipped):
    save_card(shipped, "fashion-mnist-cnn-standard", "fashion-mnist", (1, 28, 28))
    at = open_view()
    at.selectbox(key="model-a").set_value("fashion-mnist-cnn-standard")
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
    save_card(empty, "fashion-mnist-cnn-standard", "fashion-mnist", (1, 28, 28))
    at = open_view()
    assert "--download" in texts(at.info)
    assert "digits" not in texts(at.caption)
    assert at.selectbox(key="model-a").value == "fashion-mnist-cnn-standard"


def test_a_checkpoint_for_other_images_than_its_data_set_has_gets_a_sentence(shipped):
    save_card(shipped, "digits-cnn-standard-odd", "digits", (3, 16, 16))
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-standard-odd")
    settle(at.run())
    assert "1×8×8 with 10 classes" in texts(at.info)
    assert len(verdicts(at)) == 2
