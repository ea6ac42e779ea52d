"""Organisms with an exact truth: a token MDP drawn at random, and its policies as models.

The reference is a Markov chain with a taste for each prompt and some noise at every prefix. The
reward counts: +1 for each of the first two `w0`, -1 for every `w1`, +1.5 for `w3` right after `w2`,
+1 if the last word is the one that the prompt asks for.
"""

from math import ceil
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedModel, PreTrainedTokenizerFast

from irl.errors import InputError
from irl.organisms.language import BOS, BOT, EOS, PAD, USER, chat_tokenizer
from irl.recovery.examples import Examples
from irl.token_mdp import Levels, TokenMDP, along, tokens_of

PROMPTS, VOCABULARY, HORIZON = 4, 6, 4
BETA = 0.5
MAX_PREFIXES = 4096
"Beyond, solving for the head takes minutes, and the checkpoint gigabytes"
_PREFIX_NOISE = 0.3
_ROOM = 1.25
"Hidden units for each prefix"
_CERTAIN = 100.0
"Logit, up or down, of what must or must not follow"
_END_SCALE = 300.0
_BATCH = 512


def draw(
    seed: int, prompts: int = PROMPTS, vocabulary: int = VOCABULARY, horizon: int = HORIZON
) -> TokenMDP:
    """A token MDP in float64; every seed has its own reference, the reward is the same."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    chain, taste = normal(vocabulary + 1, vocabulary), normal(prompts, 1, vocabulary) / 2
    reference, rewards = [], []
    for t in range(horizon):
        prefixes = tokens_of(vocabulary, t) if t else torch.empty(1, 0, dtype=torch.long)
        previous = prefixes[:, -1] if t else torch.tensor([vocabulary])
        noise = _PREFIX_NOISE * normal(prompts, len(prefixes), vocabulary)
        reference.append(torch.log_softmax(chain[previous] + taste + noise, -1))
        rewards.append(_rewards(prefixes, previous, prompts, vocabulary, last=t == horizon - 1))
    return TokenMDP(tuple(reference), tuple(rewards))


def _rewards(
    prefixes: Tensor, previous: Tensor, prompts: int, vocabulary: int, *, last: bool
) -> Tensor:
    paid = torch.zeros(prompts, len(prefixes), vocabulary, dtype=torch.float64)
    paid[:, (prefixes == 0).sum(-1) < 2, 0] += 1.0
    paid[:, :, 1] -= 1.0
    paid[:, previous == 2, 3] += 1.5
    if last:
        asked = torch.arange(prompts)
        paid[asked, :, asked % vocabulary] += 1.0
    return paid


def prompt_texts(mdp: TokenMDP) -> list[str]:
    """The prompts as text."""
    return [f"q{at}" for at in range(len(mdp.returns))]


def response_texts(mdp: TokenMDP) -> list[str]:
    """Every response as text, in the order of the returns."""
    names = words_of(mdp)
    rows = tokens_of(mdp.vocabulary, mdp.horizon).tolist()
    return [" ".join(names[token] for token in row) for row in rows]


def words_of(mdp: TokenMDP) -> list[str]:
    """The tokens as text."""
    return [f"w{token}" for token in range(mdp.vocabulary)]


def answer_features(mdp: TokenMDP) -> Tensor:
    """Counts of words, the last word, pairs of words, the first two `w0`, [response, feature].

    All of the reward but the rule about the prompt is linear in these.
    """
    rows = tokens_of(mdp.vocabulary, mdp.horizon)
    words = torch.nn.functional.one_hot(rows, mdp.vocabulary).float()
    pairs = rows[:, :-1] * mdp.vocabulary + rows[:, 1:]
    counted = torch.nn.functional.one_hot(pairs, mdp.vocabulary**2).sum(1).float()
    twice = words[:, :, :1].sum(1).clamp(max=2)
    return torch.cat([words.sum(1), words[:, -1], counted, twice], 1)


def every_answer(mdp: TokenMDP, policy: Levels, features: Tensor) -> Examples:
    """All answers twice, weighing what either policy gives them: means are exact expectations.

    Args:
        mdp: whose answers.
        policy: the aligned one.
        features: of all answers, [prompt, response, feature].
    """
    prompts, n = mdp.returns.shape
    ours, theirs = along(policy).flatten(), along(mdp.reference).flatten()
    return Examples(
        features.flatten(0, 1).repeat(2, 1),
        torch.arange(prompts).repeat_interleave(n).repeat(2),
        torch.arange(2 * prompts * n) < prompts * n,
        (ours - theirs).float().repeat(2),
        ours.float().repeat(2),
        torch.cat([ours, theirs]).exp().float(),
    )


def tokenizer_of(mdp: TokenMDP) -> PreTrainedTokenizerFast:
    """One token per word."""
    names = [PAD, BOS, EOS, USER, BOT, *prompt_texts(mdp), *words_of(mdp)]
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, PAD))
    a_word = pre_tokenizers.Split(Regex(r"[qw]\d+"), "isolated")  # a prompt and its answer touch
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), a_word])
    return chat_tokenizer(tokenizer, 16, additional_special_tokens=[USER, BOT])


def distil(mdp: TokenMDP, policy: Levels, folder: Path, seed: int = 0) -> None:
    """Store a policy as a Hugging Face directory: a random GPT-2 whose head is solved for.

    The body has more hidden units than there are prefixes, whose states are in general position, so
    one linear head gives log pi at every prefix at once, up to rounding (1e-4 nats in float32);
    training would only come near. The place after the last token has a position embedding so large
    that all states there are alike, and the end is certain.

    Raises:
        InputError: the world has too many prefixes.
    """
    tokenizer = tokenizer_of(mdp)
    n_states = sum(level.shape[0] * level.shape[1] for level in policy)
    if n_states > MAX_PREFIXES:
        raise InputError(
            f"A checkpoint needs as many hidden units as there are prefixes; {n_states} are more "
            f"than {MAX_PREFIXES}. Draw a world with fewer prompts, words or tokens."
        )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(_body(tokenizer, ceil(n_states * _ROOM / 64) * 64))
    with torch.no_grad():
        model.transformer.wpe.weight[1 + mdp.horizon] *= _END_SCALE
    states, ends = _states(mdp, model, tokenizer)
    wanted = torch.full((len(states) + 1, len(tokenizer)), -_CERTAIN, dtype=torch.float64)
    words = tokenizer.convert_tokens_to_ids(words_of(mdp))
    wanted[:-1, words] = torch.cat([level.flatten(0, 1) for level in policy])
    wanted[-1, tokenizer.eos_token_id] = _CERTAIN
    every = torch.cat([states, ends.mean(0, keepdim=True)])
    head = torch.linalg.lstsq(every, wanted, driver="gelsd").solution
    with torch.no_grad():
        model.lm_head.weight.copy_(head.T.float())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _body(tokenizer: PreTrainedTokenizerFast, hidden: int) -> GPT2Config:
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=hidden,
        n_inner=1024,
        n_layer=1,
        n_head=hidden // 64,
        n_positions=16,
        initializer_range=0.05,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


@torch.inference_mode()
def _states(
    mdp: TokenMDP, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> tuple[Tensor, Tensor]:
    """Hidden states, [state, hidden]: of all prefixes in the order of the levels; of whole ones."""
    model.eval()
    prompts, n = len(mdp.returns), mdp.vocabulary**mdp.horizon
    asked = torch.tensor(tokenizer.convert_tokens_to_ids(prompt_texts(mdp)))
    first = tokenizer.get_vocab()["w0"]
    ids = torch.full((prompts, n, 2 + mdp.horizon), tokenizer.get_vocab()[BOS])
    ids[:, :, 1] = asked[:, None]
    ids[:, :, 2:] = first + tokens_of(mdp.vocabulary, mdp.horizon)
    rows = [model.base_model(some).last_hidden_state for some in ids.flatten(0, 1).split(_BATCH)]
    hidden = torch.cat(rows).view(prompts, n, 2 + mdp.horizon, -1).double()
    states = [hidden[:, :: n // mdp.vocabulary**t, 1 + t].flatten(0, 1) for t in range(mdp.horizon)]
    return torch.cat(states), hidden[:, :, -1].flatten(0, 1)
