"""The dashboard and the alert rules ask only for what the service really tells."""

import json
import re
from collections import defaultdict
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.problems import KINDS
from benchmarks.monitoring import (
    CONFIGURATION,
    DASHBOARD,
    MONITORING,
    RULES,
    alert_queries,
    dashboard_queries,
)
from tests.conftest import serving
from tests.sample_photos import encoded, small

QUERIES = [*dashboard_queries(), *alert_queries()]
# What Prometheus adds to every sample, and what it tells of its own.
ADDED, OWN = {"instance", "job", "le"}, {"up"}
WORDS = {
    *(
        "absent",
        "and",
        "by",
        "changes",
        "count",
        "histogram_quantile",
        "increase",
        "max",
        "or",
        "rate",
    ),
    *("sum", "vector", "m", "__rate_interval"),
}


@pytest.fixture(scope="module")
def scraped(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> dict[str, dict[str, set[str]]]:
    """Metrics of a service that has had requests of several outcomes: name → label → values."""
    photo = encoded(small("L"), "PNG")
    folder = tmp_path_factory.mktemp("scraped")
    with (
        serving(folder, **small_network, cache_mb=16, jobs=folder / "jobs") as server,
        server.client() as http,
    ):
        for body in (photo, photo, photo[:100]):
            http.post("/colorize", files={"file": body})
        http.get("/nothing")
        told = http.get("/metrics").text
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            labels = found.setdefault(sample.name, defaultdict(set))
            for label, value in sample.labels.items():
                labels[label].add(value)
    return found


def selectors(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The metrics of a PromQL expression, each with its matchers: label, operator, value."""
    found = []
    for name, braces in re.findall(
        r"((?:chromaserve|process)_\w+|\bup\b)(?:\{(.*?)\})?", expression
    ):
        found.append((name, re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', braces)))
    return found


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_metric_label_and_value_is_one_that_the_service_tells(
    query: Any,  # noqa: ANN401 - a Query
    scraped: dict[str, dict[str, set[str]]],
) -> None:
    asked = selectors(query.expression)
    assert asked
    labels = set(ADDED)
    for name, matchers in asked:
        assert name in scraped or name in OWN, name
        labels |= scraped[name].keys() if name in scraped else set()
        for label, operator, value in matchers:
            assert label in labels, f"{name} has no {label}"
            if label == "problem":
                assert value in {kind.slug for kind in KINDS.values()}
            elif label not in (*ADDED, "status") and operator in ("=", "!="):
                assert value in scraped[name][label], f"{name}: no {label} {value}"
    plain = re.sub(r'"[^"]*"', "", query.expression)
    names = {name for name, _ in asked}
    others = set(re.findall(r"[a-zA-Z_]\w*", plain)) - names - labels - WORDS
    assert others <= {"instance"}, others


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    variables = {each["name"]: each["type"] for each in dashboard["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["targets"], panel["title"]
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in own) < 24, panel["title"]
        assert not own & cells, f"{panel['title']} lies on another"
        cells |= own


def test_alert_rules_say_what_is_wrong_and_each_has_a_test() -> None:
    [group] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"]}
    for rule in rules.values():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith((".", "for."))
    tests = yaml.safe_load((RULES.parent / "chromaserve.rules.test.yml").read_text("utf-8"))
    fired = {
        case["alertname"]
        for test in tests["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == rules.keys()


def test_provisioning_finds_its_files() -> None:
    """Paths inside the containers are those that compose mounts."""
    compose = yaml.safe_load((MONITORING.parents[1] / "docker-compose.yml").read_text("utf-8"))
    services = compose["services"]
    mounts = {
        inside: MONITORING.parents[1] / outside
        for service in ("prometheus", "grafana")
        for outside, inside, *_ in (each.split(":") for each in services[service]["volumes"])
        if outside.startswith("./")
    }
    configuration = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
    [scrape] = configuration["scrape_configs"]
    assert scrape["job_name"] == "chromaserve"  # as the alert rules have it
    [found] = scrape["dns_sd_configs"]
    assert set(found["names"]) <= services.keys()
    for file in configuration["rule_files"]:
        assert (mounts["/etc/prometheus"] / file).is_file()
    provisioning = mounts["/etc/grafana/provisioning"]
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards/chromaserve.yml").read_text())[
        "providers"
    ]
    assert (mounts[provider["options"]["path"]] / "chromaserve.json").is_file()
