"""Versions of a model on disk: list, resolve, verify, publish atomically, retire."""

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from chromaserve.store.contract import CONTRACT_VERSION, MODEL_NAME, ModelDescription
from chromaserve.store.errors import ContractMismatch, ModelCorrupt, ModelNotFound

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = _PACKAGE / "model_store"
BUNDLED_ROOT: Final = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "model_store"
"""The models that come along: inside an installed package, or beside it in the repository."""

_DESCRIPTION = "model.json"
_NUMBER = re.compile(r"[1-9][0-9]*")
_RETIRED = ".retired-"


@dataclass(frozen=True)
class ModelVersion:
    """One stored version: a folder with a SavedModel and its model.json."""

    version: int
    path: Path
    description: ModelDescription


@dataclass(frozen=True)
class ModelStore:
    """The versions of one model, `root/name/<version>/`, laid out as TensorFlow Serving reads them.

    Folders whose names are not positive integers without leading zeros are ignored.
    """

    root: Path
    name: str = MODEL_NAME

    @property
    def folder(self) -> Path:
        """Where the versions lie."""
        return self.root / self.name

    def versions(self) -> list[int]:
        """Numbers of the versions on disk, ascending, whether complete or not.

        Raises:
            ModelCorrupt: the folder cannot be read.
        """
        with reading(self.folder):
            if not self.folder.is_dir():
                return []
            folders = [entry.name for entry in self.folder.iterdir() if entry.is_dir()]
        return sorted(int(name) for name in folders if _NUMBER.fullmatch(name))

    def resolve(self, version: int | Literal["latest"] | str) -> ModelVersion:
        """Find a version and read its description; files are not checked, see `verify`.

        Args:
            version: a number, its decimal string, or "latest": the highest version that has a
                model.json.

        Raises:
            ModelNotFound: there is no such version; the message lists what there is.
            ModelCorrupt: model.json is missing or invalid.
            ContractMismatch: the version was made for another contract.
        """
        number = self._number(version)
        path = self.folder / str(number)
        description = _read(path / _DESCRIPTION)
        if description.version != number:
            raise ModelCorrupt(
                f"{path / _DESCRIPTION} says version {description.version}, its folder {number}."
            )
        return ModelVersion(number, path, description)

    def verify(self, model: ModelVersion) -> None:
        """Compare every file with the checksums in model.json.

        Raises:
            ModelCorrupt: naming the files that are changed, missing, or not listed.
        """
        listed = model.description.files
        with reading(model.path):
            found = _files(model.path)
            problems = [f"{name} is missing" for name in sorted(listed.keys() - found.keys())]
            for name in sorted(found):
                if name not in listed:
                    problems.append(f"{name} is not listed")
                elif found[name].is_symlink() or not found[name].is_file():
                    problems.append(f"{name} is not a plain file")
                elif sha256_of(found[name]) != listed[name]:
                    problems.append(f"{name} has changed")
        if problems:
            raise ModelCorrupt(
                f"{model.path} is not what its {_DESCRIPTION} says: {'; '.join(problems)}. "
                "Restore the files or publish the model again."
            )

    def publish(self, source_dir: Path, description: ModelDescription) -> ModelVersion:
        """Copy a SavedModel's folder into the store as the next version, all or nothing.

        The copy is made under a hidden name and renamed when it is whole and on disk, so a reader
        sees the version complete or not at all; of two publishers at once each gets its own number.

        Args:
            source_dir: folder with the SavedModel and whatever goes with it (MODEL_CARD.md); a
                model.json in it is not copied.
            description: version and files in it are replaced by the new number and checksums.

        Raises:
            ModelNotFound: source_dir is not a folder, or holds no files.
            ContractMismatch: description is of another contract.
            ModelCorrupt: a file's name is not portable.
        """
        if description.contract_version != CONTRACT_VERSION:
            raise ContractMismatch(_other_contract("The description", description.contract_version))
        if not _files(source_dir):
            raise ModelNotFound(f"There is no model to publish in {source_dir}.")
        self.folder.mkdir(parents=True, exist_ok=True)
        hidden = self.folder / f".publishing-{uuid.uuid4().hex}"
        try:
            shutil.copytree(source_dir, hidden, copy_function=shutil.copyfile)
            (hidden / _DESCRIPTION).unlink(missing_ok=True)
            files = {name: sha256_of(path) for name, path in _files(hidden).items()}
            for folder, _, names in os.walk(hidden, topdown=False):
                # A source made by tempfile is its owner's alone: take the store's permissions.
                Path(folder).chmod(self.folder.stat().st_mode)
                for name in (*names, "."):
                    _sync(Path(folder, name))
            return self._place(hidden, description.model_copy(update={"files": files}))
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    def amend(self, model: ModelVersion, source_dir: Path, **described: Any) -> ModelVersion:  # noqa: ANN401 - fields of ModelDescription
        """Add files to a version: a whole copy with them takes its place, in one step on Linux.

        Args:
            model: a version whose files were verified.
            source_dir: what is added, or replaces what is there under the same name.
            described: fields of the description that change.
        """
        hidden = self.folder / f".amending-{uuid.uuid4().hex}"
        try:
            shutil.copytree(model.path, hidden, copy_function=shutil.copyfile)
            shutil.copytree(source_dir, hidden, copy_function=shutil.copyfile, dirs_exist_ok=True)
            files = {name: sha256_of(path) for name, path in _files(hidden).items()}
            description = model.description.model_copy(update={**described, "files": files})
            json_path = hidden / _DESCRIPTION
            json_path.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")
            _read(json_path)
            for folder, _, names in os.walk(hidden, topdown=False):
                Path(folder).chmod(self.folder.stat().st_mode)
                for name in (*names, "."):
                    _sync(Path(folder, name))
            _exchange(hidden, model.path)
            _sync(self.folder)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
        return ModelVersion(model.version, model.path, description)

    def retire(self, version: int) -> None:
        """Take a version out of the listing at once; it is kept, hidden, as `.retired-<version>`.

        Its number is not given out again while that folder is there: responses and caches that
        name it keep their meaning. Rename the folder back to restore it, delete it for the space.

        Raises:
            ModelNotFound: there is no such version.
        """
        path = self.folder / str(self._number(version))
        path.rename(self.folder / f"{_RETIRED}{path.name}")
        _sync(self.folder)

    def _number(self, version: int | str) -> int:
        versions = self.versions()
        if version == "latest":
            complete = [n for n in versions if (self.folder / str(n) / _DESCRIPTION).is_file()]
            if complete:
                return complete[-1]
            raise ModelNotFound(f"There is no version of a model in {self.folder}.")
        if _NUMBER.fullmatch(str(version)) and int(version) in versions:
            return int(version)
        there_is = ", ".join(map(str, versions)) or "none"
        raise ModelNotFound(
            f"Model {self.name!r} has no version {version!r}: "
            f'use "latest" or the number of a version (there is: {there_is}).'
        )

    def _place(self, hidden: Path, description: ModelDescription) -> ModelVersion:
        """Describe a hidden folder as the next version and rename it there."""
        taken = [*self.versions(), 0]
        taken += [
            int(path.name.removeprefix(_RETIRED))
            for path in self.folder.glob(f"{_RETIRED}*")
            if _NUMBER.fullmatch(path.name.removeprefix(_RETIRED))
        ]
        number = max(taken)
        while True:
            number += 1
            described = description.model_copy(update={"version": number})
            json_path = hidden / _DESCRIPTION
            json_path.write_text(described.model_dump_json(indent=2) + "\n", encoding="utf-8")
            _read(json_path)  # what cannot be read back is not published
            _sync(json_path)
            _sync(hidden)
            path = self.folder / str(number)
            try:
                hidden.rename(path)
            except OSError:
                # Renaming never replaces a folder that holds files: another publisher was first.
                if not path.exists():
                    raise
                continue
            _sync(self.folder)
            return ModelVersion(number, path, described)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise ModelCorrupt for what of a version cannot be read."""
    try:
        yield
    except OSError as error:
        raise ModelCorrupt(f"{error.filename or path} cannot be read: {error.strerror}.") from error


def _read(path: Path) -> ModelDescription:
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelCorrupt(f"{path} cannot be read: {error}") from error
    contract = fields.get("contract_version") if isinstance(fields, dict) else None
    if isinstance(contract, int) and contract != CONTRACT_VERSION:
        raise ContractMismatch(_other_contract(str(path), contract))
    try:
        return ModelDescription.model_validate_json(text)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors()
        )
        raise ModelCorrupt(f"{path} is not a model's description: {'; '.join(problems)}") from error


def _other_contract(where: str, contract: int) -> str:
    return (
        f"{where} is of contract {contract}; this program speaks contract {CONTRACT_VERSION}. "
        "Use a model made for it, or the release of this program made for the model."
    )


def _files(folder: Path) -> dict[str, Path]:
    """Everything in a folder and below but folders and the description, by relative path."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    found.pop(_DESCRIPTION, None)
    return found


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _exchange(one: Path, other: Path) -> None:
    """Let two folders swap their names: at once where the system can (renameat2 of Linux)."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
            return
    aside = one.with_name(f"{one.name}-old")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
