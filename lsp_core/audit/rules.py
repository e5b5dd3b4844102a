"""All checks, in the order of the report: a new one is a function in the file of its kind, and a line here."""

from __future__ import annotations

from typing import NamedTuple

from lsp_core.audit import controls, curves, detours, effort, outputs
from lsp_core.audit.probe import Look
from lsp_core.audit.report import CONTROLS

CARLINI = "Carlini et al. 2019, On Evaluating Adversarial Robustness"
ATHALYE = "Athalye et al. 2018, Obfuscated Gradients Give a False Sense of Security"
PINTOR = "Pintor et al. 2022, Indicators of Attack Failure"
AUTOATTACK = "Croce and Hein 2020, AutoAttack"


class Rule(NamedTuple):
    """A check before it has seen a model.

    Attributes:
        source: the paper or project that it comes from.
        last: it looks at what all others ran, and so comes after them, wherever it stands.
    """

    look: Look
    source: str
    last: bool = False


RULES: dict[str, Rule] = {
    "outputs": Rule(outputs.distribution, f"{AUTOATTACK}: its check of the output"),
    "determinism": Rule(outputs.determinism, f"{AUTOATTACK}: its check for randomised defences"),
    "batch size": Rule(outputs.batch_size, f"{CARLINI}; TRADES, issue 3"),
    "input gradients": Rule(detours.input_gradients, f"{ATHALYE}; {AUTOATTACK}: its check for zero gradients"),
    "loss stability": Rule(detours.stability, f"{PINTOR}: unstable predictions"),
    "one step against many": Rule(curves.single_step, f"{ATHALYE}; {CARLINI}"),
    "cross-entropy against margin": Rule(effort.losses, f"{AUTOATTACK}; Carlini and Wagner 2017"),
    "targeted against untargeted": Rule(effort.targeted, f"{CARLINI}; {AUTOATTACK}"),
    "convergence": Rule(effort.convergence, f"{CARLINI}; {PINTOR}: incomplete optimisation"),
    "silent success": Rule(effort.silent_success, f"{PINTOR}: silent success"),
    "step size": Rule(effort.step_size, CARLINI),
    "restarts": Rule(effort.restarts, f"{CARLINI}; Mosbach et al. 2018"),
    "eps curve": Rule(curves.eps_curve, f"{ATHALYE}; {CARLINI}"),
    "unbounded attack": Rule(curves.unbounded, f"{ATHALYE}; Adversarial Robustness Toolbox, SecurityCurve"),
    "random noise": Rule(detours.random_noise, f"{ATHALYE}; {CARLINI}"),
    "transfer": Rule(detours.transfer, f"{CARLINI}; {PINTOR}: transfer failure"),
    "black box": Rule(detours.black_box, f"{ATHALYE}; {AUTOATTACK}: its check that Square adds nothing"),
    "budget": Rule(outputs.budget, CARLINI, last=True),
    "sample size": Rule(outputs.sample_size, "Wilson 1927"),
    CONTROLS: Rule(controls.known_answers, "positive controls, after Croce and Hein 2020 and Pintor et al. 2022"),
}
NOT_HERE = {
    "loss surface": "a picture for people to look at, with no rule that tells pass from fail",
    "best against last checkpoint": "it needs the log of the training, and this is given one model",
}
