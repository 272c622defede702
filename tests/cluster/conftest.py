"""A real Ray cluster of two nodes on this machine: each has a raylet and workers of its own."""

import logging
import os
from collections.abc import Iterator

import psutil
import pytest

# Read by Ray when it is imported.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - 15 by default: others would have the cores

NODE = {"num_cpus": 2, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="package")
def cluster() -> Iterator[str]:
    """The cluster's address, which this process has joined; nothing of it is left behind."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        made.add_node(**NODE)
        ray.init(made.address, log_to_driver=False, logging_level=logging.ERROR)
        yield made.address
    finally:
        started = psutil.Process().children(recursive=True)
        ray.shutdown()
        made.shutdown()
        rays = [each for each in started if is_rays(each)]
        _, left = psutil.wait_procs(rays, timeout=10)
        for process in left:
            process.kill()


def is_rays(process: psutil.Process) -> bool:
    try:
        return "ray" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def workers(title: str) -> list[psutil.Process]:
    """Ray's processes that run something, as their titles say; none that is not this test's."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        said = " ".join(process.info["cmdline"] or ())
        if said.startswith(f"ray::{title}"):
            found.append(process)
    return found
