"""Can this pair be audited, and how fine is its ruler?

Each check looks at one thing that has silently spoiled published comparisons: other tokenizers,
doubled BOS, missing end tokens, half precision, batch mates that change a score.
"""

from collections.abc import Iterator

from irl.policies.pair import PolicyPair, template_sha256
from irl.policies.policy import Policy
from irl.policies.template import encode_prompt, encode_response
from irl.records import Check
from irl.tensors import TokenSequence

BATCH_TOLERANCE_NATS = 1e-3
_PROBE_TEXTS = (
    "Yes.",
    "I would rather not say, but thank you for asking me about it.",
    "The weather has been fine all week, and we walked to the market twice.",
    "No, and please do not ask again.",
)


def examine(pair: PolicyPair) -> list[Check]:
    """All checks of a pair that could be loaded, in reading order."""
    return [*_reading(pair), *_numbers(pair)]


def noise_floor_nats(policy: Policy, sequences: list[TokenSequence]) -> float:
    """The largest change of a response's summed nats when it is scored alone or in a batch."""
    together = policy.nats(sequences)
    alone = [policy.nats([sequence])[0] for sequence in sequences]
    return max(
        abs(float(one.double().sum() - other.double().sum()))
        for one, other in zip(together, alone, strict=True)
    )


def _reading(pair: PolicyPair) -> Iterator[Check]:
    yield Check(name="tokenizers", status="ok", text="both read text alike")
    ours, theirs = (template_sha256(side.tokenizer) for side in (pair.aligned, pair.reference))
    same = ours == theirs
    yield Check(
        name="chat template",
        status="ok" if same else "warning",
        text=f"{(ours or 'none')[:12]}"
        + ("" if same else f", the reference's is {(theirs or 'none')[:12]}: ours serves both"),
    )
    ids = encode_prompt(pair.tokenizer, "Hello")
    bos = pair.tokenizer.bos_token_id
    yield Check(
        name="BOS",
        status="ok",
        text=f"id {bos}, {'put' if ids[0] == bos else 'not put'} before plain text, never doubled",
    )
    ends = pair.aligned.eos_ids == pair.reference.eos_ids and bool(pair.eos_ids)
    yield Check(
        name="EOS",
        status="ok" if ends else "warning",
        text=f"a response ends at {sorted(pair.eos_ids)}"
        + ("" if ends else "; the two sides name different ends, or none"),
    )
    pad = pair.tokenizer.pad_token_id
    yield Check(
        name="pad", status="ok", text=f"id {pad}; padded positions are masked, so it never counts"
    )


def _numbers(pair: PolicyPair) -> Iterator[Check]:
    stored = {side.checkpoint.dtype for side in (pair.aligned, pair.reference)}
    yield Check(
        name="dtype",
        status="ok" if stored == {"float32"} else "warning",
        text=f"weights in {', '.join(sorted(stored))}, log-softmax in float32",
    )
    yield Check(
        name="adapter",
        status="ok",
        text="switched off it is the reference, exactly"
        if pair.shared
        else "none: two full models",
    )
    sequences = [encode_response(pair.tokenizer, "", text, pair.eos_ids) for text in _PROBE_TEXTS]
    floor = max(noise_floor_nats(side, sequences) for side in (pair.aligned, pair.reference))
    yield Check(
        name="batch invariance",
        status="ok" if floor <= BATCH_TOLERANCE_NATS else "failed",
        text=f"scores move by at most {floor:.1e} nats with their batch mates",
    )
    yield Check(
        name="noise floor",
        status="ok",
        text=f"a log-ratio below {2 * floor:.1e} nats per response is rounding",
    )
