"""A job on a Ray cluster: folders listed, photos colorized by workers, a report written.

Ray Data moves parcels from those that list to those that colorize, as fast as these can take
them, and gives a lost worker's parcels to another. Photos themselves never go through it: workers
read and write them.
"""

import json
import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from chromaserve.cluster.ending import ended_by_signals, heard, start_ending
from chromaserve.cluster.listing import Parcel, Shard, shards
from chromaserve.cluster.report import Report, Summary
from chromaserve.cluster.work import Job, Outcome, Worker
from chromaserve.settings import usable_cores

if TYPE_CHECKING:
    import pyarrow

STORE_BYTES = 200 * 2**20
"""Of a local cluster: parcels and outcomes are small."""
_SHARDS_A_WORKER = 4
_WORKERS_A_LISTER = 16
_KNOCK_S = 5


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Be on a cluster while the block runs: the one that this process is on already, or another.

    Args:
        address: of a running cluster, "auto" for this machine's; None for one of one's own, which
            ends with the block.

    Raises:
        ConnectionError: there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    # What goes wrong comes as an exception, or is retried. Without this every run begins with a
    # line that says what would happen if this process ended, as it then does (Ray issue 53727).
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        _knock(address)
        ray.init(address, **quiet)
    else:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            "local",  # without it Ray takes a cluster that happens to run on this machine
            num_cpus=usable_cores(),
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            **quiet,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody is there; Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()
        except OSError as error:
            raise ConnectionError(f"there is no Ray cluster at {address}: {error}") from error


def places_for(job: Job) -> int:
    """How many workers the machines of the joined cluster have room for now."""
    import ray

    places = 0.0
    for machine in ray.nodes():
        there = machine["Resources"] if machine["Alive"] else {}
        room = [there.get("CPU", 0) // job.num_cpus]
        if job.num_gpus:
            room.append(there.get("GPU", 0) // job.num_gpus)
        places += min(room)
    return int(places)


def run(
    job: Job,
    report: Report,
    workers: int,
    on_progress: Callable[[Summary], None],
    on_end: Callable[[], None] = lambda: None,
) -> Summary:
    """Colorize what is left to do, on the cluster that this process has joined.

    Args:
        job: what is wanted.
        report: told of every photo.
        workers: processes that colorize.
        on_progress: told of the counts so far, often.
        on_end: called when a signal has come, by another thread.

    SIGINT or SIGTERM ends it: photos that were begun are done, and told of; `interrupted` says so.

    Raises:
        OSError: the source cannot be listed.
        KeyboardInterrupt: a second signal came, or what was begun took too long.
        RayError: the cluster is lost, or workers cannot start, as the model cannot be loaded.
    """
    import ray.data

    ending = start_ending()
    _configure(ray.data.DataContext.get_current(), workers)
    found = shards(job.source, max(64, _SHARDS_A_WORKER * workers))
    folders: Any = ray.data.from_items([json.dumps(asdict(shard)) for shard in found])
    listed = folders.map_batches(
        list_folders,
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=0,
        # A process each, which no CPU bounds. A few list faster than many workers colorize.
        compute=ray.data.TaskPoolStrategy(size=max(2, workers // _WORKERS_A_LISTER)),
        fn_kwargs={"job": job, "ending": ending},
    )
    outcomes = listed.map_batches(
        Colorize,
        fn_constructor_args=(job, ending),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=job.num_cpus,
        num_gpus=job.num_gpus or None,
        # Two parcels at once, so that the end of one leaves no batch half empty.
        compute=ray.data.ActorPoolStrategy(
            size=workers, max_concurrent_calls_per_actor=2, enable_true_multi_threading=True
        ),
    )
    with ended_by_signals(ending, on_end) as ended:
        for block in outcomes.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        ):
            for told in _told(block):
                report.summary.already += told["already"]
                report.summary.otherwise += told["otherwise"]
                for line in told["outcomes"]:
                    report.add(Outcome(**line))
            on_progress(report.summary)
    report.summary.interrupted = ended.is_set()
    return report.summary


def _configure(context: Any, workers: int) -> None:  # noqa: ANN401 - ray.data.DataContext
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the rest comes as exceptions
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A block, which one task gets, holds one parcel.
    context.target_max_block_size = context.target_min_block_size = 1
    # Workers that are lost while they start are replaced, unless none ever gets further.
    context.max_consecutive_actor_init_deaths = workers
    # That a folder alone is too little to list for two.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"ray\.data\.")


def list_folders(
    batch: "pyarrow.Table",
    job: Job,
    ending: Any,  # noqa: ANN401 - an actor's handle
) -> Iterator["pyarrow.Table"]:
    """Shards in, their parcels out, one by one, until the run is to end."""
    ended = heard(ending)
    for shard in _told(batch):
        for parcel in job.parcels(Shard(**shard)):
            if ended.is_set():
                return
            yield _table([asdict(parcel)])


class Colorize:
    """A worker as Ray Data calls it: parcels in, what became of each out."""

    def __init__(self, job: Job, ending: Any) -> None:  # noqa: ANN401 - an actor's handle
        self._worker = Worker(job, heard(ending))

    def __call__(self, batch: "pyarrow.Table") -> "pyarrow.Table":
        """One block of parcels."""
        rows = []
        for told in _told(batch):
            parcel = Parcel(**told)
            outcomes = [asdict(each) for each in self._worker.do(parcel)]
            rows.append(
                {
                    "already": parcel.done,
                    "otherwise": parcel.otherwise,
                    "outcomes": outcomes,
                }
            )
        return _table(rows)


# As JSON in ASCII: a name on disk need not be text, and Arrow takes nothing else for a string.
def _table(rows: list[dict[str, Any]]) -> "pyarrow.Table":
    import pyarrow

    return pyarrow.table({"item": [json.dumps(row) for row in rows]})


def _told(table: "pyarrow.Table") -> Iterator[dict[str, Any]]:
    for row in table["item"].to_pylist():
        yield json.loads(row)
