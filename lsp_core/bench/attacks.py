"""Our attacks against other people's: the time, and which examples each fools."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from torch import Tensor, nn

from lsp_core.attacks import ATTACKS, PGD, Ensemble
from lsp_core.attacks.describe import label
from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.rivals import foolbox_fooled, input_gradient, plain_fooled
from lsp_core.bench.timing import Arm, Measurement, race
from lsp_core.evaluation import evaluate
from lsp_core.precision import pick_precision
from lsp_core.radius import show_eps
from lsp_core.types import Attack, Record

STEPS = 20
PGD_LIMIT = {"ours": {"plain": 0.5, "robust": 0.65}, "half": {"plain": 0.3, "robust": 0.35}}
REACH = 0.95  # share of the margin that bfloat16 must have taken for float32 to look again
ENSEMBLES = {"ours": "fast", "theirs": "autoattack"}
ENSEMBLE_LIMIT, POINTS, MISSED = 0.1, 0.002, 1  # of the time; at most 0.2 points fewer fooled; that only theirs fools
DUELS = (
    ("ours", "foolbox", "foolbox LinfPGD"),
    ("half", "foolbox", "foolbox LinfPGD"),
    ("ours", "plain", "plain loop"),
)
PASS_BATCHES = (16, 128)


def pgd(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare an evaluation under PGD-20 with foolbox's PGD and with a plain loop of the same steps.

    Ours on every core, theirs with every thread. Once all in float32; and once, where the device has bfloat16, with the
    way looked for in it, and in float32 again by images that it brought near the border.
    """
    for which, model in pair.models.items():
        images, labels = pair.right(which, extent.images, extent.seed)
        # The plain model also at the radius that its data set is usually attacked with, where nothing is left of it.
        for eps in sorted({pair.eps[which], pair.eps["robust"]}):
            ours = PGD(eps, steps=STEPS, random_start=False)
            half = Ensemble((dataclasses.replace(ours, precision="bfloat16"), ours), reach=(0, REACH))
            plan = (model, images, labels, eps, ours.step_size, STEPS)
            arms = {
                "ours": functools.partial(fooled_by, ours, model, images, labels),
                "foolbox": functools.partial(foolbox_fooled, *plan),
                "plain": functools.partial(plain_fooled, *plan),
            }
            if pick_precision("auto", pair.device) == "bfloat16":
                arms["half"] = functools.partial(fooled_by, half, model, images, labels)
            verdicts = {name: arm() for name, arm in arms.items()}
            timings = race(arms, extent.runs, device=extent.device, warm=False)
            for name, rival, title in DUELS:
                if name not in arms:
                    continue
                finding, figures = compare(verdicts[name], verdicts[rival])
                way = " by way of bfloat16" if name == "half" else ""
                usual = eps == pair.eps[which] and rival == "foolbox"
                yield Measurement(
                    "pgd",
                    f"PGD-{STEPS}{way}, {pair.dataset} {which}, eps {show_eps(eps)}, {len(images)} images",
                    title,
                    timings[name],
                    timings[rival],
                    finding,
                    figures,
                    PGD_LIMIT[name][which] if usual else None,
                    figures["only_theirs"] == 0,
                )


def ensemble(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare our fast ensemble on every core with AutoAttack standard on every thread."""
    for which, model in pair.models.items():
        eps = pair.eps[which]
        images, labels = pair.right(which, extent.referee_images, extent.seed)
        attacks = {arm: ATTACKS[name].make(eps, seed=extent.seed) for arm, name in ENSEMBLES.items()}
        verdicts: dict[str, Tensor] = {}

        def attack_with(
            name: str,
            attack: Attack,
            model: nn.Module = model,
            images: Tensor = images,
            labels: Tensor = labels,
            verdicts: dict[str, Tensor] = verdicts,
        ) -> None:
            verdicts[name] = fooled_by(attack, model, images, labels)

        arms = {name: functools.partial(attack_with, name, attack) for name, attack in attacks.items()}
        # No uncounted first call, for AutoAttack takes minutes; one pass instead, to set up what is set up once.
        input_gradient(model, images, labels)
        timings = race(arms, extent.referee_runs, device=extent.device, warm=False)
        finding, figures = compare(verdicts["ours"], verdicts["theirs"])
        enough = figures["ours"] >= figures["theirs"] - POINTS * figures["n"] and figures["only_theirs"] <= MISSED
        names = {arm: ATTACKS[name].short(label(attacks[arm])) for arm, name in ENSEMBLES.items()}
        what = f"{names['ours']}, {pair.dataset} {which}, eps {show_eps(eps)}, {len(images)} images"
        times = (timings["ours"], timings["theirs"])
        yield Measurement("ensemble", what, names["theirs"], *times, finding, figures, ENSEMBLE_LIMIT, enough)


def passes(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare a step of PGD with the bare forward and backward pass that it cannot do without."""
    model, eps = pair.models["robust"], pair.eps["robust"]
    attack = PGD(eps, steps=STEPS, random_start=False, early_stop=False)
    for batch in PASS_BATCHES:
        images, labels = pair.right("robust", batch, extent.seed)

        def bare(images: Tensor = images, labels: Tensor = labels) -> None:
            for _ in range(STEPS):
                input_gradient(model, images, labels)

        arms: dict[str, Arm] = {"ours": functools.partial(attack, model, images, labels), "theirs": bare}
        timings = race(arms, extent.runs, device=extent.device)
        what = f"{STEPS} PGD steps, {pair.dataset} robust, batch of {len(images)}"
        yield Measurement("passes", what, f"{STEPS} bare passes", timings["ours"], timings["theirs"])


def fooled_by(attack: Attack, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return which images (N,) bool, all of them right before, an evaluation finds fooled."""
    return ~evaluate(model, images, labels, attack).robust_correct


def compare(ours: Tensor, theirs: Tensor) -> tuple[str, Record]:
    """Return in words and in figures who fooled what, from two verdicts (N,) bool.

    >>> import torch
    >>> compare(torch.tensor([True, True, False]), torch.tensor([True, False, False]))[0]
    'fooled: ours 2, theirs 1 of 3; only ours 1, only theirs 0'
    """
    figures: Record = {
        "n": len(ours),
        "ours": int(ours.sum()),
        "theirs": int(theirs.sum()),
        "only_ours": int((ours & ~theirs).sum()),
        "only_theirs": int((theirs & ~ours).sum()),
    }
    words = "fooled: ours {ours}, theirs {theirs} of {n}; only ours {only_ours}, only theirs {only_theirs}"
    return words.format(**figures), figures
