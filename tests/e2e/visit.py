"""One visitor's page: every locator and test id of Streamlit that the journeys use stands here."""

import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

HEAD, ROW = 38, 35  # pixels of a table
PATIENCE = 60_000  # milliseconds; the machine may have other things to do
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'


class Visit:
    """What a person sees and does."""

    def __init__(self, page: Page, url: str):
        self.page, self.url = page, url
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(PATIENCE)

    def open(self, path: str = "/"):
        self.page.goto(self.url + path, wait_until="commit")

    def key(self, name: str) -> Locator:
        return self.page.locator(f".st-key-{name}")

    @property
    def verdicts(self) -> Locator:
        return self.key("verdict").locator(".verdict")

    @property
    def sentences(self) -> list[str]:
        return [text.strip() for text in self.verdicts.locator("p").all_inner_texts()]

    @property
    def kinds(self) -> list[str]:
        """How each outcome is coloured: fooled, holds or wrong."""
        classes = [verdict.get_attribute("class") or "" for verdict in self.verdicts.all()]
        return [words.removeprefix("verdict").strip() for words in classes]

    @property
    def neighbor_cards(self) -> Locator:
        return self.key("neighbors").locator(".card")

    @property
    def scrubber(self) -> Locator:
        return self.key("step").locator("input[type=range]")

    @property
    def shown_step(self) -> Locator:
        return self.key("step").locator("output")

    @property
    def run_button(self) -> Locator:
        return self.key("run-attack").get_by_role("button")

    @property
    def stop_button(self) -> Locator:
        return self.key("stop-attack").get_by_role("button")

    @property
    def alerts(self) -> Locator:
        return self.page.get_by_test_id("stAlert")

    @property
    def gallery(self) -> Locator:
        return self.key("gallery").get_by_role("radio")

    def slider(self, name: str) -> Locator:
        return self.key(name).get_by_role("slider")

    def picture(self, lane: int, which: str) -> Locator:
        """The clean, noise or adversarial image of a lane."""
        return self.key("step").locator(f"section >> nth={lane}").locator(f"figure.{which} img")

    def caption(self, lane: int, which: str) -> Locator:
        return self.key("step").locator(f"section >> nth={lane}").locator(f"figure.{which} figcaption")

    def idle(self):
        """Wait until the server has drawn what was asked for. A widget's change leaves after a short pause."""
        self.page.wait_for_timeout(200)
        expect(self.page.locator(IDLE)).to_be_visible(timeout=PATIENCE)

    def settled(self):
        """Wait until the attack is over and the player stands at its last step."""
        expect(self.verdicts).to_have_count(2, timeout=PATIENCE)
        expect(self.stop_button).to_have_count(0, timeout=PATIENCE)
        expect(self.verdicts.filter(has_text=re.compile("still|fooled|wrong|not attacked"))).to_have_count(
            2, timeout=PATIENCE
        )
        expect(self.key("saliency").locator("img").first).to_be_visible(timeout=PATIENCE)
        self.idle()
        expect(self.key("step").get_by_role("button", name="Play")).to_be_visible(timeout=PATIENCE)

    def surveyed(self) -> Locator:
        """Look again until all images are there of which the page, on a slow machine, shows only some."""
        survey = self.key("survey")
        for _ in range(5):
            if "Over 200 test images" in survey.inner_text():
                break
            self.run_button.click()
            self.idle()
            self.settled()
        expect(survey).to_contain_text("Over 200 test images")
        return survey

    def choose_model(self, key: str, name: str):
        self.key(key).get_by_role("combobox").click()
        self.page.get_by_role("option", name=name, exact=True).click()

    def taken(self, button: str) -> bytes:
        """What a button gives away."""
        with self.page.expect_download(timeout=PATIENCE) as download:
            self.key(button).get_by_role("button").first.click()
        return Path(download.value.path()).read_bytes()

    def rows(self, table: str) -> list[str]:
        """The names in a table of checkpoints, from top to bottom, also those that one would have to scroll to."""
        expect(self.key(f"csv-{table}")).to_be_visible(timeout=PATIENCE)
        self.idle()
        return [row["checkpoint"] for row in csv.DictReader(io.StringIO(self.taken(f"csv-{table}").decode()))]

    def choose_row(self, table: str, row: int):
        """Choose a row, or leave it out, by its first cell."""
        canvas = self.key(table).locator("canvas").first
        expect(canvas).to_be_visible(timeout=PATIENCE)
        self.idle()
        canvas.evaluate("node => node.scrollIntoView({block: 'center'})")  # clear of the bar at the top
        corner = canvas.bounding_box() or {}
        self.page.mouse.click(corner["x"] + ROW // 2, corner["y"] + HEAD + ROW * row + ROW // 2)
        self.idle()

    def upload(self, name: str, content: bytes):
        chooser = self.page.get_by_test_id("stFileUploaderDropzoneInput")
        chooser.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
        expect(self.page.get_by_test_id("stFileChipName").filter(has_text=name)).to_be_visible(timeout=PATIENCE)
        self.idle()

    def all_decoded(self) -> int:
        """Check that every picture on the page decodes; return how many there are."""
        pictures = self.page.locator("img")
        sizes = [
            picture.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }")
            for picture in pictures.all()
        ]
        assert all(size > 0 for size in sizes), "a picture does not decode"
        return len(sizes)

    def markup(self) -> list[str]:
        """What is on the page of the markup that only a name from a file could have brought there."""
        return self.page.get_by_test_id("stMain").evaluate(
            """main => [...main.querySelectorAll('a, em, strong, script, .katex, img:not([src^="data:"])')]
            .map(node => node.outerHTML)"""
        )

    def healthy(self):
        """No traceback on the page and no error in the console."""
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
        assert self.errors == []


def pixels(picture: Locator) -> np.ndarray:
    """Decode an <img> whose address holds its PNG."""
    head, body = (picture.get_attribute("src") or "").split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))
