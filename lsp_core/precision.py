"""Which precision passes run in, where the machine is to say."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import torch

from lsp_core.types import PassPrecision, Precision

CPUINFO = Path("/proc/cpuinfo")
# What a person may hold oneDNN, which does torch's convolutions, down to; none of these multiplies bfloat16.
HELD_DOWN = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
AMPERE = 8  # first generation of NVIDIA's that multiplies bfloat16


def pick_precision(name: Precision, device: str | torch.device) -> PassPrecision:
    """Return ``name``, or for "auto" bfloat16 where ``device`` multiplies it in hardware, else float32.

    Where bfloat16 is emulated, a training step takes 1.3 to 2.3 times as long as in float32, without AVX-512 6 to 11
    times (docs/speed.md). The device is asked, not timed, so that the same command gives the same figures on the same
    machine. Of processors x86-64 with AVX512-BF16 or AMX counts; on ARM nobody has measured a training.
    """
    if name != "auto":
        return name
    place = torch.device(device)
    has = (place.type == "cpu" and _processor_has_it()) or (place.type == "cuda" and _gpu_has_it(place))
    return "bfloat16" if has else "float32"


@cache
def _processor_has_it() -> bool:
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    if limit.upper() in HELD_DOWN:
        return False
    # Neither is promised by torch.
    asked = [getattr(torch.cpu, f"_is_{kind}_supported", None) for kind in ("avx512_bf16", "amx_tile")]
    answers = [bool(ask()) for ask in asked if ask is not None]
    if answers:
        return any(answers)
    try:
        words = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(words)


def _gpu_has_it(place: torch.device) -> bool:
    return torch.cuda.is_available() and torch.cuda.get_device_capability(place)[0] >= AMPERE
