"""The fork server: scripts run as if Python had been started for them, only sooner."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from foley.forking import Ended, ForkServer

_LOADED = "colorsys"
"""A module that Python does not load by itself."""

Run = Callable[..., Ended]


@pytest.fixture
def server() -> Iterator[ForkServer]:
    with ForkServer([_LOADED, "no_such_module"], os.environ) as server:
        yield server


@pytest.fixture
def run(server: ForkServer, tmp_path: Path) -> Run:
    """Run a script of this text."""

    def run(text: str, environment: Mapping[str, str] = os.environ) -> Ended:
        path = tmp_path / f"script {len(list(tmp_path.iterdir()))}.py"
        path.write_text(text, encoding="utf-8")
        return server.run(path, environment)

    return run


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lasting(note: Path) -> str:
    """Text of a script that notes its process and the server's, and goes on."""
    ids = "f'{os.getpid()} {os.getppid()} .'"
    return f"import os, time\nopen({str(note)!r}, 'w').write({ids})\ntime.sleep(600)"


def noted(note: Path) -> tuple[int, int]:
    """Processes of a lasting script and of its server, once it runs."""
    wait_for(lambda: note.is_file() and note.read_text(encoding="utf-8").endswith("."))
    script_id, server_id, _ = note.read_text(encoding="utf-8").split()
    return int(script_id), int(server_id)


def is_alive(process_id: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_script_finds_what_python_would_have_given_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 3\n", encoding="utf-8")
    asked = "os.getcwd(), __name__, sys.argv == [__file__], os.environ['WHAT'], len(os.environ), beside.value"
    text = f"import os, sys, beside\nopen({str(tmp_path / 'said')!r}, 'w').write(repr(({asked})))\n"
    assert run(text, {"WHAT": "x" * 300_000}).status == 0
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert said == repr((str(Path.cwd()), "__main__", True, "x" * 300_000, 1, 3))


def test_modules_are_there_before_they_are_imported(run: Run) -> None:
    assert run(f"import sys\nassert {_LOADED!r} in sys.modules").status == 0


def test_scripts_know_nothing_of_one_another(run: Run) -> None:
    assert run(f"import os, {_LOADED}\n{_LOADED}.mark = os.environ['MARK'] = '1'").status == 0
    assert (
        run(
            f"import os, {_LOADED}\nassert not hasattr({_LOADED}, 'mark') and 'MARK' not in os.environ"
        ).status
        == 0
    )


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('foley: no such film')", 1, "foley: no such film\n"),
        ("raise ValueError('odd')", 1, "ValueError: odd\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("this is no Python", 1, "SyntaxError: invalid syntax\n"),
    ],
)
def test_it_ends_as_it_would_have(
    run: Run, capfd: pytest.CaptureFixture[str], text: str, status: int, said: str
) -> None:
    assert run(text).status == status
    assert capfd.readouterr().err.endswith(said)


def test_what_is_due_at_the_end_is_done(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """A pool that nobody closed, threads that still work, functions that wait for the end."""
    text = (
        "import atexit, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(1)\n"
        "pool.submit(print, 'pool', flush=True)\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread', flush=True))).start()\n"
        "atexit.register(print, 'end')\n"
    )
    assert run(text).status == 0
    assert sorted(capfd.readouterr().out.split()) == ["end", "pool", "thread"]


def test_many_run_at_once(server: ForkServer, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("import os, sys; sys.exit(int(os.environ['STATUS']))", encoding="utf-8")
    statuses = [number % 7 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        ended = pool.map(lambda status: server.run(path, {"STATUS": str(status)}).status, statuses)
        assert list(ended) == statuses


def test_it_says_what_a_script_took(run: Run, tmp_path: Path) -> None:
    """Children that it waited for count too."""
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    burn_elsewhere = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"
    ended = run(f"held = b'1' * (300 << 20)\n{burn_elsewhere}\n{burn}")
    assert ended.status == 0
    assert ended.cpu_s > 0.55
    assert 300 << 20 < ended.peak_bytes < 900 << 20


def test_a_script_dies_with_the_server_and_the_next_has_a_new_one(run: Run, tmp_path: Path) -> None:
    note = tmp_path / "note"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, lasting(note))
        script_id, server_id = noted(note)
        os.kill(server_id, signal.SIGKILL)
        assert waiting.result().status == -signal.SIGKILL
    wait_for(lambda: not is_alive(script_id))
    assert run("pass").status == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_who_waits_for_it(tmp_path: Path, number: signal.Signals) -> None:
    """Scripts of a run that is killed end, so that nobody writes behind the back of the next run."""
    note, script = tmp_path / "note", tmp_path / "script.py"
    script.write_text(lasting(note), encoding="utf-8")
    text = (
        "import os\nfrom foley.forking import ForkServer\n"
        f"ForkServer([], os.environ).run({str(script)!r}, os.environ)"
    )
    with subprocess.Popen([sys.executable, "-c", text]) as process:
        script_id, server_id = noted(note)
        process.send_signal(number)
    wait_for(lambda: not is_alive(script_id) and not is_alive(server_id))


def test_an_interrupt_from_the_keyboard_ends_the_scripts_and_not_the_server(tmp_path: Path) -> None:
    note, script = tmp_path / "note", tmp_path / "script.py"
    script.write_text(lasting(note), encoding="utf-8")
    text = (
        "import os, signal\nfrom foley.forking import ForkServer\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        f"server, script = ForkServer([], os.environ), {str(script)!r}\n"
        "print(server.run(script, os.environ).status, flush=True)\n"
        "open(script, 'w').close()\nprint(server.run(script, os.environ).status)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        noted(note)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert out.split() == ["1", "0"]
    assert err.rstrip().endswith("KeyboardInterrupt")
