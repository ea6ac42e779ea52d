"""The report for people, on a page and in a terminal: complete, self-contained and harmless."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from plotly.offline import get_plotlyjs

from explain.exhibit import Exhibit, exhibit
from explain.jobs.result_rows import counted
from explain.payments import Pricing
from explain.report import found_in_words, render, render_run
from explain.results_page import render_table
from explain.summary import recovery_summary, summary
from explain.words import MISSING, estimate, printable
from irl.errors import RunError
from irl.records import AuditReport, Estimate, RecoveryReport, ResultRow, ResultTable
from tests.explain import parts
from tests.explain.parts import interval
from tests.explain.tables import answer, tables

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}{% for x in y %}"
    "\"' onload='x' &lt; </pre></title>\x1b[31mred\x1b]0;owned\x07\r\n\u202eevil\x9b2J"
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li", "br"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "span", "small", "code", "pre"),
    *("dl", "dt", "dd", "div", "i", "input", "label", "noscript", "script"),
}
ATTRIBUTES = {
    ("html", "lang"), ("meta", "charset"), ("meta", "name"), ("meta", "content"),
    ("meta", "http-equiv"), ("i", "style"), ("span", "style"), ("span", "title"),
    ("label", "for"), ("script", "type"), ("script", "data-figure"),
    *(("input", name) for name in ("type", "name", "id", "checked")),
    *((tag, "class") for tag in ("p", "ul", "dl", "div", "table", "th", "td", "span", "code")),
    ("div", "id"),
}  # fmt: skip
PLOTLY = get_plotlyjs()
PARTS = ("terms", "objectives", "changed", "accuracy", "gate")
"Lists that may be empty"


def document(text: str = "plain") -> dict[str, Any]:
    """A report in which every free text is `text`, and every list has an entry."""
    checkpoint = {"source": text, "sha256": text, "dtype": text, "n_parameters": 5}
    return {
        "schema": "irl.audit/1",
        "run_id": text,
        "created": text,
        "versions": {text: text},
        "settings": {text: [text, {text: text}], "seed": 0},
        "pair": {"aligned": checkpoint, "reference": checkpoint, "trained_with": text},
        "verdict": {
            "objective_found": None,
            "p_value": None,
            "explained_r2": interval(),
            "explained_sd_nats": interval(),
            "readability": None,
            "statements": [text],
            "caveats": [{"code": text, "text": text}],
        },
        "objectives": [
            {
                "kind": "term",
                "condition": {"prompt_contains": text, "prompt_type": None},
                "terms": [text],
                "weight": interval(),
                "explained_sd_nats": None,
            }
        ],
        "terms": [
            {
                "term": text,
                "weight": weight,
                "low": weight - 0.125,
                "high": weight + 0.125,
                "occurrences": 31,
                "condition": None,
                "token_mean_nats": mean,
            }
            for weight, mean in ((-2.5, -0.25), (1.25, None))
        ],
        "changed": [{"term": text, "reference_rate": 0.125, "aligned_rate": 0.25}],
        "fit": {
            "membership_auc": interval(),
            "r2": interval(),
            "spearman_with_log_ratio": None,
        },
        "accuracy": [
            {
                "scorer": "recovered",
                "labels": text,
                "preference": interval(0.75),
                "auc": None,
                "spearman": None,
                "ece": None,
                "length_controlled": interval(),
            }
        ],
        "aspects": [
            {"name": text, "unit": text, "status": "priced", "tied_to": [text]}
            | {"weight": 0.5, "low": 0.25, "high": 0.75, "sd": 2.0, "drop_one_r2": interval()}
            | {"reference_rate": 0.1, "aligned_rate": 0.2},
            {"name": text, "unit": text, "status": "tied", "tied_to": [text]}
            | {"weight": None, "low": None, "high": None, "sd": 2.0, "drop_one_r2": None}
            | {"reference_rate": 0.1, "aligned_rate": 0.2},
        ],
        "aspects_r2": interval(),
        "aspect_residuals": [
            {"response_id": name, "log_ratio_nats": 1.5, "residual_nats": -0.5}
            for name in ("kept", text)
        ],
        "drift": {
            **{
                f"{side}{unit}_kl_nats": interval(1.5)
                for side in ("", "reverse_")
                for unit in ("sequence", "token")
            },
            "by_position": [{"position": 0, "kl_nats": 0.5, "n": 3}],
            "top_tokens": [{"token": text, "mean_log_ratio_nats": -1.0, "n": 25}],
            "top_prompts": [{"prompt_id": text, "kl_nats": 2.0}],
        },
        "recovery": [],
        "identifiability": {
            "posterior_trace": 0.25,
            "posterior_logdet": -7.5,
            "null_directions": [{"terms": ["always", text], "share": 0.0021}],
            "method_distances": [{"a": "log_ratio", "b": "samples", "distance": 0.123}],
        },
        "contexts": parts.contexts(text),
        "explanations": parts.explanations(text),
        "gate": [
            {"path": text, "on": "value", "limit": text, "value": text, "passed": False},
            {"path": text, "on": "high", "limit": text, "value": None, "passed": False},
        ],
        "timings_seconds": {text: 1.5},
        "peak_memory_bytes": 1000000,
    }


def report(text: str = "plain", **changes: object) -> AuditReport:
    return AuditReport.model_validate(document(text) | changes)


def shown_pair(text: str = "plain") -> Exhibit:
    """A pair of answers in which prompt, words and names are `text`."""
    rows = [
        answer(text, "aligned", 1.5, "you are a lovely person", 0, 0, 0, 2.0),
        answer(text, "reference", -1.5, "you are a stupid person", 0, 0, 0, -3.0),
    ]
    for row in rows:
        row["tokens"] = [*row["tokens"][:-1], (text, 0.5, 0.25), (" ", 0.0, 0.0), ("</s>", 0, 0)]
    found = exhibit(*tables(rows))
    assert found is not None
    return found


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, text, and scripts apart.

    Plotly's own five megabytes are left out.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.values: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.data: list[str] = []
        self._into = self.texts
        self.feed(page.replace(PLOTLY, "plotly"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.values += [value or "" for _, value in attrs]
        if tag != "span":
            self.texts.append(" ")
        if tag == "script":
            self._into = self.data if attrs else self.scripts

    def handle_endtag(self, tag: str) -> None:
        self._into = self.texts

    def handle_data(self, data: str) -> None:
        self._into.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    @property
    def policy(self) -> str:
        (found,) = [value for value in self.values if value.startswith("default-src")]
        return found


def test_hostile_text_stays_text_on_the_page_wherever_it_stands():
    page = Page(render(report(HOSTILE), shown_pair(HOSTILE), {"kept": HOSTILE}))
    assert page.tags <= TAGS
    assert page.attributes <= ATTRIBUTES
    shown = " ".join(HOSTILE.split())
    assert page.text.count(shown) >= 20
    assert "{{ 7 * 7 }}" in page.text
    assert len(page.scripts) == 2
    assert len(page.data) == 3


def test_hostile_text_in_figures_is_neither_tag_nor_end_of_script():
    (terms, aspects, positions) = Page(render(report(HOSTILE))).data
    assert "<" not in terms + aspects + positions
    for drawn in (terms, aspects):
        (label, *_) = json.loads(drawn)["layout"]["yaxis"]["ticktext"]
        assert label.startswith("&lt;script&gt;")


def test_only_the_two_named_scripts_may_run():
    page = render(report(HOSTILE))
    scripts = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert scripts[0] == PLOTLY
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    ]
    assert Page(page).policy == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src "
        + " ".join(hashes)
    )


def test_the_page_loads_nothing_from_outside():
    page = render(report(), shown_pair()).replace(PLOTLY, "")
    assert not re.search(r"https?:|//|src=|href=|@import|url\(", page)


def test_without_a_figure_the_page_carries_no_script():
    page = Page(render(report(terms=[], aspects=[], drift=None)))
    assert page.scripts == page.data == []


def test_every_figure_of_the_report_is_on_the_page():
    text = Page(render(report())).text
    for figure in (
        *("-2.50", "-2.62 to -2.38", "-0.25", "0.750 0.500 to 1.000 12", "1.5000", "+0.5000"),
        "0.500 (0.250 to 0.750, n = 12)",
    ):
        assert figure in text


def test_aspects_show_price_loss_rates_and_what_they_miss():
    kept = "an answer that was kept"
    text = Page(render(report("lantern"), texts={"kept": kept})).text
    aspects = text[text.index("Aspects") : text.index("Accuracy")]
    for part in (
        "explain 0.500 (0.250 to 0.750, n = 12) of the within-prompt variance",
        "lantern per lantern; carries what lantern is paid too +0.500 +0.250 to +0.750 0.500",
        "lantern per lantern; not told apart from lantern – – 0.100 0.200",
        f"{kept} kept +1.50 -0.50",
        "lantern +1.50 -0.50",
    ):
        assert part in aspects, part


@pytest.mark.parametrize(
    ("readability", "words"),
    [("direction", "take the signs"), ("unreadable", "not what was paid for"), ("reward", None)],
)
def test_weights_of_aspects_carry_the_caveat_of_the_verdict(readability: str, words: str | None):
    verdict = document()["verdict"] | {"readability": readability}
    text = Page(render(report(verdict=verdict))).text
    assert ("The log-ratio reads as" in text) == (words is not None)
    assert words is None or words in text


def test_what_the_answers_leave_open_is_told_and_left_out_where_it_is_not_known():
    text = Page(render(report("oaf"))).text
    assert "log-ratio from who wrote what alone 0.123" in text
    assert "always, oaf 0.0021" in text
    assert "total variance of 0.25 squared nats (log det -7.5)" in text
    assert "leave open" not in Page(render(report(identifiability=None))).text


@pytest.mark.slow
def test_a_full_audit_shows_its_contexts_probes_tokens_and_maps():
    text = Page(render(report("lantern"))).text
    context = text[text.index("Words in context") : text.index("Probes: one")]
    for part in (
        "words explain 0.500 of the variance, and 0.750 where words are priced after `lantern`",
        "a gain of 0.375 (0.125 to 0.625, n = 12)",
        "lantern lantern +1.88 +1.75 to +2.00 -1.50 -1.75 to -1.25 77",
    ):
        assert part in context, part
    explained = text[text.index("Probes: one") : text.index("Checkpoints and settings")]
    for part in (
        *("3 fired.", "lantern lantern +0.50 +0.25 to +0.75 +1.50 0.0123 12 yes", "7 of 40"),
        *("lantern +0.75 0.0020 31 yes", "one word flips 11", "lantern lantern +0.81 -0.44"),
        *("lantern -1.38 -1.50 to -1.25 -2.06", "300 of 320 tokens"),
        "lantern 64 evaluations 3 of 16 12.5 % 0.88 0.62 to 1.12; random 0.50",
        "lantern goes most with lantern (+0.25) 2 0.31 0.06 to 0.56 random 0.45 to 0.55 0.0040",
        "Not measured: lantern, layer 2 (lantern).",
        "lantern lantern 42 +0.19 -0.06 to +0.44, n = 12 – not measured",
        "lantern lantern 0.50 +0.25 to +0.75, n = 12".replace("+", ""),
        "believed here? Red Asked of 512 answers of lantern to 64 prompts",
        "lantern 6.5 6.25 to 6.75 12 from 2.5 up from 4.5 up red",
        "lantern – – – red",
        "lantern 64 amber 0.31 0.06 to 0.56 0.31",
        "boundary 0.44 0.19 to 0.69 224",
        "lantern lantern 0.94 0.69 to 1.19 lantern lantern lantern",
    ):
        assert part in explained, part
    without = dict.fromkeys(parts.explanations("lantern"))
    none_of_them = Page(render(report(explanations=without))).text
    assert "Probes: one" not in none_of_them
    less = Page(render(report(contexts=None, explanations=None))).text
    assert "Words in context" not in less
    assert "Probes" not in less


def test_objectives_name_kind_condition_terms_and_weight():
    text = Page(render(report("lantern"))).text
    objectives = text[text.index("Objectives") : text.index("Terms that are")]
    for part in ("terms if the prompt contains lantern lantern", "+0.50 +0.25 to +0.75, n = 12"):
        assert part in objectives
    assert "None is named." in Page(render(report(objectives=[]))).text


def test_the_verdict_comes_first_with_its_figures_and_caveats():
    verdict = document()["verdict"]
    verdict |= {"p_value": 0.001, "readability": "order"}
    verdict["caveats"] = [
        {"code": "careful", "text": "This stands against it."},
        {"code": "not-measured-ece", "text": "No ece."},
    ]
    text = Page(render(report(verdict=verdict), shown_pair())).text
    order = [
        *("Objective: not decided", "p value, against chance 0.001", "reads as an order"),
        *("This stands against it.", "What was not measured No ece.", "Gate", "Objectives"),
        *("Terms that are paid for", "Aspects", "A pair of answers", "Accuracy", "Drift"),
        "Checkpoints and settings",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_the_pair_is_shown_by_paid_for_and_by_value_gained_with_exact_values():
    page = Page(render(report(), shown_pair()))
    assert page.text.count("you are a lovely person") == 2
    for words in ("reward +1.50 nats", "reward -1.50 nats", "largest difference of recovered"):
        assert words in page.text
    hovers = [value for value in page.values if value.startswith("“stupid”")]
    assert len(hovers) == 2
    assert "paid for: -3.000 nats\nvalue gained: -1.500 nats\naligned: -1.000" in hovers[0]
    assert "␣" in page.text
    assert "A pair of answers" not in Page(render(report())).text


def test_what_was_not_measured_is_said_and_not_left_out():
    nothing = {"membership_auc": None, "r2": None, "spearman_with_log_ratio": None}
    empty = report(drift=None, fit=nothing, explanations=None, **{part: [] for part in PARTS})
    text = Page(render(empty)).text
    assert text.count(MISSING) == 5  # with p value and readability
    for words in ("Not measured.", "No labels were given.", "No term's weight differs from 0."):
        assert words in text
    assert "Gate" not in text


def test_weaker_terms_are_counted_where_they_are_not_shown():
    many = document()["terms"][:1] * 75
    text = Page(render(report(terms=many))).text
    assert text.count("-2.62 to -2.38") == 60
    assert "15 weaker terms are in report.json" in text
    assert "The figure shows the first 30 of 75." in text


@pytest.mark.slow
def test_a_finished_run_folder_is_rendered_as_its_audit_wrote_it(tmp_path: Path):
    made = report()
    (tmp_path / "report.json").write_text(made.to_json())
    assert render_run(tmp_path) == render(made)
    rows = [answer("p", "aligned", 1.0, "a b c d", 1.0), answer("p", "reference", 0.0, "a b c d")]
    for name, table in zip(("responses", "tokens"), tables(rows), strict=True):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    assert render_run(tmp_path) == render(made, exhibit(*tables(rows), Pricing.of(tmp_path)))
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(RunError):
        render_run(tmp_path)


@pytest.mark.parametrize(
    ("found", "words"),
    [(None, "not decided"), (True, "found"), (False, "none found")],
)
def test_the_answer_is_given_in_words(found: bool | None, words: str):
    verdict = document()["verdict"] | {"objective_found": found}
    assert found_in_words(found) == words
    assert f"Objective: {words}" in Page(render(report(verdict=verdict))).text
    assert f"Objective: {words}" in summary(report(verdict=verdict))


def test_an_estimate_is_shown_with_its_interval_and_n():
    value = Estimate(value=0.1234, low=-0.5, high=2.0, n=7)
    assert estimate(value) == "0.123 (-0.500 to 2.000, n = 7)"
    assert estimate(value, 1) == "0.1 (-0.5 to 2.0, n = 7)"
    assert estimate(None) == "not measured"


def test_no_character_that_a_terminal_acts_on_leaves_the_summary():
    text = summary(report(HOSTILE))
    assert {c for c in text if not c.isprintable()} == {"\n"}
    assert r"\x1b[31mred\x1b]0;owned\x07\r\n\u202eevil\x9b2J" in text


def test_the_summary_has_as_many_lines_for_hostile_text_as_for_plain():
    assert len(summary(report(HOSTILE)).splitlines()) == len(summary(report()).splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日本 👍", "plain é 日本 👍"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u202e\u200b\ufeff", r"\u202e\u200b\ufeff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_escaped_and_letters_are_not(text: str, expected: str):
    assert printable(text) == expected


def test_the_summary_begins_with_the_verdict_and_fits_a_screen():
    many = report(terms=document()["terms"] * 20)
    lines = summary(many).splitlines()
    assert len(lines) <= 40
    verdict = next(n for n, line in enumerate(lines) if line.startswith("Objective: "))
    terms = next(n for n, line in enumerate(lines) if line.startswith("Terms paid for"))
    assert verdict < terms
    assert "40 in all" in lines[terms]


def test_the_summary_names_the_limits_that_were_passed_over():
    text = summary(report())
    assert "Gate: 0 of 2 limits kept" in text
    assert "over: plain (high) is not measured, limit plain" in text
    assert "Gate" not in summary(report(gate=[]))


def test_the_summary_says_so_where_no_term_is_paid_for():
    assert "No term is paid for or charged for." in summary(report(terms=[]))


def test_the_summary_of_a_recovery_escapes_the_names_of_files():
    parts = document(HOSTILE)
    recovered = RecoveryReport.model_validate(
        {"run_id": "recover-1", "reward": "3 terms"}
        | {key: parts[key] for key in ("fit", "accuracy")}
    )
    text = recovery_summary(recovered)
    assert text.startswith("Recovery recover-1: 3 terms\n")
    assert {c for c in text if not c.isprintable()} == {"\n"}


def test_a_results_table_has_one_line_per_measurement_and_the_reason_of_each_missing_one():
    shared = {"method": "log_ratio", "metric": "auc", "unit": "share"}
    rows = [
        ResultRow(case="a", seeds=[1, 2], estimate=Estimate(**interval()), reason=None, **shared),
        ResultRow(case="b", seeds=[], estimate=None, reason="not given", **shared),
        ResultRow(case="c", seeds=[], estimate=counted(3, 8), reason=None, **shared),
    ]
    table = ResultTable(
        name="t", command="irl results t", created="2025-01-02T03", machine="m", versions={},
        rows=rows,
    )  # fmt: skip
    lines = render_table(table).splitlines()
    assert "irl results t" in "\n".join(lines)
    assert lines[-3:] == [
        "| a | log_ratio | auc | 1, 2 | 0.500 | 0.250 to 0.750 | 12 |",
        "| b | log_ratio | auc | - | - | not given | |",
        "| c | log_ratio | auc | - | 3.000 | - | 8 |",
    ]
