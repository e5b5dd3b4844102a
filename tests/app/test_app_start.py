"""``python -m app`` from the outside: what it prints, and when it is up."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
import typer
from streamlit import config
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed
from typer.testing import CliRunner

from app.__main__ import main
from app.state.shipped import settings

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "PYTHONPATH": str(ROOT), "LSP_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}


def answer(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as found:
            return found.read()
    except OSError:
        return b""


def test_it_prints_its_address_and_nothing_else_and_loads_the_rest_in_silence(environment, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with open(log, "wb") as printed:
        command = [sys.executable, "-m", "app", "--port", str(port)]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=printed, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while answer(f"http://127.0.0.1:{port}/_stcore/health") != b"ok":
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        assert b"<html" in answer(f"http://127.0.0.1:{port}/")
        maps = Path(f"/proc/{process.pid}/maps")
        while maps.is_file() and "libarrow" not in maps.read_text():  # what is loaded last, of all that is loaded then
            assert time.monotonic() < end
            time.sleep(0.1)
        time.sleep(1)
    finally:
        process.terminate()
        process.wait(20)
    assert log.read_text() == f"LSP Lab: http://127.0.0.1:{port}\n"


def test_nothing_slow_is_imported_before_the_port_is_open(environment):
    slow = ("torch", "pandas", "altair", "sklearn", "captum", "PIL")
    code = f"import app.__main__, sys; print([name for name in {slow} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_page_that_waits_gets_what_its_verdict_needs_and_the_rest_is_left_for_later(environment):
    later = ("scipy", "sklearn", "torchvision", "captum", "matplotlib", "altair", "pandas")
    code = f"""
import sys
from app import preload
preload.start()
preload.wait()
print("app.panels.verdict" in sys.modules, [name for name in {later} if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True []"


@pytest.mark.parametrize(("name", "sentence"), [("tpu", "unknown device 'tpu'"), ("cuda", "torch finds no GPU here")])
def test_a_device_that_is_not_here_ends_it_with_a_sentence(name, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = typer.Typer()
    command.command()(main)
    found = CliRunner().invoke(command, ["--device", name], env={"COLUMNS": "200"})
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert "Traceback" not in found.output


def test_large_messages_are_sent_and_not_referred_to(monkeypatch):
    """Of runs that follow each other fast, one may refer to what the browser has thrown away: the connection ends."""
    message = ForwardMsg()
    message.metadata.delta_path[:] = [0, 0]
    message.delta.new_element.html.body = "x" * 5_000_000  # as a player of many steps
    given = settings()
    monkeypatch.setattr(config, "get_option", lambda name: given.get(name, 10_000))
    populate_hash_if_needed(message)
    assert message.hash
    assert not message.metadata.cacheable
