"""Frozen settings, and how a file, `--set` and flags become them (flags win)."""

import typing
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from irl.errors import InputError

Method = Annotated[
    Literal["log_ratio"],
    BeforeValidator(lambda given: "log_ratio" if given == "log-ratio" else given),
]
SampleMethod = Literal[
    "bradley-terry",
    "candidates",
    "max-entropy",
    "max-margin",
    "max-margin-ball",
    "adversarial",
    "failure-aware",
    "absolute",
    "generalised",
]
HeadMethod = Literal["log-ratio", SampleMethod, "reference-free"]
TrainedWith = Literal["rloo", "grpo", "ppo", "dpo", "ipo", "kto", "sft", "unknown"]
Chat = Literal["auto", "always", "never"]
Dtype = Literal["float32", "bfloat16", "float16"]
Some = TypeVar("Some", bound="Settings")


class Settings(BaseModel):
    """Base: frozen, unknown keys refused, stored with every run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls: type[Some], file: Path | None, sets: list[str], flags: dict[str, Any]) -> Some:
        """Merge a YAML file, `a.b=c` settings and flags; flags that are None do not count.

        Raises:
            InputError: the file, a key or a value cannot be used; the message names it.
        """
        return cls.checked(merged(file, sets, flags))

    @classmethod
    def checked(cls: type[Some], given: dict[str, Any]) -> Some:
        """Settings from plain values.

        Raises:
            InputError: a key or a value cannot be used; the message names it.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            if not key:
                reason = first["msg"].removeprefix("Value error, ")
                raise InputError(f"These settings do not go together: {reason}.") from None
            if first["type"] == "missing":
                raise InputError(
                    f"The setting {key} is missing; give it with --{key.replace('_', '-')} or in a "
                    "config file."
                ) from None
            raise InputError(
                f"The setting {key} = {first['input']!r} cannot be used: {first['msg'].lower()}; "
                f"{_hint(cls, key)}"
            ) from None


class Loading(Settings):
    """How checkpoints are read."""

    dtype: Dtype = "float32"
    device: str = "cpu"
    "cpu, cuda, cuda:1, ...; auto splits a model over the GPUs at hand"
    trust_remote_code: bool = False
    aligned_revision: str | None = None
    reference_revision: str | None = None


class Sampling(Settings):
    """How answers are drawn: plain ancestral sampling, no truncation of the distribution."""

    responses_per_prompt: int = Field(8, ge=2, le=1024)
    temperature: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(48, ge=1)
    prompts_per_shard: int = Field(64, ge=1)
    token_budget: int = Field(16384, ge=64)
    "padded tokens of one forward pass"


class Fitting(Settings):
    """How the term reward is fitted."""

    n_folds: int = Field(5, ge=2, le=20)
    min_responses: int = Field(8, ge=2)
    "a term must occur in this many answers"
    max_candidates: int = Field(1500, ge=1)
    false_discovery_rate: float = Field(0.01, gt=0, lt=1)
    bootstrap_draws: int = Field(500, ge=100)


class Learning(Settings):
    """How reward heads are trained."""

    seeds: tuple[int, ...] = Field((0, 1, 2, 3, 4), min_length=1)
    "one member each: its split of the prompts and its initial weights"
    epochs: int = Field(300, ge=1)
    patience: int = Field(10, ge=1)
    "epochs without a better validation loss after which a member stops"
    learning_rate: float = Field(0.01, gt=0)
    penalties: tuple[float, ...] = Field((3e-4, 1e-3, 3e-3, 1e-2, 3e-2), min_length=1)
    "of the squared weights, beside the mean loss; each member keeps the one that validates best"
    prompts_per_step: int = Field(8, ge=1)
    validation_share: float = Field(0.2, gt=0, lt=1)


class Deciding(Settings):
    """From what effect on it is called an objective, in the prompts where it applies.

    Every fine-tune explains its own log-ratio better than chance, so a p value alone decides
    nothing. Plain fine-tunes pass either threshold now and then, but none that was tried passed
    both (docs/results/nulls.json).
    """

    min_r2: float = Field(0.3, ge=0, lt=1)
    "share of the within-prompt variance that the objective explains out of fold"
    min_sd_nats: float = Field(0.5, ge=0)
    "standard deviation of what it moves within prompts"
    max_p: float = Field(0.01, gt=0, lt=1)
    "by sign flips of whole prompts"
    max_terms: int = Field(10, ge=1)
    draws: int = Field(9999, ge=999)
    "of the sign flips"


class ScoreSettings(Settings):
    """What sampling and scoring a pair needs."""

    aligned: str
    reference: str | None = None
    "a path or id; None takes the base of an adapter"
    prompts: str | None = None
    prompt_limit: int | None = Field(None, ge=1)
    "use only the first so many prompts"
    chat: Chat = "auto"
    "auto: message lists go through the chat template, plain strings do not (as in TRL)"
    seed: int = Field(0, ge=0)
    loading: Loading = Loading()
    sampling: Sampling = Sampling()


TRANSFORMER_LEARNING = {
    "learning_rate": 1e-4,
    "penalties": (1e-3,),
    "epochs": 20,
    "patience": 3,
    "seeds": (0, 1, 2),
}
"Where nothing else is said: a transformer starts from what it knows, and every member is a model"


class HeadSettings(Settings):
    """How a reward head is fitted to answers and held against labels."""

    method: HeadMethod = "bradley-terry"
    form: Literal["linear", "mlp", "transformer"] = "linear"
    features: Literal["words", "embeddings"] = "words"
    "what linear and mlp read; a transformer reads tokens"
    base: str | None = None
    "directory or id of what embeds answers (a policy, or a sentence encoder), or of what a "
    "transformer starts from; None: the reference, where it is at hand"
    chat: Chat = "auto"
    loading: Loading = Loading()
    preferences: tuple[str, ...] = ()
    "labelled responses to hold the reward against, read when the reward has been chosen"
    fitting: Fitting = Fitting()
    learning: Learning = Learning()

    @model_validator(mode="before")
    @classmethod
    def _by_form(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("form") != "transformer":
            return given
        learning = given.get("learning", {})
        if isinstance(learning, Learning):
            learning = learning.model_dump(exclude_unset=True)
        if not isinstance(learning, dict):
            return given
        return {**given, "learning": TRANSFORMER_LEARNING | learning}

    @model_validator(mode="after")
    def _go_together(self) -> "HeadSettings":
        if self.form == "transformer" and self.features == "embeddings":
            raise ValueError("a transformer reads tokens, not embeddings")
        if self.form != "linear" and self.method.startswith("max-margin"):
            raise ValueError("max-margin knows a bound for linear rewards only")
        return self

    @property
    def needs_base(self) -> bool:
        """Whether the reward reads more than words."""
        return self.form == "transformer" or self.features == "embeddings"


class PairHeadSettings(ScoreSettings, HeadSettings):
    """What recovering such a reward from a pair needs."""

    method: HeadMethod = "log-ratio"
    deciding: Deciding = Deciding()


class RecoverSettings(ScoreSettings):
    """What recovering a reward needs."""

    method: Method = "log_ratio"
    preferences: tuple[str, ...] = ()
    "labelled responses to hold the rewards against; never used for fitting"
    fitting: Fitting = Fitting()


class SamplesSettings(HeadSettings):
    """What recovering such a reward from samples alone needs."""

    aligned_samples: str
    reference_samples: str
    method: SampleMethod = "bradley-terry"
    seed: int = Field(0, ge=0)
    "of the bootstrap; those of the fits are learning.seeds"


class AuditSettings(RecoverSettings):
    """What an audit needs."""

    aspects: str | None = None
    "aspects.yaml; None is the stock set"
    allow_code: bool = False
    "run the Python functions that it names"
    gate: str | None = None
    full: bool = False
    "also attribution, probes and answers of one token"
    trained_with: TrainedWith = "unknown"
    deciding: Deciding = Deciding()


def recovery_settings(
    file: Path | None, sets: list[str], flags: dict[str, Any]
) -> RecoverSettings | PairHeadSettings | SamplesSettings:
    """The settings of `irl recover`, by what is named.

    Samples name a reward from samples; a method or form other than log-ratio and terms, or a
    setting that only heads have, a head fitted to a pair's answers; all else is a term reward
    fitted to a pair's log-ratios.

    Raises:
        InputError: samples and a pair are both named, or a setting cannot be used.
    """
    given = merged(file, sets, flags)
    if {"aligned_samples", "reference_samples"} & given.keys():
        if beside := [key for key in ("aligned", "reference", "prompts") if key in given]:
            raise InputError(
                f"A reward is recovered from samples or from a pair; --{beside[0]} cannot be "
                "given beside --aligned-samples and --reference-samples."
            )
        return SamplesSettings.checked(given)
    of_heads = {"features", "base", "learning"} & given.keys()
    terms = given.get("form", "terms") == "terms" and not of_heads
    if terms and given.get("method", "log-ratio") in ("log-ratio", "log_ratio"):
        given = {key: value for key, value in given.items() if key not in ("form", "method")}
        return RecoverSettings.checked(given)
    return PairHeadSettings.checked(given)


def merged(file: Path | None, sets: list[str], flags: dict[str, Any]) -> dict[str, Any]:
    """A YAML file, then `a.b=c` settings, then flags that are not None."""
    given = _read_yaml(file) if file else {}
    for item in sets:
        _assign(given, item)
    return given | {key: value for key, value in flags.items() if value is not None}


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The config file {file} cannot be read as YAML ({reason}); give an existing YAML file."
        ) from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InputError(f"The config file {file} must hold `key: value` lines at its top level.")
    return document


def _assign(tree: dict[str, Any], item: str) -> None:
    path, equals, text = item.partition("=")
    if not equals or not path:
        raise InputError(f"--set {item!r} is not of the form a.b=c.")
    *parents, last = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise InputError(f"--set {item!r}: {parent} is a value, not a group of settings.")
    try:
        tree[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"--set {item!r}: the value is not valid YAML.") from None


def _hint(settings: type[Settings], key: str) -> str:
    for part in key.split(".")[:-1]:
        field = settings.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type):
            break
        settings = field.annotation
    field = settings.model_fields.get(key.split(".")[-1])
    if field is not None and typing.get_origin(field.annotation) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(field.annotation)))} is expected."
    return f"known settings here: {', '.join(settings.model_fields)}."
