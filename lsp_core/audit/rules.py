"""All checks: a new one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lsp_core.audit import controls, curves, detours, effort, outputs
from lsp_core.audit.probe import Probe
from lsp_core.audit.report import CONTROLS, Finding

CARLINI = "Carlini et al. 2019, On Evaluating Adversarial Robustness"
ATHALYE = "Athalye et al. 2018, Obfuscated Gradients Give a False Sense of Security"
PINTOR = "Pintor et al. 2022, Indicators of Attack Failure"
AUTOATTACK = "Croce and Hein 2020, AutoAttack"


class Rule(NamedTuple):
    """A check before it has seen a model; ``look`` may raise ``LeftOut``."""

    name: str
    look: Callable[[Probe], Finding]
    source: str


RULES = (
    Rule("outputs", outputs.distribution, f"{AUTOATTACK}: its check of the output"),
    Rule("determinism", outputs.determinism, f"{AUTOATTACK}: its check for randomised defences"),
    Rule("batch size", outputs.batch_size, f"{CARLINI}; TRADES, issue 3"),
    Rule("input gradients", detours.input_gradients, f"{ATHALYE}; {AUTOATTACK}: its check for zero gradients"),
    Rule("loss stability", detours.stability, f"{PINTOR}: unstable predictions"),
    Rule("one step against many", curves.single_step, f"{ATHALYE}; {CARLINI}"),
    Rule("cross-entropy against margin", effort.losses, f"{AUTOATTACK}; Carlini and Wagner 2017"),
    Rule("targeted against untargeted", effort.targeted, f"{CARLINI}; {AUTOATTACK}"),
    Rule("convergence", effort.convergence, f"{CARLINI}; {PINTOR}: incomplete optimisation"),
    Rule("silent success", effort.silent_success, f"{PINTOR}: silent success"),
    Rule("step size", effort.step_size, CARLINI),
    Rule("restarts", effort.restarts, f"{CARLINI}; Mosbach et al. 2018"),
    Rule("eps curve", curves.eps_curve, f"{ATHALYE}; {CARLINI}"),
    Rule("unbounded attack", curves.unbounded, f"{ATHALYE}; Adversarial Robustness Toolbox, SecurityCurve"),
    Rule("random noise", detours.random_noise, f"{ATHALYE}; {CARLINI}"),
    Rule("transfer", detours.transfer, f"{CARLINI}; {PINTOR}: transfer failure"),
    Rule("black box", detours.black_box, f"{ATHALYE}; {AUTOATTACK}: its check that Square adds nothing"),
    Rule("budget", outputs.budget, CARLINI),
    Rule("sample size", outputs.sample_size, "Wilson 1927"),
    Rule(CONTROLS, controls.known_answers, "positive controls, after Croce and Hein 2020 and Pintor et al. 2022"),
)
NOT_HERE = {
    "loss surface": "a picture for people to look at, with no rule that tells pass from fail",
    "best against last checkpoint": "it needs the log of the training, and this is given one model",
}
