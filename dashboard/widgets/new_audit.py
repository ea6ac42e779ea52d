"""Start an audit by a form, and see how far those that were started are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import streamlit as st

from dashboard import jobs, loading
from irl.config import AuditSettings, TrainedWith
from irl.errors import IrlError

LIVE_SECONDS: Final = 2
PAIR: Final = ("aligned", "reference", "prompts", "preferences", "trained_with")
"Settings that say what is audited"


def offer_audit(runs: Sequence[loading.Run]) -> None:
    """A form for the pairs at hand.

    No path is typed here: a pair is one that lies with the models, or that was audited before.
    """
    pairs = loading.pairs() | _audited(runs)
    with st.expander("Start an audit"):
        if not pairs:
            st.text("No pair is here yet; `irl audit --aligned A --reference R` makes a first run.")
            return
        with st.form("new_audit", border=False):
            settings = _asked(pairs)
            if st.form_submit_button("Start", type="primary"):
                _start(settings)
        st.caption("It runs in a process of its own and goes on when this page is closed.")


@st.fragment(run_every=LIVE_SECONDS)
def show_jobs() -> None:
    """Audits that were started here, and are not done with."""
    root = loading.roots()[0]
    shown = jobs.jobs(root)
    finished = [job for job in shown if job.state == "finished"]
    for job in finished:
        jobs.forget(job)
    if finished:
        st.rerun()  # the table of runs has a new row
    for job in shown:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.text(f"{job.name}: {job.state}", width="content")
            st.text(job.last_line or "starting", width="stretch")
            if job.state == "working":
                st.button("Stop", key=f"stop {job.name}", on_click=jobs.stop, args=(job,))
                continue
            again, gone = f"go on {job.name}", f"forget {job.name}"
            st.button("Go on", key=again, on_click=_again, args=(job,))
            st.button("Forget", key=gone, on_click=jobs.forget, args=(job,))


def _again(job: jobs.Job) -> None:
    jobs.go_on(job.root, job.name)


def _audited(runs: Sequence[loading.Run]) -> dict[str, dict[str, Any]]:
    """The pairs of audits that are here, by what they are."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.report is not None:
            settings = {name: run.report.settings.get(name) for name in PAIR}
            label = f"{settings['aligned']} against {settings['reference']}"
            found.setdefault(label, settings)
    return found


def _asked(pairs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    with st.container(horizontal=True):
        name = st.selectbox("Pair", list(pairs), key="new_pair", width="stretch")
        known: Sequence[str] = get_args(TrainedWith)
        trained = st.selectbox(
            "Trained with", ["as recorded", *known], key="new_trained_with", width=160
        )
    with st.container(horizontal=True):
        limit = st.number_input("Prompts, at most", 20, 100_000, 320, key="new_limit")
        each = st.number_input("Answers to each, of each policy", 2, 256, 8, key="new_each")
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="new_seed")
        full = st.checkbox(
            "Full",
            key="new_full",
            help="Also attribution, probes, concepts and answers of one token; takes much longer.",
        )
    chosen = dict(pairs[name])
    if trained != "as recorded":
        chosen["trained_with"] = trained
    chosen = {key: value for key, value in chosen.items() if value is not None}
    more = {"prompt_limit": int(limit), "seed": int(seed), "full": bool(full)}
    return chosen | more | {"sampling": {"responses_per_prompt": int(each)}}


def _start(settings: dict[str, Any]) -> None:
    try:
        AuditSettings.checked(settings)
        job = jobs.start(Path(loading.roots()[0]).resolve(), settings)
    except IrlError as error:
        st.text(str(error))
        return
    st.text(f"{job.name} was started.")
