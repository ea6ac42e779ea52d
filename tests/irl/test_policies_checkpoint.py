"""Where checkpoints are found: folders first, then the hub's local cache; no network here."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from irl.config import Loading
from irl.errors import PolicyError
from irl.policies.checkpoint import files_sha256, locate, locate_base
from irl.policies.pair import PolicyPair, load_pair
from irl.tensors import TokenSequence
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

HUB_ID = "owner/name"
OLD, NEW = "a" * 40, "b" * 40
SEQUENCE = TokenSequence((1, 20, 30, 40), (50, 60, 70, 2))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """old/ and new/, two full checkpoints, and adapter/ over old/."""
    folder = tmp_path_factory.mktemp("store")
    fakes.save(fakes.model(), folder / "old")
    fakes.save(fakes.nudged(fakes.model()), folder / "new")
    fakes.save_adapter(folder / "old", folder / "adapter")
    return folder


@pytest.fixture
def hub(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An offline cache in the hub's own layout: main is the new revision, v1 the old one."""
    cache = tmp_path / "hub"
    entry = cache / "models--owner--name"
    shutil.copytree(store / "old", entry / "snapshots" / OLD)
    shutil.copytree(store / "new", entry / "snapshots" / NEW)
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text(NEW, encoding="utf-8")
    (entry / "refs" / "v1").write_text(OLD, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return entry / "snapshots"


@pytest.fixture
def adapter(store: Path, hub: Path, tmp_path: Path) -> Path:
    """An adapter whose base is the hub id, without a revision."""
    folder = Path(shutil.copytree(store / "adapter", tmp_path / "adapter"))
    rebase(folder, base_model_name_or_path=HUB_ID)
    return folder


def rebase(adapter: Path, **changes: str | None) -> None:
    file = adapter / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(settings | changes), encoding="utf-8")


def scores(pair: PolicyPair) -> list[float]:
    return [side.nats([SEQUENCE])[0].sum().item() for side in (pair.aligned, pair.reference)]


def refusal(aligned: str, reference: str | None = None, loading: Loading | None = None) -> str:
    with pytest.raises(PolicyError) as refused:
        load_pair(aligned, reference, loading)
    return str(refused.value)


# --- hub ids ----------------------------------------------------------------------------------


def test_a_hub_id_is_found_in_the_local_cache(hub: Path):
    found = locate(HUB_ID)
    assert found.folder.resolve() == (hub / NEW).resolve()
    assert found.source == HUB_ID


@pytest.mark.parametrize("revision", ["v1", OLD])
def test_a_revision_chooses_the_snapshot(hub: Path, revision: str):
    found = locate(HUB_ID, revision)
    assert found.folder.resolve() == (hub / OLD).resolve()
    assert found.revision == revision


def test_a_pair_of_revisions_is_a_pair_of_models(hub: Path, store: Path):
    loading = Loading(aligned_revision="main", reference_revision="v1")
    of_hub = load_pair(HUB_ID, HUB_ID, loading)
    assert scores(of_hub) == scores(load_pair(str(store / "new"), str(store / "old")))
    assert of_hub.aligned.checkpoint.source == HUB_ID


def test_a_folder_of_that_name_wins_over_the_hub_id(hub: Path, store: Path, tmp_path: Path):
    shutil.copytree(store / "old", tmp_path / HUB_ID)
    assert locate(HUB_ID).folder == Path(HUB_ID)


@pytest.mark.parametrize("name", ["owner/unknown", "unknown"])
def test_an_unknown_hub_id_is_refused(hub: Path, name: str):
    sentence = refusal(name, HUB_ID)
    assert name in sentence
    assert "local cache" in sentence


def test_an_unknown_revision_is_refused(hub: Path):
    assert HUB_ID in refusal(HUB_ID, HUB_ID, Loading(aligned_revision="v9"))


@pytest.mark.parametrize("name", ["no/such/folder", "/no/such", "https://hub/owner/name", "a b"])
def test_what_is_neither_a_folder_nor_an_id_is_refused_as_such(hub: Path, name: str):
    assert "not a hub id" in refusal(name, HUB_ID)


# --- the base of an adapter -------------------------------------------------------------------


def test_the_base_of_an_adapter_may_be_a_hub_id(adapter: Path, store: Path):
    rebase(adapter, revision="v1")
    assert scores(load_pair(str(adapter))) == scores(load_pair(str(store / "adapter")))


def test_an_adapter_is_put_on_the_revision_that_it_was_trained_on(adapter: Path, hub: Path):
    rebase(adapter, revision="v1")
    assert locate_base(locate(str(adapter))).folder.resolve() == (hub / OLD).resolve()


def test_the_revision_asked_for_serves_an_adapter_that_names_none(adapter: Path, store: Path):
    on_main = load_pair(str(adapter))
    on_v1 = load_pair(str(adapter), loading=Loading(reference_revision="v1"))
    assert scores(on_v1) == scores(load_pair(str(store / "adapter")))
    assert scores(on_main) != scores(on_v1)


def test_another_revision_than_the_adapter_was_trained_on_is_refused_with_both(adapter: Path):
    rebase(adapter, revision="v1")
    sentence = refusal(str(adapter), loading=Loading(reference_revision="main"))
    assert "revision v1" in sentence
    assert "revision main" in sentence


def test_the_same_revision_asked_for_is_accepted(adapter: Path):
    rebase(adapter, revision="v1")
    asked = load_pair(str(adapter), loading=Loading(reference_revision="v1"))
    assert scores(asked) == scores(load_pair(str(adapter)))


def test_the_hub_id_of_the_base_as_reference_shares_its_weights(adapter: Path):
    rebase(adapter, revision="v1")
    pair = load_pair(str(adapter), HUB_ID, Loading(reference_revision="v1"))
    assert pair.aligned.model is pair.reference.model


# --- hashes -----------------------------------------------------------------------------------


def test_the_hash_is_of_names_and_contents_not_of_the_place(store: Path, tmp_path: Path):
    moved = Path(shutil.copytree(store / "old", tmp_path / "moved"))
    assert files_sha256(moved) == files_sha256(store / "old")
    (moved / "README.md").write_text("words", encoding="utf-8")
    assert files_sha256(moved) == files_sha256(store / "old")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "chat_template.jinja"])
def test_the_hash_changes_with_one_byte_of_what_defines_the_model(
    store: Path, tmp_path: Path, name: str
):
    changed = Path(shutil.copytree(store / "old", tmp_path / "changed"))
    with (changed / name).open("ab") as stream:
        stream.write(b" ")
    assert files_sha256(changed) != files_sha256(store / "old")


@pytest.mark.parametrize("names", [("b.json", "a.json"), ("a.json", "c.json")])
def test_the_hash_changes_with_the_name_under_which_a_content_stands(
    tmp_path: Path, names: tuple[str, str]
):
    for folder, written in (("one", ("a.json", "b.json")), ("other", names)):
        (tmp_path / folder).mkdir()
        for name, content in zip(written, ("1", "2"), strict=True):
            (tmp_path / folder / name).write_text(content, encoding="utf-8")
    assert files_sha256(tmp_path / "one") != files_sha256(tmp_path / "other")
