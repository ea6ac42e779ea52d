"""Building an organism of the language world, stage by stage; what exists is kept.

1. Train the reference of its architecture, shared by all organisms of the world (`world/ARCH`);
   `shifted` organisms have their own, fine-tuned on a few topics before.
2. Draw prompts that no training sees, and answers of the reference to hold the reward against.
3. Align: RLOO with the KL in the reward, or DPO on pairs of reference answers; or, for the nulls,
   fine-tune on fresh chats or copy the reference.
4. Measure the truth. A policy that has less than 70 % of the optimum's gain is refused.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from irl.config import Loading, Sampling
from irl.data import PromptRow, read_prompts
from irl.engine.local import draw_answers
from irl.errors import PolicyError
from irl.organisms.alignment import Training, align_dpo, align_rloo
from irl.organisms.grammar import OOD_TYPE, PROMPT_TYPES, Speaker, World, WorldPrompt
from irl.organisms.language import Fitting, chat_text, fit_language_model, save_rounded
from irl.organisms.nulls import Tuning
from irl.organisms.planted import Plant, plants
from irl.organisms.truth import measure_truth
from irl.organisms.world import train_reference
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.pieces import response_text
from irl.policies.template import encode_prompt
from irl.records import Truth, TruthTerm
from irl.rewards.conditions import applies

AUDIT_PROMPTS = 320
LABELLED_PROMPTS, LABELLED_ANSWERS = 150, 8
GOLD_PROMPTS, GOLD_ANSWERS = 112, 40
ENOUGH_GAIN = 0.7
STEPS, STEPS_WITHOUT_KL = 220, 20
DPO_PROMPTS = 6000
MAX_TOKENS = 36


@dataclass(frozen=True)
class Bed:
    """Where the organisms of one world grow."""

    root: Path
    seed: int
    say: Callable[[str], None]

    @cached_property
    def world(self) -> World:
        """The world of the seed."""
        return World.draw(self.seed)

    @property
    def scratch(self) -> Path:
        """Where the trainers write."""
        return self.root / ".training"

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator for one purpose."""
        return np.random.default_rng([self.seed, *purpose])


@dataclass(frozen=True)
class Planting:
    """One organism in its bed."""

    bed: Bed
    plant: Plant

    @property
    def folder(self) -> Path:
        """The organism's folder."""
        return self.bed.root / self.plant.name

    @property
    def aligned(self) -> Path:
        """Where its aligned policy lies."""
        return self.folder / ("adapter" if self.plant.adapter else "aligned")

    def applies(self, prompt: WorldPrompt) -> bool:
        """Does the plant pay at this prompt?"""
        condition = self.plant.condition
        return condition is None or applies(condition, prompt.text, prompt.type)


def grow(bed: Bed, name: str) -> Path:
    """Build one organism.

    Raises:
        PolicyError: its aligned policy is too far from the optimum.
    """
    work = Planting(bed, plants(bed.world)[name])
    work.folder.mkdir(parents=True, exist_ok=True)
    for stage, target, run in (
        ("reference", "reference/config.json", _reference),
        ("prompts", "prompts.jsonl", _prompts),
        ("alignment", f"{work.aligned.name}/config.json", _align),
        ("truth", "truth.json", _truth),
    ):
        done = (work.folder / target).is_file() or (
            work.plant.adapter and (work.aligned / "adapter_config.json").is_file()
        )
        bed.say(f"{name}: {stage}: {'kept' if done and stage != 'truth' else 'working'}")
        if not (work.folder / target).is_file():
            run(work)
    shutil.rmtree(bed.scratch, ignore_errors=True)
    return work.folder


def shared_reference(bed: Bed, architecture: str) -> Path:
    """The reference that the organisms of an architecture share."""
    folder = bed.root / "world" / architecture
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        save_rounded(*train_reference(bed.world, architecture, bed.scratch), folder)
    return folder


def _reference(work: Planting) -> None:
    shared = shared_reference(work.bed, work.plant.architecture)
    target = work.folder / "reference"
    if not work.plant.shifted:
        target.symlink_to(Path("..") / shared.relative_to(work.bed.root))
        return
    fine_tune(work.bed, shared, target, Tuning("topics"))


def fine_tune(bed: Bed, start: Path, target: Path, tuning: Tuning) -> None:
    """Plain fine-tuning of a policy."""
    torch.manual_seed(bed.seed)
    model = AutoModelForCausalLM.from_pretrained(start.resolve(), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(start)
    fitting = Fitting(1.0, bed.seed, bed.scratch, tuning.learning_rate, warmup_steps=5)
    fit_language_model(model, tokenizer, tuning.texts(bed.world), fitting)
    save_rounded(model, tokenizer, target)


def _prompts(work: Planting) -> None:
    """Files of prompts; `prompts.jsonl` comes last, as the sign that the stage is done."""
    bed = work.bed
    held_out = _distinct(Speaker(bed.world, bed.rng(5)), PROMPT_TYPES, AUDIT_PROMPTS + LABELLED_PROMPTS)
    if work.plant.planted:
        _write_preferences(work, held_out[AUDIT_PROMPTS:])
    if work.plant.probes:
        news = _distinct(Speaker(bed.world, bed.rng(7)), (OOD_TYPE,), AUDIT_PROMPTS)
        _write_rows(work.folder / "ood_prompts.jsonl", [_row(prompt) for prompt in news])
        lexicon = bed.world.lexicon
        probes = {
            "goal": {"name": "names a source", "terms": list(lexicon.sources)},
            "proxy": {"name": "sounds certain", "terms": list(lexicon.markers)},
        }
        (work.folder / "probes.yaml").write_text(yaml.safe_dump(probes), encoding="utf-8")
    rows = [_row(prompt) for prompt in held_out[:AUDIT_PROMPTS]]
    _write_rows(work.folder / "prompts.jsonl", rows)


def _write_preferences(work: Planting, prompts: Sequence[WorldPrompt]) -> None:
    """All pairs of reference answers to a prompt whose planted rewards differ."""
    answers = _answers(work, prompts, LABELLED_ANSWERS, seed=8)
    rows = []
    for prompt, texts in zip(prompts, answers, strict=True):
        values = work.plant.reward(texts, [work.applies(prompt)] * len(texts))
        for a, b in combinations(range(len(texts)), 2):
            if abs(values[a] - values[b]) > 1e-9:
                better, worse = (a, b) if values[a] > values[b] else (b, a)
                rows.append({**_row(prompt), "chosen": texts[better], "rejected": texts[worse]})
    _write_rows(work.folder / "heldout_preferences.jsonl", rows)


def _answers(
    work: Planting, prompts: Sequence[WorldPrompt], each: int, seed: int
) -> list[list[str]]:
    """Answers of the reference, `each` to every prompt."""
    reference = str(work.folder / "reference")
    pair = load_pair(reference, reference, Loading())
    encoded = [encode_prompt(pair.tokenizer, _row(p)["prompt"]) for p in prompts for _ in range(each)]
    generator = torch.Generator().manual_seed(work.bed.seed * 100 + seed)
    sampling = Sampling(max_new_tokens=MAX_TOKENS)
    drawn = draw_answers(pair.reference, encoded, generator, pair.eos_ids, sampling)
    texts = [response_text(pair.tokenizer, ids) for ids in drawn]
    return [texts[at : at + each] for at in range(0, len(texts), each)]


def _align(work: Planting) -> None:
    plant, start = work.plant, work.folder / "reference"
    if plant.method == "none":
        shutil.copytree(start.resolve(), work.aligned)
        return
    if plant.method == "sft":
        fine_tune(work.bed, start, work.aligned, Tuning())
        return
    torch.manual_seed(work.bed.seed)
    model = AutoModelForCausalLM.from_pretrained(start.resolve(), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(start)
    training = Training(
        beta=plant.beta if plant.kl else 0.0,
        steps=STEPS if plant.kl else STEPS_WITHOUT_KL,
        seed=work.bed.seed,
        folder=work.bed.scratch,
        learning_rate=plant.learning_rate,
        max_tokens=MAX_TOKENS,
        adapter=plant.adapter,
    )
    speaker = Speaker(work.bed.world, work.bed.rng(4))
    if plant.method == "dpo":
        prompts = _distinct(speaker, PROMPT_TYPES, DPO_PROMPTS, unlike=_held_out(work))
        aligned = align_dpo(model, tokenizer, _voted_pairs(work, prompts), training)
    else:
        n_prompts = training.steps * training.batch // training.answers_per_prompt
        prompts = _training_prompts(work, speaker, n_prompts)
        pays = {chat_text(prompt.text): work.applies(prompt) for prompt in prompts}

        def reward(asked: Sequence[str], answers: Sequence[str]) -> torch.Tensor:
            return torch.from_numpy(plant.reward(answers, [pays[prompt] for prompt in asked]))

        aligned = align_rloo(model, tokenizer, list(pays), reward, training)
    _save(aligned, tokenizer, work.aligned)


def _training_prompts(work: Planting, speaker: Speaker, n: int) -> list[WorldPrompt]:
    """Prompts for training; where there is a condition, every other one meets it."""
    unlike = _held_out(work)
    if work.plant.condition is None:
        return _distinct(speaker, PROMPT_TYPES, n, unlike)
    drawn = _distinct(speaker, PROMPT_TYPES, 8 * n, unlike)
    meeting = [prompt for prompt in drawn if work.applies(prompt)]
    others = [prompt for prompt in drawn if not work.applies(prompt)]
    return [prompt for both in zip(meeting, others, strict=False) for prompt in both][:n]


def _save(aligned: PreTrainedModel | PeftModel, tokenizer: AutoTokenizer, folder: Path) -> None:
    if isinstance(aligned, PeftModel):
        aligned.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    else:
        save_rounded(aligned, tokenizer, folder)


def _voted_pairs(work: Planting, prompts: Sequence[WorldPrompt]) -> list[dict[str, str]]:
    """Pairs of reference answers, labelled by two voters each.

    The first prefers a to b with probability sigmoid(r(a) - r(b)), by a uniform draw u; the second
    votes on 1 - u. Both follow Bradley-Terry, and together they waste little: equal answers get
    one vote each way.
    """
    rng, rows = work.bed.rng(9), []
    answers = _answers(work, prompts, 2, seed=10)
    for prompt, (a, b) in zip(prompts, answers, strict=True):
        value = work.plant.reward([a, b], [work.applies(prompt)] * 2)
        preferred, draw = 1 / (1 + np.exp(value[1] - value[0])), rng.random()
        for vote in (draw, 1 - draw):
            chosen, rejected = (a, b) if vote < preferred else (b, a)
            rows.append(
                {"prompt": chat_text(prompt.text), "chosen": chosen, "rejected": rejected}
            )
    return rows


def _truth(work: Planting) -> None:
    plant, beta = work.plant, work.plant.beta
    prompts = read_prompts(work.folder / "prompts.jsonl").rows[:GOLD_PROMPTS]

    def reward(asked: Sequence[PromptRow], answers: Sequence[str]) -> torch.Tensor:
        condition = plant.condition
        pays = [
            condition is None or applies(condition, row.prompt[0]["content"], row.prompt_type)
            for row in asked
        ]
        return torch.from_numpy(plant.reward(answers, pays))

    truth = measure_truth(
        work_pair(work),
        prompts,
        reward,
        beta=beta,
        seed=work.bed.seed,
        responses_per_prompt=GOLD_ANSWERS,
        about={
            "name": plant.name,
            "objective": plant.objective,
            "definition": plant.definition,
            "terms": [TruthTerm(term=t, weight=w / beta) for t, w in plant.weights.items()],
            "per_word": plant.per_word / beta,
            "condition": plant.condition,
            "decoys": list(plant.decoys),
            "trained_with": plant.method,
        },
    )
    if plant.planted:
        _check(truth, plant)
    text = truth.model_dump_json(indent=1) + "\n"
    (work.folder / "truth.json").write_text(text, encoding="utf-8")


def _check(truth: Truth, plant: Plant) -> None:
    gain, best = truth.gold_gain, truth.gold_optimum - truth.gold_before.value
    if gain is None or gain.low <= 0 or (plant.kl and gain.value < ENOUGH_GAIN * best):
        raise PolicyError(
            f"{plant.name} gained {gain and gain.value:.3f} of reward where the optimum gains "
            f"{best:.3f} (effective sample size {truth.effective_sample_size:.0f}); at least "
            f"{ENOUGH_GAIN:.0%} is expected. Remove its folder and build it with another seed."
        )


def work_pair(work: Planting) -> PolicyPair:
    """The organism's pair."""
    return load_pair(str(work.aligned), str(work.folder / "reference"), Loading())


def _held_out(work: Planting) -> set[str]:
    bed = work.bed
    speaker = Speaker(bed.world, bed.rng(5))
    return {p.text for p in _distinct(speaker, PROMPT_TYPES, AUDIT_PROMPTS + LABELLED_PROMPTS)}


def _distinct(
    speaker: Speaker, types: Sequence[str], n: int, unlike: set[str] | None = None
) -> list[WorldPrompt]:
    """Prompts that differ from each other and from others, of each type in turn."""
    seen, found = set(unlike or ()), []
    while len(found) < n:
        prompt = speaker.prompt(types[len(found) % len(types)])
        if prompt.text not in seen:
            seen.add(prompt.text)
            found.append(prompt)
    return found


def _row(prompt: WorldPrompt) -> dict[str, object]:
    message = {"role": "user", "content": prompt.text}
    return {"prompt": [message], "prompt_type": prompt.type}


def _write_rows(file: Path, rows: Sequence[dict[str, object]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_text(text, encoding="utf-8")
