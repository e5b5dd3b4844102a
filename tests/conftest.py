"""What the tests share: tiny models, toy data, and one tiny trained checkpoint."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lsp_core
from lsp_core import precision
from lsp_core.cli import main as cli
from lsp_core.cli.console import console
from lsp_core.data import ImageDataset
from lsp_core.evaluation.entry import Entry, Fooled, pack
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.training import Trainer
from lsp_core.training.recipes import TrainConfig
from lsp_core.types import Classifier

torch.set_num_threads(1)  # the tests run side by side, a process a core


class TinyNet(Classifier):
    """A seeded classifier of 1x8x8 images: a convolution, a hidden layer, a linear head."""

    def __init__(self, seed: int = 0, classes: int = 5):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                nn.Conv2d(1, 6, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 24), nn.ReLU()
            )
            self.head = nn.Linear(24, classes)

    def features(self, images):
        return self.body(images)


class LinearPair(Classifier):
    """Two classes told apart by one hyperplane: logits (0, w.x + b)."""

    def __init__(self, weight: torch.Tensor, bias: float = 0.0):
        super().__init__()
        self.head = nn.Linear(weight.numel(), 2)
        self.head.weight.data = torch.stack([torch.zeros_like(weight.flatten()), weight.flatten()])
        self.head.bias.data = torch.tensor([0.0, bias])

    def features(self, images):
        return images.flatten(1)


class RowByRow(nn.Module):
    """Two layers without a matrix product: BLAS would sum in another order once fooled images have left the batch."""

    def __init__(self, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(12, 64, generator=generator) / 8)
        self.second = nn.Parameter(torch.randn(5, 12, generator=generator))

    def forward(self, images):
        hidden = (images.flatten(1)[:, None] * self.first).sum(2).relu()
        return (hidden[:, None] * self.second).sum(2)


class Counted(nn.Module):
    """A model that notes how many images every forward and every backward pass shows it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model, self.forwards, self.backwards = model, [], []
        self.eval()

    def forward(self, images):
        self.forwards.append(len(images))
        logits = self.model(images)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self.backwards.append(len(gradient)))
        return logits


class Stubborn(nn.Module):
    """Always right, and no pixel shows a way up: five classes, of which it sees only the first."""

    def forward(self, images):
        return torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]) + 0 * images.flatten(1).sum(1, keepdim=True)


class Pit(nn.Module):
    """Fooled only where the first pixel lies between 0.55 and 0.65: a step that goes on leaves the pit again."""

    def forward(self, images):
        x = images[:, 0, 0, 0]
        return torch.stack([torch.zeros_like(x), x - 1 + 2 * ((x > 0.55) & (x < 0.65))], 1)


class Scripted(nn.Module):
    """Two classes whose margin has the given values and gradients, call by call, wherever the images are.

    Attributes:
        values: (calls, N) or (calls,), the second logit minus the first.
        gradients: (calls, *images.shape[1:]); the last one stays.
        seen: the images of every call.
    """

    def __init__(self, values: torch.Tensor, gradients: torch.Tensor):
        super().__init__()
        self.values, self.gradients, self.seen = values, gradients, []
        self.eval()

    def forward(self, images):
        call = len(self.seen)
        self.seen.append(images.detach().clone())
        slope = (images * self.gradients[min(call, len(self.gradients) - 1)]).flatten(1).sum(1)
        lead = slope - slope.detach() + self.values[min(call, len(self.values) - 1)]
        return torch.stack([torch.zeros_like(lead), lead], 1)


def linear_case(seed: int = 0, count: int = 40):
    """A linear model of two classes, its weight (1,3,3), images far enough from 0 and 1 never to be clipped, labels."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(9, generator=generator)
    images = 0.3 + 0.4 * torch.rand(count, 1, 3, 3, generator=generator)
    model = LinearPair(weight, bias=-float(weight.sum() * 0.5)).eval()
    return model, weight.view(1, 3, 3), images, model(images).argmax(1).detach()


def random_batch(model: nn.Module, count: int = 24, seed: int = 0, shape=(1, 8, 8)):
    """Random images, labelled as the model sees them, so that an attack has something to do."""
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))
    return images, model(images).argmax(1).detach()


def alike(count: int, *shape: int, value: float = 0.5) -> torch.Tensor:
    """Images that no model tells apart, and yet no two the same: each has random numbers of its own."""
    return value + 1.2e-7 * torch.arange(count).view(-1, 1, 1, 1) * torch.ones(shape)  # two steps of float32 at 0.5


def toy_dataset(split="train", count=60, classes=3, size=8, channels=1, seed=0) -> ImageDataset:
    """Bright stripes whose place tells the class: a tiny model learns it in a few steps."""
    generator = torch.Generator().manual_seed(seed + (split == "test"))
    labels = torch.arange(count) % classes
    images = torch.randint(0, 60, (count, channels, size, size), generator=generator, dtype=torch.uint8)
    for row, label in enumerate(labels.tolist()):
        images[row, :, label * 2 : label * 2 + 2] += 150
    return ImageDataset("toy", split, images, labels, tuple(f"class {index}" for index in range(classes)))


def make_entry(clean=(True,) * 9 + (False,), robust=(True,) * 4 + (False,) * 6, **changes):
    """Return an entry of ten images: nine right before the attack, four after it, unless something else is said."""
    n, before, after = len(clean), sum(clean), sum(robust)
    facts = {
        "name": "pgd",
        "attack": "PGD",
        "label": "PGD-20",
        "norm": "Linf",
        "eps": 0.1,
        "settings": {"eps": 0.1, "steps": 20},
        "n": n,
        "clean_accuracy": before / n,
        "clean_interval": wilson_interval(before, n),
        "robust_accuracy": after / n,
        "robust_interval": wilson_interval(after, n),
        "fooled_by": (Fooled("PGD-20", before - after),),
        "clean_correct": pack(clean),
        "robust_correct": pack(robust),
        "forward_passes": 100,
        "backward_passes": 90,
        "seconds": 1.0,
        "dataset": "digits",
        "split": "test",
        "seed": 0,
    }
    return Entry(**{**facts, **changes})


def write_folder(base, titles, size=8):
    """Write a folder data set with one image a class and split."""
    for split in ("train", "test"):
        for label, title in enumerate(titles):
            (base / split / title).mkdir(parents=True)
            Image.fromarray(np.full((size, size), 20 * label, np.uint8)).save(base / split / title / "0.png")
    return base


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch, tmp_path):
    """No test reads or fills a person's own cache, or sees the models that a person has brought."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LSP_IMPORTED", str(tmp_path / "imported"))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command line in this process: its exit status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(console, "width", 250)  # which it may have read from the environment before
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["lsp_core", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def refused(run):
    """Run bad input: its one sentence."""

    def call(*arguments):
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        lines = [line for line in re.split(r"[\r\n]+", err) if line.strip()]
        assert len(lines) == 1, err
        assert lines[0].startswith("Error: ")
        assert "Traceback" not in err
        return lines[0]

    return call


@pytest.fixture(scope="session")
def digits_train():
    return lsp_core.load_dataset("digits", "train")


@pytest.fixture(scope="session")
def digits_test():
    return lsp_core.load_dataset("digits", "test")


@pytest.fixture(scope="session")
def trained_path(digits_train, tmp_path_factory) -> Path:
    """A small CNN after four epochs on the digits: good enough that attacks have something to break."""
    config = TrainConfig("digits", "cnn", epochs=4, batch_size=64, held_out=100, eps=0.1)
    trainer = Trainer(digits_train, config, tmp_path_factory.mktemp("trained"), command="tests")
    trainer.run()
    return trainer.path()


@pytest.fixture(scope="session")
def trained(trained_path):
    return lsp_core.load_checkpoint(trained_path)[0]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with MNIST and CIFAR-10, if this machine has it."""
    root = Path(os.environ.get("LSP_DATA") or Path(__file__).parent.parent / "data")
    if not root.is_dir():
        pytest.skip("MNIST and CIFAR-10 are not here: set LSP_DATA to the folder that holds them.")
    return root


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Let the processor be one of which torch says this (None: nothing), and the kernel that."""

    def make(avx512_bf16, amx_tile, kernel=None, limit=""):
        for kind, has in (("avx512_bf16", avx512_bf16), ("amx_tile", amx_tile)):
            name = f"_is_{kind}_supported"
            if has is None:
                monkeypatch.delattr(torch.cpu, name, raising=False)
            else:
                monkeypatch.setattr(torch.cpu, name, lambda has=has: has, raising=False)
        path = tmp_path / "cpuinfo"
        if kernel is not None:
            path.write_text(kernel)
        monkeypatch.setattr(precision, "CPUINFO", path)
        monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        precision._processor_has_it.cache_clear()

    yield make
    precision._processor_has_it.cache_clear()
