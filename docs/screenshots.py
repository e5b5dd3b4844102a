"""The README's pictures, taken from the real app: ``make screenshots``. They are written beside this file."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDTH, HEIGHT, COLOURS = 1320, 1000, 256
PATIENCE = 120_000  # milliseconds


def main() -> None:
    """Start the app with what is shipped, take the pictures, and end it."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "LSP_DATA": str(HERE / "none")}  # samples, as on a fresh machine
    command = [sys.executable, "-m", "app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=HERE.parent, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for name, (path, prepare) in PICTURES.items():
                context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
                address = f"http://127.0.0.1:{port}"
                context.add_cookies([{"name": "lsp-lab-seen", "value": "1", "url": address}])
                page = context.new_page()
                page.set_default_timeout(PATIENCE)
                page.goto(address + path)
                prepare(page)
                save(page.screenshot(), HERE / f"{name}.png")
                context.close()
            browser.close()
    finally:
        server.terminate()


def wait_for(address: str) -> None:
    """Return once the server answers."""
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit("The app did not start.")


def attacked(page: Page) -> None:
    """Wait for the outcome, and until the gallery's images were tried."""
    page.locator(".st-key-step").get_by_role("button", name="Play").wait_for()
    for _ in range(10):  # a page looks on for some seconds only; on a slow machine it must look again
        page.wait_for_timeout(25_000)
        if "Over 200 test images" in page.locator(".st-key-survey").inner_text():
            break
        page.locator(".st-key-run-attack").get_by_role("button").click()
    page.get_by_test_id("stMain").evaluate("node => node.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)


def neighbourhood(page: Page) -> None:
    """Show the map with the attack's way, below the figures over many images."""
    attacked(page)
    page.get_by_text("Map of both embeddings").click()
    page.locator(".st-key-map canvas").first.wait_for()
    page.wait_for_timeout(2000)
    page.set_viewport_size({"width": WIDTH, "height": 1500})
    page.locator(".st-key-survey").evaluate("node => node.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(1500)


def loaded(page: Page) -> None:
    """Wait until the server has drawn everything."""
    page.get_by_test_id("stHeading").first.wait_for()
    page.wait_for_timeout(500)
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    page.wait_for_timeout(2500)


PICTURES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "attack": ("/", attacked),
    "neighbourhood": ("/", neighbourhood),
    "robustness": ("/robustness", loaded),
    "models": ("/models", loaded),
}


def save(picture: bytes, path: Path) -> None:
    """Write a PNG with few colours: a quarter of the bytes, and nothing to be seen of it."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
