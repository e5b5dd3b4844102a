"""A real server with checkpoints of every kind, and a real browser."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.panels.welcome import COOKIE
from lsp_core import Card, save_checkpoint
from lsp_core.audit import Audited, Check, Report
from lsp_core.models import build_model
from lsp_core.store.checkpoint import checkpoint_weights

from .visit import Visit

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")  # a test picture, and leave at once
START = 120.0  # seconds
SLOW = 64  # pixels of a side, the most that are kept: an attack on these takes a while
HOSTILE = ("<img src=x onerror=alert(1)> |*b*", "x _i_ & $y$ \"' www.evil.example ->")


@pytest.fixture(scope="session")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed, so nothing can be tried in a real browser.")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed.")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *CAMERA])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory) -> Path:
    """The shipped digits, a checkpoint whose data set is absent, and twins that are slow to attack."""
    home = tmp_path_factory.mktemp("laboratory")
    folder = home / "checkpoints"
    folder.mkdir()
    for path in (ROOT / "checkpoints").glob("digits-cnn-*"):
        if "." not in path.stem:
            shutil.copy(path, folder)
    save_audit(folder, "digits-cnn-standard")
    save_random(folder, "fashion-mnist-cnn-standard", "cnn", "fashion-mnist", (1, 28, 28), tuple("0123456789"))
    data = make_folder_data(home / "slow", ("noise", "stripes"), SLOW)
    for name in ("slow-preactresnet18-standard", "slow-preactresnet18-standard-lsp"):
        save_random(folder, name, "preactresnet18", str(data), (3, SLOW, SLOW), ("noise", "stripes"))
    data = make_folder_data(home / "a *set* of $x$ www.evil.example", HOSTILE)
    save_random(folder, "odd <b> *b*", "cnn", str(data), (3, 48, 48), HOSTILE)
    save_audit(folder, "odd <b> *b*", HOSTILE[0])
    return home


def save_audit(folder, name, words="What {} showed."):
    """An audit with one warning, as the command writes it."""
    checks = tuple(
        Check(check, status, words.format(check), "more than 1 point", "Carlini et al. 2019", {"survivors": 3})
        for check, status in (("outputs", "pass"), ("restarts", "warn"), ("known-answer controls", "pass"))
    )
    report = Report(
        **{"checks": checks, "left_out": {}, "n": 128, "seed": 0, "eps": 32 / 255, "norm": "Linf", "form": "quick"},
        **{"batch_size": 256, "clean_accuracy": 0.98, "clean_interval": (0.95, 1.0), "robust_accuracy": 0.2},
        **{"robust_interval": (0.15, 0.3), "attacks": ("PGD-20",), "seconds": 60.0},
    )
    about = {"weights": checkpoint_weights(folder / f"{name}.safetensors"), "dataset": "digits", "split": "test"}
    Audited.of(report, checkpoint=name, device="cpu", versions={}, date="2026-11-22", **about).write(
        folder / f"{name}.audit.json"
    )


def save_random(folder, name, model, dataset, shape, classes):
    torch.manual_seed(0)
    mean, std = (0.5,) * shape[0], (0.25,) * shape[0]
    network = build_model(model, shape, len(classes), mean, std).eval()
    lsp = {"term": "vicinity"} if name.endswith("-lsp") else None
    card = Card(name, model, dataset, "standard", shape, classes, mean, std, lsp=lsp)
    save_checkpoint(folder / f"{name}.safetensors", network, card)


def make_folder_data(place: Path, names, side: int = 48) -> Path:
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in names:
            (place / split / name).mkdir(parents=True)
            for number in range(6):
                colours = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
                if name == names[1]:
                    colours[::2] = colours[0, 0]
                Image.fromarray(colours).save(place / split / name / f"{number}.png")
    return place


@pytest.fixture(scope="session")
def server(laboratory, browser):
    """The address of a server of our own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "LSP_CHECKPOINTS": str(laboratory / "checkpoints"),
        "LSP_IMPORTED": str(laboratory / "imported"),
        "LSP_DATA": str(laboratory / "no-data"),
        "XDG_CACHE_HOME": str(laboratory / "cache"),
    }
    with open(laboratory / "server.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_healthy(process, url, laboratory / "server.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
    assert "Traceback" not in (laboratory / "server.log").read_text(errors="replace")


def wait_until_healthy(process, url, log):
    end = time.monotonic() + START
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended: {log.read_text(errors='replace')}"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"the server did not start in {START:.0f} s: {log.read_text(errors='replace')}")


@pytest.fixture
def visitor(browser, server):
    """Make visits, each in a browser profile of its own; at the end none may have met a traceback."""
    visits, contexts = [], []

    def arrive(*, first=False, **options) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1320, "height": 900}, **options})
        contexts.append(context)
        if not first:  # who has been here before is not welcomed again
            context.add_cookies([{"name": COOKIE, "value": "1", "url": server}])
        visits.append(Visit(context.new_page(), server))
        return visits[-1]

    yield arrive
    try:
        for visit in visits:
            visit.healthy()
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def visit(visitor):
    """One visitor, on the opened main page, after the first attack."""
    visit = visitor()
    visit.open()
    visit.settled()
    return visit
