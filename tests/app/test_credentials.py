"""Results signed as C2PA has it: by the service and the library, checked by the c2pa library."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import c2pa
import httpx
import numpy as np
import pytest
import tifffile

from chromaserve import Colorizer, verify
from tests.app.sockets import slug_in
from tests.command_line.command import run, said
from tests.conftest import Start, serving
from tests.photos.certificates import KEYS, Files, certified
from tests.sample_photos import decoded, encoded, png16, small

BY_A_NETWORK = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PHOTO = encoded(small("L"), "PNG")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certified(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def signing(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object], files: Files
) -> Iterator[httpx.Client]:
    """A client of a service that signs."""
    folder = tmp_path_factory.mktemp("signing")
    settings = {**small_network, **files.settings, "jobs": folder / "jobs"}
    with serving(folder, **settings) as server, server.client() as client:
        yield client


def manifest(data: bytes, media_type: str) -> dict[str, Any]:
    """What a file's credentials say, which have to be valid."""
    with c2pa.Reader(media_type, io.BytesIO(data)) as reader:
        assert reader.get_validation_state() == "Valid"
        found: dict[str, Any] = reader.get_active_manifest()
        return found


def actions(told: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told["assertions"][0]["data"]["actions"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_results_say_signed_what_made_them_of_which_photo(
    signing: httpx.Client, format: str
) -> None:
    answer = signing.post(
        "/colorize", files={"file": ("cat.png", PHOTO)}, data={"format": format, "vividness": "0.7"}
    )
    told = manifest(answer.content, answer.headers["content-type"])
    [parent] = told["ingredients"]
    assert (parent["title"], parent["format"]) == ("cat.png", "image/png")
    opened, edited = actions(told)
    assert opened["action"] == "c2pa.opened"
    assert (edited["action"], edited["digitalSourceType"]) == ("c2pa.edited", BY_A_NETWORK)
    note = edited["parameters"]["description"]
    assert note.startswith("chromaserve ")
    assert "model 1, vividness 0.7, guided" in note
    assert told["signature_info"]["common_name"] == "Photo archive"


def test_pixels_are_those_without_a_signature(
    signing: httpx.Client, small_http: httpx.Client
) -> None:
    wide = png16(np.asarray(small("L"), np.uint16) * 257)
    for photo in (PHOTO, wide):
        one, other = (
            http.post("/colorize", files={"file": photo}) for http in (signing, small_http)
        )
        assert np.array_equal(decoded(one.content), decoded(other.content))
    answer = signing.post("/colorize", files={"file": PHOTO}, data={"confidence": "png"})
    with pytest.raises(c2pa.C2paError):  # a map is no photo
        c2pa.Reader("image/png", io.BytesIO(answer.content))


def test_what_is_left_as_it_was_is_not_said_to_be_a_networks(signing: httpx.Client) -> None:
    photo = encoded(small("RGB"), "PNG")
    answer = signing.post("/colorize", files={"file": photo}, data={"colour": "keep"})
    last = actions(manifest(answer.content, "image/png"))[-1]
    assert last["action"] == "c2pa.transcoded"
    assert "digitalSourceType" not in last


def test_a_photos_own_credentials_go_along_where_all_does(signing: httpx.Client) -> None:
    first = signing.post("/colorize", files={"file": ("first.png", PHOTO)}).content
    for kept, expected in (("all", ["first.png"]), ("keep", []), ("none", [])):
        answer = signing.post(
            "/colorize", files={"file": ("again.png", first)}, data={"metadata": kept}
        )
        with c2pa.Reader("image/png", io.BytesIO(answer.content)) as reader:
            assert reader.get_validation_state() == "Valid"
            manifests = json.loads(reader.json())["manifests"].values()
            [parent] = reader.get_active_manifest()["ingredients"]
        titles = [each.get("title") for one in manifests for each in one["ingredients"]]
        assert [title for title in titles if title == "first.png"] == expected
        assert parent.get("title") == (None if kept == "none" else "again.png")


def test_all_pages_in_one_file_stay_as_many_and_are_not_signed(signing: httpx.Client) -> None:
    """A signature would be a page more, without a picture."""
    pages = io.BytesIO()
    small("L").save(pages, "TIFF", save_all=True, append_images=[small("L", (60, 80))])
    asked = {"format": "tiff", "pages": "all"}
    answer = signing.post("/colorize", files={"file": pages.getvalue()}, data=asked)
    with tifffile.TiffFile(io.BytesIO(answer.content)) as result:
        assert [page.shape[:2] for page in result.pages] == [(80, 120), (80, 60)]
    one = signing.post("/colorize", files={"file": pages.getvalue()}, data={"format": "tiff"})
    manifest(one.content, "image/tiff")


def test_results_of_jobs_are_signed(signing: httpx.Client) -> None:
    job = signing.post("/jobs", files={"file": PHOTO}).json()["self"]
    with signing.stream("GET", f"{job}/events") as events:
        assert list(events.iter_lines())
    manifest(signing.get(f"{job}/results/0").content, "image/png")


def test_a_damaged_signature_in_a_photo_harms_nobody(signing: httpx.Client) -> None:
    first = bytearray(signing.post("/colorize", files={"file": PHOTO}).content)
    mark = first.index(b"jumdc2pa")
    first[mark + 40 : mark + 400] = bytes(360)
    asked = {"metadata": "all"}
    answer = signing.post("/colorize", files={"file": bytes(first)}, data=asked)
    assert answer.status_code == 200
    manifest(answer.content, "image/png")
    assert signing.post("/colorize", files={"file": PHOTO}).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEYS)
def test_any_key_of_the_standard_signs(
    small_network: dict[str, object], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = certified(tmp_path, kind)
    for name, value in {**small_network, **files.settings}.items():
        monkeypatch.setenv(f"CHROMASERVE_{name.upper()}", str(value))
    with Colorizer() as colorizer:
        result = colorizer.colorize(PHOTO)
    assert manifest(result, "image/png")["signature_info"]["alg"].lower() == kind
    told = verify(PHOTO, result, trust=files.authority).signature
    assert told
    assert (told.state, told.signed_by) == ("trusted", "Photo archive, Archive")


def test_verify_tells_who_signed_and_what_was_changed_since(
    signing: httpx.Client, files: Files, tmp_path: Path
) -> None:
    photo, result = tmp_path / "photo.png", tmp_path / "result.png"
    photo.write_bytes(PHOTO)
    result.write_bytes(signing.post("/colorize", files={"file": PHOTO}).content)
    stranger = certified(tmp_path / "stranger").authority
    for more, status, words in (
        ([], 0, "signed by Photo archive, Archive"),
        (["--trust", files.authority], 0, "of those that you trust"),
        (["--trust", stranger], 1, "by a certificate of none that you trust"),
        (["--trust", tmp_path / "none.pem"], 2, "cannot be read"),
    ):
        done = run("verify", photo, result, *more)
        assert done.returncode == status, done.stderr
        assert words in done.stdout.decode() + said(done)
    assert b"it is not signed" in run("verify", photo, photo, "--trust", stranger).stdout
    told = verify(photo, result, trust=str(files.authority))
    assert told.signature is not None
    assert told.signature.state == "trusted"
    told = json.loads(run("verify", photo, result, "--json").stdout)
    assert told["signature"]["state"] == "valid"
    data = bytearray(result.read_bytes())
    place = data.index(b"IEND") + 8  # behind all that is shown
    result.write_bytes(bytes(data[:place]) + b"more")
    done = run("verify", photo, result)
    assert (done.returncode, b"its signature is broken" in done.stdout) == (1, True)


@pytest.mark.slow
def test_what_cannot_sign_ends_the_start_with_a_sentence(
    start_server: Start, files: Files, tmp_path: Path
) -> None:
    other, expired = certified(tmp_path / "other"), certified(tmp_path / "old", ends_in_s=-60)
    for chosen, words in (
        ({"c2pa_key": files.key}, "one is missing"),
        ({**files.settings, "c2pa_key": other.key}, "its key"),
        ({**files.settings, "c2pa_key": tmp_path / "none"}, "No such file"),
        ({**files.settings, "c2pa_key": files.certificate}, "no private key"),
        (expired.settings, "not valid at time of signing"),
    ):
        server = start_server(**chosen)
        assert server.process.wait(60) == 2
        log = server.log.read_text()
        assert words in log
        assert "Traceback" not in log


@pytest.mark.slow
def test_a_certificate_that_ends_is_read_again(start_small: Start, tmp_path: Path) -> None:
    for seconds in (6, 60):  # where much else is done, a start takes longer than the first
        files = certified(tmp_path, ends_in_s=seconds)
        server = start_small(**files.settings, jobs=tmp_path / "jobs")
        with suppress(AssertionError):
            server.wait_ready()
            break
    with server.client() as http:
        while (answer := http.post("/colorize", files={"file": PHOTO})).status_code == 200:
            time.sleep(0.05)  # leave the core to the service
        assert (answer.status_code, slug_in(answer.content)) == (503, "cannot-sign")
        assert int(answer.headers["retry-after"]) > 0
        job = http.post("/jobs", files={"file": PHOTO}).json()["self"]
        certified(tmp_path)
        answer = http.post("/colorize", files={"file": PHOTO})
        assert answer.status_code == 200
        manifest(answer.content, "image/png")
        with http.stream("GET", f"{job}/events") as events:
            assert list(events.iter_lines())
        manifest(http.get(f"{job}/results/0").content, "image/png")
    assert "Traceback" not in server.log.read_text()
