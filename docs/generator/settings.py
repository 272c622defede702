"""Tables of the service's settings."""

from collections.abc import Sequence

from app.settings import Settings
from docs.generator.schema import table, values


def settings_table(names: Sequence[str]) -> str:
    """A table of these fields of `Settings`, in that order."""
    fields = Settings.model_json_schema()["properties"]
    prefix = Settings.model_config["env_prefix"]
    rows = [
        [
            f"`{prefix}{name.upper()}`",
            _default(Settings.model_fields[name].default),
            values(fields[name]),
            str(fields[name].get("description", "")),
        ]
        for name in names
    ]
    return table(["variable", "default", "values", "meaning"], rows)


def _default(value: object) -> str:
    if value is None or value == "":
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
