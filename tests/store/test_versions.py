"""Versions on disk: found, checked, published whole or not at all."""

import json
import multiprocessing
import shutil
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from chromaserve.store.errors import ContractMismatch, ModelCorrupt, ModelNotFound
from chromaserve.store.versions import ModelStore, ModelVersion
from tests.small_network import describe


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(bytes(range(256)))
    (folder / "MODEL_CARD.md").write_text("# Card\n", encoding="utf-8")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def model(store: ModelStore, source: Path) -> ModelVersion:
    return store.publish(source, describe())


def edit(model: ModelVersion, **changes: object) -> None:
    path = model.path / "model.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(fields | changes), encoding="utf-8")


def test_a_published_model_is_found_and_verified(store: ModelStore, source: Path) -> None:
    assert store.versions() == []
    first, second = (store.publish(source, describe(attribution=a)) for a in ("one", "two"))
    assert store.versions() == [1, 2]
    assert store.resolve("latest") == store.resolve("2") == store.resolve(2) == second
    assert store.resolve(1) == first
    assert first.path == store.root / "colorizer" / "1"
    assert first.description.attribution == "one"
    assert second.description.version == 2
    assert set(second.description.files) == {
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "MODEL_CARD.md",
    }
    for model in (first, second):
        store.verify(model)
        assert (model.path / "saved_model.pb").read_bytes() == b"graph"


def test_numbers_are_ordered_as_numbers(store: ModelStore, source: Path) -> None:
    for _ in range(11):
        store.publish(source, describe())
    assert store.versions() == list(range(1, 12))
    assert store.resolve("latest").version == 11


def test_other_folders_and_files_are_ignored(store: ModelStore, model: ModelVersion) -> None:
    for name in ("02", "-3", "0", "1.5", "latest", ".hidden", "٣"):
        (store.folder / name).mkdir()
    (store.folder / "9").write_text("a file", encoding="utf-8")
    assert store.versions() == [1]
    assert store.resolve("latest") == model


def test_latest_passes_over_an_incomplete_copy(store: ModelStore, model: ModelVersion) -> None:
    (store.folder / "7").mkdir()
    assert store.resolve("latest") == model
    with pytest.raises(ModelCorrupt, match=r"model\.json"):
        store.resolve(7)


@pytest.mark.parametrize("version", ["abc", "01", "-1", 0, 4, "1.0", "", "../1", "٣"])
@pytest.mark.usefixtures("model")
def test_a_missing_version_is_answered_with_what_there_is(
    store: ModelStore, version: str | int
) -> None:
    with pytest.raises(ModelNotFound, match=r'use "latest" or .*there is: 1\)'):
        store.resolve(version)


def test_an_empty_store_has_no_latest(store: ModelStore) -> None:
    with pytest.raises(ModelNotFound, match="no version"):
        store.resolve("latest")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("flip", "variables/variables.data-00000-of-00001 has changed"),
        ("delete", "saved_model.pb is missing"),
        ("stray", "variables/extra is not listed"),
        ("link", "saved_model.pb is not a plain file"),
    ],
)
def test_damage_is_named(
    store: ModelStore, model: ModelVersion, source: Path, damage: str, complaint: str
) -> None:
    variables = model.path / "variables" / "variables.data-00000-of-00001"
    if damage == "flip":
        content = bytearray(variables.read_bytes())
        content[100] ^= 1
        variables.write_bytes(content)
    elif damage == "stray":
        (model.path / "variables" / "extra").write_bytes(b"")
    else:
        (model.path / "saved_model.pb").unlink()
    if damage == "link":
        (model.path / "saved_model.pb").symlink_to(source / "saved_model.pb")
    with pytest.raises(ModelCorrupt, match=complaint):
        store.verify(store.resolve(1))


@pytest.mark.parametrize("text", ["", "{", "[]", '"model"', "{}", "\ufeff{}", "[" * 100_000])
def test_an_invalid_description_is_corrupt(
    store: ModelStore, model: ModelVersion, text: str
) -> None:
    (model.path / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelCorrupt, match=r"model\.json"):
        store.resolve("latest")


def test_a_description_that_is_not_text_is_corrupt(store: ModelStore, model: ModelVersion) -> None:
    (model.path / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelCorrupt, match=r"model\.json"):
        store.resolve(1)


@pytest.mark.parametrize("path", ["../../secret", "/etc/passwd", "variables/../../x"])
def test_files_outside_the_folder_are_corrupt(
    store: ModelStore, model: ModelVersion, path: str
) -> None:
    edit(model, files={path: "0" * 64})
    with pytest.raises(ModelCorrupt, match=r"files.*not a plain path"):
        store.resolve(1)


@pytest.mark.parametrize("other", [{}, {"a_field_of_the_future": 1}])
def test_another_contract_is_told_apart_from_damage(
    store: ModelStore, model: ModelVersion, other: dict[str, Any]
) -> None:
    edit(model, contract_version=99, **other)
    with pytest.raises(ContractMismatch, match=r"contract 99.*contract 1"):
        store.resolve(1)


def test_a_copied_folder_does_not_pass_for_another_version(
    store: ModelStore, model: ModelVersion
) -> None:
    shutil.copytree(model.path, store.folder / "5")
    with pytest.raises(ModelCorrupt, match="says version 1, its folder 5"):
        store.resolve(5)


def test_publishing_leaves_the_source_and_an_old_description_behind(
    store: ModelStore, source: Path
) -> None:
    (source / "model.json").write_text("old", encoding="utf-8")
    model = store.publish(source, describe(version=40, files={"nothing": "0" * 64}))
    assert model.version == 1
    store.verify(store.resolve(1))
    assert (source / "model.json").read_text(encoding="utf-8") == "old"


def test_a_private_source_is_published_for_every_reader(store: ModelStore, source: Path) -> None:
    for folder in (source, source / "variables"):
        folder.chmod(0o700)
    model = store.publish(source, describe())
    for folder in (model.path, model.path / "variables"):
        assert folder.stat().st_mode == store.folder.stat().st_mode


def test_what_cannot_be_published_leaves_nothing(store: ModelStore, source: Path) -> None:
    store.publish(source, describe())
    with pytest.raises(ContractMismatch, match="contract 2"):
        store.publish(source, describe(contract_version=2))
    with pytest.raises(ModelNotFound, match="nowhere"):
        store.publish(source / "nowhere", describe())
    (source / "a\\b").write_bytes(b"")
    with pytest.raises(ModelCorrupt, match="not portable"):
        store.publish(source, describe())
    assert [path.name for path in store.folder.iterdir()] == ["1"]


def _publish(root: Path, source: Path, barrier: Barrier, numbers: "Queue[list[int]]") -> None:
    barrier.wait(60)
    numbers.put([ModelStore(root).publish(source, describe()).version for _ in range(5)])


@pytest.mark.slow
def test_publishers_at_once_get_versions_of_their_own(store: ModelStore, source: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, numbers = context.Barrier(3), context.Queue()
    arguments = (store.root, source, barrier, numbers)
    processes = [context.Process(target=_publish, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    published = [number for _ in processes for number in numbers.get(timeout=60)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(published) == store.versions() == list(range(1, 16))
    for number in published:
        store.verify(store.resolve(number))
    assert not list(store.folder.glob(".*"))


def test_a_retired_version_is_gone_and_its_number_stays_taken(
    store: ModelStore, source: Path
) -> None:
    for _ in range(3):
        store.publish(source, describe())
    store.retire(3)
    assert store.versions() == [1, 2]
    assert store.resolve("latest").version == 2
    with pytest.raises(ModelNotFound, match="3"):
        store.retire(3)
    assert store.publish(source, describe()).version == 4
    (store.folder / ".retired-3").rename(store.folder / "3")
    store.verify(store.resolve(3))


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """What is added to a version: a file beside the others, and one in the place of another."""
    folder = tmp_path / "more"
    (folder / "ncnn").mkdir(parents=True)
    (folder / "ncnn" / "network.bin").write_bytes(b"weights")
    (folder / "MODEL_CARD.md").write_text("# Another card\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("at_once", [True, False])
def test_a_version_is_amended_in_its_place(
    store: ModelStore,
    model: ModelVersion,
    more: Path,
    at_once: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not at_once:  # a system that cannot exchange two folders

        def lacks(*_: object, **__: object) -> None:
            raise OSError("no such library")

        monkeypatch.setattr("ctypes.CDLL", lacks)
    amended = store.amend(model, more, attribution="amended")
    assert store.resolve("latest") == amended
    assert (amended.version, amended.path) == (model.version, model.path)
    assert amended.description.attribution == "amended"
    assert amended.description.files.keys() == {*model.description.files, "ncnn/network.bin"}
    store.verify(amended)
    assert (model.path / "MODEL_CARD.md").read_text(encoding="utf-8") == "# Another card\n"
    assert (model.path / "saved_model.pb").read_bytes() == b"graph"
    assert [path.name for path in store.folder.iterdir()] == ["1"]


def test_what_cannot_be_added_changes_nothing(
    store: ModelStore, model: ModelVersion, more: Path
) -> None:
    (more / "a\\b").write_bytes(b"")
    with pytest.raises(ModelCorrupt, match="not portable"):
        store.amend(model, more, attribution="amended")
    assert store.resolve("latest") == model
    store.verify(model)
    assert [path.name for path in store.folder.iterdir()] == ["1"]


def test_what_may_not_be_read_is_told_with_the_reason(
    store: ModelStore, model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuses)
        with pytest.raises(
            ModelCorrupt,
            match=r"saved_model.pb cannot be read: Permission denied|"
            "MODEL_CARD.md cannot be read: Permission denied",
        ):
            store.verify(model)
    monkeypatch.setattr(Path, "iterdir", refuses)
    with pytest.raises(ModelCorrupt, match="colorizer cannot be read: Permission denied"):
        store.resolve("latest")
