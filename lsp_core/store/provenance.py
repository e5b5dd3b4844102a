"""Where a figure comes from: the machine, the versions and the day."""

from __future__ import annotations

import datetime
import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from lsp_core.store.schema import Stored


@dataclass(frozen=True)
class Machine(Stored):
    """What a figure depends on, and nothing that says whose machine it is.

    Attributes:
        cores: of the machine, None where it does not say; ``threads`` those that were used.
        device: the GPU's name, or cpu.
        versions: of the libraries.
        date: YYYY-MM-DD.
    """

    processor: str
    cores: int | None
    threads: int
    device: str
    versions: dict[str, str]
    date: str

    @classmethod
    def of(cls, device: str) -> Machine:
        """Describe this machine, today."""
        return cls(
            processor=_processor(),
            cores=os.cpu_count(),
            threads=torch.get_num_threads(),
            device=torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "cpu",
            versions=versions(),
            date=today(),
        )

    @property
    def name(self) -> str:
        """All but the date, as people read it: two machines of the same name are one."""
        counts = {"core": self.cores, "thread": self.threads}
        numbers = [f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts.items() if count]
        used = ", ".join(f"{library} {number}" for library, number in self.versions.items())
        return f"{', '.join([self.processor, *numbers])}, device {self.device}; {used}"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: version(name) for name in ("torchvision", "numpy", "scikit-learn", "safetensors")},
    }


def today() -> str:
    """Return the date (UTC) as YYYY-MM-DD."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
