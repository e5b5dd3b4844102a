"""What a person does with the app, from the first look to a stopped attack."""

import io
import re
import time

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from lsp_core import load_dataset

from .conftest import HOSTILE, SLOW
from .visit import PATIENCE, pixels

pytestmark = pytest.mark.browser


def test_the_first_look_shows_an_attack_and_its_outcome(visitor):
    visit = visitor()
    visit.open("/checkpoints")  # by then everything is loaded that the port does not wait for
    expect(visit.page.get_by_test_id("stHeading").first).to_be_visible(timeout=PATIENCE)
    started = time.monotonic()
    visit.open()
    expect(visit.verdicts.filter(has_text=re.compile("still|fooled|wrong"))).to_have_count(2, timeout=PATIENCE)
    seconds = time.monotonic() - started
    print(f"from the first byte to the verdict: {seconds:.2f} s")
    assert seconds < 15
    visit.settled()
    assert set(visit.kinds) == {"fooled", "holds"}  # the image that tells the twins apart
    assert [sentence.split(":")[0] for sentence in visit.sentences] == ["Baseline", "LSP"]
    colours = {verdict.evaluate("node => getComputedStyle(node).backgroundColor") for verdict in visit.verdicts.all()}
    assert len(colours) == 2
    assert visit.all_decoded() > 40
    for lane in (0, 1):
        for which in ("clean", "noise", "adversarial"):
            picture = visit.picture(lane, which)
            assert picture.evaluate("img => getComputedStyle(img).imageRendering") == "pixelated"
            assert pixels(picture).shape == (8, 8)
    expect(visit.key("step")).to_contain_text(re.compile(r"noise × \d+"))
    expect(visit.key("neighbors")).to_contain_text("neighbours")
    expect(visit.key("saliency").locator("img")).to_have_count(6)  # clean, attacked, and what changed


def test_the_pictures_are_what_was_attacked(visit):
    """Clean plus noise is the adversarial image, and the clean one is a test image, byte for byte."""
    clean, adversarial = pixels(visit.picture(0, "clean")), pixels(visit.picture(0, "adversarial"))
    known = load_dataset("digits").images[:, 0].numpy()
    assert (known == clean).all((1, 2)).any()
    factor = int(re.search(r"noise × (\d+)", visit.caption(0, "noise").inner_text()).group(1))
    noise = (pixels(visit.picture(0, "noise")).astype(float) / 255 - 0.5) / factor
    assert np.abs(clean / 255 + noise - adversarial / 255).max() < 1.5 / 255
    assert 0 < np.abs(clean.astype(int) - adversarial).max() <= 33  # eps is 32/255


def test_another_image_and_the_button_and_the_scrubber_by_keyboard(visit):
    clean = visit.picture(0, "clean").get_attribute("src")
    other = visit.gallery.nth(3)
    if other.get_attribute("aria-checked") == "true":
        other = visit.gallery.nth(4)
    other.click()
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    sentences = visit.sentences
    assert len(sentences) == 2
    # The steps are all in the browser: nobody is asked while they are looked through.
    expect(visit.shown_step).to_have_text("step 20 of 20", timeout=PATIENCE)
    last = visit.picture(0, "adversarial").get_attribute("src")
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url))
    app = visit.page.get_by_test_id("stApp")
    app.evaluate(
        """app => { window.runs = 0; new MutationObserver(() => window.runs++)
        .observe(app, {attributes: true, attributeFilter: ['data-test-script-state']}); }"""
    )
    visit.scrubber.focus()
    visit.page.keyboard.press("ArrowLeft")
    expect(visit.shown_step).to_have_text("step 19 of 20")
    visit.page.keyboard.press("Home")
    expect(visit.shown_step).to_have_text("step 0 of 20")
    expect(visit.picture(0, "adversarial")).not_to_have_attribute("src", last)
    expect(visit.key("step")).to_contain_text("step 0:")
    visit.page.keyboard.press("End")
    expect(visit.shown_step).to_have_text("step 20 of 20")
    expect(visit.picture(0, "adversarial")).to_have_attribute("src", last)
    assert asked == []
    assert visit.page.evaluate("window.runs") == 0
    # Again by the button, with the same settings: the same outcome.
    visit.run_button.click()
    visit.idle()
    visit.settled()
    assert visit.sentences == sentences


def test_the_neighbours_of_one_image_and_of_many(visit):
    data = load_dataset("digits", "test")
    flat, clean = data.float(slice(None)).flatten(1), pixels(visit.picture(0, "clean"))
    own = next(row for row, image in enumerate(data.images[:, 0].numpy()) if (image == clean).all())
    nearest = (flat - flat[own]).norm(dim=1).argsort(stable=True)[1:9].tolist()
    for card in visit.neighbor_cards.all():
        rows = card.locator(".row")
        assert rows.locator("> span").all_inner_texts() == ["in pixels", "before", "after"]
        near = [row.locator("img").all() for row in rows.all()]
        assert list(map(len, near)) == [8, 8, 8]
        assert [pixels(picture).tolist() for picture in near[0]] == data.images[nearest, 0].tolist()
        # What the sentence counts is what is marked.
        kept, before, after = map(int, re.findall(r"(\d) of 8", card.locator(".lead").inner_text()))
        assert [rows.nth(1).locator(".kept").count(), rows.nth(2).locator(".kept").count()] == [kept, kept]
        assert [row.locator(".pixel").count() for row in rows.all()] == [8, before, after]
    survey = visit.surveyed()
    assert len(re.findall(r"\d+\.\d%", survey.inner_text())) == 6
    told = survey.inner_text()
    visit.gallery.nth(6).click()
    visit.idle()
    visit.settled()
    assert survey.inner_text() == told  # it speaks of many images, whichever is looked at


def test_play_runs_through_the_steps(visit):
    button = visit.key("step").get_by_role("button")
    button.click()
    expect(button).to_contain_text("Pause")
    expect(button).to_contain_text("Play", timeout=PATIENCE)
    expect(visit.shown_step).to_have_text("step 20 of 20")


def test_with_radius_0_both_hold_and_there_is_no_noise(visit):
    before = visit.sentences
    visit.slider("eps").focus()
    visit.page.keyboard.press("Home")
    expect(visit.alerts.filter(has_text="The settings have changed")).to_be_visible(timeout=PATIENCE)
    assert visit.sentences == before  # what is on the page still belongs to the old settings
    visit.run_button.focus()
    visit.page.keyboard.press("Enter")
    expect(visit.alerts).to_have_count(0, timeout=PATIENCE)
    visit.settled()
    assert visit.kinds == ["holds", "holds"]
    assert (pixels(visit.picture(0, "noise")) == 128).all()
    assert np.array_equal(pixels(visit.picture(0, "clean")), pixels(visit.picture(0, "adversarial")))


def test_a_long_attack_is_watched_stopped_and_blocks_nobody(visit, visitor):
    second = visitor()  # is there before, for the long attack may be over before a page is
    second.open()
    second.settled()
    visit.slider("steps").focus()
    visit.page.keyboard.press("End")
    expect(visit.alerts.filter(has_text="The settings have changed")).to_be_visible(timeout=PATIENCE)
    visit.idle()
    visit.choose_model("model-a", "slow-preactresnet18-standard")
    expect(visit.stop_button).to_be_visible(timeout=PATIENCE)
    # Another visitor's page answers meanwhile, and says with a sentence that he waits for his turn.
    second.run_button.click()
    expect(second.key("watch")).to_contain_text("waiting for another attack to end", timeout=PATIENCE)
    started = time.monotonic()
    visit.stop_button.click()
    expect(visit.key("verdict")).to_contain_text(re.compile(r"Stopped after \d+ of 400 steps"), timeout=PATIENCE)
    print(f"stopped within {time.monotonic() - started:.2f} s")
    expect(visit.stop_button).to_have_count(0, timeout=PATIENCE)
    done = int(re.search(r"after (\d+) of", visit.key("verdict").inner_text()).group(1))
    assert 0 < done < 400
    assert (
        visit.picture(0, "adversarial").evaluate("async (img) => { await img.decode(); return img.naturalWidth }")
        == SLOW
    )
    expect(visit.run_button).to_be_enabled(timeout=PATIENCE)
    second.settled()
    assert set(second.kinds) == {"fooled", "holds"}


def png(colour, size=(40, 30)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_upload_is_attacked_and_a_bad_one_changes_nothing(visit):
    clean = visit.picture(0, "clean").get_attribute("src")
    visit.upload("mine.png", png((10, 200, 30)))
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    expect(visit.page.get_by_text("Its class is not known")).to_be_visible()
    assert "wrong" not in visit.kinds
    mine, sentences = visit.picture(0, "clean").get_attribute("src"), visit.sentences
    visit.upload("broken.png", png((1, 2, 3))[:40])
    expect(visit.alerts).to_have_count(1, timeout=PATIENCE)
    expect(visit.alerts).to_contain_text("The image before it stays.")
    visit.settled()
    expect(visit.picture(0, "clean")).to_have_attribute("src", mine)
    assert visit.sentences == sentences
    visit.gallery.nth(5).click()
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", mine, timeout=PATIENCE)
    visit.settled()
    expect(visit.alerts).to_have_count(0)


@pytest.mark.parametrize("path", ["/robustness", "/models"])
def test_an_audit_opens_to_its_checks_by_keyboard(visitor, path):
    visit = visitor(viewport={"width": 390, "height": 844})
    visit.open(path)
    if path == "/models":
        visit.choose_row("models", 0)
    audit = visit.page.locator("details.audit").filter(has_text="restarts").first
    expect(audit.locator("summary").first).to_contain_text("Signs of masking", timeout=PATIENCE)
    expect(audit).to_contain_text("2 pass")
    check = audit.locator("li").filter(has_text="What restarts showed.")
    expect(check).to_be_hidden()
    audit.locator("summary").first.focus()
    visit.page.keyboard.press("Enter")
    expect(check).to_be_visible()
    for fact in ("more than 1 point", "survivors 3", "Carlini et al. 2019"):  # a sign is open, what passed is closed
        expect(check.get_by_text(fact)).to_be_visible()
    passed = audit.locator("li").filter(has_text="What outputs showed.")
    expect(passed.get_by_text("survivors 3")).to_be_hidden()
    passed.locator("summary").click()
    expect(passed.get_by_text("survivors 3")).to_be_visible()


def test_an_absent_data_set_gets_a_sentence_and_the_digits_go_on(visit):
    visit.choose_model("model-a", "fashion-mnist-cnn-standard")
    expect(visit.alerts.filter(has_text="fashion-mnist is not under")).to_be_visible(timeout=PATIENCE)
    expect(visit.alerts).to_contain_text("lsp_core info fashion-mnist --download")
    visit.settled()
    assert pixels(visit.picture(0, "clean")).shape == (8, 8)
    assert len(visit.sentences) == 2


def test_names_from_files_are_text_and_nothing_else(visit):
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.choose_model("model-a", "odd <b> *b*")
    expect(visit.key("neighbors")).to_contain_text(HOSTILE[0], timeout=PATIENCE)
    visit.settled()
    assert any(name in " ".join(visit.sentences) for name in HOSTILE)
    assert visit.markup() == []
    visit.page.get_by_role("link", name="Models").click()
    visit.idle()
    assert visit.markup() == []
    visit.key("models-data-set").get_by_role("button").filter(has_text="evil").click()
    visit.choose_row("models", 0)
    card = visit.page.locator('[class*="st-key-card-odd"]')
    expect(card).to_contain_text("odd <b> *b*", timeout=PATIENCE)
    visit.idle()
    assert visit.markup() == []
    assert not [url for url in asked if "evil" in url or "/x" in url]


@pytest.mark.parametrize("path", ["/", "/robustness", "/models", "/checkpoints"])
def test_a_phone_in_the_dark(visitor, path):
    visit = visitor(viewport={"width": 390, "height": 844}, color_scheme="dark")
    visit.open(path)
    if path == "/":
        visit.settled()
    else:
        expect(visit.page.get_by_test_id("stHeading").first).to_be_visible(timeout=PATIENCE)
        visit.idle()
    width, seen = visit.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= seen
    overflow = visit.page.get_by_test_id("stMain").evaluate("node => node.scrollWidth - node.clientWidth")
    assert overflow <= 0
    ground = visit.page.get_by_test_id("stApp").evaluate("node => getComputedStyle(node).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 64
    if path == "/":  # the outcome comes before the controls
        assert visit.verdicts.first.bounding_box()["y"] < visit.key("eps").bounding_box()["y"]
