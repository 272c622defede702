"""What goes along with a photo, read back by Pillow, tifffile and, where it is there, ExifTool."""

import io
import json
import shutil
import struct
import subprocess
import uuid
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromaserve.photos.decode import decode
from chromaserve.photos.encode import encode
from chromaserve.photos.formats import Format
from chromaserve.photos.header import inspect
from chromaserve.photos.icc import srgb_profile
from chromaserve.photos.iptc import eight_bim
from chromaserve.photos.metadata import Keep, software
from chromaserve.photos.photo import Striped
from chromaserve.photos.png_reading import raw_profile, read_texts
from tests.hostile.files import chunk
from tests.sample_photos import encoded, small

FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp", "tiff")
CAPTION = b"\x1c\x02\x78\x00\x07Harvest"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" tiff:Orientation="6"'
    b' exif:GPSLatitude="46,30.0N" xmp:CreatorTool="Scanner 2"'
    b' xmp:Nickname="Oma"/></rdf:RDF></x:xmpmeta>'
)


def captioned(jpeg: bytes, datasets: bytes) -> bytes:
    block = b"Photoshop 3.0\0" + eight_bim(datasets)
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def photo() -> bytes:
    """A JPEG on its side, that says of itself all that it can."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B], exif[0x0131] = 6, "Anna", "Scanner 2"
    exif.get_ifd(0x8769)[0x9003] = "1931:05:04 10:00:00"
    exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003] = 120, 80
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (46.0, 30.0, 0.0)
    return captioned(encoded(small("L"), "JPEG", exif=exif, xmp=XMP, dpi=(600, 300)), CAPTION)


def result(output: Format, keep: Keep = "keep", data: bytes | None = None) -> bytes:
    data = photo() if data is None else data
    found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4))
    columns, rows = found.size
    pixels: NDArray[np.uint8] = np.repeat(found.grey[..., np.newaxis], 3, axis=2).astype(np.uint8)
    image = Striped((rows, columns, 3), np.uint8, lambda i, j: pixels[i:j])
    return encode(image, output, metadata=found.metadata.for_result(keep, software(7)))


@pytest.mark.parametrize("output", FORMATS)
def test_all_but_places_goes_along(output: Format) -> None:
    data = result(output)
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        info = dict(image.info)
    assert exif[0x013B] == "Anna"
    assert exif[0x0131] == f"Scanner 2; {software(7)}"
    assert exif[0x0112] == 1
    taken = exif.get_ifd(0x8769)
    assert taken[0x9003] == "1931:05:04 10:00:00"
    assert (taken[0xA002], taken[0xA003]) == (80, 120)  # the result is upright
    assert not exif.get_ifd(0x8825)
    assert (float(exif[0x011A]), float(exif[0x011B])) == (300, 600)
    if output != "webp":
        assert info["dpi"] == pytest.approx((300, 600), rel=1e-4)
    xmp = info["xmp"] if "xmp" in info else info["XML:com.adobe.xmp"].encode()
    assert b"Oma" in xmp
    assert b"GPS" not in xmp
    assert b'tiff:Orientation="1"' in xmp
    assert f"Scanner 2; {software(7)}".encode() in xmp


@pytest.mark.parametrize("output", ["jpeg", "png", "tiff"])
def test_captions_go_along(output: Format) -> None:
    data = result(output)
    if output == "jpeg":
        with Image.open(io.BytesIO(data)) as image:
            assert image.info["photoshop"][0x0404] == CAPTION
    elif output == "png":
        assert read_texts(data).iptc == CAPTION
    else:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            assert file.pages[0].tags[33723].value == CAPTION  # type: ignore[union-attr]


def within_exif() -> bytes:
    """EXIF whose second directory names that of places: each of one tag (TIFF 6.0, section 2)."""
    tags = ((0x8769, 4, 1, 26), (0x8825, 4, 1, 44), (1, 2, 2, ord("N")))
    rows = (struct.pack("<HHHII", 1, *tag) + bytes(4) for tag in tags)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + b"".join(rows)


def with_texts(*keywords: bytes) -> bytes:
    png = encoded(small("L"), "PNG")
    texts = b"".join(chunk(b"tEXt", keyword + b"\x0059.33") for keyword in keywords)
    return png[:33] + texts + chunk(b"tEXt", b"Nick\0Oma") + png[33:]


OF_DRONES = (
    b'<rdf:Description xmlns:gpsdata="urn:x" drone-dji:GpsLatitude="+59.33"'
    b' drone-dji:GpsLongtitude="+18.07" Nick="Oma">'
    b'<exif:GPSAltitude rdf:datatype="x">5933/100</exif:GPSAltitude>'
    b"<Camera:GPSTrack><rdf:Seq><rdf:li>59.33</rdf:li></rdf:Seq></Camera:GPSTrack>"
    b"</rdf:Description>"
)
OF_W3C = b"<geo:lat_long>59.33,18.07</geo:lat_long><x>Oma</x>"
KEYWORDS = (
    b"<dc:subject><rdf:Bag><rdf:li>geo:lat=59.33</rdf:li><rdf:li>geo:lon=59.33</rdf:li>"
    b"<rdf:li>Oma</rdf:li></rdf:Bag></dc:subject>"
)
IPTC_KEYWORDS = b"".join(
    b"\x1c\x02\x19" + size + word
    for size, word in (
        (b"\0\x03", b"Oma"),
        (b"\0\x0d", b"geo:lat=59.33"),
        (b"\x80\x04\0\0\0\x0d", b"geo:lon=59.33"),  # a size of four bytes
    )
)
PLACES = {
    "within EXIF": encoded(small("L"), "JPEG", exif=within_exif()),
    "drones' XMP": encoded(small("L"), "JPEG", xmp=OF_DRONES),
    "texts": with_texts(b"exif:GPSLatitude"),
    "a text of both": with_texts(b"GPS"),
    "texts of words": with_texts(b"GPS Latitude"),
    "texts of W3C's names": with_texts(b"geo:lat", b"geo:lat_long"),
    "W3C's names": encoded(small("L"), "JPEG", xmp=OF_W3C),
    "keywords": encoded(small("L"), "JPEG", xmp=KEYWORDS),
    "IPTC's keywords": captioned(encoded(small("L"), "JPEG"), IPTC_KEYWORDS),
    "texts of a name of its own": with_texts(b"gps:lat"),
}


@pytest.mark.parametrize("where", PLACES)
def test_places_do_not_go_along_wherever_they_are(where: str) -> None:
    data = PLACES[where]
    found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4)).metadata
    assert found.has_places
    assert not found.for_result("keep", "us").has_places
    output: Format = "jpeg" if "IPTC" in where else "png"  # which has them in hexadecimal
    made = result(output, data=data)
    with Image.open(io.BytesIO(made)) as image:
        assert 0x8825 not in image.getexif().get_ifd(0x8769)
    assert b"59.33" not in made
    assert b"5933" not in made
    assert (b"Oma" in made) == (where != "within EXIF")
    assert b"18.07" not in made
    assert (b'xmlns:gpsdata="urn:x"' in made) == (where == "drones' XMP")
    assert (b"59.33" in result(output, "all", data)) == (where != "within EXIF")


def test_xmp_in_utf_16_is_left_out_and_told_of() -> None:
    """Places would not be found in it."""
    for letters in ("utf-16", "utf-16-be"):
        said = '<x exif:GPSLatitude="59.33"/>'.encode(letters)
        for kind, options in (("JPEG", {"xmp": said}), ("TIFF", {"tiffinfo": {700: said}})):
            data = encoded(small("L"), kind, **options)
            found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4)).metadata
            assert (found.xmp, found.lost) == (b"", ("XMP",))


@pytest.mark.parametrize("output", FORMATS)
def test_places_go_along_where_that_is_asked_for(output: Format) -> None:
    with Image.open(io.BytesIO(result(output, "all"))) as image:
        assert image.getexif().get_ifd(0x8825)[2] == (46.0, 30.0, 0.0)


@pytest.mark.parametrize("output", FORMATS)
def test_nothing_goes_along_where_that_is_asked_for(output: Format) -> None:
    data = result(output, "none")
    for words in (b"Anna", b"Oma", b"Harvest", b"chromaserve", b"1931"):
        assert words not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.info.get("dpi", (1, 1)) == (1, 1)  # which is Pillow's for none


@pytest.mark.parametrize("output", FORMATS)
def test_results_say_that_they_are_srgb(output: Format) -> None:
    data = result(output, "none")
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if output == "png":
            assert image.info["srgb"] == 0
            return
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert len(srgb_profile()) < 600
    to_srgb = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    colours = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 50, 3), np.uint8))
    moved = np.asarray(ImageCms.applyTransform(colours, to_srgb)).astype(int)
    assert np.abs(moved - np.asarray(colours)).max() <= 1


def test_a_result_of_a_result_is_the_same_but_for_its_software() -> None:
    once = result("png")
    twice = result("png", data=once)
    with Image.open(io.BytesIO(once)) as first, Image.open(io.BytesIO(twice)) as second:
        before, after = dict(first.getexif()), dict(second.getexif())
    assert before.pop(0x0131) in after.pop(0x0131)
    before.pop(0x8769), after.pop(0x8769)
    assert before == after


def boxed(data: bytes) -> bytes:
    """A JPEG 2000 with EXIF, XMP and IPTC, as ExifTool writes them, and one that is cut."""
    exif = Image.Exif()
    exif[0x013B] = "Anna"
    parts = (
        (b"JpgTiffExif->JP2", exif.tobytes().removeprefix(b"Exif\0\0")),
        (uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes, XMP),
        (uuid.UUID("33c7a4d2-b81d-4723-a0ba-f1a3e097ad38").bytes, CAPTION),
    )
    boxes = [struct.pack(">I4s", 24 + len(said), b"uuid") + kind + said for kind, said in parts]
    return data + b"".join(boxes) + b"\0\0\0\1uuid\0"


def test_what_a_jpeg_2000_says_goes_along() -> None:
    data = result("png", data=boxed(encoded(small("L"), "JPEG2000")))
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x013B] == "Anna"
        assert "Oma" in image.info["XML:com.adobe.xmp"]
    assert read_texts(data).iptc == CAPTION


def test_what_a_gif_says_goes_along() -> None:
    plain = encoded(small("L"), "GIF")
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    data = plain[:-1] + b"!\xff\x0bXMP DataXMP" + XMP + trailer + b"\0;"
    with Image.open(io.BytesIO(result("png", data=data))) as image:
        assert "Oma" in image.info["XML:com.adobe.xmp"]


def test_texts_of_a_png_go_along() -> None:
    data = encoded(small("L"), "PNG")
    packed = raw_profile("iptc", eight_bim(CAPTION))[1].encode()
    texts = chunk(b"tEXt", b"Title\0Harvest") + chunk(b"iTXt", b"Who\0\0\0\0\0\xe5\xa9\x86")
    texts += chunk(b"tEXt", b"Raw profile type iptc\0" + packed)
    with Image.open(io.BytesIO(result("png", data=data[:33] + texts + data[33:]))) as image:
        assert image.info["Title"] == "Harvest"
        assert image.info["Who"] == "婆"
        assert "Raw profile type iptc" in image.info


def test_packed_texts_of_a_png_go_along() -> None:
    data = encoded(small("L"), "PNG")
    packed = zlib.compress("Großmutter 婆".encode())
    texts = chunk(b"iTXt", b"Who\0\1\0de\0Wer\0" + packed)
    texts += chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"Harvest"))
    with Image.open(io.BytesIO(result("png", data=data[:33] + texts + data[33:]))) as image:
        assert image.info["Who"] == "Großmutter 婆"
        assert image.info["Title"] == "Harvest"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"zTXt", b"Broken\0\0no deflate"),
        (b"zTXt", b"Cut off\0\0" + zlib.compress(bytes(1000))[:-6]),
        (b"iTXt", b"Broken\0\1\0\0\0no deflate"),
        (b"iTXt", b"Short\0\0"),
        (b"tEXt", b"no keyword"),
        (b"tEXt", b"k" * 80 + b"\0a keyword that is too long"),
    ],
)
def test_texts_that_are_broken_are_left_out_and_told_of(kind: bytes, content: bytes) -> None:
    data = encoded(small("L"), "PNG")
    texts = chunk(kind, content) + chunk(b"tEXt", b"Title\0Harvest")
    data = data[:33] + texts + data[33:]
    found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4))
    assert found.metadata.lost == ("texts",)
    assert found.metadata.texts == (("Title", "Harvest"),)


@pytest.mark.parametrize("packed", ["\niptc\n 5\nno digits\n", "", "\n8bim\n 8\n38"])
def test_what_is_packed_into_a_text_and_is_no_caption_is_none(packed: str) -> None:
    data = encoded(small("L"), "PNG")
    text = chunk(b"tEXt", b"Raw profile type iptc\0" + packed.encode())
    assert read_texts(data[:33] + text + data[33:]).iptc == b""


def test_a_caption_is_found_among_other_blocks() -> None:
    other = b"8BIM\x03\xed\0\0" + struct.pack(">I", 3) + b"abc\0"
    data = encoded(small("L"), "PNG")
    key, value = raw_profile("8bim", other + eight_bim(CAPTION))
    text = chunk(b"tEXt", key.encode() + b"\0" + value.encode())
    assert read_texts(data[:33] + text + data[33:]).iptc == CAPTION
    key, value = raw_profile("8bim", other)
    text = chunk(b"tEXt", key.encode() + b"\0" + value.encode())
    assert read_texts(data[:33] + text + data[33:]).iptc == b""


def test_a_cameras_note_stays_where_it_was() -> None:
    """Its addresses count from the start of EXIF."""
    note = b"Canon note " + bytes(range(200))
    exif = Image.Exif()
    exif[0x013B] = "Anna"
    exif.get_ifd(0x8769)[0x927C] = note
    exif.get_ifd(0x8769)[0xA001] = 65535  # of no colour space that has a name
    before = exif.tobytes().removeprefix(b"Exif\0\0")
    with Image.open(
        io.BytesIO(result("png", data=encoded(small("L"), "JPEG", exif=exif)))
    ) as image:
        after = image.info["exif"].removeprefix(b"Exif\0\0")
        taken = image.getexif().get_ifd(0x8769)
    assert taken[0x927C] == note
    assert after.index(note) == before.index(note)
    assert taken[0xA001] == 1, "sRGB"
    assert image.getexif()[0x013B] == "Anna"


def test_a_cameras_note_costs_exif_no_more_room() -> None:
    """A segment of a JPEG holds 65,533 bytes; what was before the note is there again."""
    exif = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x013B, 0x8298):
        exif[tag] = "Harvest " * 50
    exif.get_ifd(0x8769)[0x927C] = bytes(range(251)) * 248
    data = encoded(small("L"), "JPEG", exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        before = image.info["exif"]
    with Image.open(io.BytesIO(result("jpeg", data=data))) as image:
        after, kept = image.info["exif"], image.getexif()
    assert len(before) < len(after) < len(before) + 1_000
    assert kept[0x8298] == exif[0x8298]
    assert kept.get_ifd(0x8769)[0x927C] == bytes(range(251)) * 248


def test_small_pictures_of_the_grey_photo_do_not_go_along() -> None:
    small_one = b"<xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails>"
    xmp = XMP.replace(b"/></rdf:RDF>", b">" + 2 * small_one + b"</rdf:Description></rdf:RDF>")
    with Image.open(io.BytesIO(result("jpeg", data=encoded(small("L"), "JPEG", xmp=xmp)))) as image:
        kept = image.info["xmp"]
    assert b"Thumbnails" not in kept
    assert b"Oma" in kept


def test_a_tiffs_own_tags_go_along() -> None:
    buffer = io.BytesIO()
    options: dict[str, Any] = {
        "resolution": (400, 400),
        "resolutionunit": "INCH",
        "software": "Vue",
    }
    tifffile.imwrite(
        buffer, np.asarray(small("L")), description="Lyon", byteorder=">", metadata=None, **options
    )
    for output in FORMATS:
        with Image.open(io.BytesIO(result(output, data=buffer.getvalue()))) as image:
            exif = image.getexif()
            assert exif[0x010E] == "Lyon"
            assert exif[0x0131] == f"Vue; {software(7)}"
            assert float(exif[0x011A]) == 400


def test_metadata_that_is_a_bomb_is_left_out_and_told_of() -> None:
    count = 5_000
    row = struct.pack("<HHII", 0x9286, 7, 60_000, 8)
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + row * count + bytes(4)
    data = encoded(small("L"), "PNG")
    data = data[:33] + chunk(b"eXIf", exif.ljust(70_000, b"\0")) + data[33:]
    found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4))
    assert found.metadata.lost == ("EXIF",)
    long = b"<x>" + b'<exif:GPSa>"' * 200_000
    start = len(long)
    data = encoded(small("L"), "PNG")
    data = data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + long) + data[33:]
    found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4))
    assert len(found.metadata.for_result("keep", software(1)).xmp) == start


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not here")
@pytest.mark.parametrize("output", FORMATS)
def test_exiftool_reads_it_too(output: Format, tmp_path: Path) -> None:
    file = tmp_path / f"photo.{output}"
    file.write_bytes(result(output))
    told = subprocess.run(
        ["exiftool", "-json", "-a", str(file)], capture_output=True, check=True, text=True
    )
    [found] = json.loads(told.stdout)
    assert found["Artist"] == "Anna"
    assert found["DateTimeOriginal"] == "1931:05:04 10:00:00"
    assert found["Nickname"] == "Oma"
    assert "GPSLatitude" not in found
    assert "Warning" not in found
    if output != "webp":
        assert found["Caption-Abstract"] == "Harvest"
