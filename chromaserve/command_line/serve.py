"""`chromaserve serve`: the service."""

import os
from importlib import import_module
from typing import Annotated, Any

import typer


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; CHROMASERVE_HOST, or 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on; CHROMASERVE_PORT, or 8000."),
    ] = None,
) -> None:
    """Serve over HTTP. All other settings are environment variables, CHROMASERVE_*."""
    for name, value in (("HOST", host), ("PORT", port)):
        if value is not None:
            os.environ[f"CHROMASERVE_{name}"] = str(value)
    raise typer.Exit(_service().main())


def _service() -> Any:  # noqa: ANN401 - the module, which this package does not import
    """The service: inside this package where that is installed, beside it in the repository."""
    for name in ("chromaserve.app.__main__", "app.__main__"):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(f"{error.name}"):
                raise
    raise ImportError("the service is not installed")
