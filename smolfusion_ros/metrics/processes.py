"""What a process costs: CPU, memory, threads and file descriptors; and which process listens on a port.

Measured on two cores of a virtual machine: CPU time, threads and descriptors of a process take 0.1 ms to read. Its
proportional set size takes 0.6 ms for a node and 17 ms for a backend with 1.5 GiB in memory, because the kernel walks
all pages; so memory is read less often, and the longer it takes, the less often.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, perf_counter

import psutil

MEMORY_PERIOD_S = 5.0
# Of one core, for reading one process's memory.
MEMORY_CPU_SHARE = 0.002
LOOK_AGAIN_S = 2.0
# Somebody listens, but the system does not tell who (another user's process, a container's).
UNTOLD_LOOK_AGAIN_S = 30.0
# Within the machine the answer comes at once, unless the server's queue is full.
_CONNECT_TIMEOUT_S = 0.05


@dataclass(frozen=True)
class Usage:
    """What one process uses.

    Attributes:
        name: as given.
        cpu_percent: of one core, since the sample before; two busy threads make 200.
        memory_bytes: proportional set size, or resident set size where the system does not tell.
        threads: their number.
        open_files: file descriptors, sockets included; 0 where they may not be read.
    """

    name: str
    pid: int
    cpu_percent: float
    memory_bytes: int
    threads: int
    open_files: int


class ProcessSampler:
    """Samples the same processes again and again.

    Args:
        now_s: a steady clock, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._watched: dict[int, _Watched] = {}

    def sample(self, pids: Mapping[str, int]) -> list[Usage]:
        """The usage of named processes, in their order.

        Left out: a process that has ended or may not be looked at, and one that is sampled for the first time, since
        its CPU is not known before the second. A process that has taken over another's id begins anew.
        """
        watched, measured = self._watched, {}
        self._watched = {}
        for pid in set(pids.values()):
            try:
                known = watched.get(pid)
                if known is None or not known.process.is_running():
                    known = _Watched(psutil.Process(pid), self._now_s)
                measured[pid] = known.measure()
            except (psutil.Error, OSError, ValueError, OverflowError):  # the last two: no number of a process
                continue
            self._watched[pid] = known
        return [Usage(name, pid, *figures) for name, pid in pids.items() if (figures := measured.get(pid)) is not None]


class _Watched:
    """A process and its last sample."""

    def __init__(self, process: psutil.Process, now_s: Callable[[], float]) -> None:
        self.process = process
        self._now_s = now_s
        self._before: tuple[float, float] | None = None  # when, and the CPU time then
        self._memory_bytes = 0
        self._memory_due_s = -float("inf")

    def measure(self) -> tuple[float, int, int, int] | None:
        """CPU percent, memory in bytes, threads and descriptors; None while there is no time to divide CPU by.

        Raises:
            psutil.Error: it has ended, or may not be looked at.
        """
        process, now_s = self.process, self._now_s()
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(process.pid)
            times, threads = process.cpu_times(), process.num_threads()
        before, self._before = self._before, (now_s, times.user + times.system)
        if now_s >= self._memory_due_s:
            begun_s = perf_counter()
            self._memory_bytes = memory_bytes(process)
            self._memory_due_s = now_s + max(MEMORY_PERIOD_S, (perf_counter() - begun_s) / MEMORY_CPU_SHARE)
        if before is None or now_s <= before[0]:
            return None
        percent = 100.0 * (self._before[1] - before[1]) / (now_s - before[0])
        return percent, self._memory_bytes, threads, _open_files(process)


def memory_bytes(process: psutil.Process) -> int:
    """Proportional set size: memory shared with others is divided among them, so that a sum over processes is right.

    The resident set size where that may not be read, or the system has no such thing.
    """
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", full.rss))


def _open_files(process: psutil.Process) -> int:
    try:
        return int(process.num_fds())
    except psutil.AccessDenied:
        return 0


class Listeners:
    """Finds the local processes that listen on TCP ports, and remembers them while they run.

    Asking the kernel for all sockets takes 11 ms here and more on a busy robot, so it is done only for a port that
    takes a connection.

    Args:
        now_s: a steady clock, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._found: dict[tuple[str, int], psutil.Process] = {}
        self._look_again_s: dict[tuple[str, int], float] = {}

    def listener_of(self, host: str, port: int) -> int | None:
        """The id of the process that listens there; None if nobody does, it is not told, or the host is another.

        A port whose process is not known is looked at every 2 s at most. A process that stops listening but goes on
        running is not noticed.
        """
        key, now_s = (host, port), self._now_s()
        found = self._found.get(key)
        if found is not None and _is_alive(found):
            return found.pid
        self._found.pop(key, None)
        if now_s < self._look_again_s.get(key, -float("inf")):
            return None
        self._look_again_s[key] = now_s + LOOK_AGAIN_S
        if not is_local(host) or not _takes_connections(host, port):
            return None
        found = _owner(host, port)
        if found is None:
            self._look_again_s[key] = now_s + UNTOLD_LOOK_AGAIN_S
            return None
        self._found[key] = found
        return found.pid


def is_local(host: str) -> bool:
    """The host is this machine: ``localhost``, or one of its addresses; no name server is asked."""
    address = _address(host)
    if address is None:
        return False
    own = (each.address for interface in psutil.net_if_addrs().values() for each in interface)
    return address.is_loopback or address.is_unspecified or str(address) in own


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _takes_connections(host: str, port: int) -> bool:
    """False if a connection to this machine is refused at once."""
    address = _address(host)
    try:
        with socket.socket(socket.AF_INET if address is None or address.version == 4 else socket.AF_INET6) as probe:
            probe.settimeout(_CONNECT_TIMEOUT_S)
            return probe.connect_ex((str(address), port)) != errno.ECONNREFUSED
    except OSError:
        return False


def _owner(host: str, port: int) -> psutil.Process | None:
    wanted = _address(host)
    try:
        for each in psutil.net_connections("tcp"):
            if each.status != psutil.CONN_LISTEN or each.pid is None or not each.laddr or each.laddr.port != port:
                continue
            bound = ipaddress.ip_address(each.laddr.ip)
            if wanted is None or wanted.is_unspecified or bound.is_unspecified or bound == wanted:
                return psutil.Process(each.pid)
    except (psutil.Error, OSError):
        return None
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None where the host is neither an address nor ``localhost``."""
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
