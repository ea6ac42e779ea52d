"""`make bench`: each row is our way against a plain one, on the same inputs, repeats interleaved.

Ratios carry over between machines better than seconds do. artifacts/bench/ratios.json keeps the
last run.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from captum.attr import LayerIntegratedGradients, LLMGradientAttribution, TextTokenInput

from explain.attribution.embedded import embedded_log_ratio
from explain.attribution.gradients import integrated_gradients
from explain.targets import Exchange
from irl.config import Learning, Loading, Sampling
from irl.data import read_prompts
from irl.data.bundled import BUNDLED_PAIR
from irl.engine.scoring import score_policy
from irl.losses import bradley_terry
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.pair import PolicyPair
from irl.policies.quiet import quiet_libraries
from irl.policies.sample import draw
from irl.recovery.examples import Examples
from irl.recovery.fit import Aim, fit
from irl.rewards.heads import Form, mlp
from irl.scoring import token_nats
from irl.tensors import TokenSequence

REPEATS = 7


def compare(ours: Callable[[], object], plain: Callable[[], object]) -> dict[str, float]:
    """Median seconds of both, and how many times faster ours is."""
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(REPEATS):
        for name, run in (("ours", ours), ("plain", plain)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    ours_median, plain_median = (statistics.median(values) for values in seconds.values())
    return {
        "ours_seconds": ours_median,
        "plain_seconds": plain_median,
        "times_faster": plain_median / ours_median,
    }


def chunked_head() -> dict[str, float]:
    """Response positions in chunks, against a log-softmax over every position."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(64, 128, 192, generator=generator)
    head = torch.nn.Linear(192, 8000, bias=False)
    ids = torch.randint(0, 8000, (64, 128), generator=generator)
    response = torch.zeros(64, 128, dtype=torch.bool)
    response[:, 80:] = True

    @torch.inference_mode()
    def ours() -> object:
        return token_nats(hidden[response], ids[response], head)

    @torch.inference_mode()
    def plain() -> object:
        return head(hidden).float().log_softmax(-1).gather(-1, ids[..., None])[response]

    return compare(ours, plain)


def inverse_draw() -> dict[str, float]:
    """One uniform number per row, against torch.multinomial."""
    logits = torch.randn(256, 4000, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    return compare(
        lambda: draw(logits, 1.0, generator),
        lambda: torch.multinomial(logits.softmax(-1), 1, generator=generator),
    )


def sorted_batches() -> dict[str, float]:
    """Batches of similar length, against batches in the order given."""
    quiet_libraries()
    policy = load_full(locate(str(BUNDLED_PAIR / "reference")), Loading())
    lengths = torch.randint(4, 120, (256,), generator=torch.Generator().manual_seed(0)).tolist()
    sequences = [TokenSequence((1,), tuple(range(10, 10 + length))) for length in lengths]
    return compare(
        lambda: score_policy(policy, sequences, Sampling(token_budget=4096)),
        lambda: [policy.nats(sequences[at : at + 32]) for at in range(0, len(sequences), 32)],
    )


def summed_gradients() -> dict[str, float]:
    """Integrated Gradients of a whole response of 64 tokens, against captum token by token."""
    quiet_libraries()
    policy = load_full(locate(str(BUNDLED_PAIR / "reference")), Loading())
    tokenizer, steps = policy.tokenizer, 32
    rows = read_prompts(BUNDLED_PAIR / "prompts.jsonl").rows
    said = tokenizer(" ".join(str(row.prompt) for row in rows), add_special_tokens=False)
    response = tokenizer.decode(said["input_ids"][:63])
    exchange = Exchange("what do you think?", response)
    both = embedded_log_ratio(PolicyPair(policy, policy))(exchange)
    alone = replace(both, scalar=both.scalar.one, embedders=both.embedders[:1])
    method = LLMGradientAttribution(
        LayerIntegratedGradients(policy.model, policy.body.get_input_embeddings()), tokenizer
    )

    def plain() -> object:
        asked = TextTokenInput(str(exchange.prompt), tokenizer)
        return method.attribute(asked, target=response, n_steps=steps)

    return compare(lambda: integrated_gradients(alone, tolerance=float("inf")), plain)


def ten_small_members() -> dict[str, float]:
    """Ten members 384-64-1, batches of 128 pairs, against one by one and against one alone."""
    return _together_and_alone(mlp(64), epochs=2)


def ten_published_members() -> dict[str, float]:
    """Ten of the published head (1024-512, 2411.04991) against one by one."""
    return _together_and_alone(mlp(1024, 512), epochs=4, n_pairs=512)


def _together_and_alone(form: Form, epochs: int, n_pairs: int = 2560) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    chosen, rejected = torch.randn(2, n_pairs, 384, generator=generator)
    pairs = Examples.of_pairs(chosen + 0.1, rejected, torch.arange(n_pairs))
    aim = Aim(lambda _, scores: bradley_terry(scores))

    def fitted(*seeds: int) -> object:
        learning = Learning(
            seeds=seeds, epochs=epochs, penalties=(0.0,), prompts_per_step=128, learning_rate=1e-3
        )
        return fit(pairs, form, aim, learning, bootstrap=True)

    row = compare(lambda: fitted(*range(10)), lambda: [fitted(seed) for seed in range(10)])
    single = compare(lambda: fitted(*range(10)), lambda: fitted(0))
    return row | {"times_one_member": 1 / single["times_faster"]}


def main() -> None:
    """Run every benchmark, print the ratios, keep them."""
    benchmarks = (
        *(chunked_head, inverse_draw, sorted_batches, summed_gradients),
        *(ten_small_members, ten_published_members),
    )
    rows = {run.__name__: run() for run in benchmarks}
    for name, row in rows.items():
        one = row.get("times_one_member")
        told = f"; {one:.2f} times the time of one" if one else ""
        sys.stdout.write(f"{name:21} {row['times_faster']:5.2f} times faster{told}\n")
    target = Path("artifacts/bench/ratios.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
