"""`chromaserve serve`: the service."""

import os
from typing import Annotated

import typer

from chromaserve.bundled import import_bundled


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; CHROMASERVE_HOST, or 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on; CHROMASERVE_PORT, or 8000."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that share the port; CHROMASERVE_WORKERS, or 1."),
    ] = None,
) -> None:
    """Serve over HTTP. All other settings are environment variables, CHROMASERVE_*."""
    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[f"CHROMASERVE_{name}"] = str(value)
    raise typer.Exit(import_bundled("app.__main__").main())
