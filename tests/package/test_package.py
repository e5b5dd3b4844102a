"""The wheel: built, installed in an environment that does not see the repository, and used from an empty folder."""

import ast
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = [pytest.mark.package, pytest.mark.xdist_group("package")]

ROOT = Path(__file__).parents[2]
SOURCE = ("app", "lsp_core", "checkpoints", ".streamlit", "pyproject.toml", "setup.py", "README.md", "LICENSE")
OPTIONAL = {"foolbox", "protobuf"}  # the bench says so where the first is absent; the second is part of onnx
PATIENCE = 90.0  # seconds


def said_by(*command, where=ROOT, **variables):
    """What a command prints. It finds no module by PYTHONPATH, and no data set of this machine."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LSP_CHECKPOINTS")}
    environment |= {"LSP_DATA": str(where / "no-data"), "COLUMNS": "200", **variables}
    done = subprocess.run(
        [*map(str, command)], cwd=where, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """The source tree without what was built in it: a stale build/ would hide a file that is missing."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.state"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    said_by(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, source, where=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The commands of a new environment that has the wheel, and sees the dependencies of this environment."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    commands = home / "bin"
    offline = ("--no-deps", "--no-index", "--disable-pip-version-check")
    # Before the other packages come into sight, an editable install of this project among them, which pip would remove.
    said_by(sys.executable, "-m", "pip", "--python", commands / "python", "install", *offline, wheel, where=home)
    (packages,) = home.glob("lib/python*/site-packages")
    seen = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("".join(f"{place}\n" for place in seen))
    return commands


@pytest.fixture
def empty(tmp_path) -> Path:
    return tmp_path


ASK = """
import json, os, app, lsp_core
from app.state.shelf import folder
from app.state.shipped import settings
found = {"code": [app.__file__, lsp_core.__file__], "shipped": str(folder()), "settings": settings()}
os.environ["LSP_CHECKPOINTS"] = "mine"
print(json.dumps(found | {"mine": str(folder())}))
"""


@pytest.fixture(scope="module")
def places(installed, tmp_path_factory) -> dict:
    """Where the installed code lies, where it looks for checkpoints, and Streamlit's settings as it reads them."""
    return json.loads(said_by(installed / "python", "-c", ASK, where=tmp_path_factory.mktemp("anywhere")))


@pytest.fixture(scope="module")
def shipped(places) -> Path:
    return Path(places["shipped"])


def test_every_file_of_the_source_is_in_the_wheel(source, wheel):
    places = {"app": "app", "lsp_core": "lsp_core", "checkpoints": "app/checkpoints", ".streamlit": "app/settings"}
    wanted = {
        f"{inside}/{path.relative_to(source / beside).as_posix()}"
        for beside, inside in places.items()
        for path in (source / beside).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == wanted


def test_it_is_the_wheel_that_is_tried(installed, places):
    for place in (*places["code"], places["shipped"]):
        assert Path(place).is_relative_to(installed.parent)


def test_checkpoints_may_lie_elsewhere(places):
    assert places["mine"] == "mine"


def test_the_settings_hold_wherever_it_is_started(places):
    assert places["settings"]["browser.gatherUsageStats"] is False
    assert places["settings"]["theme.light.textColor"].startswith("#")


def test_help_names_the_commands(installed, empty):
    text = said_by(installed / "lsp", "--help", where=empty)
    assert "Usage: lsp " in text
    assert {"train", "evaluate", "audit", "study"} <= set(text.split())


def test_info_lists_the_shipped_checkpoints(installed, shipped, empty):
    text = said_by(installed / "lsp", "info", shipped, where=empty)
    assert all(path.stem in text for path in (ROOT / "checkpoints").glob("*.safetensors"))


def test_a_shipped_checkpoint_is_evaluated(installed, shipped, empty):
    checkpoint = shipped / "digits-cnn-standard.safetensors"
    arguments = ("--attacks", "pgd", "--steps", "5", "--n", "16", "--json", "found.json")
    assert "pgd" in said_by(installed / "lsp", "evaluate", checkpoint, *arguments, where=empty).lower()
    (evaluation,) = json.loads((empty / "found.json").read_text())["evaluations"]
    assert evaluation["n"] == 16


def test_the_app_is_served_from_anywhere(installed, empty):
    """It answers, knows its settings and its checkpoints, and prints its address and nothing that alarms."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LSP_CHECKPOINTS")}
    with open(empty / "log", "wb") as log:
        process = subprocess.Popen(
            [str(installed / "lsp-lab"), "--port", str(port)], cwd=empty, env=environment, stdout=log, stderr=log
        )
        try:
            end = time.monotonic() + PATIENCE
            while not answers(f"http://127.0.0.1:{port}/_stcore/health"):
                assert process.poll() is None, (empty / "log").read_text()
                assert time.monotonic() < end, "the app did not answer"
                time.sleep(0.2)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=PATIENCE) as page:
                assert b"<title>" in page.read()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
    text = (empty / "log").read_text()
    assert f"http://127.0.0.1:{port}" in text
    assert re.search("warn|error|trace|leak", text, re.IGNORECASE) is None, text


def answers(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read() == b"ok"
    return False


# --- What it needs ---


def plain(requirement):
    """The name of a requirement as package indices compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


@pytest.fixture(scope="module")
def dependencies():
    """What is always needed, and the extras, of which the code says where they are absent."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    return {
        plain(line) for lines in (project["dependencies"], *project["optional-dependencies"].values()) for line in lines
    }


def imported():
    """Every package that the code imports from elsewhere, by a file that does."""
    found = {}
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "lsp_core").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0]: path for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module.split(".")[0]] = path
    return {name: path for name, path in found.items() if name not in {*sys.stdlib_module_names, "app", "lsp_core"}}


def test_whatever_is_imported_is_required(dependencies):
    owners = packages_distributions()
    for name, path in imported().items():
        needed = {plain(owner) for owner in owners.get(name, [name])}
        assert needed & (dependencies | OPTIONAL), (
            f"{path} imports {name}, which no dependency of pyproject.toml brings"
        )


def test_requirements_pin_every_dependency(dependencies):
    run_time, checks = (
        [line for line in half.splitlines() if line[0] not in "#-"]
        for half in (ROOT / "requirements.txt").read_text().split("# Checks\n")
    )
    assert all("==" in line for line in (*run_time, *checks))
    assert sorted(map(plain, run_time)) == sorted(dependencies)  # and none of them twice
