"""Decoded, given colours, encoded: size, alpha, depth, luminance and bytes, whatever the photo."""

import io

import cv2
import numpy as np
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from chromaserve.photos.decode import decode
from chromaserve.photos.encode import encode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Pixels
from chromaserve.pipeline.hints import Hint
from chromaserve.pipeline.recolor import recolor
from chromaserve.store.contract import GuidedFilter, Postprocess
from tests.sample_photos import decoded, encoded, lightness, png16

GUIDED = GuidedFilter(radius=8, eps=1e-4)
SIDES = st.integers(1, 40) | st.sampled_from([1, 2, 3, 223, 224, 225, 300])
EXIF_ORIENTATION = 0x0112
PNG, TIFF, JPEG, WEBP, BMP = "PNG", "TIFF", "JPEG", "WEBP", "BMP"
KINDS = [
    *((PNG, mode) for mode in ("L", "LA", "RGB", "RGBA", "1", "P", "grey16", "rgb16", "rgba16")),
    *((TIFF, mode) for mode in ("L", "RGB", "RGBA", "grey16", "rgb16")),
    *((WEBP, "RGBA"), (WEBP, "RGB"), (BMP, "L"), (BMP, "RGB"), (JPEG, "L"), (JPEG, "RGB")),
]
CHANNELS = {"grey16": 1, "rgb16": 3, "rgba16": 4}


def file_of(pixels: NDArray[np.uint16], kind: str, mode: str, orientation: int) -> bytes:
    """A photo of random RGBA samples, [H, W, 4] of 16 bits, as a file of this kind."""
    if mode in CHANNELS:
        kept = pixels[..., : CHANNELS[mode]].squeeze(-1 if CHANNELS[mode] == 1 else ())
        if kind == PNG:
            return png16(kept)
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, kept, photometric="minisblack" if kept.ndim == 2 else "rgb")
        return buffer.getvalue()
    image = Image.fromarray((pixels >> 8).astype(np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    more = {"exif": exif.tobytes()} if kind in (PNG, JPEG, WEBP) else {}
    return encoded(image, kind, **more, **({"lossless": True} if kind == WEBP else {}))


@settings(max_examples=settings().max_examples // 4)
@given(
    size=st.tuples(SIDES, SIDES),
    kind=st.sampled_from(KINDS),
    orientation=st.integers(1, 8),
    method=st.sampled_from(["none", "guided", "tv", "crf"]),
    hinted=st.booleans(),
    strength=st.sampled_from([0, 5, 40, 120]),
    seed=st.integers(0, 2**16),
)
@example((1, 1), (PNG, "rgb16"), 1, "guided", False, 120, 0)
@example((1, 300), (JPEG, "L"), 6, "crf", True, 40, 1)
def test_a_photo_keeps_all_but_its_colours(
    size: tuple[int, int],
    kind: tuple[str, str],
    orientation: int,
    method: Postprocess,
    hinted: bool,
    strength: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 1 << 16, (*size, 4)).astype(np.uint16)
    data = file_of(pixels, *kind, orientation)
    ab = random.normal(0, strength, (224, 224, 2)).astype(np.float32)
    hints = [Hint(x=0, y=0, color="#ff0000")] if hinted else []

    def coloured() -> bytes:
        header = inspect(data, max_pixels=10**6, max_side=10**4)
        return encode(recolor(decode(data, header), ab, method, GUIDED, hints), "png")

    result = coloured()
    assert coloured() == result
    out, before = decoded(result), upright(data)
    assert out.shape[:2] == before.shape[:2]
    assert out.dtype == (np.uint16 if kind[1].endswith("16") else np.uint8)
    if kind[1] in ("LA", "RGBA", "rgba16"):
        opaque = before[..., -1].min() == np.iinfo(before.dtype).max
        assert out.shape[2] == (3 if opaque else 4)
        assert opaque or np.array_equal(out[..., 3], before[..., -1])
        before = before[..., :-1]
    if before.ndim == 3 and before.shape[2] == 1:
        before = before[..., 0]
    assert out.shape[2] == 3 or kind[1] in ("LA", "RGBA", "rgba16")
    off = np.abs(lightness(out) - lightness(before))
    assert off.max() <= 1
    assert off.mean() <= (0.3 if off.size > 100 else 1)


def upright(data: bytes) -> Pixels:
    """The samples by other decoders than the service's, turned as EXIF says."""
    if data[:2] in (b"II", b"MM"):
        return np.asarray(tifffile.imread(io.BytesIO(data)))
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is not None and found.dtype == np.uint16:
        return decoded(data)
    with Image.open(io.BytesIO(data)) as image:
        turned = Image.Image.transpose
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
        how = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}.get(orientation)
        image.load()
        whole = image.convert("RGB") if image.mode in ("1", "P") else image
        return np.asarray(whole if how is None else turned(whole, Image.Transpose(how)))
