"""May a reward be believed on some responses? The light, why, and which need a person."""

from pathlib import Path
from typing import Any, Final, get_args

import streamlit as st

from dashboard import loading, triage
from dashboard.answers import Page
from dashboard.widgets.address import choose, here
from dashboard.widgets.pages import open_page, turn_pages
from dashboard.widgets.plain import PLOT, estimate, fact, sentences, table, told
from dashboard.widgets.row_choice import choose_row
from explain import trust_figures
from irl.errors import RunError
from irl.records import Signal, TrustGroup, TrustReport
from irl.records.trust import Category

EVERY: Final = "all"
CATEGORIES: Final = (EVERY, *get_args(Category))
QUESTION: Final = "May this reward be believed here?"
ROW_KEY: Final = "triage of {}, {}, {}"
MEANING: Final = (
    "Out of distribution: further from what the reward was fitted to than 95 % of held-out "
    "answers. Locally wrong: among its nearest held-out pairs it errs more than elsewhere, for "
    "certain. Boundary: its members call it even. An answer may be several; the first counts."
)
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn
_check = st.column_config.CheckboxColumn


def show_trust(run: loading.Run) -> None:
    """The light first, then what it stands on.

    Raises:
        RunError: the run's report or table cannot be read.
    """
    report = loading.record(run.path, loading.TRUST_FILE, TrustReport)
    st.title(f"{QUESTION} {report.lamp.colour.capitalize()}")
    show_light(report)
    _groups(report.groups)
    _triage(run.path, report)


def show_light(report: TrustReport) -> None:
    """What was asked, why the light has its colour, and the measures that it stands on."""
    with st.container(horizontal=True, gap="medium"):
        fact("reward", report.reward)
        fact("on", report.source)
        fact("members", str(report.members))
        fact("data of", report.data_policy)
    with st.container(border=True):
        for reason in report.lamp.reasons:
            st.text(reason)
    sentences("What stands against it", report.caveats)
    _measures(report)


def _measures(report: TrustReport) -> None:
    found = report.measures
    st.subheader("What was measured")
    st.caption(
        f"{found.responses} responses to {found.prompts} prompts. Variance alone never makes the "
        "light green: members that were fitted alike err alike."
    )
    with st.container(horizontal=True):
        estimate("KL(policy ‖ data), nats", found.kl_nats, 2)
        estimate("effective share of the data", found.effective_share, 2)
        estimate("distance to the data", found.distance, 2)
    names = ("measure", "value", "no longer green", "red", "light", "why")
    columns = {name: _text(name) for name in names}
    table([_signal(one) for one in report.signals], columns, height="content")


def _signal(one: Signal) -> dict[str, Any]:
    way = "up" if one.worse == "high" else "down"
    return {
        "measure": one.name,
        "value": told(one.value),
        "no longer green": None if one.amber is None else f"from {one.amber:.3g} {way}",
        "red": None if one.red is None else f"from {one.red:.3g} {way}",
        "light": one.colour,
        "why": one.reason,
    }


def _groups(groups: list[TrustGroup]) -> None:
    if not groups:
        return
    st.subheader("By group of prompts")
    st.caption(
        "Epistemic: what the members disagree on, which more data would settle. Aleatoric: what "
        "they agree is even."
    )
    st.plotly_chart(
        trust_figures.plane_of_groups(groups),
        config=PLOT,
        alt="Epistemic over aleatoric variance of each group of prompts",
    )
    names = ("prompts", "light", "KL", "share beyond the data", "spread of members")
    table([_group(one) for one in groups], {name: _text(name) for name in names})


def _group(one: TrustGroup) -> dict[str, Any]:
    return {
        "prompts": one.group,
        "light": one.colour,
        "KL": told(one.measures.kl_nats),
        "share beyond the data": told(one.measures.beyond),
        "spread of members": told(one.measures.spread),
    }


def _triage(run: Path, report: TrustReport) -> None:
    st.subheader("Which responses need a person")
    st.caption(MEANING)
    st.plotly_chart(
        trust_figures.categories(report.triage),
        config=PLOT,
        alt="Share of the responses in each category of the triage",
    )
    st.caption("How well each detector finds what was planted for it; one half: not at all.")
    rows = [
        {"detector": one.name, "AUC": told(one.auc), "planted": one.planted, "none": one.reason}
        for one in report.detectors
    ]
    columns = {"detector": _text("detector"), "AUC": _text("AUC")}
    columns |= {"planted": _text("planted", width="large"), "none": _text("why there is none")}
    table(rows, columns, height="content")
    category = choose("Shown", CATEGORIES, "category", page=None, response=None)
    page = triage.sorted_out(run, None if category == EVERY else category, open_page())
    _list(page, ROW_KEY.format(run.name, category, page.number))
    turn_pages(page, "responses")
    if (response := here().response) is not None:
        _read(run, response)


def _list(page: Page, key: str) -> None:
    columns: dict[str, Any] = {
        "category": _text("category"),
        "prompt": _text("prompt", width="medium"),
        "response": _text("response", width="large"),
        "distance": _number("distance", format="%.2f", help="Held-out answers have 1."),
        "margin": _number("margin", format="%.2f", help="|2 P - 1| over the data's answers."),
        "local_error": _number("local error", format="%.2f"),
        "local_error_low": _number("low", format="%.2f"),
        "local_error_high": _number("high", format="%.2f"),
        "local_pairs": _number("pairs"),
    }
    choose_row(page.rows, columns, key)


def _read(run: Path, response_id: str) -> None:
    """A response beside the held-out answers that it is nearest to."""
    try:
        row = triage.triaged(run, response_id)
    except RunError as error:
        st.text(str(error))
        return
    with st.container(border=True):
        with st.container(horizontal=True, gap="medium"):
            fact("category", row["category"])
            fact("probability of beating the data's answers", f"{row['probability']:.2f}")
            fact("distance", f"{row['distance']:.2f}")
        st.code(f"{row['prompt']}\n\n{row['response']}", language=None, wrap_lines=True)
        st.caption("The nearest held-out answers, and whether the reward errs on their pairs")
        columns: dict[str, Any] = {
            "text": _text("answer", width="large"),
            "distance": _number("distance", format="%.2f"),
            "wrong": _check("ranked wrong"),
        }
        near = zip(
            *(row[f"neighbour_{name}"] for name in ("texts", "distances", "wrong")), strict=True
        )
        rows = [{"text": text, "distance": far, "wrong": bool(bad)} for text, far, bad in near]
        table(rows, columns, height="content")
