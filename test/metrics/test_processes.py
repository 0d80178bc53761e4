"""What real child processes cost, and who listens on a port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from clock import Clock

from smolfusion_ros.metrics import processes
from smolfusion_ros.metrics.processes import LOOK_AGAIN_S, MEMORY_PERIOD_S, Listeners, ProcessSampler, Usage, is_local

MIB = 2**20
NOBODY = 65534


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python that runs the code, once it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def waiting(code: str = "") -> str:
    return f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()"


SPINNING = "print('ready', flush=True)\nwhile True: pass"
SERVER = """
import socket, sys
server = socket.create_server(({host!r}, {port}), family=socket.{family})
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


def used(pid: int, seconds: float = 0.5) -> Usage:
    """One process's usage over a while."""
    sampler = ProcessSampler()
    assert sampler.sample({"it": pid}) == []
    time.sleep(seconds)
    [usage] = sampler.sample({"it": pid})
    return usage


def test_cpu_is_told_in_percent_of_one_core() -> None:
    with child(SPINNING) as busy, child(waiting()) as idle:
        sampler, pids = ProcessSampler(), {"busy": busy.pid, "idle": idle.pid}
        sampler.sample(pids)
        begun_s, before = time.monotonic(), psutil.Process(busy.pid).cpu_times()
        time.sleep(0.5)
        found = {usage.name: usage for usage in sampler.sample(pids)}
        after, elapsed_s = psutil.Process(busy.pid).cpu_times(), time.monotonic() - begun_s
    # What the kernel gave it, since the machine may be busy; its clock ticks every 10 ms.
    expected = 100.0 * (after.user + after.system - before.user - before.system) / elapsed_s
    assert expected > 20.0
    assert found["busy"].cpu_percent == pytest.approx(expected, abs=6.0)
    assert found["idle"].cpu_percent < 4.0


def test_cpu_is_that_of_the_last_interval_only() -> None:
    code = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    with child(waiting(code)) as tired:
        assert used(tired.pid, 0.3).cpu_percent < 6.0


def test_memory_threads_and_files_are_the_processs_own() -> None:
    code = """
import threading
held = bytearray(64 * 2**20)
files = [open('/dev/null') for _ in range(20)]
for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
    with child(waiting()) as small, child(waiting(code)) as large:
        before, after = used(small.pid, 0.1), used(large.pid, 0.1)
    assert 60 * MIB < after.memory_bytes - before.memory_bytes < 72 * MIB
    assert after.threads - before.threads == 3
    assert after.open_files - before.open_files == 20
    assert before.open_files == 3  # the pipes


def test_memory_that_is_shared_is_divided() -> None:
    code = """
import os
held = b'x' * (64 * 2**20)
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
"""
    with child(waiting(code)) as parent:
        usage, resident = used(parent.pid, 0.1), psutil.Process(parent.pid).memory_info().rss
    assert usage.memory_bytes < resident - 25 * MIB


def test_memory_is_read_less_often_than_cpu() -> None:
    code = "kept = []\nprint('ready', flush=True)\nsys.stdin.readline()\nkept.append(bytearray(64 * 2**20))\n"
    clock = Clock()
    with child(waiting(code + "print('grown', flush=True)")) as growing:
        sampler, pids = ProcessSampler(clock), {"it": growing.pid}

        def memory_bytes() -> int:
            clock.now_s += 1.0
            return sampler.sample(pids)[0].memory_bytes

        sampler.sample(pids)
        before = memory_bytes()
        growing.stdin.write("\n")
        growing.stdin.flush()
        assert growing.stdout.readline() == "grown\n"
        assert memory_bytes() == before
        clock.now_s += 10 * MEMORY_PERIOD_S
        assert memory_bytes() > before + 60 * MIB


def test_processes_that_end_are_left_out_and_the_others_stay() -> None:
    with child(waiting()) as ending, child(waiting()) as staying:
        sampler, pids = ProcessSampler(), {"ending": ending.pid, "staying": staying.pid}
        sampler.sample(pids)
        time.sleep(0.02)
        assert [usage.name for usage in sampler.sample(pids)] == ["ending", "staying"]
        ending.kill()
        until_zombie(ending.pid)
        assert [usage.name for usage in sampler.sample(pids)] == ["staying"]
        ending.wait()
        time.sleep(0.02)
        assert [usage.name for usage in sampler.sample(pids)] == ["staying"]


def until_zombie(pid: int) -> None:
    end = time.monotonic() + 5.0
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**40, 2**70])
def test_a_number_that_is_no_process_is_left_out(pid: int) -> None:
    sampler = ProcessSampler()
    for _ in range(2):
        assert sampler.sample({"nobody": pid}) == []


def test_a_process_that_took_over_a_pid_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pids = Clock(), {"it": os.getpid()}
    sampler = ProcessSampler(clock)
    sampler.sample(pids)
    clock.now_s += 1.0
    assert len(sampler.sample(pids)) == 1
    clock.now_s += 1.0
    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "is_running", lambda _: False)  # what psutil says of another start time
        assert sampler.sample(pids) == []
    clock.now_s += 1.0
    assert len(sampler.sample(pids)) == 1


def test_nodes_of_one_process_are_told_each() -> None:
    clock, pids = Clock(), {"dialogue": os.getpid(), "memory": os.getpid()}
    sampler = ProcessSampler(clock)
    sampler.sample(pids)
    clock.now_s += 1.0
    first, second = sampler.sample(pids)
    assert (first.name, second.name) == ("dialogue", "memory")
    assert first.cpu_percent == second.cpu_percent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_process_shows_what_anyone_may_see() -> None:
    code = f"""
import os, sys, time, psutil
from smolfusion_ros.metrics.processes import ProcessSampler
os.setuid({NOBODY})
sampler, pids = ProcessSampler(), {{"it": int(sys.argv[1])}}
sampler.sample(pids)
time.sleep(0.05)
[usage] = sampler.sample(pids)
print(usage.memory_bytes == psutil.Process(usage.pid).memory_info().rss, usage.threads, usage.open_files)
"""
    with child(waiting()) as foreign:
        line = [sys.executable, "-c", code, str(foreign.pid)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.stdout == "True 1 0\n", done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    host: str = "127.0.0.1", port: int = 0, family: str = "AF_INET"
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER.format(host=host, port=port, family=family)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("bound", "asked", "family"),
    [
        ("127.0.0.1", "127.0.0.1", "AF_INET"),
        ("127.0.0.1", "localhost", "AF_INET"),
        ("127.0.0.1", "0.0.0.0", "AF_INET"),
        ("0.0.0.0", "127.0.0.1", "AF_INET"),
        ("::1", "::1", "AF_INET6"),
    ],
)
def test_the_process_behind_a_local_port_is_found(bound: str, asked: str, family: str) -> None:
    if family == "AF_INET6" and not is_local("::1"):
        pytest.skip("no IPv6 here")
    with server(bound, family=family) as (process, port):
        assert Listeners().listener_of(asked, port) == process.pid


def test_a_listener_on_another_address_is_not_ours() -> None:
    with server("127.0.0.2") as (process, port):
        listeners = Listeners()
        assert listeners.listener_of("127.0.0.1", port) is None
        assert listeners.listener_of("127.0.0.2", port) == process.pid


def test_another_machine_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: object) -> None:
        raise AssertionError("a remote host was contacted")

    monkeypatch.setattr(processes.socket, "socket", touched)
    monkeypatch.setattr(psutil, "net_connections", touched)
    for host in ("192.0.2.1", "llm.example.com", "2001:db8::1", ""):
        assert not is_local(host)
        assert Listeners().listener_of(host, 8080) is None


def test_own_addresses_are_local() -> None:
    own = [each.address for interface in psutil.net_if_addrs().values() for each in interface]
    assert all(is_local(address) for address in own if address.count(".") == 3)
    assert is_local("localhost")


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each search through all sockets."""
    made: list[str] = []
    search: Callable[..., object] = psutil.net_connections

    def counted(kind: str) -> object:
        made.append(kind)
        return search(kind)

    monkeypatch.setattr(psutil, "net_connections", counted)
    return made


def test_a_known_listener_is_not_searched_again(searches: list[str]) -> None:
    clock = Clock()
    with server() as (process, port):
        listeners = Listeners(clock)
        for _ in range(100):
            assert listeners.listener_of("127.0.0.1", port) == process.pid
            clock.now_s += 1.0
    assert len(searches) == 1


def test_a_port_that_nobody_listens_on_is_not_searched_for(searches: list[str]) -> None:
    clock, port = Clock(), free_port()
    listeners = Listeners(clock)
    for _ in range(10):
        assert listeners.listener_of("127.0.0.1", port) is None
        clock.now_s += 1.0
    assert searches == []


def test_a_restarted_server_is_found_again(searches: list[str]) -> None:
    clock, port = Clock(), free_port()
    listeners = Listeners(clock)
    assert listeners.listener_of("127.0.0.1", port) is None
    with server(port=port) as (first, _):
        assert listeners.listener_of("127.0.0.1", port) is None  # just looked
        clock.now_s += LOOK_AGAIN_S
        assert listeners.listener_of("127.0.0.1", port) == first.pid
    clock.now_s += LOOK_AGAIN_S
    assert listeners.listener_of("127.0.0.1", port) is None
    clock.now_s += LOOK_AGAIN_S
    with server(port=port) as (second, _):
        assert listeners.listener_of("127.0.0.1", port) == second.pid
    assert len(searches) == 2


def test_a_listener_the_system_does_not_tell_is_searched_for_rarely(
    searches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with server() as (_, port):
        listeners = Listeners(clock)
        monkeypatch.setattr(psutil, "net_connections", lambda kind: searches.append(kind) or [])
        for _ in range(60):
            assert listeners.listener_of("127.0.0.1", port) is None
            clock.now_s += 1.0
    assert len(searches) == 2
