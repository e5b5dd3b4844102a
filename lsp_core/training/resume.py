"""What a run that was cut off needs to go on with the same result, in one safetensors file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lsp_core.store.checkpoint import CheckpointError, save_tensors
from lsp_core.training.config import TrainConfig
from lsp_core.training.log import EpochLog, Past
from lsp_core.training.partition import Partition
from lsp_core.types import Classifier, Record


@dataclass(frozen=True)
class RunState:
    """All that changes from step to step: ``save`` writes it to a file, and ``load`` sets it back to a file's.

    Attributes:
        generators: the random streams, by name.
        average: of the weights, None if none is kept.
    """

    model: Classifier
    optimizer: torch.optim.Optimizer
    generators: Mapping[str, torch.Generator]
    average: AveragedModel | None = None

    def save(self, path: Path, config: TrainConfig, parts: Partition, history: list[EpochLog]) -> None:
        """Write the state to ``path`` (atomic), with what the run trains on, its settings and its epochs so far."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if config.momentum:
            for index, parameter in enumerate(self.model.parameters()):
                tensors[f"momentum.{index}"] = self.optimizer.state[parameter]["momentum_buffer"]
        if self.average is not None:
            tensors |= {f"average.{key}": value for key, value in self.average.state_dict().items()}
        tensors |= {name: generator.get_state() for name, generator in self.generators.items()}
        logs = [dataclasses.asdict(log) for log in history]
        state = {"config": config.to_record(), "data": parts.to_record(), "history": logs}
        save_tensors(path, tensors, {"state": json.dumps(state)})

    def load(self, path: Path, asked: TrainConfig, parts: Partition, device: str) -> Past:
        """Go back to the state in ``path``; return the settings and the history that were saved with it.

        Raises:
            CheckpointError: if the run was of other settings or other images, or the file is damaged.
        """
        try:
            with safe_open(path, framework="pt", device=device) as file:
                state: Record = json.loads(file.metadata()["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            history = [EpochLog(**entry) for entry in state["history"]]
            config, agrees = self._begun(state, asked), parts.agrees(state["data"])
            if config is not None and agrees:
                self._restore(tensors, config)
                return Past(config, history)
        except (OSError, SafetensorError, RuntimeError, TypeError, KeyError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{path} is no run that can go on here (on another device, perhaps): remove the file to start anew."
            ) from error
        other = "settings" if config is None else "images"
        raise CheckpointError(f"{path} belongs to a run with other {other}: repeat those, or remove the file.")

    def _begun(self, state: Record, asked: TrainConfig) -> TrainConfig | None:
        """Return the settings of a saved state, None if they are not what is asked for."""
        try:
            begun = TrainConfig.from_record(state["config"])
        except ValueError:
            return None
        return begun if begun == asked.as_begun(begun) else None

    def _restore(self, tensors: dict[str, Tensor], config: TrainConfig) -> None:
        self.model.load_state_dict(_below("model.", tensors))
        for index, parameter in enumerate(self.model.parameters() if config.momentum else ()):
            momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{index}"])  # keeps the memory format
            self.optimizer.state[parameter]["momentum_buffer"] = momentum
        if self.average is not None:
            self.average.load_state_dict(_below("average.", tensors))
        for name, generator in self.generators.items():
            generator.set_state(tensors[name].cpu())


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
