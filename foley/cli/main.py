"""The command ``foley``: dub a film, look inside what the workflow made, see what a run would cost."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from foley.errors import FoleyError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Put sound to silent video, and look inside what the workflow made.",
)

DEFAULT_MODEL = Path("results/procedural/experiments/frame_sequence/seed0")


@app.command()
def dub(
    video: Annotated[Path, typer.Argument(help="The film: any length, frame rate and size.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The film with its new sound (.mp4, .mov, .mkv).")
    ],
    model: Annotated[
        Path | None, typer.Option(help=f"Folder of a trained model; by default {DEFAULT_MODEL}.")
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="Name of a system, in place of a folder: regnet, frame_relation, ...")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", help="Say what sounds, in place of guessing it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed gives another take.")] = 0,
    wav: Annotated[Path | None, typer.Option(help="Also write the new sound alone, 48 kHz 24 bit.")] = None,
    cues: Annotated[Path | None, typer.Option(help="Also write a cue list (TSV): when what sounds.")] = None,
    keep_original: Annotated[bool, typer.Option(help="Keep the film's own sound as a second track.")] = True,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 2,
) -> None:
    """Put a sound track to a film; its picture is copied untouched."""
    from foley.cli.dubbing import dub_film, find_model

    dub_film(
        video=video,
        output=output,
        model=find_model(model, system, default=DEFAULT_MODEL, results=Path("results")),
        label=label,
        seed=seed,
        wav=wav,
        cues=cues,
        keep_original=keep_original,
        device=device,
        n_threads=threads,
    )


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A shard (.h5), manifest (.tsv), model folder or media file.")],
    item: Annotated[str | None, typer.Option(help="One item of a shard.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw it into this PNG file.")] = None,
) -> None:
    """Show what is in a shard, a manifest, a trained model or a media file."""
    from foley.cli.inspecting import inspect_path

    inspect_path(path, item=item, picture=picture)


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks."""
    from foley.cli.doctor import examine

    if not examine():
        raise typer.Exit(1)


@app.command()
def datasets(
    name: Annotated[
        str | None, typer.Argument(help="One data set: an entry of the configuration, or a kind.")
    ] = None,
    config: Annotated[list[Path], typer.Option(help="config.yaml; again for each overlay, in order.")] = [  # noqa: B006
        Path("config.yaml")
    ],
) -> None:
    """List the data sets, or tell everything about one: source, licence, files, whether they are there."""
    from foley.cli.datasets_cmd import print_datasets

    print_datasets(config, name=name)


@app.command()
def plan(
    config: Annotated[list[Path], typer.Argument(help="config.yaml and overlays, in order.")] = [  # noqa: B006
        Path("config.yaml")
    ],
    recordings: Annotated[
        int | None, typer.Option(help="Number of recordings, where no list is there yet.")
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Cores that would work.")] = 2,
    benchmarks: Annotated[
        Path, typer.Option(help="Measured job times of an earlier run on this machine.")
    ] = Path("results/benchmarks"),
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this machine first; takes a minute or more.")
    ] = False,
    speeds: Annotated[Path, typer.Option(help="File that keeps what was measured.")] = Path(
        "results/speeds.json"
    ),
) -> None:
    """Foretell clips, jobs, time and disk of a run."""
    from foley.cli.planning import print_plan

    print_plan(
        config,
        recordings=recordings,
        cores=cores,
        benchmarks=benchmarks,
        speeds_path=speeds,
        measure=measure,
    )


@app.command()
def retry(
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set; by default the configured one.")
    ] = None,
    reasons: Annotated[
        str, typer.Option(help="Reason codes, with commas; see the column reason of failures.tsv.")
    ] = "network,rate_limit",
    config: Annotated[list[Path], typer.Option(help="config.yaml; again for each overlay, in order.")] = [  # noqa: B006
        Path("config.yaml")
    ],
    results: Annotated[Path, typer.Option(help="Folder of the run's results.")] = Path("results"),
) -> None:
    """Let the next run ask again for recordings that could not be had."""
    from foley.cli.retrying import print_retry

    print_retry(config, dataset=dataset, reasons=reasons, results=results)


REGNET_CONFIGS = [Path("config.yaml"), Path("configs/regnet_vas.yaml")]


@app.command("import-regnet")
def import_regnet(
    checkpoints: Annotated[
        list[Path], typer.Argument(help="checkpoint_*_netG of REGNET's authors, and ..._netD if you have it.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the model to make.")],
    experiment: Annotated[
        str, typer.Option(help="Experiment that says how the model sees a film.")
    ] = "regnet_dog",
    config: Annotated[
        list[Path], typer.Option(help="config.yaml; again for each overlay, in order.")
    ] = REGNET_CONFIGS,
) -> None:
    """Make a model of checkpoints of REGNET's authors, for foley dub."""
    from foley.cli.importing import import_checkpoints

    import_checkpoints(checkpoints, output, experiment=experiment, configs=config)


@app.command("import-regnet-features")
def import_regnet_features(
    folder: Annotated[Path, typer.Argument(help="The authors' data/features, with a folder a class.")],
    experiment: Annotated[str, typer.Option(help="Experiment whose features they stand for.")] = "regnet_dog",
    config: Annotated[
        list[Path], typer.Option(help="config.yaml; again for each overlay, in order.")
    ] = REGNET_CONFIGS,
    results: Annotated[Path, typer.Option(help="Folder of results with the clips.")] = Path("results"),
) -> None:
    """Let experiments use features and spectrograms of REGNET's authors in place of our own."""
    from foley.cli.importing import import_feature_files

    import_feature_files(folder, experiment=experiment, configs=config, results=results)


@app.command("results-page")
def results_page(
    results: Annotated[Path, typer.Option(help="Folder of a finished run.")] = Path("results"),
    docs: Annotated[Path, typer.Option(help="Folder to write results.md and images into.")] = Path("docs"),
) -> None:
    """Write docs/results.md from the last run."""
    from foley.report.results_doc import write_results_page

    write_results_page(results_dir=results, docs_dir=docs)


def main() -> None:
    """Run the command; an error of ours is one line that says what to do."""
    try:
        app()
    except FoleyError as error:
        typer.secho(f"foley: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
