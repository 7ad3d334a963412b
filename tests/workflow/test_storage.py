"""Results that lie elsewhere than where jobs work: in a bucket as S3 has them, on a disk that nodes share."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.conftest import run_snakemake

pytestmark = pytest.mark.slow

BUCKET, PREFIX = "sounds", "foley/"
METRICS = ["accuracy", "log_loss", "confusion", "correlation", "retrieval", "envelope", "sync"]
OVERLAY: Mapping[str, Any] = {
    "only": ["frame_sequence"],
    "experiments": {"frame_sequence": {"visual": ["lite0/flow/frames"], "metrics": METRICS}},
    "datasets": {"procedural": {"settings": {"classes": ["clock", "cutting"]}}},
    "report": {"figures": ["contact_sheet"]},
}


@dataclass(frozen=True)
class Small:
    """A small workflow, and the tables of a run of it that kept everything in one folder."""

    workflow: Path
    overlay: Path
    tables: dict[str, bytes]

    def run(self, directory: Path, profile: str, *arguments: str) -> str:
        """Run it with a profile."""
        with_profile = ["--profile", str(self.workflow / "profiles" / profile), "--cores", "1"]
        return run_snakemake(self.workflow, directory, "all", *with_profile, *arguments, *self.configured)

    @property
    def configured(self) -> list[str]:
        return ["--configfile", str(self.workflow / "configs/smoke.yaml"), str(self.overlay)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, workflow_copy: Callable[[], Path]) -> Small:
    folder = tmp_path_factory.mktemp("disk")
    made = Small(workflow_copy(), folder / "overlay.yaml", {})
    made.overlay.write_text(yaml.safe_dump(dict(OVERLAY)))
    run_snakemake(made.workflow, folder / "run", "all", "--cores", "1", *made.configured)
    made.tables.update(files_in(folder / "run/results/tables"))
    assert made.tables
    return made


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket, as boto3 knows it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_ACCESS_KEY", "anybody")
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_SECRET_KEY", "anything")
    storage = boto3.resource(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
    )
    yield storage.create_bucket(Bucket=BUCKET)
    server.stop()


def tables_in(bucket: Any) -> dict[str, bytes]:
    found = bucket.objects.filter(Prefix=f"{PREFIX}results/tables/")
    return {one.key.rpartition("/")[2]: one.get()["Body"].read() for one in found}


def test_a_run_in_a_bucket_gives_the_tables_of_a_run_on_disk(
    bucket: Any, small: Small, tmp_path: Path
) -> None:
    place = [
        *("--default-storage-prefix", f"s3://{BUCKET}/{PREFIX.rstrip('/')}"),
        *("--storage-s3-endpoint-url", bucket.meta.client.meta.endpoint_url),
    ]
    small.run(tmp_path / "here", "s3", *place)
    assert tables_in(bucket) == small.tables
    assert not (tmp_path / "here/results/tables").exists()

    # Another machine has nothing but the bucket.
    assert "Nothing to be done" in small.run(tmp_path / "there", "s3", *place, "--dry-run")
    bucket.objects.filter(Prefix=f"{PREFIX}results/tables/").delete()
    text = small.run(tmp_path / "there", "s3", *place)
    assert "rule tabulate" in text
    assert "rule score_run" not in text
    assert tables_in(bucket) == small.tables


@pytest.mark.skipif(shutil.which("rsync") is None, reason="the storage plugin needs rsync")
def test_jobs_that_work_on_scratch_leave_their_results_on_the_shared_disk(
    small: Small, tmp_path: Path
) -> None:
    shared, scratch = tmp_path / "shared/foley", tmp_path / "scratch"
    place = ["--default-storage-prefix", str(shared), "--local-storage-prefix", str(scratch)]
    small.run(tmp_path / "run", "scratch", *place)
    assert files_in(shared / "results/tables") == small.tables
    assert list(scratch.rglob("*.log"))
    assert not list(scratch.rglob("*.h5"))
