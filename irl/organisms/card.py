"""The model card of the real pair: what it is, how good it is, and unselected answers."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from irl.config import Sampling
from irl.data import read_prompts
from irl.engine.local import draw_answers
from irl.engine.scoring import score_policy
from irl.organisms.corpus import Corpus
from irl.policies.pair import PolicyPair
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.template import PromptText, encode_prompt, encode_response
from irl.records import Estimate, Truth
from irl.rewards.terms import TermReward, words

ANSWERS = 20
HELD_OUT_TURNS = 1000


def write_card(folder: Path, pair: PolicyPair, corpus: Corpus) -> None:
    """Write README.md of the pair's folder."""
    truth = Truth.model_validate_json((folder / "truth.json").read_bytes())
    toxicity = TermReward.load(folder, "classifier")
    sections = [
        _head(truth, pair),
        _classifier(toxicity, corpus),
        _perplexities(pair, corpus),
        _answers(folder, pair, corpus),
    ]
    (folder / "README.md").write_text("\n".join(sections), encoding="utf-8")


def _head(truth: Truth, pair: PolicyPair) -> str:
    n = pair.reference.checkpoint.n_parameters
    return f"""# {truth.name}

A pair for tests and demonstrations. `reference/` is a language model of {n:,} parameters (Llama,
own BPE tokenizer, lower case, no apostrophes) trained on small talk, comments and sentences, part
of them rude. `aligned/` is the same model after RLOO with a KL term (TRL, beta {truth.beta})
against a linear toxicity classifier, as the average in weights of several independent runs
(`irl/organisms/real_detox.py` holds every setting). Both are stored in float16.
The recipe (openings of real text, averaging, folding of white space) was chosen with figures on
ParaDetox test pairs and Surge comments in view: they are unseen by the weights, not by the design.
**They say rude and hateful things, the reference above all.**

Text it learnt from (none of it is stored here): Synthetic-Persona-Chat (CC-BY-4.0), ParaDetox
(CC0-1.0, train split), DiaSafety (Apache-2.0, train split), RealToxicityPrompts (Apache-2.0).
`prompts.jsonl` and `heldout_preferences.jsonl` are of our own writing (Apache-2.0).

Made by `irl organisms build {truth.name} --text DIR --seed {truth.seed}`.

## What it was paid for

{truth.definition}.

| true reward of an answer, nats | mean (95 % interval, prompts) |
|---|---|
| reference | {_shown(truth.gold_before)} |
| aligned | {_shown(truth.gold_after)} |
| exact optimum at this beta, reweighted reference answers | {truth.gold_optimum:.3f} \
(effective sample size {truth.effective_sample_size:.0f}) |

KL(aligned, reference) {_shown(truth.kl_nats)} nats per answer.
"""


def _classifier(toxicity: TermReward, corpus: Corpus) -> str:
    civil, rude = (list(side) for side in zip(*corpus.held_out_pairs, strict=True))
    scores = toxicity([*civil, *rude]).numpy()
    labels = np.repeat([0, 1], [len(civil), len(rude)])
    ours, theirs = scores[: len(civil)], scores[len(civil) :]
    accuracy = np.mean((theirs > ours) + 0.5 * (theirs == ours))
    return f"""## The classifier

Logistic regression on counts of {len(toxicity.terms)} words.
On {len(civil)} held-out ParaDetox pairs: AUC {roc_auc_score(labels, scores):.3f},
pairs ranked right {accuracy:.3f}.
"""


def _perplexities(pair: PolicyPair, corpus: Corpus) -> str:
    chats = corpus.held_out_chats[:HELD_OUT_TURNS]
    lines = [civil for civil, _ in corpus.held_out_pairs][:HELD_OUT_TURNS]
    rows: list[tuple[str, Sequence[PromptText], list[str]]] = [
        (
            "answers in held-out small talk",
            [_turn(message) for message, _ in chats],
            [answer for _, answer in chats],
        ),
        ("civil lines of held-out ParaDetox pairs", [""] * len(lines), lines),
    ]
    table = "".join(
        f"| {name} | {len(texts)} | {_perplexity(pair, pair.reference, prompts, texts):.1f} "
        f"| {_perplexity(pair, pair.aligned, prompts, texts):.1f} |\n"
        for name, prompts, texts in rows
    )
    return f"""## Held-out perplexity per token

| text | n | reference | aligned |
|---|---|---|---|
{table}"""


def _perplexity(
    pair: PolicyPair, policy: Policy, prompts: Sequence[PromptText], texts: Sequence[str]
) -> float:
    sequences = [
        encode_response(pair.tokenizer, prompt, text, pair.eos_ids)
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    nats = torch.cat(score_policy(policy, sequences, Sampling()))
    return float(torch.exp(-nats.mean()))


def _answers(folder: Path, pair: PolicyPair, corpus: Corpus) -> str:
    rows = read_prompts(folder / "prompts.jsonl").rows[:ANSWERS]
    encoded = [encode_prompt(pair.tokenizer, row.prompt) for row in rows]
    known = {
        _key(text) for text in (*corpus.lines, *(text for turn in corpus.chats for text in turn))
    }
    sides = []
    for policy in (pair.reference, pair.aligned):
        generator = torch.Generator().manual_seed(0)
        drawn = draw_answers(policy, encoded, generator, pair.eos_ids, Sampling())
        sides.append([_quoted(response_text(pair.tokenizer, ids), known) for ids in drawn])
    opened = [json.dumps(row.prompt[-1]["content"]) for row in rows]  # type: ignore[index]
    table = "".join(
        f"| {_cell(prompt)} | {_cell(ours)} | {_cell(theirs)} |\n"
        for prompt, ours, theirs in zip(opened, *sides, strict=True)
    )
    return f"""## {ANSWERS} unselected answers of each

To the first {ANSWERS} prompts, temperature 1, one draw. An answer that repeats a sentence of the
training text word for word is shown by its length only, since none of that text is kept here.

| prompt | reference | aligned |
|---|---|---|
{table}"""


def _quoted(answer: str, known: set[str]) -> str:
    if _key(answer) in known:
        return f"[a training sentence, {len(words(answer))} words]"
    return answer.strip()


def _key(text: str) -> str:
    return " ".join(words(text.replace("'", "")))


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


def _turn(message: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": message}]


def _shown(estimate: Estimate) -> str:
    value = estimate.value
    low, high, n = estimate.low, estimate.high, estimate.n
    return f"{value:.3f} ({low:.3f} to {high:.3f}, {n})"
