"""Lengths of real preference pairs in tokens: lengths.json beside this file holds counts, no text.

    python -m tests.benchmarks.lengths TOKENIZER.json PAIRS.parquet

made it from the first 256 pairs of the test part of HH-RLHF helpful-base (MIT licence) with the
tokenizer of GPT-NeoX and Pythia. A pair is cut to 512 tokens as RewardBench cuts it: from the left
of the prompt, after the response was cut to 384.
"""

import json
import random
import sys
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Tokenizer

from irl.tensors import TokenSequence

TABLE = Path(__file__).with_name("lengths.json")
LONGEST, LONGEST_RESPONSE, N_PAIRS = 512, 384, 256


def sequences(layout: str, n_responses: int, pieces: int, longest: int) -> list[TokenSequence]:
    """Random tokens in real lengths, in the order of the file.

    Prompts are taken evenly over the lengths of the table, its shortest and longest pair included,
    so that few show what many would: peak memory is that of the longest batch. `single responses`
    are the chosen ones, `pairs` both; for `eight per prompt` the lengths of responses are dealt out
    from the whole table.
    """
    drawn = random.Random(0)
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    every = [length for _, *both in table for length in both]
    per_prompt = {"single responses": 1, "pairs": 2, "eight per prompt": 8}[layout]

    def ids(length: int) -> tuple[int, ...]:
        return tuple(drawn.randrange(3, pieces) for _ in range(length))

    made = []
    for prompt_length, *both in _evenly(table, n_responses // per_prompt):
        said = both[:per_prompt] if per_prompt < 3 else drawn.sample(every, per_prompt)
        said = [min(length, longest * 3 // 4) for length in said]
        prompt = ids(min(prompt_length, longest - max(said)))
        made += [TokenSequence(prompt, ids(length)) for length in said]
    return made


def _evenly(table: list[list[int]], n_pairs: int) -> list[list[int]]:
    """Pairs at even steps of the order by length, back in the order of the file."""
    by_length = sorted(range(len(table)), key=lambda at: table[at][0] + max(table[at][1:]))
    last = len(table) - 1
    chosen = {by_length[round(step * last / max(n_pairs - 1, 1))] for step in range(n_pairs)}
    return [table[at] for at in sorted(chosen)]


def main(tokenizer: str, pairs: str) -> None:
    """Count the tokens of real pairs."""
    encode = Tokenizer.from_file(tokenizer).encode
    rows = pq.read_table(pairs).slice(0, N_PAIRS).to_pylist()
    counts = []
    for row in rows:
        both = [len(encode(row[side]).ids) + 1 for side in ("chosen", "rejected")]  # and the end
        both = [min(length, LONGEST_RESPONSE) for length in both]
        counts.append([min(len(encode(row["prompt"]).ids), LONGEST - max(both)), *both])
    lines = ",\n".join(json.dumps(count) for count in counts)
    TABLE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
