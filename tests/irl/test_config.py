"""Settings: a file, then --set, then flags; what cannot be used is named."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from irl.config import (
    AuditSettings,
    HeadMethod,
    HeadSettings,
    Learning,
    PairHeadSettings,
    RecoverSettings,
    SamplesSettings,
    ScoreSettings,
    recovery_settings,
)
from irl.data.bundled import bundled_pair
from irl.errors import InputError
from irl.recovery.methods import METHODS, WHITE_BOX

MINIMAL: dict[str, Any] = {"aligned": "a"}


def yaml_file(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(*sets: str, file: Path | None = None, **flags: object) -> str:
    with pytest.raises(InputError) as caught:
        AuditSettings.read(file, list(sets), MINIMAL | flags)
    return str(caught.value)


def test_the_defaults_are_those_of_the_contract():
    settings = AuditSettings.read(None, [], MINIMAL)
    assert settings.sampling.responses_per_prompt == 8
    assert settings.sampling.temperature == 1
    assert settings.fitting.n_folds == 5
    assert settings.method == "log_ratio"
    assert settings.trained_with == "unknown"
    assert settings.loading.trust_remote_code is False


def test_set_wins_over_the_file_and_flags_over_both(tmp_path: Path):
    file = yaml_file(
        tmp_path,
        "aligned: from file\nreference: from file\nprompts: from file\n"
        "sampling: {temperature: 0.5, max_new_tokens: 7}\n",
    )
    sets = ["reference=from set", "prompts=from set", "sampling.temperature=0.25"]
    settings = AuditSettings.read(file, sets, {"prompts": "from flag", "seed": None})
    assert settings.aligned == "from file"
    assert settings.reference == "from set"
    assert settings.prompts == "from flag"
    assert settings.sampling.temperature == 0.25
    assert settings.sampling.max_new_tokens == 7
    assert settings.seed == 0


def test_the_last_set_of_a_setting_wins():
    assert AuditSettings.read(None, ["seed=1", "seed=2"], MINIMAL).seed == 2


def test_values_of_set_are_yaml():
    sets = ["prompt_limit=3", "loading.trust_remote_code=false", "preferences=[a.csv, b.csv]"]
    settings = AuditSettings.read(None, sets, MINIMAL)
    assert settings.prompt_limit == 3
    assert settings.loading.trust_remote_code is False
    assert settings.preferences == ("a.csv", "b.csv")


def test_an_empty_file_changes_nothing(tmp_path: Path):
    file = yaml_file(tmp_path, "# nothing\n")
    assert AuditSettings.read(file, [], MINIMAL) == AuditSettings.read(None, [], MINIMAL)


def test_settings_are_frozen():
    settings = AuditSettings.read(None, [], MINIMAL)
    with pytest.raises(ValidationError):
        settings.seed = 1
    with pytest.raises(ValidationError):
        settings.sampling.temperature = 2.0


def test_each_job_accepts_its_own_settings_only():
    assert AuditSettings.read(None, [], MINIMAL | {"gate": "g.yaml"}).gate == "g.yaml"
    for kind in (ScoreSettings, RecoverSettings):
        with pytest.raises(InputError, match="gate"):
            kind.read(None, [], MINIMAL | {"gate": "g.yaml"})


def test_settings_survive_json():
    settings = AuditSettings.read(None, ["seed=3"], MINIMAL)
    assert AuditSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("key", ["temprature", "sampling.temprature", "fitting.folds", "a.b.c"])
def test_an_unknown_key_is_refused_with_the_known_ones(key: str):
    message = refusal(f"{key}=1")
    assert f"The setting {key.split('.b')[0]} = " in message
    known = {"sampling": "temperature", "fitting": "n_folds"}.get(key.split(".")[0], "aligned")
    assert "known settings here: " in message
    assert known in message


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("sampling.temperature=0", "greater than 0"),
        ("sampling.temperature=hot", "valid number"),
        ("sampling.responses_per_prompt=1", "greater than or equal to 2"),
        ("seed=-1", "greater than or equal to 0"),
        ("seed=1.5", "valid integer"),
        ("seed=", "valid integer"),
        ("prompt_limit=0", "greater than or equal to 1"),
        ("fitting.false_discovery_rate=1", "less than 1"),
        ("trained_with=magic", "one of rloo, grpo, ppo, dpo, ipo, kto, sft, unknown"),
        ("method=guess", "one of log_ratio"),
        ("loading.dtype=int8", "one of float32, bfloat16, float16"),
        ("chat=maybe", "one of auto, always, never"),
        ("sampling=3", "dictionary"),
        ("preferences=labels.csv", "tuple"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_expected(item: str, words: str):
    message = refusal(item)
    assert message.startswith(f"The setting {item.partition('=')[0]} = ")
    assert words in message


@pytest.mark.parametrize("item", ["seed", "=3", ""])
def test_a_set_without_a_name_and_a_value_is_refused(item: str):
    assert "is not of the form a.b=c" in refusal(item)


def test_a_set_below_a_plain_value_is_refused():
    assert "aligned is a value, not a group" in refusal("aligned=x", "aligned.y=1")


def test_a_set_that_is_no_yaml_is_refused():
    assert "not valid YAML" in refusal("aligned=[")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "must hold `key: value` lines"),
        ("just words", "must hold `key: value` lines"),
        ("a: [", "cannot be read as YAML"),
        ("!!python/object/apply:os.getcwd []", "cannot be read as YAML"),
        ("1: 2\n", "must hold `key: value` lines"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(text: str, words: str, tmp_path: Path):
    message = refusal(file=yaml_file(tmp_path, text))
    assert words in message


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path):
    assert "cannot be read as YAML" in refusal(file=tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read as YAML" in refusal(file=tmp_path / "binary.yaml")


def test_a_setting_that_is_missing_is_asked_for():
    with pytest.raises(InputError, match="The setting aligned is missing; give it with --aligned"):
        AuditSettings.read(None, [], {"prompts": "p.jsonl"})


def test_every_refusal_is_one_line(tmp_path: Path):
    file = yaml_file(tmp_path, "a: b: c\nd: [\n")
    messages = [refusal("nonsense=1"), refusal("seed=x\ny"), refusal("seed"), refusal(file=file)]
    assert all("\n" not in message for message in messages)


def bundle(folder: Path) -> Path:
    for side in ("aligned", "reference"):
        (folder / side).mkdir(parents=True)
        (folder / side / "config.json").write_text("{}", encoding="utf-8")
    return folder


def test_the_bundled_pair_is_named_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    settings = AuditSettings.read(None, [], bundled_pair(bundle(tmp_path / "models")))
    assert (settings.aligned, settings.reference) == ("models/aligned", "models/reference")
    assert settings.prompts == "models/prompts.jsonl"
    assert settings.trained_with == "rloo"


def test_without_the_bundled_pair_the_user_is_asked_for_one(tmp_path: Path):
    with pytest.raises(InputError, match="give --aligned and --reference"):
        bundled_pair(tmp_path)


# What `irl recover` is asked for


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"aligned": "a"}, RecoverSettings),
        ({"aligned": "a", "method": "log-ratio"}, RecoverSettings),
        ({"aligned": "a", "method": "log_ratio", "form": "terms"}, RecoverSettings),
        ({"aligned": "a", "method": "log-ratio", "form": "mlp"}, PairHeadSettings),
        ({"aligned": "a", "method": "max-entropy"}, PairHeadSettings),
        ({"aligned_samples": "a", "reference_samples": "b"}, SamplesSettings),
    ],
)
def test_what_is_named_decides_how_a_reward_is_recovered(given: dict[str, str], kind: type):
    assert type(recovery_settings(None, [], given)) is kind


def test_settings_of_recovery_may_stand_in_a_file(tmp_path: Path):
    file = tmp_path / "recover.yaml"
    file.write_text("aligned_samples: a\nreference_samples: b\nmethod: max-entropy\n")
    found = recovery_settings(file, ["learning.seeds=[7]"], {"method": "candidates", "seed": None})
    assert isinstance(found, SamplesSettings)
    assert (found.method, found.learning.seeds) == ("candidates", (7,))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"aligned_samples": "a", "reference_samples": "b", "prompts": "c"}, "--prompts"),
        ({"aligned_samples": "a"}, "--reference-samples"),
        ({"aligned_samples": "a", "reference_samples": "b", "method": "log-ratio"}, "log-ratio"),
        ({"aligned": "a", "method": "guess"}, "bradley-terry"),
        ({"method": "max-entropy"}, "--aligned"),
    ],
)
def test_what_cannot_be_recovered_from_is_refused(given: dict[str, str], words: str):
    with pytest.raises(InputError, match=words):
        recovery_settings(None, [], given)


def test_the_method_of_an_audit_may_be_written_either_way():
    for name in ("log-ratio", "log_ratio"):
        assert AuditSettings.checked({"aligned": "a", "method": name}).method == "log_ratio"
    with pytest.raises(InputError, match="log_ratio"):
        AuditSettings.checked({"aligned": "a", "method": "max-entropy"})


def test_every_method_that_can_be_named_is_there():
    """The names stand in the settings, which know no torch; the methods where they are."""
    assert set(METHODS) == set(get_args(HeadMethod))
    assert {"log-ratio", "reference-free"} == WHITE_BOX


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"form": "transformer", "features": "embeddings"}, "reads tokens"),
        ({"form": "mlp", "method": "max-margin"}, "linear rewards only"),
    ],
)
def test_forms_and_methods_that_do_not_go_together_are_refused(given: dict[str, Any], words: str):
    with pytest.raises(InputError, match=f"These settings do not go together: .*{words}"):
        recovery_settings(None, [], {**MINIMAL, **given})


def test_a_setting_of_heads_names_a_head_fitted_to_log_ratios():
    for key, value in (("features", "embeddings"), ("base", "b"), ("learning", {"epochs": 3})):
        settings = recovery_settings(None, [], {**MINIMAL, key: value})
        assert isinstance(settings, PairHeadSettings)
        assert settings.method == "log-ratio"


def test_a_transformer_learns_more_slowly_unless_said_otherwise():
    plain = HeadSettings(form="transformer", learning=Learning(epochs=5)).learning
    assert (plain.epochs, plain.learning_rate, plain.seeds) == (5, 1e-4, (0, 1, 2))
    said = HeadSettings(form="transformer", learning={"learning_rate": 1e-3}).learning
    assert (said.epochs, said.learning_rate) == (20, 1e-3)
