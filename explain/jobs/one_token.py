"""The job `irl tokens`: every answer of one token, for given prompts, exactly.

1. A vocabulary up to `exact_up_to` is scored whole; of a larger one, the tokens that are worth
   asking are chosen by the first part of the log-ratio, and what that leaves out is stated.
2. Score each token with the end of the answer after it, in shards of prompts.
3. Average over prompts; put fitted weights beside the words, if a run is given; write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from explain.jobs.one_token_scores import Asking, TokensSettings
from explain.one_token import Ids, OneTokenNats, OneTokenView, ranked, view
from irl.engine.shards import Progress, silent
from irl.errors import InputError
from irl.jobs.scoring import Asked, asked_of, input_hashes, prompts_of
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.pieces import Pieces
from irl.policies.quiet import quiet_libraries
from irl.policies.template import as_chat, end_token
from irl.records import AuditReport, Caveat, LeftOut, OneTokenAnswer, OneTokenReport, Term
from irl.rewards.words import words
from irl.runs import RunFolder, file_sha256, find_run, now, open_run, read_record, versions

ONE_TOKEN_FILE = "one_token.json"
LISTED = 20
"Best and worst answers in the report; the table has all"
_CAVEATS = {
    "one-token-at-a-time": "Intervals are over prompts, of one token at a time: of many tokens, "
    "some keep away from 0 by chance.",
    "constant-of-the-prompt": "0 is the mean of the reference's own answers of one token to a "
    "prompt; what a prompt adds to all answers is not identified.",
    "off-the-map": "Answers that are less likely than the floor under both policies are marked, "
    "and not ranked: training hardly ever saw them, so their log-ratio is no evidence.",
    "not-inside-answers": "An answer of one token is equally long as any other and has no word "
    "beside it. What a word is worth inside longer answers is its fitted weight.",
}


@dataclass(frozen=True)
class OneTokenRun:
    """A finished view."""

    run: RunFolder
    report: OneTokenReport
    was_finished: bool
    "True if the run was found finished and nothing was done"


def one_token_answers(
    aligned: str | Path,
    reference: str | Path | None = None,
    *,
    prompts: str | Path,
    out: str | Path | None = None,
    fresh: bool = False,
    **settings: Any,
) -> OneTokenReport:
    """The view from a script; `settings` as in `TokensSettings`.

    Raises:
        InputError: a file or setting cannot be used.
        PolicyError: the pair cannot be scored.
        RunError: the run folder cannot be written or holds another run.
    """
    given = {"aligned": str(aligned), "prompts": str(prompts), **settings}
    if reference is not None:
        given["reference"] = str(reference)
    resolved = TokensSettings.checked(given)
    return run_tokens(resolved, None if out is None else Path(out), fresh=fresh).report


def run_tokens(
    settings: TokensSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
) -> OneTokenRun:
    """Score answers of one token; continue an unfinished run, return a finished one."""
    quiet_libraries()
    table = prompts_of(settings)
    audit = None if settings.run is None else find_run(settings.run) / "report.json"
    pair = load_pair(settings.aligned, settings.reference, settings.loading)
    weights = {} if audit is None else _fitted_by(audit, pair)
    inputs = input_hashes(pair, table) | ({"run": file_sha256(audit)} if audit else {})
    run = open_run("tokens", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        kept = read_record(run.path / ONE_TOKEN_FILE, OneTokenReport)
        return OneTokenRun(run, kept, was_finished=True)
    asked = asked_of(run, pair, table, settings)
    report = token_answers(run, settings, pair, asked, weights, progress)
    counts = {"prompts": report.prompts, "tokens": report.tokens}
    run.finish(counts | {"refused_rows": len(asked.refused)})
    return OneTokenRun(run, report, was_finished=False)


def token_answers(
    run: RunFolder,
    settings: TokensSettings,
    pair: PolicyPair,
    asked: Asked,
    weights: dict[str, Term],
    progress: Progress,
) -> OneTokenReport:
    """Score answers of one token to given prompts; one_token.json comes last.

    Args:
        run: where one_token.parquet and one_token.json go.
        settings: which tokens.
        pair: the pair.
        asked: the prompts.
        weights: of terms, to be put beside the words.
        progress: of the prompts.
    """
    chats = [as_chat(row.prompt, settings.chat) for row in asked.rows]
    ends = [end_token(pair.tokenizer, chat, pair.eos_ids) for chat in chats]
    asking = Asking(pair, asked.encoded, ends, settings, run.parts, progress)
    tokens, left_out = asking.tokens()
    nats = asking.nats(tokens)
    seen = view(nats, settings.floor, settings.bootstrap_draws, settings.seed)
    answers = _described(pair, tokens, seen, weights, len(ends))
    report = _report(run, pair, _Scored(answers, nats, seen, left_out), settings)
    flat = [answer.model_dump() for answer in answers]
    run.write_table("one_token.parquet", pa.Table.from_pylist(flat, schema=ONE_TOKEN))
    run.write_text(ONE_TOKEN_FILE, report.to_json())
    return report


_TEXT, _NUMBER, _FLAG, _COUNT = pa.string(), pa.float64(), pa.bool_(), pa.int64()
ONE_TOKEN = pa.schema(
    [("token_id", _COUNT), ("token", _TEXT), ("special", _FLAG)]
    + [(name, _NUMBER) for name in ("value", "low", "high")]
    + [("n", _COUNT)]
    + [(name, _NUMBER) for name in ("first_nats", "end_nats")]
    + [(f"{side}_probability", _NUMBER) for side in ("aligned", "reference")]
    + [("off_map", _FLAG)]
    + [(name, _NUMBER) for name in ("term_weight", "term_low", "term_high")],
    metadata={"schema": "irl.one-token/1"},
)


@dataclass(frozen=True)
class _Scored:
    answers: list[OneTokenAnswer]
    nats: OneTokenNats
    seen: OneTokenView
    left_out: LeftOut | None


def _fitted_by(file: Path, pair: PolicyPair) -> dict[str, Term]:
    """The words that an audit of this pair found to be paid for."""
    report = read_record(file, AuditReport)
    for side in ("aligned", "reference"):
        if getattr(report.pair, side).sha256 != getattr(pair, side).checkpoint.sha256:
            raise InputError(
                f"The run {file.parent} is an audit of another pair: its {side} policy was "
                f"{getattr(report.pair, side).source}; give the run of this pair."
            )
    return everywhere(report.terms)


def everywhere(terms: Sequence[Term]) -> dict[str, Term]:
    """The terms that are paid whatever the prompt, by name."""
    return {term.term: term for term in terms if term.condition is None}


def _described(
    pair: PolicyPair, tokens: Ids, seen: OneTokenView, weights: dict[str, Term], n_prompts: int
) -> list[OneTokenAnswer]:
    pieces = Pieces(pair.tokenizer)
    special = frozenset(pieces.special_ids)
    answers = []
    for at, (token, piece) in enumerate(zip(tokens.tolist(), pieces(tokens.tolist()), strict=True)):
        word = words(piece) if token not in special else []
        term = weights.get(word[0]) if len(word) == 1 else None
        answers.append(
            OneTokenAnswer(
                token_id=token,
                token=piece,
                special=token in special,
                value=float(seen.value[at]),
                low=_told(seen.low[at]),
                high=_told(seen.high[at]),
                n=n_prompts,
                first_nats=float(seen.first[at]),
                end_nats=float(seen.end[at]),
                aligned_probability=float(seen.aligned_probability[at]),
                reference_probability=float(seen.reference_probability[at]),
                off_map=bool(seen.off_map[at]),
                term_weight=None if term is None else term.weight,
                term_low=None if term is None else term.low,
                term_high=None if term is None else term.high,
            )
        )
    return answers


def _told(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _report(
    run: RunFolder, pair: PolicyPair, scored: _Scored, settings: TokensSettings
) -> OneTokenReport:
    answers = scored.answers
    order = _ranked(answers, scored.seen, pair)
    shares = [
        float(np.exp(side).sum(1).mean()) for side in (scored.nats.aligned, scored.nats.reference)
    ]
    return OneTokenReport(
        schema="irl.one-token/1",
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        settings=settings.model_dump(mode="json"),
        aligned=pair.aligned.checkpoint,
        reference=pair.reference.checkpoint,
        prompts=len(scored.nats.aligned),
        tokens=len(answers),
        left_out=scored.left_out,
        aligned_share=shares[0],
        reference_share=shares[1],
        floor=settings.floor,
        off_map=int(scored.seen.off_map.sum()),
        best=[answers[at] for at in order[: (len(order) + 1) // 2][:LISTED]],
        worst=[answers[at] for at in order[::-1][: len(order) // 2][:LISTED]],
        caveats=[Caveat(code=code, text=text) for code, text in _CAVEATS.items()],
    )


def _ranked(answers: Sequence[OneTokenAnswer], seen: OneTokenView, pair: PolicyPair) -> Ids:
    """Special tokens are no answers, but for the end alone, which is the empty one."""
    said = [not one.special or one.token_id in pair.eos_ids for one in answers]
    return ranked(seen, np.array(said))
