"""The dashboard and the alert rules, asked of a real Prometheus that watches a real service.

    python -m benchmarks.monitoring --seconds 40

Starts the service and Prometheus (Debian's package, or another on the path) with the configuration
of deploy/monitoring, sends photos of all outcomes meanwhile, and prints what each query gave. Ends
with status 1 if a query failed or gave nothing, or if Prometheus could not read a rule.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.serving.photos import ROOT
from benchmarks.serving.processes import free_port, service

MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARD = MONITORING / "grafana" / "dashboards" / "chromaserve.json"
RULES = MONITORING / "prometheus" / "chromaserve.rules.yml"
CONFIGURATION = MONITORING / "prometheus" / "prometheus.yml"
START_S = 120.0


@dataclass(frozen=True)
class Query:
    """One expression, and where it stands."""

    where: str
    expression: str


def dashboard_queries() -> list[Query]:
    """The expressions of the dashboard's panels."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [
        Query(panel["title"], target["expr"])
        for panel in panels
        for target in panel.get("targets", [])
    ]


def alert_queries() -> list[Query]:
    """The expressions of the alert rules, which give nothing while all is well."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [Query(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def without_variables(expression: str) -> str:
    """The expression with Grafana's variables replaced: every process, a rate over 30 seconds."""
    return expression.replace("$__rate_interval", "30s").replace("$instance", ".*")


@contextmanager
def prometheus(folder: Path, service_url: str) -> Iterator[str]:
    """Prometheus with our configuration, but one target and a scrape a second."""
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("prometheus is not on the path; Debian and Ubuntu: apt install prometheus")
    configuration: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(RULES)]
    [scrape] = configuration["scrape_configs"]
    del scrape["dns_sd_configs"]
    scrape["static_configs"] = [{"targets": [service_url.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
    port = free_port()
    words = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/-/ready")
            yield url
        finally:
            process.terminate()
            process.wait(30)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} did not answer in {START_S:g} s")


def send_photos(url: str, ended: threading.Event) -> None:
    """Photos alone, twice, several at once, broken ones; and paths that there are not."""
    photos = [path.read_bytes() for path in sorted((ROOT / "samples" / "grey").iterdir())]
    with httpx.Client(base_url=url, timeout=60) as http:
        turn = 0
        while not ended.is_set():
            photo = photos[turn % len(photos)]
            http.post("/colorize", files={"file": photo})
            http.post("/colorize?format=webp", files={"file": photo})
            http.post("/colorize", files=[("file", each) for each in photos[:4]])
            http.post("/colorize", files={"file": photo[:500]})
            http.get("/nothing")
            turn += 1


def ask(url: str, expression: str) -> list[dict[str, Any]]:
    """The samples that an expression has now.

    Raises:
        ValueError: Prometheus says that it is wrong.
    """
    query = {"query": without_variables(expression)}
    answer = httpx.get(f"{url}/api/v1/query", params=query, timeout=30).json()
    if answer["status"] != "success":
        raise ValueError(answer["error"])
    return list(answer["data"]["result"])


def told(samples: list[dict[str, Any]]) -> str:
    """A few samples in a line."""
    parts = []
    for sample in samples[:4]:
        labels = {k: v for k, v in sample["metric"].items() if k not in ("instance", "job")}
        labels.pop("__name__", None)
        named = ",".join(labels.values())
        parts.append(f"{named}={float(sample['value'][1]):.4g}" if named else sample["value"][1])
    return "; ".join(parts) + (f"; {len(samples) - 4} more" if len(samples) > 4 else "")


def main() -> int:
    """Run it all and print what came."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=40, help="how long photos are sent")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            service(folder, jobs=folder / "jobs") as served,
            prometheus(folder, served.url) as url,
        ):
            ended = threading.Event()
            sending = threading.Thread(target=send_photos, args=(served.url, ended))
            sending.start()
            time.sleep(options.seconds)
            for query in dashboard_queries():
                samples = ask(url, query.expression)
                numbers = [s for s in samples if s["value"][1] != "NaN"]
                failed += not numbers
                print(f"{'ok  ' if numbers else 'NONE'} {query.where}: {told(numbers)}")
            for query in alert_queries():
                print(f"ok   alert {query.where}: {told(ask(url, query.expression)) or 'quiet'}")
            rules = httpx.get(f"{url}/api/v1/rules", timeout=30).json()["data"]["groups"]
            for rule in (rule for group in rules for rule in group["rules"]):
                failed += rule["health"] != "ok"
                print(f"rule {rule['name']}: {rule['health']}, {rule['state']}")
            ended.set()
            sending.join()
    print(f"{failed} failed, on {os.cpu_count()} cores")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
