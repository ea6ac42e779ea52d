"""Scores of what is typed: the tokens, the reward and the words of a few answers to one prompt.

Prompts and answers are read as those of the audit were, by its chat template, and scored in the
same way, so an answer of the audit that is typed again has the audit's log-ratio. Two kinds of
answers do not: one that was cut at the audit's longest length, since a typed answer ends where its
text does, and one whose tokens are not those into which its text is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from explain.cuts import words
from explain.jobs.workbench_reward import PricedReward
from explain.segments import segments, text_of
from explain.targets import Exchange, Target, encode_exchanges, log_ratio, remembered
from irl.config import ScoreSettings
from irl.data import Prompt
from irl.engine.scoring import score_policy
from irl.engine.sides import of_both
from irl.errors import InputError, IrlError
from irl.policies.pair import PolicyPair
from irl.policies.pieces import Pieces, response_text
from irl.policies.template import as_chat
from irl.records import Caveat
from irl.records.workbench import (
    Method,
    TypedAnswer,
    TypedAnswers,
    TypedMap,
    TypedQuestion,
    TypedToken,
    WordValue,
    Worth,
)
from irl.rewards.conditions import TypedPrompt
from irl.tensors import TokenSequence

_NO_TYPE = Caveat(
    code="prompt-type-unknown",
    text="The reward depends on the type of the prompt, which nobody knows of a prompt that is not "
    "among the audit's; so no reward is told.",
)


@dataclass(frozen=True)
class Worths:
    """What one answer is worth; see `TypedAnswer`."""

    reward: Worth | None = None
    over_first: Worth | None = None
    over_before: Worth | None = None


@dataclass(frozen=True)
class Read:
    """Answers to one prompt, as the policies read them."""

    exchanges: list[Exchange]
    sequences: list[TokenSequence]
    texts: list[str]
    "what stands in the table of an audit"


@dataclass(frozen=True)
class Bench:
    """The pair and the reward of an audit, ready to score."""

    pair: PolicyPair
    about: ScoreSettings
    "how the audit read and scored its answers"
    priced: PricedReward | None
    chats: bool
    "whether all prompts of the audit are chats"
    spread: float = 0.0
    "of its log-ratios within prompts, nats; 0 where that is not known"
    caveats: tuple[Caveat, ...] = ()

    def answer(self, question: TypedQuestion) -> TypedAnswers:
        """Score the answers of a question.

        Raises:
            InputError: the prompt or an answer cannot be read, or they are too long.
        """
        start = perf_counter()
        prompt = self._prompt(question)
        read = self._read(prompt, question.responses)
        asked = None if self.priced is None else self.priced.asked(prompt)
        tokens = self._tokens(read, asked)
        worths = self._worths(read, asked, self._before(prompt, question))
        maps, missing = self._maps(question.attribution, read.exchanges)
        if self.priced is not None and asked is None:
            missing.append(_NO_TYPE)
        return TypedAnswers(
            answers=[
                TypedAnswer(
                    tokens=own,
                    log_ratio_nats=float(np.sum([token.log_ratio_nats for token in own])),
                    attribution=its,
                    **vars(worth),
                )
                for own, worth, its in zip(tokens, worths, maps, strict=True)
            ],
            as_chat=not isinstance(as_chat(prompt, self.about.chat), str),
            caveats=[*self.caveats, *missing, *_signs(self.pair, question)],
            seconds=perf_counter() - start,
        )

    def _prompt(self, question: TypedQuestion) -> Prompt:
        if not isinstance(question.prompt, str):
            return tuple(turn.model_dump() for turn in question.prompt)
        if self.chats:
            return ({"role": "user", "content": question.prompt},)
        return question.prompt

    def _read(self, prompt: Prompt, responses: Sequence[str]) -> Read:
        exchanges = [Exchange(prompt, response) for response in responses]
        sequences = encode_exchanges(self.pair, exchanges, self.about.chat)
        texts = [response_text(self.pair.tokenizer, one.response_ids) for one in sequences]
        return Read(exchanges, sequences, texts)

    def _before(self, prompt: Prompt, question: TypedQuestion) -> list[str | None]:
        """What each answer was, as it was read."""
        given = [*question.before, *[None] * len(question.responses)][: len(question.responses)]
        texts = iter(self._read(prompt, [text for text in given if text is not None]).texts)
        return [None if text is None else next(texts) for text in given]

    def _tokens(self, read: Read, asked: TypedPrompt | None) -> list[list[TypedToken]]:
        sampling = self.about.sampling
        nats = of_both(self.pair, lambda _, side: score_policy(side, read.sequences, sampling))
        pieces = Pieces(self.pair.tokenizer)
        special = frozenset(pieces.special_ids)
        found = []
        for one, *both in zip(read.sequences, *nats.values(), strict=True):
            sides = np.stack([side.double().numpy() for side in both])
            if not np.isfinite(sides).all():
                raise InputError("A policy gives tokens of this text no finite probability.")
            texts, signs = pieces(one.response_ids), [at in special for at in one.response_ids]
            paid: Sequence[float | None] = [None] * len(texts)
            if self.priced is not None and asked is not None:
                said = ["" if sign else text for text, sign in zip(texts, signs, strict=True)]
                paid = self.priced.reward.paid_for(said, asked)
            rows = zip(texts, signs, *sides.tolist(), paid, strict=True)
            found.append([TypedToken(**dict(zip(_FIELDS, row, strict=True))) for row in rows])
        return found

    def _worths(
        self, read: Read, asked: TypedPrompt | None, before: Sequence[str | None]
    ) -> list[Worths]:
        if self.priced is None or asked is None:
            return [Worths()] * len(read.texts)
        now = self.priced.features(read.texts, asked)
        then = self.priced.features([text or "" for text in before], asked)
        return [
            Worths(
                reward=self.priced.worth(now[at]),
                over_first=self.priced.worth(now[at] - now[0]) if at else None,
                over_before=None if was is None else self.priced.worth(now[at] - then[at]),
            )
            for at, was in enumerate(before)
        ]

    def _maps(
        self, method: Method, exchanges: Sequence[Exchange]
    ) -> tuple[list[TypedMap | None], list[Caveat]]:
        """What words contribute; where a pair does not allow it, the reason."""
        if method == "none":
            return [None] * len(exchanges), []
        target = remembered(log_ratio(self.pair, self.about.sampling, self.about.chat))
        try:
            return [self._map(method, one, target) for one in exchanges], []
        except IrlError as error:
            caveat = Caveat(code="not-attributed", text=f"Words have no values: {error}")
            return [None] * len(exchanges), [caveat]

    def _map(self, method: Method, exchange: Exchange, target: Target) -> TypedMap | None:
        """The prompt stays as it is where it can: its constant is not what is explained."""
        into = segments(exchange, words, prompt=False)
        if not into:
            return None
        gap = of_prompt = None
        if method == "ablation":
            from explain.attribution.removal import ablation  # loads captum

            found = ablation(target, exchange, into)
        else:
            from explain.attribution.embedded import embedded_log_ratio
            from explain.attribution.gradients import integrated_gradients

            embedded = embedded_log_ratio(self.pair, self.about.chat)(exchange)
            fine = integrated_gradients(embedded, self.spread)
            found, gap = fine.grouped(into), fine.relative_gap(self.spread)
            of_prompt = float(fine.values.sum() - found.values.sum())
        texts = [text_of(exchange, segment) for segment in into]
        pairs = zip(texts, found.values.tolist(), strict=True)
        return TypedMap(
            method=method,
            words=[WordValue(text=text, nats=nats) for text, nats in pairs],
            whole_nats=found.target - found.baseline,
            prompt_nats=of_prompt,
            gap=gap,
        )


def _signs(pair: PolicyPair, question: TypedQuestion) -> list[Caveat]:
    """Signs of the model's own that were typed, and what they do."""
    prompt, tokenizer = question.prompt, pair.tokenizer
    asked = [prompt] if isinstance(prompt, str) else [turn.content for turn in prompt]
    typed = "\n".join([*asked, *question.responses])
    known = dict.fromkeys(map(str, tokenizer.all_special_tokens))
    signs = [sign for sign in known if sign and sign in typed]
    if not signs:
        return []
    ends = [str(end) for end in tokenizer.convert_ids_to_tokens(sorted(pair.eos_ids))]
    text = f"{', '.join(signs)} is read as a sign of the model's own, not as text."
    if any(answer.partition(end)[2] for answer in question.responses for end in ends):
        text += " What follows the first sign that ends an answer is not scored."
    return [Caveat(code="signs-typed", text=text)]


_FIELDS = ("text", "special", "aligned_nats", "reference_nats", "paid_for_nats")
