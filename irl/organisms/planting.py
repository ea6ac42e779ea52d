"""Building an organism of the language world, stage by stage; what exists is kept.

1. Train the reference of its architecture, shared by all organisms of the world (`world/ARCH`);
   `tuned` organisms have their own, fine-tuned on other data before.
2. Draw prompts that no training sees, and answers of the reference to hold the reward against.
3. Align: RLOO with the KL in the reward, or DPO on pairs of reference answers; or, for the nulls,
   fine-tune on fresh chats or copy the reference.
4. Measure the truth. A policy that has less than 70 % of the optimum's gain is trained once more,
   longer and with other draws, then refused.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from irl.config import Loading
from irl.data import PromptRow, read_prompts
from irl.errors import PolicyError
from irl.organisms.alignment import Training, align_dpo, align_rloo
from irl.organisms.bed import (
    MAX_TOKENS,
    Bed,
    Planting,
    reference_answers,
    training_prompts,
)
from irl.organisms.grammar import Speaker, WorldPrompt
from irl.organisms.language import (
    Fitting,
    chat_text,
    fit_language_model,
    save_rounded,
    write_folder,
)
from irl.organisms.nulls import Tuning
from irl.organisms.planted import Plant, plants
from irl.organisms.prompt_files import write_prompts
from irl.organisms.truth import measure_truth
from irl.organisms.world import train_reference, world_tokenizer
from irl.policies.pair import PolicyPair, load_pair
from irl.records import Truth, TruthTerm
from irl.rewards.conditions import TypedPrompt

GOLD_PROMPTS, GOLD_ANSWERS = 112, 40
ENOUGH_GAIN = 0.7
SEEDS_APART = 1000
"Between the draws of a first and a second training"
LONGER = 1.6
"The steps of a second training over those of the first"
STEPS, STEPS_WITHOUT_KL = 125, 12
DPO_PROMPTS = 6000


def grow(bed: Bed, name: str) -> Path:
    """Build one organism.

    Raises:
        PolicyError: its aligned policy is too far from the optimum.
    """
    work = Planting(bed, plants(bed.world)[name])
    work.folder.mkdir(parents=True, exist_ok=True)
    weights = "adapter_config.json" if work.plant.adapter else "config.json"
    for stage, target, run in (
        ("reference", "reference/config.json", _reference),
        ("prompts", "prompts.jsonl", write_prompts),
        ("alignment", f"{work.aligned.name}/{weights}", _align),
        ("truth", "truth.json", _truth),
    ):
        kept = (work.folder / target).is_file()
        bed.say(f"{name}: {stage}: {'kept' if kept else 'working'}")
        if not kept:
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
    if work.plant.tuned is None:
        target.symlink_to(Path("..") / shared.relative_to(work.bed.root))
        return
    fine_tune(work.bed, shared, target, work.plant.tuned)


def fine_tune(bed: Bed, start: Path, target: Path, tuning: Tuning) -> None:
    """Plain fine-tuning of a policy."""
    torch.manual_seed(bed.seed)
    model = AutoModelForCausalLM.from_pretrained(start.resolve(), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(start)
    if tuning.new_words:
        tokenizer = world_tokenizer(bed.world, tuning.new_words)
        model.resize_token_embeddings(len(tokenizer))
    fitting = Fitting(1.0, bed.seed, bed.scratch, tuning.learning_rate, warmup_steps=5)
    fit_language_model(model, tokenizer, tuning.texts(bed.world), fitting)
    save_rounded(model, tokenizer, target)


def _align(work: Planting, attempt: int = 0) -> None:
    seed = work.bed.seed + SEEDS_APART * attempt
    plant, start = work.plant, work.folder / "reference"
    if plant.method == "none":
        write_folder(work.aligned, lambda partial: shutil.copytree(start.resolve(), partial))
        return
    if plant.method == "sft":
        fine_tune(work.bed, start, work.aligned, Tuning())
        return
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(start.resolve(), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(start)
    training = Training(
        beta=plant.beta if plant.kl else 0.0,
        steps=round((STEPS if plant.kl else STEPS_WITHOUT_KL) * LONGER**attempt),
        seed=seed,
        folder=work.bed.scratch,
        learning_rate=plant.learning_rate,
        max_tokens=MAX_TOKENS,
        warmup_steps=10,
        max_grad_norm=20.0,
        adam_beta2=0.999,
        adapter=plant.adapter,
    )
    speaker = Speaker(work.bed.world, work.bed.rng(4))
    aligned: PreTrainedModel | PeftModel
    if plant.method == "dpo":
        prompts = training_prompts(work, speaker, DPO_PROMPTS)
        aligned = align_dpo(model, tokenizer, _voted_pairs(work, prompts), training)
    else:
        n_prompts = training.steps * training.batch // training.answers_per_prompt
        prompts = training_prompts(work, speaker, n_prompts)
        pays = {chat_text(prompt.text): work.applies(prompt) for prompt in prompts}

        def reward(asked: Sequence[str], answers: Sequence[str]) -> torch.Tensor:
            return torch.from_numpy(plant.reward(answers, [pays[prompt] for prompt in asked]))

        aligned = align_rloo(model, tokenizer, list(pays), reward, training)
    _save(aligned, tokenizer, work.aligned)


def _save(
    aligned: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    if isinstance(aligned, PeftModel):
        aligned.save_pretrained(str(folder))
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
    answers = reference_answers(work, prompts, 2, seed=10)
    for prompt, (a, b) in zip(prompts, answers, strict=True):
        value = work.plant.reward([a, b], [work.applies(prompt)] * 2)
        preferred, draw = 1 / (1 + np.exp(value[1] - value[0])), rng.random()
        for vote in (draw, 1 - draw):
            chosen, rejected = (a, b) if vote < preferred else (b, a)
            rows.append({"prompt": chat_text(prompt.text), "chosen": chosen, "rejected": rejected})
    return rows


def _truth(work: Planting) -> None:
    truth = _measured(work)
    if work.plant.planted and _shortfall(truth, work.plant):
        work.bed.say(f"{work.plant.name}: too far from the optimum, trained once more")
        shutil.rmtree(work.aligned)
        _align(work, attempt=1)
        truth = _measured(work)
        if shortfall := _shortfall(truth, work.plant):
            raise PolicyError(shortfall)
    text = truth.to_json()
    (work.folder / "truth.json").write_text(text, encoding="utf-8")


def _measured(work: Planting) -> Truth:
    plant, beta = work.plant, work.plant.beta
    prompts = read_prompts(work.folder / "prompts.jsonl").rows[:GOLD_PROMPTS]

    def reward(asked: Sequence[PromptRow], answers: Sequence[str]) -> torch.Tensor:
        prompts = [TypedPrompt.of(row.prompt, row.prompt_type) for row in asked]
        pays = [work.applies(prompt) for prompt in prompts]
        return torch.from_numpy(plant.reward(answers, pays))

    return measure_truth(
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
            "most": plant.most / beta if np.isfinite(plant.most) else None,
            "condition": plant.condition,
            "decoys": list(plant.decoys),
            "trained_with": plant.method,
        },
    )


def _shortfall(truth: Truth, plant: Plant) -> str:
    """Why the policy cannot stand for its objective; empty if it can."""
    gain, best = truth.gold_gain, truth.gold_optimum - truth.gold_before.value
    if gain is None:
        return f"The gain of {plant.name} was not measured."
    if gain.low > 0 and not (plant.kl and gain.value < ENOUGH_GAIN * best):
        return ""
    return (
        f"{plant.name} gained {gain.value:.3f} of reward where the optimum gains {best:.3f} "
        f"(effective sample size {truth.effective_sample_size:.0f}); at least "
        f"{ENOUGH_GAIN:.0%} is expected. Remove its folder and build it with another seed."
    )


def work_pair(work: Planting) -> PolicyPair:
    """The organism's pair."""
    return load_pair(str(work.aligned), str(work.folder / "reference"), Loading())
