"""Pieces of HTML that every page is made of; nothing is fetched from elsewhere."""

import html
from collections.abc import Sequence
from importlib.resources import files


def page_start(title: str) -> str:
    """Begin a page: head with its style inside, and the title as the first line."""
    style = files("foley.report").joinpath("page.css").read_text(encoding="utf-8")
    name = html.escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title><style>{style}</style></head><body>\n<h1>{name}</h1>"
    )


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table of plain texts."""
    body = "".join(_row(line) for line in lines)
    return f"<table><thead>{_row(header, 'th')}</thead><tbody>{body}</tbody></table>"


def _row(values: Sequence[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values) + "</tr>"
