"""Pictures behind a JPEG's own (CIPA DC-007): which are told of as not taken."""

import struct

import pytest

from chromaserve.photos.header import inspect
from tests.sample_photos import encoded, small

STEREO, SERIES, PANORAMA = 0x020002, 0x020003, 0x020001
PREVIEW_VGA, PREVIEW_HD, UNSAID, PHOTO = 0x010001, 0x010002, 0, 0x030000
GAIN = b"\xff\xe1\0\x2chttp://ns.adobe.com/xap/1.0/\0hdrgm:Version="


def mpo(*others: tuple[int, bytes], order: str = "<", moved: int = 0) -> bytes:
    """A JPEG with an index, and others of these kinds behind it."""
    photo = encoded(small("L"), "JPEG")
    count = 1 + len(others)
    size = 4 + 4 + 8 + 2 + 3 * 12 + 4 + 16 * count  # of the segment
    start = 2 + 8
    places, at = [0], 2 + size + len(photo) - 2 - start
    for _, data in others:
        places.append(at + moved)
        at += len(data)
    kinds = [0x20000000 | PHOTO, *(kind for kind, _ in others)]
    sizes = [2 + size + len(photo) - 2, *(len(data) for _, data in others)]
    rows = [
        struct.pack(f"{order}3I2H", *each, 0, 0) for each in zip(kinds, sizes, places, strict=True)
    ]
    tags = struct.pack(f"{order}H", 3)
    tags += struct.pack(f"{order}HHI4s", 0xB000, 7, 4, b"0100")
    tags += struct.pack(f"{order}HHII", 0xB001, 4, 1, count)
    tags += struct.pack(f"{order}HHII", 0xB002, 7, 16 * count, 8 + len(tags) + 16)
    head = b"II*\0" if order == "<" else b"MM\0*"
    index = head + struct.pack(f"{order}I", 8) + tags + bytes(4) + b"".join(rows)
    segment = b"\xff\xe2" + struct.pack(">H", 2 + 4 + len(index)) + b"MPF\0" + index
    assert len(segment) == size
    return photo[:2] + segment + photo[2:] + b"".join(data for _, data in others)


def pictures(data: bytes) -> int:
    return inspect(data, max_pixels=10**6, max_side=10**4).pictures


OTHER = encoded(small("L").rotate(180), "JPEG")
GAINS = OTHER[:2] + GAIN + OTHER[2:]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([STEREO], 2),
        ([SERIES] * 4, 5),
        ([PANORAMA, PANORAMA], 3),
        ([UNSAID], 2),
        ([PREVIEW_VGA], 1),
        ([PREVIEW_VGA, PREVIEW_HD], 1),
        ([PREVIEW_HD, STEREO], 2),
        ([], 1),
    ],
)
def test_pictures_that_are_to_be_shown_are_counted(
    kinds: list[int], expected: int, order: str
) -> None:
    assert pictures(mpo(*((kind, OTHER) for kind in kinds), order=order)) == expected


def test_what_pillow_makes_is_counted() -> None:
    images = [small("L"), small("L").rotate(90), small("L").rotate(180)]
    data = encoded(images[0], "MPO", save_all=True, append_images=images[1:])
    assert pictures(data) == 3


def test_a_map_of_gains_is_no_picture() -> None:
    assert pictures(mpo((UNSAID, GAINS))) == 1
    assert pictures(mpo((UNSAID, GAINS), (STEREO, OTHER))) == 2


def test_a_picture_that_is_named_twice_is_one() -> None:
    assert pictures(mpo((STEREO, b""), (STEREO, OTHER))) == 2


def test_what_is_not_there_any_more_is_not_counted() -> None:
    whole = mpo((STEREO, OTHER))
    assert pictures(whole[: -len(OTHER)]) == 1
    assert pictures(mpo((STEREO, OTHER), moved=1)) == 1


@pytest.mark.parametrize("at", range(16))
def test_an_index_that_is_broken_harms_no_photo(at: int) -> None:
    data = bytearray(mpo((STEREO, OTHER)))
    start = data.index(b"MPF\0") + 4
    data[start + 3 * at : start + 3 * at + 3] = b"\xfe\xff\xfe"
    assert pictures(bytes(data)) in (1, 2)
