"""The report: tables, figures, runs and provenance on one page that needs nothing else."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foley.errors import StoreError
from foley.provenance import config_digest, git_state
from foley.report.figures import CAPTIONS
from foley.report.markup import page_start, table
from foley.report.measured import read_facts
from foley.store.files import atomic_path
from foley.store.manifests import Failure, read_rows

_PACKAGE_ROOT = Path(__file__).parents[2]
_PROVENANCE = '<script type="application/json" id="provenance">'


def _figure(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    caption = html.escape(CAPTIONS.get(path.stem, path.stem))
    return (
        f'<figure id="{html.escape(path.stem)}"><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _failures(path: Path) -> str:
    rows = read_rows(path, Failure)
    if not rows:
        return "<p>Every recording could be used.</p>"
    lines = [(row.recording_id, row.label, row.stage, row.reason, row.detail) for row in rows]
    return f"<p>{len(rows)} left out.</p>" + table(("recording", "label", "stage", "reason", "detail"), lines)


def _runs(facts: Mapping[tuple[str, int], Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    experiments = config.get("experiments", {})
    lines = []
    for (experiment, seed), known in facts.items():
        entry = experiments.get(experiment, {})
        n_parameters = known.get("n_parameters")
        lines.append(
            (
                experiment,
                str(seed),
                str(entry.get("title", "")),
                str(entry.get("system", "")),
                ", ".join(entry.get("visual", [])),
                "" if n_parameters is None else f"{n_parameters:,}",
            )
        )
    return table(("experiment", "seed", "title", "system", "picture features", "parameters"), lines)


def table_files(tables_dir: str | Path, ending: str) -> list[Path]:
    """Files of all tables in one format; numbered tables first, in order.

    Raises
    ------
    StoreError
        If there is none.
    """
    found = Path(tables_dir).glob(f"*.{ending}")
    numbered = sorted(found, key=lambda path: (not path.stem[-1].isdigit(), path.stem))
    if not numbered:
        raise StoreError(f"{tables_dir}: holds no table (*.{ending}); run the rule tabulate")
    return numbered


def write_report(
    *,
    tables_dir: str | Path,
    figures: Sequence[str | Path],
    facts_paths: Sequence[str | Path],
    failures_path: str | Path,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    report_path: str | Path,
) -> None:
    """Write one HTML page with everything in it: pictures are inlined, nothing is fetched.

    Parameters
    ----------
    tables_dir : path
        Finished tables.
    figures : sequence of path
        PNG files, shown in this order.
    facts_paths : sequence of path
        ``model.json`` of every run.
    failures_path : path
        ``failures.tsv``.
    config : mapping
        The whole configuration, JSON-like.
    environment : mapping
        See :func:`foley.provenance.environment`.
    report_path : path
        Page to write. Unlike the tables it holds the date and the commit.

    Raises
    ------
    StoreError
        If there is no table.
    """
    provenance = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "git": git_state(_PACKAGE_ROOT),
        "environment": dict(environment),
        "scale": config.get("scale_note", ""),
        "dataset": config.get("dataset", ""),
        "seed": config.get("seed"),
        "config_digest": config_digest(config),
    }
    tables = "".join(path.read_text(encoding="utf-8") for path in table_files(tables_dir, "html"))
    # "</" would end the script element early.
    stored = json.dumps(provenance, sort_keys=True).replace("</", "<\\/")
    versions = {key: value for key, value in environment.items() if key != "versions"}
    lines = [
        *((key, str(provenance[key])) for key in ("date", "dataset", "seed", "scale", "config_digest")),
        *((f"git {key}", str(value)) for key, value in git_state(_PACKAGE_ROOT).items()),
        *((key, str(value)) for key, value in {**versions, **environment.get("versions", {})}.items()),
    ]
    page = "\n".join(
        [
            page_start("Foley: report"),
            f"<p>{html.escape(str(provenance['scale']))}</p>",
            '<nav><a href="#tables">Tables</a> <a href="#figures">Figures</a> <a href="#runs">Runs</a> '
            '<a href="#failures">Left out</a> <a href="#made">How it was made</a></nav>',
            f'<h2 id="tables">Tables</h2>{tables}',
            f'<h2 id="figures">Figures</h2>{"".join(_figure(Path(path)) for path in figures)}',
            f'<h2 id="runs">Runs</h2>{_runs(read_facts(facts_paths), config)}',
            f'<h2 id="failures">Left out</h2>{_failures(Path(failures_path))}',
            f'<h2 id="made">How it was made</h2>{table(("what", "value"), lines)}',
            "<details><summary>Configuration</summary><pre>",
            html.escape(json.dumps(config, indent=2, sort_keys=True)),
            "</pre></details>",
            f"{_PROVENANCE}{stored}</script>",
            "</body></html>",
            "",
        ]
    )
    with atomic_path(report_path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def read_provenance(report_path: str | Path) -> dict[str, Any]:
    """Read back when, where and of what :func:`write_report` wrote a page.

    Raises
    ------
    StoreError
        If the page is missing or is not one of ours.
    """
    path = Path(report_path)
    if not path.is_file():
        raise StoreError(f"{path}: there is no report; finish a run first (make tables)")
    _, found, rest = path.read_text(encoding="utf-8").partition(_PROVENANCE)
    if not found:
        raise StoreError(f"{path}: holds no provenance; write it again with this version")
    known: dict[str, Any] = json.loads(rest.partition("</script>")[0])
    return known
