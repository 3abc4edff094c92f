"""A proxy under measurement: its file, its processes, its memory."""
import argparse
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .lab import PROXY_CPU, Lab, Unable


@dataclass(frozen=True)
class Side:
    """Which proxy stands on a side of a comparison, and how it is started: `binary [flags] -f file`."""
    name: str
    binary: Path
    flags: tuple[str, ...] = ()


def sides(args: argparse.Namespace) -> dict[str, Side]:
    """HAProxy, the proxy under test, and HAProxy again as the control, in the order they are measured."""
    return {
        "haproxy": Side("haproxy", args.peer_bin),
        "isobar": Side("isobar", args.proxy_bin, tuple(args.proxy_flags)),
        "control": Side("control", args.peer_bin),
    }


def about(lab: Lab, args: argparse.Namespace, **more) -> dict:
    """What a reader must know to judge the figures."""
    both = {"isobar": f"{args.proxy_bin}: {version(args.proxy_bin)}",
            "haproxy": f"{args.peer_bin}: {version(args.peer_bin)}"}
    return lab.describe() | both | more


class Proxy:
    """A running proxy; `name` labels its files and messages."""

    def __init__(self, lab: Lab, name: str, side: Side, config: str, port: int,
                 cpus: frozenset[int] = frozenset({PROXY_CPU})):
        self.lab = lab
        self.name = name
        self.port = port
        self.file = lab.work / f"{name}.cfg"
        self.output = lab.work / f"{name}.log"
        self.file.write_text(config)
        with self.output.open("w") as output:
            self.process = lab.spawn([side.binary, *side.flags, "-f", self.file], set(cpus),
                                     stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.wait_ready()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def wait_ready(self, seconds: float = 30) -> None:
        """Returns once the port accepts; says why if the process ends first."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Unable(f"{self.name} ended with status {self.process.returncode}: {self.last_words()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise Unable(f"{self.name} does not listen after {seconds} s: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-4:]) or "(no output)"

    def pids(self) -> list[int]:
        return family(self.process.pid)

    def rss_bytes(self) -> int:
        """Resident memory of all its processes."""
        total_kib = 0
        for pid in self.pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total_kib += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return total_kib * 1024

    def stop(self) -> None:
        self.lab.stop(self.process)


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                queue += [int(word) for word in children.read_text().split()]
            except OSError:
                pass
    return found


def version(binary: Path) -> str:
    """The first line of `binary -v`."""
    try:
        done = subprocess.run([str(binary), "-v"], capture_output=True, text=True, timeout=10)
        return ((done.stdout or done.stderr).splitlines() or ["(no version)"])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(no version: {error})"


def config(mode: str, port: int, origins: list[int], *, threads: int = 1, maxconn: int = 4000,
           log: Path | None = None, options: tuple[str, ...] = (), front: tuple[str, ...] = (),
           bind: str = "", server: str = "", extra_global: tuple[str, ...] = ()) -> str:
    """A haproxy.cfg with one frontend, one backend and one server a port."""
    lines = ["global", f"    nbthread {threads}", f"    maxconn {maxconn}"]
    lines += [f"    {line}" for line in extra_global]
    if log:
        lines.append(f"    log {log} local0")
    lines += ["", "defaults", f"    mode {mode}", "    timeout connect 5s", "    timeout client 5m",
              "    timeout server 5m"]
    if log:
        lines.append("    log global")
    lines += [f"    {line}" for line in options]
    lines += ["", "frontend bench", f"    bind 127.0.0.1:{port} {bind}".rstrip()]
    lines += [f"    {line}" for line in front]
    lines += ["    default_backend origin", "", "backend origin"]
    lines += [f"    server s{number} 127.0.0.1:{origin} {server}".rstrip() for number, origin in enumerate(origins, 1)]
    return "\n".join(lines) + "\n"
