"""The gallery: pages, filters, outcomes; and the map, which can filter it."""

import numpy as np
import pytest
import session
import torch
from samples import make_card
from session import SURVEYED, gallery, open_view, settle, surveyed, texts, verdicts

from app.panels import pair
from app.panels.gallery import PAGE
from app.panels.map import map_data
from app.panels.marks import outcomes_of
from app.state import images as state
from app.state.images import reference_rows
from lsp_core import DatasetError, ImageDataset, load_dataset
from lsp_core.data.sheets import write_sheets
from lsp_core.explain.neighborhood import embed

empty, shipped = session.empty, session.shipped


def marks(at):
    return next(block.value for block in at.html if 'class="held"' in block.value or "radiogroup" in block.value)


def test_pages_go_through_all_reference_images(shipped):
    at = open_view()
    rows = reference_rows("digits").tolist()
    assert gallery(at) == rows[:PAGE]
    at.session_state["gallery-page"] = 2
    settle(at.run())
    assert gallery(at) == [at.session_state["gallery"], *rows[PAGE : 2 * PAGE]]  # what is open stays in sight
    assert at.session_state["job"].request.row == at.session_state["gallery"]


def test_a_class_and_a_number_are_found(shipped):
    at = open_view()
    data = load_dataset("digits")
    at.selectbox(key="gallery-class").set_value("7")
    settle(at.run())
    chosen, *found = gallery(at)
    assert chosen == at.session_state["gallery"]
    assert {int(data.labels[row]) for row in found} == {7}
    at.number_input(key="gallery-number").set_value(321)
    settle(at.run())
    assert gallery(at) == [at.session_state["gallery"], 321]
    at.get_by_key("gallery").set_value(321)
    settle(at.run())
    assert at.session_state["job"].request.row == 321


def test_outcomes_are_marked_counted_and_filtered(shipped):
    at = open_view()
    surveyed(at)
    request = at.session_state["job"].request
    known = outcomes_of(request.models, request.attack)
    assert len(known) == SURVEYED
    data = load_dataset("digits")
    for place, model in enumerate(request.models):  # as the attack does it to each image alone
        for row in list(known)[:5]:
            image, label = data.float(slice(row, row + 1)), data.labels[row : row + 1]
            before, under = (
                bool(model.model(shown).argmax(1) == label)
                for shown in (image, request.attack(model.model, image, label))
            )
            assert known[row][place] == ("!" if not before else "✓" if under else "✕")
    told = marks(settle(at.run()))
    assert f"Of {SURVEYED} tried so far" in told
    for number, row in enumerate(gallery(at), 1):
        first, second = known[row]
        assert f':nth-child({number})::after {{ content: "{first} {second}"' in told
    at.selectbox(key="gallery-outcome").set_value("only one holds")
    settle(at.run())
    wanted = [row for row, signs in known.items() if signs.count("✓") == 1]
    assert [row for row in gallery(at) if row != at.session_state["gallery"]] == [
        row for row in wanted[:PAGE] if row != at.session_state["gallery"]
    ]
    assert f"{len(wanted)} of the {SURVEYED} images" in texts(at.caption)


def test_the_page_opens_on_an_image_that_only_one_model_keeps(shipped):
    at = open_view()
    surveyed(at)
    request = at.session_state["job"].request
    known = outcomes_of(request.models, request.attack)
    assert known[request.row].count("✓") == 1


def test_the_map_is_what_it_says(shipped):
    at = open_view()
    assert at.get_by_key("map-fold") is not None
    job = at.session_state["job"]
    data = map_data(job)
    assert data["rows"][data["own"]] == job.request.row
    assert len(data["rows"]) == len(data["labels"]) == len(data["lanes"][0]["places"]) == 599
    for lane, drawn in zip(job.lanes, data["lanes"], strict=True):
        places, path = np.array(drawn["places"]), np.array(drawn["path"])
        assert places.min() >= 0
        assert places.max() <= 1
        assert np.allclose(path[0], places[data["own"]], atol=2e-4)  # it begins at the image itself
        assert drawn["steps"][-1] == len(lane.trace.images) - 1
        assert len(path) == len(drawn["steps"]) + 1
        # One scale for both directions: distances in the picture are those of the projection, but for one factor.
        whole = embed(lane.model.model, load_dataset("digits").float(reference_rows("digits")))
        axes = torch.linalg.svd(whole - whole.mean(0), full_matrices=False)[2][:2]
        plane = ((whole - whole.mean(0)) @ axes.T).numpy()
        ratio = [
            np.linalg.norm(spots[0] - spots[9]) / np.linalg.norm(spots[3] - spots[40]) for spots in (plane, places)
        ]
        assert ratio[0] == pytest.approx(ratio[1], rel=0.01)


def test_the_map_opens_and_its_frame_filters_the_gallery(shipped):
    at = open_view()
    at.session_state["map-fold"] = True
    settle(at.run())
    assert at.get_by_key("map") is not None
    assert "Two dimensions are a shadow" in texts(at.caption)
    some = reference_rows("digits").tolist()[100:103]
    at.session_state["gallery-brushed"] = some
    settle(at.run())
    assert gallery(at) == [at.session_state["gallery"], *some]
    forget = next(button for button in at.button if "Forget the frame of 3" in button.label)
    forget.click()
    settle(at.run())
    assert len(gallery(at)) == PAGE


@pytest.fixture
def sample(shipped, monkeypatch, tmp_path):
    """The MNIST twins, and beside them no more than a sample, of images that were made up."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (200, 1, 28, 28), dtype=torch.uint8, generator=generator)
    whole = ImageDataset("mnist", "test", images, torch.arange(200) % 10, tuple("0123456789"))
    write_sheets(whole.subset(torch.arange(0, 200, 3)), tmp_path / "samples" / "mnist")
    monkeypatch.setattr(state, "shipped", lambda *_: tmp_path)
    for name in ("mnist-cnn-standard", "mnist-cnn-standard-lsp"):
        (shipped / f"{name}.safetensors").write_bytes((session.SHIPPED / f"{name}.safetensors").read_bytes())
    return shipped


def test_without_the_data_set_a_sample_is_shown_and_called_so(sample):
    at = open_view()
    at.selectbox(key="model-a").set_value("mnist-cnn-standard")
    settle(at.run())
    assert "of a sample of 67" in texts(at.markdown)
    assert at.session_state["job"].request.models[0].card.dataset == "mnist"
    assert len(verdicts(at)) == 2
    assert not at.info
    at.number_input(key="gallery-number").set_value(4)  # no third one
    settle(at.run())
    assert "The sample here has no image 4" in texts(at.caption)


@pytest.mark.parametrize("here", [True, False])
def test_the_page_opens_in_colour_only_where_there_are_such_images(monkeypatch, here):
    monkeypatch.setattr(pair, "are_here", lambda name: here or name == "digits")
    cards = {name: make_card(name, dataset=name.partition("-")[0]) for name in reversed(pair.FIRST_CHOICES)}
    assert pair.first_choice(cards) == pair.FIRST_CHOICES[0 if here else 1]
    monkeypatch.setattr(pair, "are_here", lambda name: False)
    assert pair.first_choice(cards) == next(iter(cards))


def test_a_damaged_data_set_is_not_hidden_behind_a_sample(sample, monkeypatch):
    def damaged(name, split):
        raise DatasetError(f"{name} could not be read: it is damaged.")

    monkeypatch.setattr(state, "load_dataset", damaged)
    with pytest.raises(DatasetError, match="damaged"):
        state.test_images("mnist")
