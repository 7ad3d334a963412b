"""What every rule must have, and what the cluster profiles may name."""

import re

import pytest
import yaml

from foley import config as configuration
from foley.needs import foretell_needs
from tests.conftest import ROOT

_LOOP = re.compile(r"^    rule:\n\s+name:\n\s+f\"(\w+)_\{", re.MULTILINE)


def rules() -> dict[str, str]:
    """Text of every rule by its name; a family of rules that a loop makes counts as one."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for part in re.split(r"(?m)^(?=rule |for )", path.read_text(encoding="utf-8"))[1:]:
            named = re.match(r"rule (\w+):", part) or _LOOP.search(part)
            assert named, part
            found[named[1]] = part
    return found


RULES = rules()
SNAKEFILE = (ROOT / "Snakefile").read_text(encoding="utf-8")
LOCAL = set(
    re.findall(r"^    (\w+),$", SNAKEFILE.partition("localrules:")[2].partition("\n\n")[0], re.MULTILINE)
)
PROFILES = {
    name: yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))
    for name in ("default", "slurm", "cluster-generic", "kubernetes")
}
NEEDS = foretell_needs(configuration.read(ROOT / "config.yaml"))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_log_and_a_benchmark(name: str) -> None:
    assert re.search(rf'log:\n\s+f?"results/logs/{name}[/.]', RULES[name])
    assert re.search(rf'benchmark:\n\s+f?"results/benchmarks/{name}/', RULES[name])


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_local_or_says_what_it_needs(name: str) -> None:
    if name in LOCAL or name == "score_run":  # the profiles' default resources fit it
        assert "need(" not in RULES[name]
        return
    for what in ("mem_mb", "runtime", "disk_mb"):
        assert f'{what}=need("{name}", "{what}")' in RULES[name]
        assert NEEDS[name][what] > 0


def test_local_rules_are_there() -> None:
    assert LOCAL - {"all"} <= set(RULES)
    assert "all" in LOCAL


@pytest.mark.parametrize("name", ["slurm", "cluster-generic"])
def test_a_profile_groups_rules_that_leave_the_machine(name: str) -> None:
    groups = dict(entry.split("=") for entry in PROFILES[name]["groups"])
    assert set(groups) <= set(RULES) - LOCAL
    components = dict(entry.split("=") for entry in PROFILES[name]["group-components"])
    assert set(components) <= set(groups.values())
    for group in set(groups.values()):
        asks = {"gpu=" in RULES[rule] for rule in groups if groups[rule] == group}
        assert len(asks) == 1, f"{group}: rules with and without a GPU would go to the same node"


def test_both_cluster_profiles_group_alike() -> None:
    for key in ("groups", "group-components", "resources", "set-resource-scopes", "retries"):
        assert PROFILES["slurm"][key] == PROFILES["cluster-generic"][key]


def test_needs_grow_with_the_data() -> None:
    few = configuration.read(ROOT / "config.yaml")
    many = configuration.read(ROOT / "config.yaml", ROOT / "configs/paper.yaml")
    more = foretell_needs(many)
    for rule in ("train_model", "synthesize_audio", "train_sound_classifier"):
        assert more[rule]["mem_mb"] > 5 * NEEDS[rule]["mem_mb"]
    assert few.shards < many.shards
    assert more["cut_clips"]["mem_mb"] == NEEDS["cut_clips"]["mem_mb"]
