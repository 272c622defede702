"""Compose, Kubernetes and systemd files: valid by their schemas, and in line with the service."""

import configparser
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml
from prometheus_client import generate_latest

from app.service import Service
from app.settings import Settings
from chromaserve.errors import Busy
from chromaserve.pipeline.timings import Timings
from tests.conftest import Server, free_port

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SETTINGS = {f"CHROMASERVE_{name.upper()}" for name in Settings.model_fields}
# Their schemas belong to the programs that bring them, not to Kubernetes.
FOREIGN = {"ScaledObject", "ServiceMonitor"}
COMPOSE_CHECK = [
    *(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"),
]
# What the model and its engine take beside the bound, measured: see the page on engines.
MODEL_MB = 1200


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Complete objects: not kustomizations, patches of components, or an adapter's values."""
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            kind = document.get("kind", "")
            patch = kind == "Deployment" and "base" not in path.parts
            if kind and not patch and kind not in (*FOREIGN, "Kustomization", "Component"):
                yield f"{path.parent.name}/{path.name}", document


OBJECTS = dict(manifests())
DEPLOYMENT = OBJECTS["base/deployment.yaml"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
[CONTAINER] = POD["containers"]


def megabytes(size: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|m|g|M|G)", size).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1, "g": 1024}[unit[0].lower()]


@pytest.mark.parametrize("name", OBJECTS)
def test_kubernetes_objects_pass_the_strict_schema(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], "1.34", strict=True)


def test_every_part_is_an_object_that_a_kustomization_names() -> None:
    assert {each["kind"] for each in OBJECTS.values()} == {
        *("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"),
        "HorizontalPodAutoscaler",
    }
    for path in KUBERNETES.rglob("kustomization.yaml"):
        listed = yaml.safe_load(path.read_text("utf-8"))
        names = [*listed.get("resources", []), *listed.get("components", [])]
        names += [patch["path"] for patch in listed.get("patches", []) if "path" in patch]
        for name in names:
            assert (path.parent / name).exists(), f"{path}: {name}"
        files = {file.name for file in path.parent.glob("*.yaml")}
        assert files - {"kustomization.yaml", "prometheus-adapter.yaml"} <= set(names), path


def test_the_pod_fits_the_restricted_security_standard() -> None:
    """Pod Security Standards, "restricted", and a root file system that cannot be written."""
    pod, own = POD["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert {"privileged", "procMount"}.isdisjoint(own)
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(POD)
    assert all("emptyDir" in volume for volume in POD["volumes"])
    assert POD["automountServiceAccountToken"] is False
    assert POD["enableServiceLinks"] is False, "CHROMASERVE_PORT would be the Service's address"


def test_probes_ask_what_the_service_answers(http: httpx.Client) -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = CONTAINER[probe]["httpGet"]
        assert ports[get["port"]] == 8000
        assert http.get(get["path"]).status_code == 200
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz"
    [port] = OBJECTS["base/service.yaml"]["spec"]["ports"]
    assert port["targetPort"] in ports


def test_accepted_photos_have_time_to_be_finished() -> None:
    needed = Settings.model_fields["shutdown_timeout_s"].default
    _, pause = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert POD["terminationGracePeriodSeconds"] > needed + int(pause)
    for name in ("chromaserve", "chromaserve-gpu"):
        assert int(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > needed
    assert int(unit()["Service"]["TimeoutStopSec"]) > needed


def test_memory_limits_hold_what_the_service_may_take() -> None:
    literals = yaml.safe_load((KUBERNETES / "base/kustomization.yaml").read_text("utf-8"))
    [generator] = literals["configMapGenerator"]
    settings = dict(each.split("=") for each in generator["literals"])
    assert settings.keys() <= SETTINGS
    bound = float(settings["CHROMASERVE_MAX_MEMORY_MB"])
    assert megabytes(CONTAINER["resources"]["limits"]["memory"]) >= bound + MODEL_MB
    own = Settings.model_fields["max_memory_mb"].default
    for name, variable in (("chromaserve", "MEMORY"), ("chromaserve-gpu", "MEMORY_GPU")):
        limit = COMPOSE["services"][name]["mem_limit"]
        limit = limit.removeprefix(f"${{CHROMASERVE_{variable}:-").removesuffix("}")
        assert megabytes(limit) >= own + MODEL_MB
    assert megabytes(unit()["Service"]["MemoryMax"]) >= own + MODEL_MB


@pytest.mark.parametrize("photo_s", [0.1, 0.6, 3])
def test_autoscalers_add_pods_before_one_refuses(photo_s: float) -> None:
    """Whatever photos take: two cores do 12 megapixels in 0.6 s, and 256² in less than 0.2."""
    [asked] = OBJECTS["hpa/autoscaler.yaml"]["spec"]["metrics"]
    scaled = yaml.safe_load((KUBERNETES / "components/keda/scaled-object.yaml").read_text("utf-8"))
    threshold = scaled["spec"]["triggers"][0]["metadata"]["threshold"]
    targets = (asked["pods"]["target"]["averageValue"], threshold)
    service = Service(Settings())
    took = Timings(0, 0, 0, photo_s, 1, 1, 0, photo_s, model_s=photo_s)
    service.pipeline.estimate.note(took, 1)
    with contextlib.suppress(Busy):
        while True:
            service.pipeline.backlog.accept([1])
    told = generate_latest(service.metrics.told).decode()
    service.pipeline.close()
    found = re.search(rf"^{asked['pods']['metric']['name']} (\S+)$", told, re.M)
    assert found
    # A tenth more than the target changes nothing: Kubernetes's tolerance.
    assert all(float(found[1]) > 1.1 * float(target) for target in targets), found[0]


def test_autoscalers_ask_for_a_metric_that_there_is(http: httpx.Client) -> None:
    metrics = http.get("/metrics").text
    folder = KUBERNETES / "components"
    [asked] = OBJECTS["hpa/autoscaler.yaml"]["spec"]["metrics"]
    name = asked["pods"]["metric"]["name"]
    assert f"\n{name} " in metrics
    adapter = yaml.safe_load((folder / "hpa/prometheus-adapter.yaml").read_text("utf-8"))
    [rule] = adapter["rules"]["custom"]
    assert rule["name"]["as"] == name
    assert rule["seriesQuery"].startswith(name)
    scaled = yaml.safe_load((folder / "keda/scaled-object.yaml").read_text("utf-8"))
    [trigger] = scaled["spec"]["triggers"]
    assert name in trigger["metadata"]["query"]


def test_the_compose_file_passes_its_schema() -> None:
    done = subprocess.run(
        [*COMPOSE_CHECK, str(ROOT / "docker-compose.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_containers_are_confined_and_pinned() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
            assert service["healthcheck"]["test"][0] == "CMD"
            assert all(each.startswith("127.0.0.1:") for each in service["ports"]), name
        assert {
            variable
            for variable in service.get("environment", {})
            if variable.startswith("CHROMASERVE_")
        } <= SETTINGS


def test_images_named_are_variants_of_the_dockerfile() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    (default,) = re.findall(r"^ARG VARIANT=(\S+)$", dockerfile, re.M)
    assert CONTAINER["image"] == f"chromaserve:{default}"
    service = COMPOSE["services"]["chromaserve"]
    assert service["image"] == f"chromaserve:{service['build']['args']['VARIANT']}"
    assert service["image"].endswith(f":-{default}}}")
    gpu = COMPOSE["services"]["chromaserve-gpu"]
    assert gpu["image"] == f"chromaserve:{gpu['build']['args']['VARIANT']}"
    for variant in (default, gpu["build"]["args"]["VARIANT"]):
        assert (ROOT / "requirements" / f"{variant}.lock").exists()
    assert 'ENTRYPOINT ["chromaserve"]\nCMD ["serve"]\n' in dockerfile
    assert set(re.findall(r"\b(CHROMASERVE_\w+)=", dockerfile)) <= SETTINGS


def test_every_variable_of_the_compose_file_is_told_of() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text("utf-8")))
    page = (ROOT / "docs/how-to/docker.md").read_text("utf-8")
    assert asked == set(re.findall(r"`(\w+)`", page)) & asked


def test_the_health_check_asks_the_service_and_no_proxy(small_server: Server) -> None:
    """Docker gives containers its client's proxies, as variables."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    [check] = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", dockerfile, re.M)
    _, *arguments = json.loads(check)

    def status(port: str) -> int:
        nobody = f"http://127.0.0.1:{free_port()}"
        environment = {**os.environ, "CHROMASERVE_PORT": port, "http_proxy": nobody}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    assert status(small_server.url.rpartition(":")[2]) == 0
    assert status(str(free_port())) != 0


def test_the_folder_for_jobs_is_one_that_the_service_may_write() -> None:
    """Its root file system is read-only under systemd and compose."""
    example = (ROOT / "deploy/systemd/chromaserve.env").read_text("utf-8")
    state = f"/var/lib/{unit()['Service']['StateDirectory']}"
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    [(user, made)] = re.findall(r"^RUN install -d -o (\d+) -g \d+ -m 700 (\S+)$", dockerfile, re.M)
    assert re.search(rf"^USER {user}:", dockerfile, re.M)
    pages = [
        (ROOT / "docs/how-to" / name).read_text("utf-8") for name in ("docker.md", "systemd.md")
    ]
    for text, folder in ((example, state), (pages[0], made), (pages[1], state)):
        assert f"CHROMASERVE_JOBS={folder}/" in text
    for name in ("chromaserve", "chromaserve-gpu"):
        [volume] = COMPOSE["services"][name]["volumes"]
        assert volume.partition(":")[2] == made
        assert volume.partition(":")[0] in COMPOSE["volumes"]


def unit() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(ROOT / "deploy/systemd/chromaserve.service")
    return parsed


def test_the_systemd_unit_and_its_settings_are_the_service_s() -> None:
    service = unit()["Service"]
    command = service["ExecStart"].split()
    assert (Path(command[0]).name, command[1:]) == ("chromaserve", ["serve"])
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["OOMPolicy"] == "continue", "a worker that is killed for memory is replaced"
    example = (ROOT / "deploy/systemd/chromaserve.env").read_text("utf-8")
    assert set(re.findall(r"^#?(CHROMASERVE_\w+)=", example, re.M)) <= SETTINGS


def test_nginx_lets_through_what_the_service_takes() -> None:
    text = (ROOT / "deploy/nginx/chromaserve-proxy.conf").read_text("utf-8")
    fields = Settings.model_fields
    size = re.search(r"client_max_body_size (\d+)m;", text)
    wait = re.search(r"proxy_read_timeout (\d+)s;", text)
    assert size
    assert wait
    assert int(size[1]) >= fields["max_upload_mb"].default
    assert int(wait[1]) > fields["photo_timeout_s"].default + fields["max_wait_s"].default
    # A reference before it may take as long as the photo.
    assert int(wait[1]) > 2 * fields["photo_timeout_s"].default + fields["max_wait_s"].default
    for file in (ROOT / "deploy/nginx").glob("*.conf"):
        named = set(re.findall(r"\b(CHROMASERVE_\w+)\b", file.read_text("utf-8")))
        assert named <= SETTINGS, file
