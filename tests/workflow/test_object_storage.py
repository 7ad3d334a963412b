"""A run whose results lie in a bucket of a server that speaks as S3 does, on loopback."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.conftest import run_snakemake

BUCKET, PREFIX = "sounds", "foley/"
METRICS = ["accuracy", "log_loss", "confusion", "correlation", "retrieval", "envelope", "sync"]
OVERLAY: Mapping[str, Any] = {
    "only": ["frame_sequence"],
    "experiments": {"frame_sequence": {"visual": ["lite0/flow/frames"], "metrics": METRICS}},
    "datasets": {"procedural": {"settings": {"classes": ["clock", "cutting"]}}},
    "report": {"figures": ["contact_sheet"]},
}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An empty bucket, as boto3 knows it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    storage = boto3.resource(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
    )
    yield storage.create_bucket(Bucket=BUCKET)
    server.stop()


def contents(bucket: Any) -> dict[str, bytes]:
    """Every object, by its key without the prefix."""
    return {one.key.removeprefix(PREFIX): one.get()["Body"].read() for one in bucket.objects.all()}


@pytest.mark.slow
def test_a_run_in_a_bucket_gives_the_tables_of_a_run_on_disk(
    bucket: Any, workflow_copy: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow, overlay = workflow_copy(), tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(dict(OVERLAY)))
    configured = ["--configfile", str(workflow / "configs/smoke.yaml"), str(overlay)]
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_ACCESS_KEY", "anybody")
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_SECRET_KEY", "anything")
    in_bucket = [
        *("--profile", str(workflow / "profiles/s3"), "--cores", "1"),
        *("--default-storage-prefix", f"s3://{BUCKET}/{PREFIX.rstrip('/')}"),
        *("--storage-s3-endpoint-url", bucket.meta.client.meta.endpoint_url),
    ]
    on_disk = tmp_path / "disk"
    run_snakemake(workflow, on_disk, "--cores", "1", "all", *configured)
    here = tmp_path / "here"
    run_snakemake(workflow, here, "all", *in_bucket, *configured)
    stored = contents(bucket)
    made = (on_disk / "results/tables").iterdir()
    tables = {str(path.relative_to(on_disk)): path.read_bytes() for path in made}
    assert tables
    assert {key: stored.get(key) for key in tables} == tables
    assert not (here / "results/tables").exists()

    # Another machine has nothing but the bucket.
    there = tmp_path / "there"
    plan = run_snakemake(workflow, there, "all", *in_bucket, *configured, "--dry-run")
    assert "Nothing to be done" in plan
    bucket.objects.filter(Prefix=f"{PREFIX}results/tables/").delete()
    text = run_snakemake(workflow, there, "all", *in_bucket, *configured)
    assert "rule tabulate" in text
    assert "rule score_run" not in text
    stored = contents(bucket)
    assert {key: stored.get(key) for key in tables} == tables
