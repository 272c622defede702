"""Versions published while photos are sent: no request fails, no answer mixes two versions.

    python -m benchmarks.publishing --seconds 8

A copy of the bundled store is served, and clients send one photo again and again. Then come a
version of the opposite colours, which the service finds by itself; a damaged one,
and one that answers with numbers that are none, which it must refuse; at last the first one again.
"""

import argparse
import asyncio
import hashlib
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from benchmarks.serving.photos import CONTENT_TYPE, SIZES, form, jpeg
from benchmarks.serving.processes import service
from chromaserve.store.contract import NETWORK_SIZE
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore, ModelVersion

CLIENTS = 8


def scaled(store: ModelStore, folder: Path, factor: float) -> Path:
    """The newest version with a and b multiplied, with the CPU engine's files."""
    import tensorflow as tf

    from training.conversion.convert import convert_if_possible

    latest = store.resolve("latest")
    old = tf.saved_model.load(str(latest.path))
    L = tf.TensorSpec([None, NETWORK_SIZE, NETWORK_SIZE, 1], tf.float32, name="L")
    vividness = tf.TensorSpec([None], tf.float32, name="vividness")
    module = tf.Module()
    module.old = old

    def default(L: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ab": factor * old.signatures["serving_default"](L=L)["ab"]}

    def vivid(L: tf.Tensor, vividness: tf.Tensor) -> dict[str, tf.Tensor]:
        ab = old.signatures["vivid"](L=L, vividness=vividness)["ab"]
        return {"ab": factor * ab}

    signatures = {
        "serving_default": tf.function(default, input_signature=[L], autograph=False),
        "vivid": tf.function(vivid, input_signature=[L, vividness], autograph=False),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    convert_if_possible(ModelVersion(latest.version, folder, latest.description), folder)
    return folder


class Load:
    """Clients that send one photo again and again, and what they got."""

    def __init__(self, url: str, body: bytes) -> None:
        self.statuses: Counter[str] = Counter()
        self.answers: dict[str, Counter[str]] = defaultdict(Counter)
        """By version, the answers told apart by checksum."""
        self.latencies_s: list[float] = []
        self._url, self._body = url, body
        self._ended = False

    async def during(self, work: Callable[[], Awaitable[None]]) -> None:
        clients = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]
        try:
            await work()
        finally:
            self._ended = True
            await asyncio.gather(*clients)

    async def _client(self) -> None:
        headers = {"content-type": CONTENT_TYPE}
        async with httpx.AsyncClient(base_url=self._url, timeout=120) as http:
            while not self._ended:
                start = time.perf_counter()
                try:
                    answer = await http.post("/colorize", content=self._body, headers=headers)
                except httpx.TransportError as error:
                    self.statuses[type(error).__name__] += 1
                    continue
                self.statuses[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    self.latencies_s.append(time.perf_counter() - start)
                    checksum = hashlib.sha256(answer.content).hexdigest()[:8]
                    self.answers[answer.headers["x-model-version"]][checksum] += 1


async def scenario(store: ModelStore, url: str, log: Path, seconds: float, folder: Path) -> Load:
    load = Load(url, form(jpeg(SIZES[0])))
    description = store.resolve("latest").description
    old = store.resolve("latest").path

    async with httpx.AsyncClient(base_url=url, timeout=120) as http:

        async def serving() -> int:
            return int((await http.get("/readyz")).json()["model_version"])

        async def publish(source: Path, what: str) -> int:
            version = await asyncio.to_thread(lambda: store.publish(source, description).version)
            print(f"published {version}: {what}")
            return version

        async def until_served(version: int) -> None:
            start = time.perf_counter()
            while await serving() != version:
                await asyncio.sleep(0.05)
            print(f"  serves {version} after {time.perf_counter() - start:.1f} s")

        async def refused(version: int, serves: int) -> None:
            answer = await http.post("/models/reload")
            told = answer.json()
            print(f"  reload: {answer.status_code} {told.get('type')}: {told.get('detail')}")
            print(f"  serves {await serving()} still")
            assert answer.status_code == 500, "an unusable version was taken"
            assert await serving() == serves, "an unusable version is served"
            await asyncio.to_thread(store.retire, version)

        async def work() -> None:
            await asyncio.sleep(seconds)
            source = await asyncio.to_thread(scaled, store, folder / "opposite", -1.0)
            good = await publish(source, "the opposite colours")
            await until_served(good)
            await asyncio.sleep(seconds)
            damaged = await publish(old, "damaged")
            with (store.folder / str(damaged) / "saved_model.pb").open("r+b") as file:
                file.write(b"not a graph")
            await refused(damaged, good)
            source = await asyncio.to_thread(scaled, store, folder / "nan", float("nan"))
            bad = await publish(source, "answers what is not a number")
            await refused(bad, good)
            await asyncio.sleep(seconds)
            await until_served(await publish(old, "the first one again"))
            await asyncio.sleep(seconds)

        await load.during(work)
    if "follows" not in log.read_text():
        print("the log does not tell of the switch")
    return load


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="of load between the events")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(BUNDLED_ROOT, folder / "store")
        store = ModelStore(folder / "store")
        with service(
            folder, reload_s=0.5, model_root=store.root, max_wait_s=60, cache_mb=0, log_level="info"
        ) as served:
            load = asyncio.run(scenario(store, served.url, served.log, arguments.seconds, folder))
            peak_mb = served.tree.peak_mb()
            print(f"memory at most {peak_mb:.0f} MiB, the start included")
    print(f"answers by status: {dict(load.statuses)}; longest {max(load.latencies_s):.2f} s")
    for version, answers in load.answers.items():
        print(f"version {version}: {sum(answers.values())} answers, {len(answers)} different: "
              f"{', '.join(answers)}")  # fmt: skip
    if set(load.statuses) != {"200"} or any(len(answers) > 1 for answers in load.answers.values()):
        raise SystemExit("A request failed, or a version gave two results.")


if __name__ == "__main__":
    main()
