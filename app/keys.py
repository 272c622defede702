"""API keys as digests: from the settings, and from a file that is read again when it changes."""

import hashlib
import hmac
import logging
import re
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger("chromaserve")


class KeyFileError(RuntimeError):
    """The file of keys cannot be read, or holds something that cannot be a key."""


MIN_LENGTH = 16
MAX_LENGTH = 256
# What a header can carry, less the comma, which separates keys in the environment.
_KEY = re.compile(rf"[!-+\--~]{{{MIN_LENGTH},{MAX_LENGTH}}}")
_NAME_LENGTH = 8


def check_key(key: str) -> str:
    """The key, if it can be one.

    Raises:
        ValueError: it is too short, too long or not visible ASCII; the message does not show it.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"a key has {MIN_LENGTH} to {MAX_LENGTH} visible ASCII characters, no comma among them;"
            " `openssl rand -hex 32` makes one"
        )
    return key


class Keys:
    """The keys that are accepted; only their SHA-256 digests are kept."""

    def __init__(self, keys: Iterable[str], file: Path | None = None) -> None:
        """Take the keys, and those of the file: one a line; blank lines and # comments are skipped.

        Raises:
            KeyFileError: it cannot be read, has no key in it, or a line that cannot be one.
        """
        self._own = frozenset(map(_digest, keys))
        self._file = file
        self._of_file: frozenset[bytes] = frozenset()
        self._seen: tuple[int, ...] | None = None
        if file:
            self._seen = _state(file)
            self._of_file = _read(file)
            if not self._of_file:
                raise KeyFileError(f"{file} has no key in it")

    def name_of(self, key: str) -> str | None:
        """A name for the key that does not give it away; None if it is not accepted.

        It takes as long for a wrong key as for a right one.
        """
        self._renew()
        digest = _digest(key)
        found = False
        for each in self._own | self._of_file:
            found |= hmac.compare_digest(each, digest)
        return digest.hex()[:_NAME_LENGTH] if found else None

    def _renew(self) -> None:
        """Read the file again if it is another one now; what cannot be read changes nothing."""
        if self._file is None:
            return
        state = _state(self._file)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._of_file = _read(self._file)
            log.info("%d API keys read from %s", len(self._of_file), self._file)
        except KeyFileError as error:
            log.error("the API keys stay as they are: %s", error)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _state(file: Path) -> tuple[int, ...] | None:
    """Changes when the file does, also where a mounted secret is swapped by a symbolic link."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def _read(file: Path) -> frozenset[bytes]:
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{file} cannot be read: {type(error).__name__}") from error
    digests = set()
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            try:
                digests.add(_digest(check_key(line)))
            except ValueError as error:
                raise KeyFileError(f"{file}, line {number}: {error}") from error
    return frozenset(digests)
