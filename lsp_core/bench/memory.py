"""The memory that something takes at its peak, beyond what was there before."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from pathlib import Path

import torch

from lsp_core.bench.timing import Arm

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak(arm: Arm, device: str) -> int | None:
    """Call ``arm`` twice, and return the bytes that the second call took at its peak; None where nothing tells.

    On a GPU what torch has in use counts, else what the process holds. (The first call sets up what stays.)
    """
    arm()
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        arm()
        return torch.cuda.max_memory_allocated(device) - before
    if sys.platform != "linux":
        return None
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)  # what is freed but still held would be used again, and not seen
    try:
        RESET.write_text("5")  # sets the peak to what is held now
        before = _held("VmRSS")
    except OSError:
        return None
    arm()
    return max(0, _held("VmHWM") - before)


def _held(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    if found is None:
        raise OSError(f"{STATUS} has no {name}.")
    return 1024 * int(found[1])
