"""What docs/operations.md and app.json say about settings, made from config/settings.py.

`python tests/architecture/settings_docs.py` writes it; a test compares.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from config.settings import Settings

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- settings: written by tests/architecture/settings_docs.py -->\n", "<!-- end of settings -->\n"
ADDONS = ("database_url", "redis_url", "broker_url")
NEVER_ON_A_DYNO = ("revpipe_crash_point", "revpipe_data_dir")


def table() -> str:
    """The settings as a Markdown table; a default that is a path is shown from the folder of the start."""
    rows = ["| variable | what it is for | default | where to get it |", "| --- | --- | --- | --- |"]
    for item in fields(Settings):
        cells = [f"`{item.name.upper()}`", item.metadata["purpose"], _default(item.default), item.metadata["where"]]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def app_env() -> dict[str, dict[str, Any]]:
    """The `env` of app.json: what has no useful default and is no add-on's affair."""
    env: dict[str, dict[str, Any]] = {}
    for item in fields(Settings):
        if item.default in (None, ()) and item.name not in (*ADDONS, *NEVER_ON_A_DYNO):
            where = f" ({item.metadata['where']})" if item.metadata["where"] else ""
            env[item.name.upper()] = {"description": item.metadata["purpose"] + where, "required": False}
    env["SECRET_KEY"] = {"description": env["SECRET_KEY"]["description"], "generator": "secret"}
    env["REDIS_TLS_VERIFY"] = {"description": "this platform's Redis certifies itself", "value": "false"}
    return env


def section(text: str) -> str:
    """The part of docs/operations.md between the marks."""
    return text.split(BEGIN)[1].split(END, maxsplit=1)[0]


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path):
        return f"`{value.name}`"
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else f"`{value}`"


def main() -> None:
    """Write both files anew."""
    page = ROOT / "docs/operations.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace(BEGIN + section(text) + END, BEGIN + table() + END), encoding="utf-8")
    app = ROOT / "app.json"
    manifest = json.loads(app.read_text(encoding="utf-8")) | {"env": app_env()}
    app.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
