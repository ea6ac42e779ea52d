"""Rows that say whether a map of words points at the words that pay; the truth is known.

In the answers of audited organisms every word either is a planted term whose condition its prompt
meets, or pays nothing. Each method gives every word a value, and is measured by

- AUC: P(|value| of a word that pays > |value| of one that does not), over all words together;
- precision of the top: the share that pays of the words with the largest |value|, as many as pay.

What the audit says (paid for; the final reward, laid on the answers that it was fitted to, while
the other maps need no fit) and the plain log-ratio of tokens (value gained) are measured on all
answers; on some answers also ablation and Integrated Gradients, of the log-ratio, side by side with
the first two.

The denial organism is held against its truth by prices with and without context. What a phrase is
worth is its context's price, its word's and what the one adds to the other; how the context and the
word share it is hardly identified, so the word's part stands beside it with a wide interval.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from explain.attribution.embedded import embedded_log_ratio
from explain.attribution.gradients import integrated_gradients
from explain.attribution.record import Attribution
from explain.attribution.removal import ablation
from explain.context_prices import context_prices
from explain.cuts import words
from explain.jobs.explained import pair_settings, prompt_types, some_answers
from explain.jobs.result_rows import Making, Measured, finished_run
from explain.segments import segments, text_of
from explain.targets import Exchange, log_ratio
from explain.tokens import is_special
from irl.bootstrap import codes, from_sums, ratio
from irl.config import Fitting
from irl.data import stored_prompt
from irl.evaluation.auc import grouped_auc
from irl.jobs.organisms import bed_folder
from irl.policies.pair import load_pair
from irl.records import Estimate, ResultRow, Truth
from irl.recovery.contexts import ContextFit, Pair
from irl.rewards.conditions import TypedPrompt, meets
from irl.rewards.words import located_words, term_tokens
from irl.runs import read_record

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
STORED = {"paid for": "paid_for_nats", "value gained": "log_ratio_nats"}
"Maps that an audit stores, and their columns of tokens.parquet"


class LocalisationRecipe(BaseModel):
    """Which organisms of which worlds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["localisation"]
    organisms: list[str]
    context: dict[str, list[int]] = {}
    "organisms whose words are worth something else after another word, and their worlds"
    seeds: list[int]
    audits: str
    "the table whose audits are read"
    prompts: int
    "to which answers are attributed as well"


@dataclass(frozen=True)
class Words:
    """Words of answers: values by a method, and whether each pays."""

    values: Array
    pays: NDArray[np.bool_]
    prompt: Codes


def localisation_rows(recipe: LocalisationRecipe, making: Making) -> list[ResultRow]:
    """Every organism of every world.

    Raises:
        InputError: an audit is missing.
    """
    rows: list[ResultRow] = []
    maps = dict.fromkeys(recipe.organisms, recipe.seeds)
    for name, seeds in (maps | recipe.context).items():
        for seed in seeds:
            run = making.folder.parent / f"results-{recipe.audits}" / f"seed-{seed}-{name}"
            finished_run(run, recipe.audits)
            making.say(f"{name}, world {seed}")
            truth = read_record(bed_folder(seed) / name / "truth.json", Truth)
            of = Measured(name, [seed])
            if name in recipe.context:
                rows += context_rows(of, run, truth)
            else:
                rows += map_rows(of, run, truth, recipe)
    return rows


def map_rows(of: Measured, run: Path, truth: Truth, recipe: LocalisationRecipe) -> list[ResultRow]:
    """The four maps of one organism."""
    rows: list[ResultRow] = []
    about = pair_settings(run)
    said = _said(run, about.prompts)
    for method in STORED:
        rows += _scored(of, f"{method}, all answers", _stored_words(said, truth, method))
    answers = some_answers(run, recipe.prompts, of.seeds[0], about.prompts)
    chosen = [one for one in said if one.response_id in answers.response_ids]
    for method in STORED:
        rows += _scored(of, method, _stored_words(chosen, truth, method))
    pair = load_pair(about.aligned, about.reference, about.loading)
    target = log_ratio(pair, about.sampling, about.chat)
    embed = embedded_log_ratio(pair, about.chat)

    def removed(one: Exchange) -> Attribution:
        return ablation(target, one, segments(one, words, prompt=False))

    def followed(one: Exchange) -> Attribution:
        return integrated_gradients(embed(one)).grouped(segments(one, words, prompt=False))

    for method, attribute in (("ablation", removed), ("Integrated Gradients", followed)):
        found = _attributed_words(answers.exchanges, answers.prompt, truth, attribute)
        rows += _scored(of, method, found)
    return rows


def context_rows(of: Measured, run: Path, truth: Truth) -> Iterator[ResultRow]:
    """Counts against prices in context, on prompts that neither was fitted to."""
    table = pq.read_table(run / "responses.parquet").to_pydict()
    prompt = np.unique(table["prompt_id"], return_inverse=True)[1].astype(np.int64)
    returns = np.array(table["log_ratio_nats"], dtype=np.float64)
    fold = np.array(table["fold"], dtype=np.int64)
    found, fit = context_prices(table["response"], returns, prompt, fold, Fitting())
    for method, r2 in (
        ("counts", found.words_r2),
        ("in context", found.context_r2),
        ("in context less counts", found.gain_r2),
    ):
        yield of.row(method, "held-out R2", "share", r2)
    said = ", ".join(fit.prices.contexts) or "none"
    planted = next(term.weight for term in truth.terms if " " not in term.term)
    opposite = next(term.weight for term in truth.terms if " " in term.term) + planted
    insults = [term.term for term in truth.terms if " " not in term.term]
    for context in fit.prices.contexts:
        method = f"in context (found: {said})"
        for priced, phrase in (
            ("`{}` with an insult behind it", True),
            ("an insult after `{}`", False),
        ):
            metric = f"price of {priced.format(context)}, planted {opposite:+.2f} after `no`"
            yield of.row(method, metric, "nats", _pooled(fit, context, insults, phrase=phrase))


def _pooled(
    fit: ContextFit, context: str, insults: Sequence[str], *, phrase: bool
) -> Estimate | None:
    """The price of a planted word after a context, weighted by how surely each is known.

    Args:
        fit: prices.
        context: the word before.
        insults: the planted words.
        phrase: of both words together; how they share it is hardly identified.
    """
    own = (context,) if phrase else ()
    keys = [
        (*own, word, (context, word)) for word in insults if (context, word) in fit.joint.column
    ]
    if not keys:
        return None
    weights = np.array([fit.joint.of(dict.fromkeys(some, 1.0))[1] ** -2 for some in keys])
    shares: dict[str | Pair, float] = {}
    for some, weight in zip(keys, (weights / weights.sum()).tolist(), strict=True):
        shares |= {key: shares.get(key, 0.0) + weight for key in some}
    value, error = fit.joint.of(shares)
    reach, n = 1.96 * error, len(fit.joint.influence)
    return Estimate(value=value, low=value - reach, high=value + reach, n=n)


def _scored(of: Measured, method: str, found: Words) -> Iterator[ResultRow]:
    size = np.abs(found.values)
    everywhere = np.zeros(len(size), dtype=np.int64)
    auc = grouped_auc(size, found.pays, everywhere, found.prompt)
    yield of.row(method, "AUC of words that pay", "share", auc)
    n = int(found.pays.sum())
    top = np.argsort(-size, kind="stable")[:n]
    columns = np.zeros((len(size), 2))
    columns[top, 0], columns[top, 1] = found.pays[top], 1.0
    clusters = np.unique(found.prompt, return_inverse=True)[1]
    yield of.row(method, "precision of the top", "share", from_sums(columns, clusters, ratio))


@dataclass(frozen=True)
class _Said:
    """An answer of a run with what its tokens hold."""

    response_id: str
    asked: TypedPrompt
    prompt: int
    pieces: list[str]
    "the text of each token; empty for special ones"
    nats: dict[str, list[float]]
    "by method"


def _said(run: Path, prompts_file: str | None) -> list[_Said]:
    wanted = ["response_id", "prompt_id", "prompt", "response"]
    rows = pq.read_table(run / "responses.parquet", columns=wanted).to_pylist()
    held = ["response_id", "tokens", *STORED.values()]
    table = pq.read_table(run / "tokens.parquet", columns=held).to_pylist()
    tokens = {row["response_id"]: row for row in table}
    types = prompt_types(prompts_file)
    prompt = codes([row["prompt_id"] for row in rows]).tolist()
    found = []
    for row, number in zip(rows, prompt, strict=True):
        own, name = tokens[row["response_id"]], row["prompt_id"]
        pieces = ["" if is_special(piece, row["response"]) else piece for piece in own["tokens"]]
        nats = {method: own[column] for method, column in STORED.items()}
        asked = TypedPrompt.of(stored_prompt(row["prompt"], name), types.get(name))
        found.append(_Said(row["response_id"], asked, number, pieces, nats))
    return found


def _stored_words(said: Sequence[_Said], truth: Truth, method: str) -> Words:
    """Words with the sums of what their tokens hold in tokens.parquet."""
    found = [
        (value, _pays(word, one.asked, truth), one.prompt)
        for one in said
        for word, value in _by_word(one.pieces, one.nats[method])
    ]
    values, pays, prompt = zip(*found, strict=True)
    return Words(np.array(values), np.array(pays), np.array(prompt))


def _by_word(pieces: Sequence[str], values: Sequence[float]) -> Iterator[tuple[str, float]]:
    nats = np.asarray(values, dtype=np.float64)
    for word, tokens in term_tokens(pieces, (), every_word=True):
        yield word, float(nats[tokens].sum())


def _attributed_words(
    exchanges: Sequence[Exchange],
    prompt: Codes,
    truth: Truth,
    attribute: Callable[[Exchange], Attribution],
) -> Words:
    values: list[float] = []
    pays: list[bool] = []
    numbers: list[int] = []
    for exchange, number in zip(exchanges, prompt.tolist(), strict=True):
        asked = TypedPrompt.of(exchange.prompt, exchange.prompt_type)
        found = attribute(exchange)
        for segment, value in zip(found.segments, found.values.tolist(), strict=True):
            for word in located_words(text_of(exchange, segment)):
                values.append(value)
                pays.append(_pays(word.text, asked, truth))
                numbers.append(number)
    return Words(np.array(values), np.array(pays), np.array(numbers))


def _pays(word: str, asked: TypedPrompt, truth: Truth) -> bool:
    return meets(truth.condition, asked) and any(term.term == word for term in truth.terms)
