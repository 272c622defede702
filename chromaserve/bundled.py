"""The packages that come along: inside this one where it is installed, beside it in its repository.

The service and training import the library, never the other way round. What starts them finds them
here, by name.
"""

from importlib import import_module
from types import ModuleType


def import_bundled(name: str) -> ModuleType:
    """Import a module of the service or of training: "app.main", "training.__main__".

    Never one of that name that belongs to another program, where this package is installed.

    Raises:
        ImportError: it is neither inside nor beside this package, or needs what is not installed.
    """
    inside = f"{__package__}.{name}"
    try:
        return import_module(inside)
    except ModuleNotFoundError as error:
        if not inside.startswith(f"{error.name}"):
            raise
    return import_module(name)


def train() -> None:
    """`chromaserve-train`: the command line of training, which needs the extra `train`."""
    try:
        import_bundled("training.__main__").main()
    except ModuleNotFoundError as error:
        raise SystemExit(f"chromaserve-train: {error}; install 'chromaserve[train]'") from None
