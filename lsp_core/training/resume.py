"""What a run that was cut off needs to go on with the same result, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lsp_core.store.checkpoint import CheckpointError, save_tensors
from lsp_core.types import Classifier, Record


@dataclass(frozen=True)
class RunState:
    """All that changes from step to step: it is saved, and changed in place by ``load``.

    Attributes:
        generators: the random streams, by name.
        average: of the weights, None if none is kept.
    """

    model: Classifier
    optimizer: torch.optim.Optimizer
    generators: Mapping[str, torch.Generator]
    average: AveragedModel | None = None

    def save(self, path: Path, settings: Record, history: list[Record]) -> None:
        """Write the state to ``path`` (atomic), with the settings of the run and what is known of its epochs."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for index, parameter in enumerate(self.model.parameters()):
            tensors[f"momentum.{index}"] = self.optimizer.state[parameter]["momentum_buffer"]
        if self.average is not None:
            tensors |= {f"average.{key}": value for key, value in self.average.state_dict().items()}
        tensors |= {name: generator.get_state() for name, generator in self.generators.items()}
        save_tensors(path, tensors, {"state": json.dumps({"config": settings, "history": history})})

    def load(self, path: Path, settings: Record, device: str) -> list[Record]:
        """Go back to the state in ``path``; return the history that was saved with it.

        Raises:
            CheckpointError: if the run was of other settings, or the file is damaged.
        """
        try:
            with safe_open(path, framework="pt", device=device) as file:
                state: Record = json.loads(file.metadata()["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            history: list[Record] = state["history"]
            if state["config"] == settings:
                self._restore(tensors)
        except (OSError, SafetensorError, RuntimeError, TypeError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{path} is no run that can go on here (on another device, perhaps): remove the file to start anew."
            ) from error
        if state["config"] != settings:
            raise CheckpointError(f"{path} belongs to a run with other settings: repeat those, or remove the file.")
        return history

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_below("model.", tensors))
        for index, parameter in enumerate(self.model.parameters()):
            momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{index}"])  # keeps the memory format
            self.optimizer.state[parameter]["momentum_buffer"] = momentum
        if self.average is not None:
            self.average.load_state_dict(_below("average.", tensors))
        for name, generator in self.generators.items():
            generator.set_state(tensors[name].cpu())


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
