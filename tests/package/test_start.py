"""What a process loads before it does anything: whoever asks for help, or looks at a card, waits for it."""

import json
import subprocess
import sys
from pathlib import Path

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "digits-cnn-standard.safetensors"
ASK = """
import json, sys
import lsp_core.cli.main
lsp_core.load_checkpoint(sys.argv[1])
slow = {"torch._dynamo", "triton", "torchvision", "sklearn", "streamlit"}
print(json.dumps(sorted(slow & set(sys.modules))))
"""


def test_the_command_line_and_a_checkpoint_load_nothing_slow():
    """Torch's compiler alone takes 1.3 s, and comes in by way of torchvision or of a draw on the device "meta"."""
    done = subprocess.run([sys.executable, "-c", ASK, CHECKPOINT], capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout) == [], done.stderr
