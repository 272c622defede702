"""Programs that import the library: what that loads, and how they end."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CLIENT_ALONE = """
import sys
from chromaserve import AsyncClient, Client, ProblemError, Result, Retries
heavy = {"numpy", "cv2", "PIL", "pydantic", "pydantic_settings", "scipy", "ncnn", "tensorflow"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""


def test_a_client_alone_imports_no_array_library_and_no_settings() -> None:
    subprocess.run([sys.executable, "-c", CLIENT_ALONE], check=True)


NEVER_CLOSED = """
import os
import sys
import numpy as np
import chromaserve
from chromaserve import Client
client = Client("http://127.0.0.1:9")
assert not client.ready()
print(*{"cv2", "ncnn", "tensorflow", "scipy"} & sys.modules.keys())
colorizer = chromaserve.Colorizer()
results = colorizer.colorize_many(np.zeros((8, 8), np.uint8) for _ in range(99))
print(next(results).shape, flush=True)
if os.fork() == 0:
    for used in (client.ready, lambda: colorizer.colorize(b"")):
        try:
            used()
        except RuntimeError as error:
            print(error, flush=True)
    client.close()
    colorizer.close()
    os._exit(0)
os.wait()
"""


def test_programs_that_close_nothing_or_fork_end_and_a_client_alone_is_light() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEVER_CLOSED], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("\n(8, 8, 3)\nthis Client was in use before the process was")
    assert "\nthis Colorizer was in use before" in done.stdout


ONE_IN_EACH_PROCESS = """
import os
import signal
import numpy as np
import chromaserve
from chromaserve.color.faces import faces
grey = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
colorizer = chromaserve.Colorizer(engine="ncnn", threads=2)
colours = colorizer.colorize(grey)
faces(grey)
if os.fork() == 0:
    signal.alarm(100)
    with chromaserve.Colorizer(engine="ncnn", threads=2) as own:
        same = np.array_equal(own.colorize(grey), colours)
    faces(grey)
    print(same, flush=True)
    os._exit(0)
print(os.wait()[1])
"""


def test_a_forked_process_may_make_a_colorizer_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONE_IN_EACH_PROCESS], capture_output=True, text=True, timeout=200
    )
    assert (done.stdout, done.stderr) == ("True\n0\n", "")
