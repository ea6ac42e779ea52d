"""The two tables of a made-up run: prompts with answers of which each token is known."""

import pyarrow as pa

from irl.jobs.answers import RESPONSES, TOKENS

END = "</s>"


def tables(rows: list[dict[str, object]]) -> tuple[pa.Table, pa.Table]:
    """responses.parquet and tokens.parquet; each row names prompt, source, reward and tokens.

    A token is (text, paid for, value gained); paid for may be None for the whole answer.
    """
    responses, tokens = [], []
    for at, row in enumerate(rows):
        pieces = row["tokens"]
        name = row.get("id", f"r{at}")
        gained = [nats for _, _, nats in pieces]
        paid = [nats for _, nats, _ in pieces]
        responses.append(
            {
                "response_id": name,
                "prompt_id": row["prompt"],
                "prompt": row["prompt"],
                "response": "".join(text for text, _, _ in pieces if text != END),
                "source": row["source"],
                "n_tokens": len(pieces),
                "aligned_nats": -1.0 * len(pieces),
                "reference_nats": -1.0 * len(pieces) - sum(gained),
                "log_ratio_nats": sum(gained),
                "reward_nats": row["reward"],
                "reward_low_nats": row["reward"],
                "reward_high_nats": row["reward"],
                "fold": 0,
            }
        )
        tokens.append(
            {
                "response_id": name,
                "token_ids": list(range(len(pieces))),
                "tokens": [text for text, _, _ in pieces],
                "aligned_nats": [-1.0] * len(pieces),
                "reference_nats": [-1.0 - nats for nats in gained],
                "log_ratio_nats": gained,
                "paid_for_nats": None if None in paid else paid,
            }
        )
    return pa.Table.from_pylist(responses, RESPONSES), pa.Table.from_pylist(tokens, TOKENS)


def answer(
    prompt: str, source: str, reward: float | None, text: str, *nats: float | None
) -> dict[str, object]:
    """A row for `tables`: words of the text, each paid for as given, nought beyond; then END."""
    words = [f" {word}" for word in text.split()]
    missing = None in nats
    paid = [*nats, *[None if missing else 0.0] * (len(words) - len(nats))]
    gained = [0.5 * (value or 0.25) for value in paid]
    pieces = [*zip(words, paid, gained, strict=True), (END, None if missing else 0.0, 0.0)]
    return {"prompt": prompt, "source": source, "reward": reward, "tokens": pieces}
