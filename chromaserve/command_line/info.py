"""`chromaserve info`: what colorizes on this machine, and with which settings."""

import json
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.console import Console

from chromaserve.command_line.exits import complaints, tell_warnings
from chromaserve.command_line.shared_options import Json

_PACKAGES = ("tensorflow", "ncnn", "opencv-python-headless", "numpy", "pillow", "ray")


def info(as_json: Json = False) -> None:
    """Say what there is: versions, engine, device, cores, folders, settings in force.

    The model is loaded for it.
    """
    with complaints():
        tell_warnings()
        told = _tell()
        if as_json:
            print(json.dumps(told, indent=2))
            return
        console = Console(highlight=False, soft_wrap=True)
        for name, value in told.items():
            if isinstance(value, dict):
                console.print(f"{name}:")
                for inner, one in value.items():
                    console.print(f"  {inner}: {one}", markup=False)
            else:
                console.print(f"{name}: {value}", markup=False)


def _tell() -> dict[str, Any]:
    from chromaserve.library.background import local_settings
    from chromaserve.pipeline.models import Models
    from chromaserve.settings import usable_cores

    settings = local_settings()
    models = Models(settings)
    start = time.perf_counter()
    model = models.load_default()
    return {
        "chromaserve": _version("chromaserve"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "model": model.version,
        "models": str(models.store.root),
        "engine": model.engine.name,
        "device": model.engine.device,
        "load_s": round(time.perf_counter() - start, 2),
        "packages": {name: _version(name) for name in _PACKAGES},
        "settings": {
            f"CHROMASERVE_{name.upper()}": value
            for name, value in settings.model_dump(mode="json").items()
            if name in settings.model_fields_set and "key" not in name
        },
        "set_in_environment": sorted(name for name in os.environ if name.startswith("CHROMASERVE")),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
