"""``foley datasets``: which data sets there are, what each needs, and whether it is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from foley import config as configuration
from foley import registry
from foley.datasets.films import data_root
from foley.datasets.info import DatasetInfo, NeededFile
from foley.errors import FoleyError


@dataclass(frozen=True)
class Entry:
    """A data set as the command shows it.

    Parameters
    ----------
    name : str
        Of the configuration's entry, or of the kind.
    kind : str
        Name of its module in the registry.
    info : DatasetInfo
    settings : dict
        What the configuration says; empty for a kind that is not configured.
    root : Path or None
        Folder of its files; None for a data set that has none, or whose folder is not configured.
    """

    name: str
    kind: str
    info: DatasetInfo
    settings: dict[str, Any]
    root: Path | None

    def found(self) -> list[tuple[NeededFile, Path | None]]:
        """Every file that is needed, with what was found of it."""
        return [(file, file.find(self.root) if self.root else None) for file in self.info.files]

    def state(self) -> str:
        """One word: ``ready``, ``missing``, or ``-`` where nothing is needed."""
        if not self.info.files:
            return "-"
        found = self.found()
        enough = all(path for file, path in found if not file.optional) and any(path for _, path in found)
        return "ready" if enough else "missing"


def entries(configs: list[Path]) -> list[Entry]:
    """Every entry of the configuration, and every kind that none of them has.

    Parameters
    ----------
    configs : list of Path
        ``config.yaml`` and overlays.

    Returns
    -------
    list of Entry
        Sorted by name.
    """
    config = configuration.read(*configs)
    data_dir = Path(config.data_dir)
    found = [_entry(name, entry.kind, entry.settings, data_dir) for name, entry in config.datasets.items()]
    taken = {entry.kind for entry in found} | {entry.name for entry in found}
    found += [_entry(kind, kind, {}, data_dir) for kind in registry.REGISTRY["datasets"] if kind not in taken]
    return sorted(found, key=lambda entry: entry.name)


def _entry(name: str, kind: str, settings: dict[str, Any], data_dir: Path) -> Entry:
    info: DatasetInfo = registry.load("datasets", kind).INFO
    path = str(settings.get("path", ""))
    if kind == "folder" and not path:
        return Entry(name, kind, info, settings, None)
    return Entry(name, kind, info, settings, data_root(path, data_dir, kind) if info.files else None)


def print_datasets(configs: list[Path], *, name: str | None) -> None:
    """Print the list of data sets, or everything about one.

    Parameters
    ----------
    configs : list of Path
        ``config.yaml`` and overlays.
    name : str or None
        An entry of the configuration, or a kind.

    Raises
    ------
    FoleyError
        If there is no such data set; names those there are.
    """
    known = entries(configs)
    console = Console(markup=False, highlight=False)  # paths may hold brackets
    if name is None:
        table = Table("data set", "kind", "what", "files")
        for entry in known:
            table.add_row(entry.name, entry.kind, entry.info.summary, entry.state())
        console.print(table)
        console.print("foley datasets NAME tells everything about one.")
        return
    chosen = next((entry for entry in known if entry.name == name), None)
    chosen = chosen or next((entry for entry in known if entry.kind == name), None)
    if chosen is None:
        raise FoleyError(
            f"no data set is called {name!r}; there are {', '.join(entry.name for entry in known)}"
        )
    _print_one(chosen, console)


def _print_one(entry: Entry, console: Console) -> None:
    info = entry.info
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    for what, text in (
        ("data set", f"{info.title} ({entry.name}, kind {entry.kind})"),
        ("what", info.summary),
        ("cite", info.citation),
        ("licence", info.licence),
        ("home page", info.home_page or "none"),
        ("counts", info.counts),
        ("split", info.split),
        ("folder", str(entry.root) if entry.root else "none"),
    ):
        facts.add_row(what, text)
    console.print(facts)
    if info.files:
        table = Table()
        for column in ("file", "what", "from", "there"):
            table.add_column(column, overflow="fold")  # an address that is cut short is of no use
        for file, path in entry.found():
            there = str(path) if path else "no (optional)" if file.optional else "no"
            table.add_row(" or ".join(file.patterns[:4]), file.what, file.where, there)
        console.print(table)
    settings = Table("setting", "default", "what")
    for key, field in _settings(entry.kind).model_fields.items():
        default = "required" if field.is_required() else _short(field.get_default(call_default_factory=True))
        settings.add_row(key, default, field.description or "")
    console.print(settings)
    for note in info.notes:
        console.print(f"- {note}")


def _settings(kind: str) -> type[BaseModel]:
    settings: type[BaseModel] = registry.load("datasets", kind).Settings
    return settings


def _short(value: object) -> str:
    if isinstance(value, BaseModel):
        return "see docs/datasets.md"
    text = ", ".join(map(str, value)) if isinstance(value, dict | tuple | list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
