"""The attack on the page: begun where something new is to be seen, watched while it runs, and stopped."""

from __future__ import annotations

import time

import streamlit as st

from app.figures.text import sentence
from app.panels.player import draw_player
from app.panels.verdict import draw_verdict, told_afterwards
from app.state.jobs import Job, Request, submit, worker

QUICK = 0.8  # seconds to wait for a short attack before the page is drawn without its end
GLANCE = 0.25  # seconds between two looks at a running attack


def current_job(request: Request, asked: bool) -> Job:
    """Return the session's job; a new image or model, or the button, starts a new one."""
    job: Job | None = st.session_state.get("job")
    if job is None or asked or job.request.identity != request.identity:
        if job is not None:
            job.stop()
        job = submit(request, worker())
        st.session_state["job"] = job
        job.wait(QUICK)
    if job.request.attack != request.attack and not job.active:
        st.info("The settings have changed: press **Attack both** to see their effect.", icon=":material/tune:")
    return job


def watch(job: Job) -> None:
    """Draw verdict and player, again and again while the attack runs."""
    running = job.active

    @st.fragment(run_every=GLANCE if running else None)
    def look() -> None:
        job.looked_at = time.monotonic()
        if running and not job.active:
            st.rerun()  # the whole page: the rest follows, and the button can be pressed again
        draw_verdict(job)
        if job.active:
            bar, button = st.columns([4, 1], vertical_alignment="center")
            total = job.most_steps
            text = (
                f"step {job.steps_done} of {total}" if job.state == "running" else "waiting for another attack to end"
            )
            bar.progress(min(1.0, job.steps_done / total), text)
            button.button("Stop", key="stop-attack", on_click=job.stop, width="stretch")
        if any(lane.trace is not None for lane in job.lanes):
            draw_player(job, play=not running)
        for said in told_afterwards(job):
            st.caption(sentence(said))
        if running:
            job.wait(GLANCE / 2)  # an end is better seen at once than at the next look
            if not job.active:
                st.rerun()

    with st.container(key="watch"):
        look()
