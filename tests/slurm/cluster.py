"""A real SLURM on one machine: its own daemons, folder and ports, on loopback only, gone when the block ends.

munged, slurmctld, one slurmd a node, and slurmdbd with MariaDB, so that ``sacct`` knows every job. They run
in the foreground as children of this process, without systemd and cgroups, and the kernel ends them should
this process die. GPUs are device nodes that do nothing.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sinfo": "slurm-client",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "setpriv": "util-linux",
}
"""Debian packages by the program that shows whether they are there."""
_MARK = "FOLEY_SLURM_ROOT"
"""In the environment of every process of a cluster; names its folder."""
_POLICY = Path("/usr/sbin/policy-rc.d")


class ClusterError(Exception):
    """The cluster could not be brought up, or did not do as told."""


@dataclass(frozen=True)
class Node:
    """A node, which may claim more than this machine has.

    Parameters
    ----------
    name, partition : str
    cpus, memory_mb : int
    gpus : int
        Fake ones; each can be shared by four jobs (``shard``).
    """

    name: str
    partition: str = "cpu"
    cpus: int = 8
    memory_mb: int = 64000
    gpus: int = 0


NODES = (Node("cpu1"), Node("cpu2"), Node("gpu1", "gpu", gpus=2))
_SHARDS_PER_GPU = 4


@dataclass(frozen=True)
class Job:
    """What SLURM's accounting says of a job."""

    job_id: str
    state: str
    comment: str
    node: str
    partition: str
    tres: str
    folder: str


@dataclass
class Cluster:
    """The cluster in its folder.

    Parameters
    ----------
    root : Path
        Made, and removed at the end; short, because sockets lie in it.
    nodes : tuple of Node
    port : int
        The first of the ports, all on loopback.
    """

    root: Path
    nodes: tuple[Node, ...] = NODES
    port: int = 17800
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a client. The wrapper of srun in PATH stands in for /etc/slurm/slurm.conf."""
        path = f"{self.root / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
        configuration = str(self.root / "etc/slurm.conf")
        return {**os.environ, _MARK: str(self.root), "SLURM_CONF": configuration, "PATH": path}

    def run(self, *command: str, seconds: float = 30) -> str:
        """Run a client and give what it printed."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if done.returncode:
            raise ClusterError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def jobs(self) -> list[Job]:
        """Every job so far, from the accounting."""
        names = "JobID,State,Comment,NodeList,Partition,AllocTRES,WorkDir"
        text = self.run("sacct", "-n", "-X", "-D", "-P", "-S", "now-2hours", "-o", names)
        return [Job(*line.split("|")) for line in text.splitlines()]

    def cancel(self, folder: Path) -> int:
        """End the jobs that a dead coordinator left in a folder; gives their number."""
        lines = self.run("squeue", "-h", "-o", "%A %Z").splitlines()
        mine = [line.split()[0] for line in lines if line.split(maxsplit=1)[1] == str(folder)]
        if mine:
            self.run("scancel", *mine)
            wait_until(
                60, "end of cancelled jobs", lambda: not self.run("squeue", "-h", "-j", ",".join(mine))
            )
        return len(mine)

    def kill_node(self, name: str) -> int:
        """End a node as a loss of power would: its daemon and all that runs there. Gives their number."""
        daemon = self.daemons.pop(f"slurmd-{name}")
        node = f"SLURMD_NODENAME={name}".encode()
        inside = [pid for pid in marked(self.root) if node in environment_of(pid)]
        # Between a daemon and the processes of its jobs stand others, which do not know their node.
        between = {above for pid in inside for above in ancestors(pid) if command_of(above) == "slurmstepd"}
        victims = {daemon.pid, *inside, *between}
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.wait()
        return len(victims)

    def start_node(self, name: str) -> None:
        """Start a node's daemon; it registers by itself."""
        (self.root / "spool" / name).mkdir(parents=True, exist_ok=True)
        self._start(f"slurmd-{name}", "slurmd", "-D", "-N", name)

    def _start(self, name: str, *command: str) -> None:
        log = (self.root / "log" / f"{name}.out").open("ab")
        self.daemons[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()

    def start(self) -> None:
        """Write the configuration, start every daemon, wait until all nodes are idle."""
        install()
        if self.root.exists():
            self.stop()
        for name in ("etc", "run", "log", "state", "spool", "dev", "bin"):
            (self.root / name).mkdir(parents=True)
        self._write_configuration()
        key, socket_path = self.root / "etc/munge.key", self.root / "run/munge.sock"
        _private(key, os.urandom(1024))
        munged = ["munged", "-F", f"--key-file={key}", f"--socket={socket_path}"]
        self._start(
            "munged", *munged, f"--pid-file={self.root}/run/munged.pid", f"--seed-file={self.root}/run/seed"
        )
        wait_until(30, "munged", lambda: self._works("munge", "-S", str(socket_path), "-n"))
        self._start_accounting()
        self._start("slurmctld", "slurmctld", "-D", "-i")
        wait_until(60, "slurmctld", lambda: "is UP" in self.run("scontrol", "ping"))
        for node in self.nodes:
            self.start_node(node.name)
        wait_until(60, "nodes", lambda: self.idle_nodes() == {node.name for node in self.nodes})

    def idle_nodes(self) -> set[str]:
        """Nodes without a job."""
        return set(self.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split())

    def _works(self, *command: str) -> bool:
        done = subprocess.run(command, env=self.environment, capture_output=True, timeout=30, check=False)
        return done.returncode == 0

    def _start_accounting(self) -> None:
        user, database = pwd.getpwuid(os.getuid()).pw_name, self.root / "db"
        folder, pipe = [f"--datadir={database}", f"--user={user}"], self.root / "run/sql.sock"
        rights = ["--auth-root-authentication-method=socket", f"--auth-root-socket-user={user}"]
        self.run("mariadb-install-db", "--no-defaults", *folder, *rights, "--skip-test-db", seconds=120)
        server = ["mariadbd", "--no-defaults", *folder, f"--socket={pipe}", f"--port={self.port + 2}"]
        server += [f"--pid-file={self.root}/run/mariadbd.pid", "--bind-address=127.0.0.1"]
        server += ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        self._start("mariadbd", *server, "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve")
        client = ["mariadb", "--no-defaults", "-S", str(pipe), "-u", user, "-e"]
        wait_until(60, "mariadbd", lambda: self._works(*client, "select 1"))
        password = (self.root / "etc/password").read_text()
        orders = [
            "create database foley",
            f"create user slurm@'127.0.0.1' identified by '{password}'",
            "grant all on foley.* to slurm@'127.0.0.1'",
        ]
        self.run(*client, "; ".join(orders))
        self._start("slurmdbd", "slurmdbd", "-D")
        wait_until(60, "slurmdbd", lambda: self._works("sacctmgr", "-n", "list", "cluster"))
        # slurmctld must find its cluster, and its user an account, when it starts.
        for entry in (["cluster", "foley"], ["account", "foley"], ["user", user, "account=foley"]):
            self.run("sacctmgr", "-i", "-Q", "add", *entry)

    def _write_configuration(self) -> None:
        etc, host, user = (
            self.root / "etc",
            socket.gethostname().split(".")[0],
            pwd.getpwuid(os.getuid()).pw_name,
        )
        _private(etc / "password", os.urandom(16).hex().encode())
        key_socket = f"socket={self.root}/run/munge.sock"
        _private(
            etc / "slurmdbd.conf",
            lines(
                AuthType="auth/munge",
                AuthInfo=key_socket,
                DbdHost=host,
                DbdAddr="127.0.0.1",
                DbdPort=self.port + 1,
                SlurmUser=user,
                PidFile=f"{self.root}/run/slurmdbd.pid",
                LogFile=f"{self.root}/log/slurmdbd.log",
                StorageType="accounting_storage/mysql",
                StorageHost="127.0.0.1",
                StoragePort=self.port + 2,
                StorageUser="slurm",
                StoragePass=(etc / "password").read_text(),
                StorageLoc="foley",
                CommitDelay=1,
            ).encode(),
        )
        (etc / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # never used; keeps slurmd from probing
        text = lines(
            ClusterName="foley",
            SlurmctldHost=f"{host}(127.0.0.1)",
            SlurmctldPort=self.port,
            SlurmUser=user,
            SlurmdUser=user,
            AuthType="auth/munge",
            AuthInfo=key_socket,
            StateSaveLocation=self.root / "state",
            SlurmdSpoolDir=self.root / "spool/%n",
            SlurmctldPidFile=self.root / "run/slurmctld.pid",
            SlurmdPidFile=self.root / "run/%n.pid",
            SlurmctldLogFile=self.root / "log/slurmctld.log",
            SlurmdLogFile=self.root / "log/%n.log",
            ProctrackType="proctrack/linuxproc",
            TaskPlugin="task/none",
            MpiDefault="none",
            SlurmdParameters="config_overrides",
            SelectType="select/cons_tres",
            SelectTypeParameters="CR_CPU_Memory",
            DefMemPerCPU=500,
            JobAcctGatherType="jobacct_gather/linux",
            JobAcctGatherFrequency="task=2",
            JobAcctGatherParams="OverMemoryKill",
            AccountingStorageType="accounting_storage/slurmdbd",
            AccountingStorageHost="127.0.0.1",
            AccountingStoragePort=self.port + 1,
            AccountingStoragePass=self.root / "run/munge.sock",
            AccountingStoreFlags="job_comment",
            AccountingStorageTRES="gres/gpu",
            GresTypes="gpu,shard",
            ReturnToService=2,
            MinJobAge=300,
            KillWait=2,
            CompleteWait=0,
            SlurmctldTimeout=10,
            SlurmdTimeout=10,
            TreeWidth=64,
            SchedulerParameters="sched_interval=2,bf_interval=2,batch_sched_delay=0",
        )
        for number, node in enumerate(self.nodes):
            gres = f" Gres=gpu:{node.gpus},shard:{node.gpus * _SHARDS_PER_GPU}" if node.gpus else ""
            text += (
                f"NodeName={node.name} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.port + 10 + number} "
                f"CPUs={node.cpus} RealMemory={node.memory_mb}{gres} State=UNKNOWN\n"
            )
        for partition in dict.fromkeys(node.partition for node in self.nodes):
            members = ",".join(node.name for node in self.nodes if node.partition == partition)
            default = "YES" if partition == self.nodes[0].partition else "NO"
            text += f"PartitionName={partition} Nodes={members} Default={default} MaxTime=1440 State=UP\n"
        (etc / "slurm.conf").write_text(text)
        (etc / "gres.conf").write_text("".join(self._gres(node) for node in self.nodes if node.gpus))
        wrapper = self.root / "bin/srun"
        srun = shutil.which("srun", path=f"{os.environ['PATH']}:/usr/bin")
        # Snakemake's job step drops every SLURM_* variable before it calls srun.
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={etc}/slurm.conf exec {srun} "$@"\n')
        wrapper.chmod(0o755)

    def _gres(self, node: Node) -> str:
        """Lines of gres.conf; slurmd wants a character device behind each GPU: copies of /dev/null."""
        for index in range(node.gpus):
            os.mknod(self.root / f"dev/{node.name}-gpu{index}", 0o20600, os.makedev(1, 3))
        files = f"{self.root}/dev/{node.name}-gpu[0-{node.gpus - 1}]"
        start = f"NodeName={node.name} Name="
        return f"{start}gpu File={files}\n{start}shard Count={node.gpus * _SHARDS_PER_GPU}\n"

    def stop(self) -> None:
        """End every process of this cluster, then remove its folder."""
        for names in (("slurmd",), ("slurmctld",), ("slurmdbd",), ("mariadbd", "munged")):
            chosen = [name for name in self.daemons if name.startswith(names) and name != "slurmctld"]
            chosen = ["slurmctld"] if names == ("slurmctld",) and "slurmctld" in self.daemons else chosen
            for name in chosen:
                self.daemons[name].terminate()
            for name in chosen:
                with suppress(subprocess.TimeoutExpired):
                    self.daemons[name].wait(15)
                if self.daemons[name].poll() is None:
                    self.daemons[name].kill()
                    self.daemons[name].wait()
                del self.daemons[name]
        for pid in marked(self.root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(10, "end of all processes", lambda: not marked(self.root))
        shutil.rmtree(self.root)


def lines(**entries: object) -> str:
    """Configuration as ``key=value`` lines."""
    return "".join(f"{key}={value}\n" for key, value in entries.items())


def _private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def wait_until(seconds: float, what: str, holds: Callable[[], object]) -> None:
    """Ask again and again until something holds.

    Raises
    ------
    ClusterError
        If it does not in time.
    """
    end, last = time.monotonic() + seconds, ""
    while True:
        try:
            if holds():
                return
        except ClusterError as error:
            last = f": {error}"
        if time.monotonic() > end:
            raise ClusterError(f"{what}: waited {seconds:.0f} s in vain{last}")
        time.sleep(0.2)


def ancestors(pid: int) -> list[int]:
    """Parent of a process, its parent, and so on, without the first process of all."""
    found: list[int] = []
    while pid > 1:
        try:
            # The program's name, in brackets, may hold blanks.
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        if pid > 1:
            found.append(pid)
    return found


def command_of(pid: int) -> str:
    """Name of a process's program; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def environment_of(pid: int) -> list[bytes]:
    """Environment that a process was started with, an entry each; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def marked(root: Path) -> list[int]:
    """Processes of the cluster in a folder, its jobs among them."""
    # slurmstepd is started with nothing but the second of these.
    marks = {f"{_MARK}={root}".encode(), f"SLURM_CONF={root}/etc/slurm.conf".encode()}
    running = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in running if marks.intersection(environment_of(pid))]


def install() -> None:
    """Install the Debian packages that are missing; no service is started.

    Raises
    ------
    ClusterError
        If something is missing and this user cannot install it.
    """
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for program, name in PACKAGES.items() if not shutil.which(program, path=path)]
    if not missing:
        return
    if os.getuid() != 0:
        raise ClusterError(f"as root: apt-get install {' '.join(missing)} slurm-wlm-mysql-plugin")
    sys.stderr.write(f"apt-get install {' '.join(missing)}\n")
    quiet: Mapping[str, str] = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        for command in (
            ["update"],
            ["install", "-y", "--no-install-recommends", *missing, "slurm-wlm-mysql-plugin"],
        ):
            done = subprocess.run(["apt-get", "-qq", *command], env=quiet, capture_output=True, text=True)
            if done.returncode:
                raise ClusterError(f"apt-get {command[0]}: {done.stderr[-2000:]}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting their daemons, by Debian's own switch."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


@contextmanager
def cluster(root: Path, nodes: tuple[Node, ...] = NODES) -> Iterator[Cluster]:
    """Bring a cluster up, and take it down whatever happens."""
    made = Cluster(root, nodes)
    try:
        made.start()
        yield made
    finally:
        if root.exists():
            made.stop()
