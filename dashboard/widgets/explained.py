"""What `irl audit --full` explains: maps and their faithfulness, concepts, probes, trust."""

from typing import Any

import streamlit as st

from dashboard.widgets.plain import fact, sentences, table, told
from dashboard.widgets.trust import QUESTION, show_light
from irl.records import AuditReport, TrustReport
from irl.records.attribution import AttributionMethod, AttributionReport
from irl.records.concepts import ConceptScore, ConceptsReport
from irl.records.probes import ProbeFinding, ProbesReport

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn
_check = st.column_config.CheckboxColumn


def show_explanations(report: AuditReport) -> None:
    """Each part, or what would add it."""
    parts = report.explanations
    if parts is None:
        st.caption(
            "irl audit --full adds maps by five attribution methods with their faithfulness, "
            "concepts, probes, and whether the reward may be believed on the aligned policy."
        )
        return
    if parts.attribution is not None:
        _attribution(parts.attribution)
    if parts.concepts is not None:
        _concepts(parts.concepts)
    if parts.probes is not None:
        _probes(parts.probes)
    if parts.trust is not None:
        _trust(parts.trust)


def _trust(found: TrustReport) -> None:
    st.subheader(f"{QUESTION} {found.lamp.colour.capitalize()}")
    st.caption("The page Trust has its groups of prompts and the responses that need a person.")
    show_light(found)


def _attribution(found: AttributionReport) -> None:
    st.subheader("Maps of words, and whether to believe them")
    with st.container(horizontal=True, gap="medium"):
        fact("of the", found.target)
        fact("by", found.by)
        fact("answers", str(found.methods[0].answers if found.methods else 0))
    st.caption(
        "Lost without the top words, and with them alone, as shares of what the answer is worth, "
        "beside the same for random orders. Infidelity: 0 is perfect, 1 is what values of nought "
        "get. Shuffled weights: rank correlation with the map of a model that has learnt nothing; "
        "near 0 is right."
    )
    names = (
        "do not add up",
        "lost without",
        "lost with alone",
        "left (area)",
        "there (area)",
        "infidelity",
        "shuffled weights",
    )
    columns = {name: _text(name) for name in ("method", *names)}
    table([_method(one) for one in found.methods], columns, height="content")
    sentences("What stands against these maps", found.caveats)


def _method(one: AttributionMethod) -> dict[str, Any]:
    by_construction = "by construction" if one.method == "kernel-shap" else "need not"
    return {
        "method": one.method,
        "do not add up": by_construction if one.unmet is None else f"{one.unmet} of {one.answers}",
        "lost without": _beside(one, "comprehensiveness"),
        "lost with alone": _beside(one, "sufficiency"),
        "left (area)": _beside(one, "deletion_area"),
        "there (area)": _beside(one, "insertion_area"),
        "infidelity": told(one.infidelity, 2),
        "shuffled weights": told(one.control_agreement, 2),
    }


def _beside(one: AttributionMethod, name: str) -> str | None:
    measured, chance = getattr(one, name), getattr(one, f"{name}_random")
    if measured is None:
        return None
    own = f"{measured.value:.2f} ({measured.low:.2f} to {measured.high:.2f})"
    return own if chance is None else f"{own}; random {chance.value:.2f}"


def _concepts(found: ConceptsReport) -> None:
    st.subheader("Concepts: directions in hidden states")
    st.caption(
        f"{sum(one.fired for one in found.concepts)} fired. Score: of two answers to a prompt, how "
        "often the one further along the direction is worth more; one half is no relation. A "
        "direction is no cause."
    )
    with st.container(horizontal=True, gap="medium"):
        fact("worth by the", found.target)
        fact("slope in", f"{found.unit} per standard deviation")
    columns: dict[str, Any] = {"concept": _text("concept"), "layer": _number("layer")}
    columns |= {name: _text(name) for name in ("score", "random concepts", "slope", "others fixed")}
    columns |= {"p": _number("corrected p", format="%.4f"), "fired": _check("fired")}
    columns["note"] = _text("note")
    table([_concept(one) for one in found.concepts], columns, height="content")
    sentences("What stands against these concepts", found.caveats)


def _concept(one: ConceptScore) -> dict[str, Any]:
    chance = one.score_random
    return {
        "concept": one.name,
        "layer": one.layer,
        "score": told(one.score, 2),
        "random concepts": None if chance is None else f"{chance[0]:.2f} to {chance[1]:.2f}",
        "slope": told(one.slope, 2),
        "others fixed": told(one.held_fixed, 2),
        "p": one.p_corrected,
        "fired": one.fired,
        "note": one.reason,
    }


def _probes(found: ProbesReport) -> None:
    st.subheader("Probes: one thing is changed")
    st.caption(
        f"{found.n_fired} fired: what answers are worth more or less when they are edited, p "
        "corrected for the number of probes."
    )
    with st.container(horizontal=True, gap="medium"):
        fact("worth by the", found.target)
        fact("in", found.unit)
    columns: dict[str, Any] = {"edit": _text("edit"), "effect": _text("effect")}
    columns |= {
        "sd": _number("in sd", format="%+.2f", help="Within prompts, of the run's own answers."),
        "p": _number("corrected p", format="%.4f"),
        "fired": _check("fired"),
        "said": _text("in words", width="large"),
    }
    table([_probe(one) for one in found.bias], columns, height="content")
    sentences("What stands against these probes", found.caveats)


def _probe(one: ProbeFinding) -> dict[str, Any]:
    return {
        "edit": one.name,
        "effect": told(one.effect, 2),
        "sd": one.effect_sd,
        "p": one.p_corrected,
        "fired": one.fired,
        "said": one.statement if one.effect is not None else one.reason,
    }
