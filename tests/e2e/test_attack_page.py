"""What a person does on the attack page beyond the first look: finds, brings, draws, compares, takes away."""

import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from lsp_core import load_dataset
from lsp_core.store.case import read_case

from .visit import PATIENCE, pixels

pytestmark = pytest.mark.browser


def test_the_first_visit_is_three_sentences_that_are_read_once(visitor):
    visit = visitor(first=True)
    visit.open()
    card = visit.key("welcome")
    expect(card.locator("li")).to_have_count(3, timeout=PATIENCE)
    visit.settled()
    card.get_by_role("button", name="Got it").click()
    expect(card).to_have_count(0, timeout=PATIENCE)
    visit.page.reload()
    visit.settled()
    expect(card).to_have_count(0)


def test_the_gallery_has_pages_and_signs(visit):
    visit.surveyed()
    signs = visit.marks()
    assert len(signs) == 20
    assert all(re.search("[✓✕!] [✓✕!]", sign) for sign in signs)
    first = visit.gallery.nth(0).locator("img").get_attribute("src")
    visit.key("gallery-page").get_by_role("button").last.click()
    expect(visit.gallery.nth(1).locator("img")).not_to_have_attribute("src", first, timeout=PATIENCE)
    expect(visit.gallery).to_have_count(21)  # the open image stays in sight, and twenty others
    clean = visit.picture(0, "clean").get_attribute("src")
    visit.gallery.nth(4).click()
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()


def test_images_are_found_by_class_outcome_and_number(visit):
    visit.surveyed()
    visit.unfold("Find")
    visit.choose("gallery-class", "7")
    visit.choose("gallery-outcome", "only one holds")
    expect(visit.page.get_by_text(re.compile(r"\d+ of the 200 images"))).to_be_visible(timeout=PATIENCE)
    visit.page.keyboard.press("Escape")
    data = load_dataset("digits", "test")
    sevens = {
        image.tobytes() for image, label in zip(data.images[:, 0].numpy(), data.labels, strict=True) if label == 7
    }
    shown = [pixels(one.locator("img")).tobytes() for one in visit.gallery.all()[1:]]
    assert shown
    assert set(shown) <= sevens
    assert all(sign.strip('"').count("✓") == 1 for sign in visit.marks()[1:])
    visit.unfold("Find")
    number = visit.key("gallery-number").get_by_role("spinbutton")
    number.fill("123")
    number.press("Enter")
    visit.idle()
    visit.page.keyboard.press("Escape")
    visit.gallery.nth(1).click()
    visit.idle()
    visit.settled()
    assert np.array_equal(pixels(visit.picture(0, "clean")), data.images[123, 0].numpy())


@pytest.mark.parametrize(("preset", "least"), [("Standard", 100), ("Strongest", 200)])
def test_a_stronger_preset_takes_more_steps(visit, preset, least):
    visit.preset(preset)
    expect(visit.key("steps")).to_have_count(0)
    visit.run_button.click()
    expect(visit.shown_step).not_to_have_text("step 20 of 20", timeout=PATIENCE)
    expect(visit.key("step").get_by_role("button", name="Play")).to_be_enabled(timeout=PATIENCE)
    assert int(re.search(r"of (\d+)", visit.shown_step.inner_text())[1]) > least


def test_an_attack_of_the_table_has_settings_of_its_own(visit):
    visit.preset("Own")
    expect(visit.key("own-restarts")).to_have_count(1, timeout=PATIENCE)
    visit.choose("attack", "fgsm")
    expect(visit.key("own-restarts")).to_have_count(0, timeout=PATIENCE)  # FGSM takes none
    visit.attack()
    expect(visit.shown_step).to_have_text("step 1 of 1")
    link = link_of(visit)
    assert "preset=Own" in link
    assert "attack=fgsm" in link


def test_a_digit_is_drawn_by_mouse_erased_and_drawn_by_keys(visit):
    clean = visit.picture(0, "clean").get_attribute("src")
    visit.key("draw").get_by_role("button").first.click()
    canvas = visit.key("drawing").locator("canvas")
    box = canvas.bounding_box()

    def at(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    mouse = visit.page.mouse
    mouse.move(*at(0.5, 0.2))
    mouse.down()
    mouse.move(*at(0.5, 0.8), steps=5)
    mouse.up()
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    drawn = pixels(visit.picture(0, "clean"))
    assert drawn[:, 3:5].max() == 255  # an upright line in the middle, from top to bottom
    assert drawn[:, [0, 7]].max() == 0
    expect(visit.page.get_by_text("its centre of mass in the middle")).to_be_visible()
    visit.key("drawing").get_by_role("button", name="Clear").click()
    expect(visit.picture(0, "clean")).to_have_attribute("src", clean, timeout=PATIENCE)  # the gallery's image is back
    visit.settled()
    canvas.focus()
    for key in ("Space", *["ArrowRight"] * 6, *["ArrowDown"] * 6, "Space"):
        visit.page.keyboard.press(key)
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    assert pixels(visit.picture(0, "clean")).max() == 255


PASTE = """async colour => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 20, height: 20});
  const pen = canvas.getContext('2d');
  pen.fillStyle = colour; pen.fillRect(0, 0, 20, 10);
  const blob = await new Promise(done => canvas.toBlob(done, 'image/png')), data = new DataTransfer();
  data.items.add(new File([blob], 'pasted.png', {type: 'image/png'}));
  document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}));
}"""


def test_an_image_is_pasted_and_one_is_photographed(visit):
    clean = visit.picture(0, "clean").get_attribute("src")
    visit.page.evaluate(PASTE, "#f00")
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    pasted = visit.picture(0, "clean").get_attribute("src")
    expect(visit.page.get_by_text("Its colours became grey")).to_be_visible()
    visit.key("camera").get_by_role("button").first.click()
    visit.page.wait_for_function("document.querySelector('video')?.readyState >= 3", timeout=PATIENCE)
    visit.page.get_by_test_id("stCameraInputButton").click()
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", pasted, timeout=PATIENCE)
    visit.settled()


def square(colour):
    buffer = io.BytesIO()
    image = Image.new("L", (40, 20), 0)
    image.paste(colour, (0, 0, 20, 20))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_of_several_files_one_is_chosen_and_cropped_by_hand(visit):
    chooser = visit.page.get_by_test_id("stFileUploaderDropzoneInput")
    greys = {"a": 200, "b": 90}
    files = [{"name": f"{name}.png", "mimeType": "image/png", "buffer": square(grey)} for name, grey in greys.items()]
    clean = visit.picture(0, "clean").get_attribute("src")
    chooser.set_input_files(files)
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    assert set(pixels(visit.picture(0, "clean")).flatten().tolist()) == {0, 90}  # the last, cut in the middle
    visit.choose("file", "a.png")
    visit.settled()
    assert set(pixels(visit.picture(0, "clean")).flatten().tolist()) == {0, 200}
    visit.unfold("Crop")
    visit.slider("crop-Left-to-right").focus()
    visit.page.keyboard.press("Home")
    visit.idle()
    visit.settled()
    assert set(pixels(visit.picture(0, "clean")).flatten().tolist()) == {55}  # light all over, so it is inverted
    expect(visit.page.get_by_text("Cropped where you said")).to_be_attached()


def test_what_the_scrubber_shows_moves_everywhere_and_asks_nobody(visit):
    passage = visit.key("passage").locator("section").first
    expect(passage).to_contain_text("at step 20", timeout=PATIENCE)
    visit.idle()
    app = visit.page.get_by_test_id("stApp")
    app.evaluate(
        """app => { window.runs = 0; new MutationObserver(() => window.runs++)
        .observe(app, {attributes: true, attributeFilter: ['data-test-script-state']}); }"""
    )
    visit.scrubber.focus()
    visit.page.keyboard.press("Home")
    expect(passage).to_contain_text("at step 0")
    assert passage.locator("img").count() == 8
    chart = visit.key("step").locator(".chart")
    before = chart.locator("polyline").first.get_attribute("points")
    chart.get_by_label("margin").check()
    assert chart.locator("polyline").first.get_attribute("points") != before
    expect(chart).to_contain_text("its logit minus the next")
    assert visit.page.evaluate("window.runs") == 0


def test_the_map_attacks_by_key_and_filters_by_a_frame(visit):
    visit.page.get_by_text("Map of both embeddings").click()
    maps = visit.key("map").locator("section canvas")
    expect(maps).to_have_count(2, timeout=PATIENCE)
    visit.idle()
    expect(visit.key("map")).to_contain_text(re.compile(r"\d+ % of the spread"))
    canvas = maps.first
    canvas.scroll_into_view_if_needed()
    clean = visit.picture(0, "clean").get_attribute("src")
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        visit.page.keyboard.press(key)
    expect(visit.key("map").locator(".hover")).to_contain_text(re.compile(r"\d, image \d+"))
    said = visit.key("map").locator(".hover span").inner_text()
    visit.page.keyboard.press("Enter")
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    data = load_dataset("digits", "test")
    row = int(re.search(r"image (\d+)", said)[1])
    assert np.array_equal(pixels(visit.picture(0, "clean")), data.images[row, 0].numpy())
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    mouse = visit.page.mouse
    mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
    mouse.down()
    mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=4)
    mouse.up()
    visit.idle()
    visit.unfold("Find")
    forget = visit.page.get_by_role("button", name=re.compile("Forget the frame of"))
    expect(forget).to_be_visible(timeout=PATIENCE)
    forget.click()
    expect(forget).to_have_count(0, timeout=PATIENCE)


def test_saliency_says_its_cost_what_changed_and_how_far_to_trust_it(visit):
    saliency = visit.key("saliency")
    visit.choose("method", "Grad-CAM")
    expect(saliency).to_contain_text("coarse as that layer", timeout=PATIENCE)
    visit.choose("method", "Guided backpropagation")
    expect(saliency).to_contain_text("drawn at random", timeout=PATIENCE)
    visit.choose("method", "Input × gradient")
    expect(saliency).to_contain_text("full colour is", timeout=PATIENCE)
    expect(saliency.locator("img")).to_have_count(6)
    visit.key("trust").get_by_role("button").click()
    expect(saliency).to_contain_text("max-sensitivity", timeout=PATIENCE)
    expect(saliency).to_contain_text(re.compile(r"infidelity \d"))


def link_of(visit) -> str:
    """Open what can be taken away, read the link, and close it."""
    visit.unfold("Take away")
    link = visit.key("share-link").locator("code").inner_text(timeout=PATIENCE)
    visit.page.keyboard.press("Escape")
    return link


def test_a_link_brings_another_person_to_the_same_view(visit, visitor):
    visit.choose_model("model-a", "digits-cnn-pgd-at")
    visit.settled()
    visit.gallery.nth(7).click()
    visit.idle()
    visit.slider("eps").focus()
    visit.page.keyboard.press("ArrowRight")
    visit.idle()
    visit.attack()
    link = link_of(visit)
    other = visitor()
    other.open(link.removeprefix(other.url))
    other.settled()
    assert other.sentences == visit.sentences
    for which in ("clean", "adversarial"):
        assert np.array_equal(pixels(other.picture(0, which)), pixels(visit.picture(0, which)))
    assert link_of(other) == link
    other.page.reload()
    other.settled()
    assert other.sentences == visit.sentences


def test_what_a_link_cannot_mean_is_said_and_the_page_is_there(visitor):
    visit = visitor()
    visit.open("/?view=1&a=digits-cnn-pgd-at&b=<script>&eps=nan&steps=-1&image=../../x")
    visit.settled()
    expect(visit.alerts).to_have_count(4)
    assert visit.markup() == []
    visit.key("forget-problems").get_by_role("button").click()
    expect(visit.alerts).to_have_count(0, timeout=PATIENCE)


def test_a_case_is_what_was_attacked_and_opens_for_another_person(visit, visitor, tmp_path):
    visit.gallery.nth(6).click()
    visit.idle()
    visit.settled()
    visit.unfold("Take away")
    with visit.page.expect_download() as waiting:
        visit.key("download-case").get_by_role("button").click()
    waiting.value.save_as(tmp_path / "case.zip")
    case, clean, adversarial = read_case((tmp_path / "case.zip").read_bytes())
    shown = pixels(visit.picture(0, "adversarial"))
    assert np.array_equal(shown, (adversarial[0, 0] * 255).round().numpy())  # what is shown is what was attacked
    assert np.array_equal(pixels(visit.picture(0, "clean")), (clean[0] * 255).round().numpy())
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        name = next(one for one in archive.namelist() if one.startswith("adversarial-1"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(archive.read(name)))), shown)
    other = visitor()
    other.open()
    other.settled()
    other.unfold("Take away")
    other.key("open-case").locator("input[type=file]").set_input_files(tmp_path / "case.zip")
    other.idle()
    other.page.keyboard.press("Escape")
    other.settled()
    assert other.sentences == visit.sentences
    assert [subject.name for subject in case.subjects] == ["digits-cnn-standard", "digits-cnn-standard-lsp"]


def test_the_report_opens_by_itself_and_holds_its_images(visit, visitor, tmp_path):
    visit.unfold("Take away")
    with visit.page.expect_download() as waiting:
        visit.key("download-report").get_by_role("button").click()
    waiting.value.save_as(tmp_path / "report.html")
    page, asked = visitor().page, []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    sizes = page.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(sizes) > 50
    assert set(sizes) == {8}
    for sentence in visit.sentences:
        assert sentence.partition(": ")[2] in page.inner_text("body")
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []


def test_the_keyboard_alone_suffices(visit):
    clean = visit.picture(0, "clean").get_attribute("src")
    chosen = visit.page.locator('.st-key-gallery button[aria-checked="true"]')
    chosen.focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Enter")
    expect(visit.picture(0, "clean")).not_to_have_attribute("src", clean, timeout=PATIENCE)
    visit.settled()
    visit.slider("steps").focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.alerts.filter(has_text="The settings have changed")).to_be_visible(timeout=PATIENCE)
    for _ in range(6):  # from the slider on, the button is a few steps away
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.innerText") == "Attack both":
            break
    visit.page.keyboard.press("Enter")
    visit.idle()
    visit.settled()
    expect(visit.shown_step).to_have_text("step 21 of 21")


def test_two_people_do_not_see_each_other(visit, visitor):
    other = visitor()
    other.open()
    other.settled()
    before = visit.sentences, visit.picture(0, "clean").get_attribute("src")
    other.choose_model("model-a", "digits-cnn-pgd-at")
    other.settled()
    other.gallery.nth(2).click()
    other.idle()
    other.settled()
    visit.run_button.click()
    visit.idle()
    visit.settled()
    assert (visit.sentences, visit.picture(0, "clean").get_attribute("src")) == before


def test_a_page_that_is_reloaded_during_a_long_attack_begins_anew(visit):
    visit.slider("steps").focus()
    visit.page.keyboard.press("End")
    visit.idle()
    visit.choose_model("model-a", "slow-preactresnet18-standard")
    expect(visit.stop_button).to_be_visible(timeout=PATIENCE)
    visit.page.reload()
    visit.settled()  # which waits for no more than the first one's last step
    assert set(visit.kinds) == {"fooled", "holds"}


def test_steps_arrive_and_nothing_on_the_page_jumps(visit):
    visit.page.evaluate(
        """() => { window.shifted = 0; new PerformanceObserver(list => list.getEntries().forEach(
        entry => { if (!entry.hadRecentInput) window.shifted += entry.value; })).observe({type: 'layout-shift'}); }"""
    )
    visit.scrubber.focus()
    for key in ["ArrowLeft"] * 12 + ["End"]:
        visit.page.keyboard.press(key)
    visit.page.wait_for_timeout(600)
    visit.key("step").get_by_role("button").click()
    expect(visit.key("step").get_by_role("button")).to_contain_text("Play", timeout=PATIENCE)
    assert visit.page.evaluate("window.shifted") < 0.01


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_controls_are_a_touch_away(visitor, scheme):
    visit = visitor(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    visit.open()
    visit.settled()
    jump = visit.page.locator("a.jump")
    expect(jump).to_be_visible()
    jump.tap()
    visit.page.wait_for_timeout(500)
    box = visit.gallery.first.bounding_box()
    assert -400 < box["y"] < 844
    overflow = visit.page.get_by_test_id("stMain").evaluate("node => node.scrollWidth - node.clientWidth")
    assert overflow <= 0


CONTRAST = """() => {
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const bend = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = rgb => rgb.reduce((sum, v, i) => sum + bend(v / 255) * [.2126, .7152, .0722][i], 0);
  const above = node => node ? [getComputedStyle(node), ...above(node.parentElement)] : [];
  const lay = (under, rgb, share) => under.map((v, i) => v * (1 - share) + rgb[i] * share);
  const kinds = ['p', 'small', 'figcaption', 'b'].map(kind => `[data-testid=stMain] ${kind}`).join();
  return [...document.querySelectorAll(kinds)].flatMap(node => {
    if (!node.innerText?.trim() || !node.offsetParent) return [];
    if (node.closest("[disabled], [data-testid=stSlider], .lost")) return [];
    const styles = above(node), seen = styles.reduce((share, style) => share * Number(style.opacity), 1);
    if (seen < .05) return []; // not shown until it is pointed at
    const grounds = styles.map(style => parse(style.backgroundColor)).reverse();
    const under = grounds.reduce((ground, [r, g, b, a = 1]) => lay(ground, [r, g, b], a), [255, 255, 255]);
    const [r, g, b, a = 1] = parse(getComputedStyle(node).color), ink = lay(under, [r, g, b], a * seen);
    const [dark, bright] = [light(ink), light(under)].sort((one, two) => one - two);
    const ratio = (bright + .05) / (dark + .05);
    return ratio < 4.5 ? [`${ratio.toFixed(2)} ${node.innerText.slice(0, 40)}`] : [];
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visitor, scheme):
    """WCAG AA: 4.5 to 1, with opacity taken into account."""
    visit = visitor(color_scheme=scheme)
    visit.open()
    visit.settled()
    assert visit.page.evaluate(CONTRAST) == []
