"""Which levers make an attack faster: each against the same without it, on the robust model.

``torch.compile`` is not among them: on a CPU it calls a C++ compiler, which LSP Lab does not ask for.
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator

import torch
from torch import Tensor

from lsp_core.attacks import PGD
from lsp_core.bench.attacks import STEPS, compare, fooled_by
from lsp_core.bench.rivals import input_gradient
from lsp_core.bench.subject import Settings, Subject
from lsp_core.bench.timing import Arm, Row, race

BATCH_SIZES, USUAL = (32, 64, 128, 256, 512), 256  # evaluate's own batch size is the usual one
REPEAT = 3  # passes in one run


def all_levers(subject: Subject, settings: Settings) -> Iterator[Row]:
    """Compare each lever with the same without it."""
    for measure in (survivors, batch_sizes, passes, threads):
        yield from measure(subject, settings)


def survivors(subject: Subject, settings: Settings) -> Iterator[Row]:
    """Attack only what still stands."""
    for which, model in subject.models.items():
        images, labels = subject.right(which, settings.images, settings.seed)
        attacks = {stop: PGD(subject.eps[which], steps=STEPS, early_stop=stop == "on") for stop in ("on", "off")}
        arms = {stop: functools.partial(fooled_by, attack, model, images, labels) for stop, attack in attacks.items()}
        finding, figures = compare(arms["on"](), arms["off"]())
        timings = race(arms, settings.runs, device=settings.device, warm=False)
        what = f"survivors only, PGD-{STEPS}, {subject.dataset} {which}"
        yield Row("levers", what, "every example takes every step", timings["on"], timings["off"], finding, figures)


def batch_sizes(subject: Subject, settings: Settings) -> Iterator[Row]:
    """Pass the same images through in batches of several sizes: small ones stay in the cache."""
    sizes = [size for size in BATCH_SIZES if size <= settings.largest_batch]
    images, labels = subject.right("robust", sizes[-1], settings.seed)
    model = subject.models["robust"]

    def in_batches(size: int) -> None:
        for part, classes in zip(images.split(size), labels.split(size), strict=True):
            input_gradient(model, part, classes)

    arms: dict[str, Arm] = {str(size): functools.partial(in_batches, size) for size in sizes}
    timings = race(arms, settings.runs, device=settings.device)
    usual = str(min(USUAL, sizes[-1]))
    for name in arms:
        if name != usual:
            what = f"batches of {name}, passes of {len(images)} images, {subject.dataset}"
            yield Row("levers", what, f"batches of {usual}", timings[name], timings[usual])


def passes(subject: Subject, settings: Settings) -> Iterator[Row]:
    """Make the forward and backward pass itself cheaper."""
    images, labels = subject.right("robust", 128, settings.seed)
    model = subject.models["robust"]  # frozen, channels last
    plain = images.contiguous()
    trainable = copy.deepcopy(model).requires_grad_(True)
    contiguous = copy.deepcopy(model).to(memory_format=torch.contiguous_format)

    def low_precision() -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            return input_gradient(model, images, labels)

    def fill_parameters() -> None:
        trainable.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(trainable(images.detach().requires_grad_()), labels).backward()

    arms: dict[str, Arm] = {
        "ours": lambda: input_gradient(model, images, labels),
        "bfloat16": low_precision,
        "contiguous": lambda: input_gradient(contiguous, plain, labels),
        "trainable": lambda: input_gradient(trainable, images, labels),
        "filled": fill_parameters,
    }
    timings = race(arms, settings.runs, repeat=REPEAT, device=settings.device)
    agreement = (low_precision().sign() == input_gradient(model, images, labels).sign()).double().mean().item()
    title = f"pass, {subject.dataset}, batch of {len(images)}"
    ours, finding = timings["ours"], f"{agreement:.1%} of the gradient's signs agree"
    against = f"float32 {title}"
    yield Row(
        "levers", f"bfloat16 {title}", against, timings["bfloat16"], ours, finding, {"signs_that_agree": agreement}
    )
    yield Row("levers", f"channels last, {title}", "contiguous", ours, timings["contiguous"])
    yield Row("levers", f"frozen weights, {title}", "weights that require a gradient", ours, timings["trainable"])
    yield Row("levers", f"gradient of the images alone, {title}", "of the weights too", ours, timings["filled"])


def threads(subject: Subject, settings: Settings) -> Iterator[Row]:
    """Let two threads share a pass."""
    if torch.device(settings.device).type != "cpu" or (os.cpu_count() or 1) < 2:
        return
    images, labels = subject.right("robust", 128, settings.seed)
    model, before = subject.models["robust"], torch.get_num_threads()

    def with_threads(count: int) -> None:
        torch.set_num_threads(count)
        input_gradient(model, images, labels)

    try:
        arms: dict[str, Arm] = {"2": functools.partial(with_threads, 2), "1": functools.partial(with_threads, 1)}
        timings = race(arms, settings.runs, repeat=REPEAT, device=settings.device)
    finally:
        torch.set_num_threads(before)
    yield Row("levers", f"2 threads, pass, {subject.dataset}, batch of {len(images)}", "1", timings["2"], timings["1"])
