"""What every core is worth: batches side by side, one after the other, and with all threads inside each pass."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from lsp_core.attacks import PGD
from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.timing import Measurement, race
from lsp_core.evaluation.craft import craft
from lsp_core.workers import pick_workers

STEPS = 10
GAIN = 0.9  # of the cores: two must do 1.8 times what one does


def every_core(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare PGD by all workers with one worker, and with one batch at a time that all threads share."""
    workers = pick_workers(None, pair.device)
    if workers == 1:
        return
    images, labels = pair.right("robust", extent.images, extent.seed)
    model, attack = pair.models["robust"], PGD(pair.eps["robust"], steps=STEPS, early_stop=False)
    arms = {
        "all": functools.partial(craft, attack, model, images, labels),
        "one": functools.partial(craft, attack, model, images, labels, workers=1),
        "threads": functools.partial(attack, model, images, labels),
    }
    made = {name: arm() for name, arm in arms.items()}
    timings = race(arms, extent.runs, device=extent.device, warm=False)
    what = f"PGD-{STEPS} of {len(images)} images, {pair.dataset} robust, {workers} workers"
    for rival, against, limit in (
        ("one", "1 worker", 1 / (GAIN * workers)),
        ("threads", f"{torch.get_num_threads()} threads in a pass", 1.0),
    ):
        same = made["all"].equal(made[rival])
        finding = "the same images, bit for bit" if same else "the images differ"
        times, agrees = (timings["all"], timings[rival]), same or rival != "one"
        yield Measurement("cores", what, against, *times, finding, {"same": same}, limit, agrees)
