"""A ZIP taken apart while it arrives, in pieces of any size."""

import io
import zipfile

import pytest

from chromaserve.client.archive import ArchiveReader, BadArchive

ENTRIES = {"großmutter.png": bytes(range(256)) * 40, "empty.png": b"", "manifest.json": b"{}"}


def archive(method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in ENTRIES.items():
            made.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("step", [1, 29, 31, 4096, 1 << 20])
def test_entries_come_as_soon_as_they_are_complete(step: int) -> None:
    data, reader = archive(), ArchiveReader()
    found: dict[str, bytes] = {}
    first_at = 0
    for i in range(0, len(data), step):
        found |= {each.name: each.content for each in reader.feed(data[i : i + step])}
        first_at = first_at or (i + step if found else 0)
    assert found == ENTRIES
    assert reader.complete
    assert first_at < len(ENTRIES["großmutter.png"]) + 100 + step


def test_what_is_no_such_archive_is_told() -> None:
    damaged = bytearray(archive())
    damaged[500] ^= 1
    for data in (bytes(damaged), archive(zipfile.ZIP_DEFLATED), b"<html>" * 20):
        with pytest.raises(BadArchive):
            list(ArchiveReader().feed(data))
    cut = ArchiveReader()
    assert len(list(cut.feed(archive()[:5000]))) == 0
    assert not cut.complete
