"""What a process loads before it does anything: whoever asks for help, or looks at a card, waits for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "digits-cnn-standard.safetensors"
HELP = """
import sys
from lsp_core.cli.main import main
try:
    main()
finally:
    print("loaded:", *sorted({"torch", "numpy", "scipy", "PIL"} & set(sys.modules)))
"""
COMMANDS = """
import importlib, json, sys
from lsp_core.cli.main import COMMANDS, spelled
for name in COMMANDS:
    importlib.import_module(f"lsp_core.cli.{spelled(name)}")
import lsp_core
lsp_core.load_checkpoint(sys.argv[1])
lsp_core.load_dataset("digits")
slow = {"torch._dynamo", "torch._inductor", "triton", "sympy", "torchvision", "sklearn", "scipy", "captum"}
slow |= {"matplotlib", "pandas", "altair", "streamlit"}
print(json.dumps(sorted(slow & set(sys.modules))))
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [(["--help"], 0, "--help"), ([], 2, "--help"), (["trai"], 2, "Did you mean 'train'?"), (["--magic"], 2, "--magic")],
)
def test_what_the_commands_are_is_told_without_loading_torch(arguments, status, said):
    """Importing it takes two seconds, and everything else together a fifth of one."""
    done = subprocess.run([sys.executable, "-c", HELP, *arguments], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, "loaded:"), done.stderr
    assert said in done.stdout + done.stderr


def test_the_commands_a_checkpoint_and_the_digits_load_nothing_slow():
    """Torch's compiler alone takes 1.3 s, and comes in by way of torchvision or of a draw on the device "meta"."""
    done = subprocess.run([sys.executable, "-c", COMMANDS, CHECKPOINT], capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout) == [], done.stderr
