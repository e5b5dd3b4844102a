"""An audit as HTML: chips and verdict on one line, which opens to the list of checks."""

from __future__ import annotations

from html import escape

from app.state.audits import STATUSES, Audited
from lsp_core.audit import Check
from lsp_core.radius import show_eps

SIGNS = {"pass": "✓", "warn": "!", "fail": "✕"}
MOST_FIGURES = 8  # of one list


def chips(audited: Audited | None) -> str:
    """Return a chip per status with its count; without an audit, one that says so."""
    if audited is None:
        return '<span class="status none">not audited</span>'
    counts = {status: sum(check.status == status for check in audited.report.checks) for status in STATUSES}
    return "".join(
        f'<span class="status {status if count else "none"}">{SIGNS[status]} {count} {status}</span>'
        for status, count in counts.items()
    )


def checklist(audited: Audited | None, title: str) -> str:
    """Return the audit of one checkpoint; ``title`` is HTML."""
    if audited is None:
        return f'<div class="audit"><div class="line">{title}{chips(None)}</div></div>'
    report = audited.report
    verdict = one_line(report.verdict[:1].upper() + report.verdict[1:].removesuffix("."))
    ordered = sorted(report.checks, key=lambda check: -STATUSES.index(check.status))
    left_out = "; ".join(f"{one_line(name)} ({one_line(reason)})" for name, reason in report.left_out)
    low, high = report.accuracies["robust_interval"]
    about = (
        f"{report.form} form on {report.n} test images of {audited.dataset}, {report.norm} {show_eps(report.eps)}, "
        f"seed {report.seed}{f', {audited.date}' if audited.date else ''}. Clean "
        f"{report.accuracies['clean_accuracy']:.1%}, worst case of all its white-box runs "
        f"{report.accuracies['robust_accuracy']:.1%} ({low:.1%} to {high:.1%})."
    )
    return (
        f'<details class="audit"><summary><span class="line">{title}{chips(audited)}</span>'
        f'<span class="says">{verdict}.</span></summary>'
        f"<p>Audit in {one_line(about)} What passes is no proof: an attack made for this model may still find more.</p>"
        f"<ul>{''.join(_item(check) for check in ordered)}</ul>"
        f"{f'<p>Left out: {left_out}.</p>' if left_out else ''}</details>"
    )


def _item(check: Check) -> str:
    figures = ", ".join(f"{one_line(name.replace('_', ' '))} {_number(value)}" for name, value in check.figures.items())
    facts = [f"<dt>a sign if</dt><dd>{one_line(check.threshold)}</dd>"]
    facts += [f"<dt>figures</dt><dd>{figures}</dd>"] if figures else []
    facts += [f"<dt>source</dt><dd>{one_line(check.source)}</dd>"]
    return (
        f"<li><details{'' if check.status == 'pass' else ' open'}><summary>"
        f'<span class="status {check.status}" title="{check.status}">{SIGNS[check.status]}</span>'
        f"<span><b>{one_line(check.name)}</b> {one_line(check.evidence)}</span></summary>"
        f"<dl>{''.join(facts)}</dl></details></li>"
    )


def _number(value: float | int | list[float] | list[int]) -> str:
    if isinstance(value, list):
        more = " …" if len(value) > MOST_FIGURES else ""
        return f"[{', '.join(f'{item:.4g}' for item in value[:MOST_FIGURES])}{more}]"
    return f"{value:.4g}"


def one_line(text: str) -> str:
    """Escape text for HTML; a line break would end the block of HTML in Markdown."""
    return escape(" ".join(text.split()))
