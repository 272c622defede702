"""`chromaserve models`: the versions that there are, here or on a service."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chromaserve.bundled import import_bundled
from chromaserve.command_line.colorists import Service, answers
from chromaserve.command_line.exits import complaints, say
from chromaserve.command_line.shared_options import ApiKey, Json, Url

models = typer.Typer(invoke_without_command=True)


@models.callback()
def list_versions(
    context: typer.Context, url: Url = None, api_key: ApiKey = None, as_json: Json = False
) -> None:
    """List the model's versions, and how each was measured on its validation photos."""
    if context.invoked_subcommand:
        return
    with complaints():
        rows = _here() if url is None else _of_service(url, api_key)
        if as_json:
            print(json.dumps(rows, indent=2))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("version", "made", "licence", "vividness", "PSNR over grey", "colour"):
            table.add_column(column, overflow="fold")
        for row in rows:
            for cells in _lines(row):
                table.add_row(*cells)
        console = Console(highlight=False)
        console.print(table)
        console.print(
            "* used where none is named. colour: colourfulness by that of the true colours."
        )


@models.command()
def convert(
    version: Annotated[str, typer.Argument(help='A number or "latest".')] = "latest",
) -> None:
    """Make the files of the CPU engine for a version that came without. Needs TensorFlow.

    The version is complete before and after, whenever this is interrupted.
    """
    with complaints():
        from chromaserve.library.background import local_settings
        from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

        store = ModelStore(local_settings().model_root or BUNDLED_ROOT)
        model = store.resolve(version)
        store.verify(model)
        with tempfile.TemporaryDirectory() as scratch:
            made = import_bundled("training.conversion.convert").convert(model, Path(scratch))
            store.amend(model, Path(scratch), cpu_engine=made)
        say(
            f"version {model.version}: ncnn differs by {made.difference_ab:.1g} ab at most;"
            f" ms a photo alone and in a batch: SavedModel {made.savedmodel_ms},"
            f" ncnn {made.ncnn_ms}"
        )


def _here() -> list[dict[str, Any]]:
    from chromaserve.library.background import local_settings
    from chromaserve.pipeline.models import Models
    from chromaserve.store.errors import ModelStoreError

    settings = local_settings()
    known = Models(settings)
    try:
        default = known.store.resolve(settings.model_version).version
    except ModelStoreError:
        default = 0
    rows = []
    for version, description, problem in known.listing():
        row: dict[str, Any] = {
            "version": version,
            "default": version == default,
            "problem": problem,
            "path": str(known.store.folder / str(version)),
        }
        if description:
            row |= {
                "created": description.created.isoformat(),
                "licence": description.licence,
                "attribution": description.attribution,
                "default_vividness": description.default_vividness,
                "default_postprocess": description.postprocess,
                "metrics": description.metrics,
            }
        rows.append(row)
    return rows


def _of_service(url: str, api_key: str | None) -> list[dict[str, Any]]:
    with answers(url), Service(url, api_key).client() as client:
        rows: list[dict[str, Any]] = client.models()["models"]
    return rows


def _lines(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """A version's lines: one a vividness that it was measured at, or what is wrong with it."""
    version = f"{row['version']}{' *' if row['default'] else ''}"
    if row["problem"]:
        return [(version, "", row["problem"])]
    first = (version, str(row["created"])[:10], row["licence"])
    lines: list[tuple[str, ...]] = []
    for name, groups in (row.get("metrics") or {}).items():
        what, _, vividness = name.partition(" ")
        if what != "vividness":
            continue
        all_photos = groups.get("all", {})
        gain, colour = all_photos.get("gain"), all_photos.get("colourfulness_ratio")
        lines.append(
            (
                *(("", "", "") if lines else first),
                vividness,
                "" if gain is None else f"{gain:+.2f} dB",
                "" if colour is None else f"{colour:.2f}",
            )
        )
    return lines or [first]
