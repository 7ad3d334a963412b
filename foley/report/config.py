"""Settings of tables, figures and the report. Light to import."""

from pydantic import BaseModel, ConfigDict, Field


class ReportConfig(BaseModel):
    """What is shown, and which experiment stands in which row.

    Parameters
    ----------
    figures : list of str
        Names of figures, each a key of ``FIGURES`` in :mod:`foley.report.figures`.
    rows : mapping of str to mapping of str to str
        For each table the experiment behind each of its rows (or columns), by the name that the
        paper prints, for example ``rows["autofoley_table5"]["Ablation Model 1"]``. A row that is not
        named here is shown as ``not in this configuration``.
    stand_ins : mapping of str to str
        What the papers use, and what stands in its place; printed under every table.
    names : mapping of str to str
        What a class or mixture is called in the tables of REGNET and Visual2Sound, and which class or
        mixture of the configuration it is here, for example ``{"Dog": "footstep", "Gaussian": "gauss"}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: list[str] = Field(default_factory=list)
    rows: dict[str, dict[str, str]] = Field(default_factory=dict)
    stand_ins: dict[str, str] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
