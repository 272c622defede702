"""Memory that a photo takes on its way, known before it is decoded."""

from chromaserve.photos.formats import Format
from chromaserve.photos.photo import Header
from chromaserve.pipeline.order import Order
from chromaserve.store.contract import Postprocess

# Peaks of decoding and encoding, rounded up; tests/pipeline/test_memory.py measures them.
BYTES_PER_PIXEL = {8: 8, 16: 12}
MORE_BYTES_PER_PIXEL = {"WEBP": 20, "JPEG2000": 12, "HEIC": 12, "AVIF": 12}
"""More, by the photo's format: what its decoder holds, and of a WebP that was cut a longer copy."""
WIDE_ALPHA_BYTES_PER_PIXEL = 4
"""More, where a PNG has 16 bits and alpha: what OpenCV holds beside the pixels."""
UNPACKED_BYTES_PER_PIXEL = 12
"""More, where a TIFF's strip or tile is unpacked by libtiff, from one copy into another: of samples
of 8 bytes a pixel together, which floating-point ones may exceed."""
TO_WEBP_BYTES_PER_PIXEL = {False: 4, True: 32}
"""More, where the result is encoded as WebP without or with alpha."""
TO_TIFF_BYTES_PER_PIXEL = 5
"""More, where the result is encoded as TIFF, whose parts are put together at the end."""
SIGNED_BYTES_PER_PIXEL = 6
"""More, for each 8 bits, where the result is signed: it is written once more."""
BYTES_PER_PHOTO = 6 * 2**20
"""For the network's input and output, and the fixed costs of decoders."""
POSTPROCESS_BYTES: dict[Postprocess, int] = {
    "none": 0,
    "guided": 0,
    "tv": 8 * 2**20,
    "crf": 16 * 2**20,
}
"""More for what a method holds at its working size, whatever the photo's."""
HINTS_BYTES = 24 * 2**20
"""More for colour hints, at theirs."""
LOOK_BYTES = 3 * 2**20
"""More for each tile: what the network has of it and answers, and its part of what is joined."""
CLOSE_UPS_BYTES = 48 * 2**20
"""More where there are close-ups, or that for each look where it is more: what they are joined in,
and the model of chroma that is made of it, however few there are."""
DISTRIBUTION_BYTES = 16 * 2**20
"""More for a further proposal or for confidence: the distribution over colours, and what is made
of it."""
MATCH_BYTES = 24 * 2**20
"""More where a photo is matched with a reference: features of both, and what is made of them."""


def memory_needed(
    header: Header,
    output: Format,
    method: Postprocess,
    *,
    hinted: bool = False,
    keeps_colours: bool = False,
    distribution: bool = False,
    matched: bool = False,
    signed: bool = False,
    looks: int = 1,
) -> int:
    """Bytes that a photo takes at most, from decoding to the end of encoding."""
    each = BYTES_PER_PIXEL[header.bits]
    each += MORE_BYTES_PER_PIXEL.get(header.format, 0)
    if header.format == "PNG" and header.bits == 16 and header.alpha:
        each += WIDE_ALPHA_BYTES_PER_PIXEL
    page = header.tiff
    if page is not None and page.is_held:
        wide = page.samples * page.bits[0] // 8 if page.is_float else 0
        each += max(0, wide - 2)
        if page.is_unpacked_at_once:
            each += UNPACKED_BYTES_PER_PIXEL * max(wide, 8) // 8
    if output == "webp":
        each += TO_WEBP_BYTES_PER_PIXEL[header.alpha]
    if output == "tiff":
        each += TO_TIFF_BYTES_PER_PIXEL
    if signed:
        each += SIGNED_BYTES_PER_PIXEL * header.bits // 8
    if keeps_colours:
        each += 3 * header.bits // 8
    more = POSTPROCESS_BYTES[method] + (HINTS_BYTES if hinted else 0)
    more += DISTRIBUTION_BYTES if distribution else 0
    more += MATCH_BYTES if matched else 0
    more += LOOK_BYTES * (looks - 1)
    width, height = header.boxed.whole if header.boxed else (header.width, header.height)
    return BYTES_PER_PHOTO + more + width * height * each


def memory_for(order: Order, header: Header, *, signed: bool) -> int:
    """The same for what is wanted of it, with the looks that its header tells of."""
    return memory_needed(
        header,
        order.format_for(header),
        order.postprocess,
        hinted=bool(order.hints),
        keeps_colours=order.colour == "keep",
        distribution=order.proposal > 1 or order.confidence is not None,
        matched=order.reference is not None,
        signed=signed,
        looks=order.looks_at(header),
    )


def memory_for_close_ups(order: Order, header: Header, room: int) -> int:
    """More for as many close-ups as there may be; nothing, and there are none, without the room."""
    looks = order.most_looks_at(header) - order.looks_at(header)
    more = max(LOOK_BYTES * looks, CLOSE_UPS_BYTES) if looks else 0
    return more if more <= room else 0
