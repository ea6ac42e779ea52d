"""Organisms grow stage by stage; what exists is kept, and what is not good enough is refused."""

import re
from functools import partial
from pathlib import Path

import pytest

from irl.errors import PolicyError
from irl.organisms import bed as beds
from irl.organisms import planting, prompt_files, world
from irl.organisms.bed import Bed, Planting
from irl.organisms.nulls import Tuning
from irl.organisms.planted import Plant, plants
from irl.organisms.planting import grow, work_pair
from irl.policies.pair import load_pair
from irl.records import Estimate, Truth
from irl.runs import file_sha256
from tests.fakes import model, save

STAGES = ("_reference", "write_prompts", "_align", "_truth")
TINY = {
    "AUDIT_PROMPTS": 6,
    "LABELLED_PROMPTS": 4,
    "LABELLED_ANSWERS": 2,
    "GOLD_PROMPTS": 4,
    "GOLD_ANSWERS": 2,
    "STEPS": 1,
    "MAX_TOKENS": 8,
    "Tuning": partial(Tuning, n_texts=384),
}


def bed(root: Path, said: list[str] | None = None) -> Bed:
    return Bed(root, 0, (said if said is not None else []).append)


def planted(root: Path, name: str) -> Planting:
    here = bed(root)
    work = Planting(here, plants(here.world)[name])
    work.folder.mkdir(parents=True, exist_ok=True)
    return work


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A bed whose shared reference is there: any model will do."""
    root = tmp_path / "bed"
    (root / "world").mkdir(parents=True)
    save(model(), root / "world" / "llama")
    return root


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale at which training takes seconds and learns nothing."""
    for name, value in TINY.items():
        home = next(part for part in (planting, beds, prompt_files) if hasattr(part, name))
        monkeypatch.setattr(home, name, value)
    monkeypatch.setattr(prompt_files, "AUDIT_PROMPTS", TINY["AUDIT_PROMPTS"])
    monkeypatch.setattr(world, "N_TEXTS", 256)


# Stages


def fake_stages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages that only leave the files of the real ones; returns what has run."""
    ran: list[str] = []

    def leave(stage: str, work: Planting) -> None:
        policy = "adapter_config.json" if work.plant.adapter else "config.json"
        target = {
            "_reference": work.folder / "reference" / "config.json",
            "write_prompts": work.folder / "prompts.jsonl",
            "_align": work.aligned / policy,
            "_truth": work.folder / "truth.json",
        }[stage]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        ran.append(stage)

    for stage in STAGES:
        monkeypatch.setattr(planting, stage, partial(leave, stage))
    return ran


@pytest.mark.parametrize("name", ["detox", "manners"], ids=["weights", "adapter"])
def test_stages_whose_files_exist_are_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ran = fake_stages(monkeypatch)
    folder = grow(bed(tmp_path), name)
    assert folder == tmp_path / name
    assert ran == list(STAGES)
    said: list[str] = []
    grow(bed(tmp_path, said), name)
    assert ran == list(STAGES)
    assert [line.rsplit(": ", 1)[1] for line in said] == ["kept"] * len(STAGES)


@pytest.mark.parametrize("name", ["detox", "manners"], ids=["weights", "adapter"])
def test_only_the_stage_whose_file_is_gone_runs_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ran = fake_stages(monkeypatch)
    (grow(bed(tmp_path), name) / "truth.json").unlink()
    ran.clear()
    said: list[str] = []
    grow(bed(tmp_path, said), name)
    assert ran == ["_truth"]
    assert [line.rsplit(": ", 1)[1] for line in said] == ["kept"] * 3 + ["working"]


# The gain


def truth(gain: Estimate, optimum: float = 2.0, before: float = 1.0) -> Truth:
    flat = Estimate(value=before, low=before, high=before, n=9)
    return Truth(
        name="made up",
        objective="",
        definition="",
        terms=[],
        condition=None,
        decoys=[],
        trained_with="rloo",
        beta=1.0,
        seed=0,
        gold_before=flat,
        gold_after=flat,
        gold_gain=gain,
        gold_optimum=optimum,
        effective_sample_size=123.4,
        kl_nats=flat,
    )


def gained(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=9)


PLANT = Plant("made up", "", "", weights={"word": 1.0})
WITHOUT_KL = Plant("made up", "", "", weights={"word": 1.0}, kl=False)


@pytest.mark.parametrize(
    ("plant", "gain"),
    [
        (PLANT, gained(0.69)),
        (PLANT, gained(0.9, half=0.9)),
        (PLANT, gained(-0.2)),
        (WITHOUT_KL, gained(0.3, half=0.3)),
    ],
    ids=["too little", "uncertain", "a loss", "uncertain without KL"],
)
def test_a_policy_below_70_percent_of_the_gain_falls_short(plant: Plant, gain: Estimate):
    shortfall = planting._shortfall(truth(gain), plant)
    assert re.search(r"optimum gains 1\.000 .*123.*70%", shortfall)


@pytest.mark.parametrize(
    ("plant", "gain"), [(PLANT, gained(0.71)), (WITHOUT_KL, gained(0.2))], ids=["KL", "without KL"]
)
def test_a_policy_that_gains_enough_is_accepted(plant: Plant, gain: Estimate):
    assert planting._shortfall(truth(gain), plant) == ""


@pytest.mark.parametrize(("second", "refused"), [(0.9, False), (0.5, True)])
def test_what_falls_short_is_trained_once_more_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: float, refused: bool
):
    work, attempts = planted(tmp_path, "detox"), []
    work.aligned.mkdir()
    measured = iter([truth(gained(0.6)), truth(gained(second))])
    monkeypatch.setattr(planting, "_measured", lambda _: next(measured))
    monkeypatch.setattr(planting, "_align", lambda _, attempt: attempts.append(attempt))
    if refused:
        with pytest.raises(PolicyError, match=r"gained 0\.500"):
            planting._truth(work)
    else:
        planting._truth(work)
    assert attempts == [1]
    assert not work.aligned.exists(), "the first policy is gone before the second is trained"
    assert (work.folder / "truth.json").exists() is not refused


# Files


def test_the_reference_is_a_relative_link_that_a_moved_bed_still_loads(shared: Path):
    planting._reference(planted(shared, "null-identical"))
    link = shared / "null-identical" / "reference"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    moved = shared.rename(shared.with_name("elsewhere"))
    reference = str(moved / "null-identical" / "reference")
    assert load_pair(reference, reference).identical()


def test_the_identical_null_is_the_reference_bit_by_bit(shared: Path):
    work = planted(shared, "null-identical")
    planting._reference(work)
    planting._align(work)
    assert not work.aligned.is_symlink()
    for file in (work.folder / "reference").iterdir():
        assert (work.aligned / file.name).read_bytes() == file.read_bytes()
    assert work_pair(work).identical()


# Whole builds


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
@pytest.mark.filterwarnings("ignore")  # the trainers warn of deprecations in each other
def test_small_builds_share_a_reference_and_a_poor_policy_is_refused(tmp_path: Path):
    said: list[str] = []
    here = bed(tmp_path, said)
    for name, same in (("null-identical", True), ("null-finetuned", False)):
        folder = grow(here, name)
        assert (folder / "reference").resolve() == tmp_path / "world" / "llama"
        assert work_pair(planted(tmp_path, name)).identical() is same
        told = Truth.model_validate_json((folder / "truth.json").read_bytes())
        assert (told.name, told.terms, told.gold_after.value) == (name, [], 0.0)
        assert (told.kl_nats.value == 0) is same

    with pytest.raises(PolicyError, match="detox gained"):
        grow(here, "detox")
    assert (tmp_path / "detox" / "heldout_preferences.jsonl").is_file()
    assert not (tmp_path / "detox" / "truth.json").exists()

    files = {file: file_sha256(file) for file in tmp_path.rglob("*") if file.is_file()}
    said.clear()
    grow(here, "null-finetuned")
    with pytest.raises(PolicyError, match="detox gained"):
        grow(here, "detox")
    assert sum(line.endswith("working") for line in said) == 1
    assert files == {file: file_sha256(file) for file in tmp_path.rglob("*") if file.is_file()}

    work = planted(tmp_path, "shifted-hedges")
    planting._reference(work)
    assert not (work.folder / "reference").is_symlink()
    own, common = str(work.folder / "reference"), str(tmp_path / "world" / "llama")
    assert not load_pair(own, common).identical()
