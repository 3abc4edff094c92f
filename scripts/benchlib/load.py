"""The load generator's parts as objects: origin, clients, held connections, log sink."""
import json
import subprocess
import urllib.request
from pathlib import Path

from .lab import LOAD_CPU, Lab, Unable

ON_LOAD_CPU = frozenset({LOAD_CPU})


class Origin:
    """Answers fixed sizes on any number of HTTP ports and one TCP port."""

    def __init__(self, lab: Lab, http_ports: int = 1, delay_us: int = 0, cpus: frozenset[int] = ON_LOAD_CPU):
        self.lab = lab
        self.http = [lab.port() for _ in range(http_ports)]
        self.tcp = lab.port()
        self.control = lab.port()
        listing = ",".join(f"127.0.0.1:{port}" for port in self.http)
        self.process = lab.spawn([lab.load_bin, "origin", "--http", listing, "--tcp", f"127.0.0.1:{self.tcp}",
                                  "--control", f"127.0.0.1:{self.control}", "--delay-us", delay_us],
                                 set(cpus), stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise Unable("the origin does not start")

    def counts(self) -> dict[int, dict]:
        """Counts by port; peaks are since the last call."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.control}/", timeout=10) as response:
            return {row["port"]: row for row in json.load(response)}

    def stop(self) -> None:
        self.lab.stop(self.process)


class FrameOrigin:
    """Speaks HTTP/2 and answers every request with `size` bytes."""

    def __init__(self, lab: Lab, size: int, cpus: frozenset[int] = ON_LOAD_CPU):
        self.lab = lab
        self.port = lab.port()
        self.process = lab.spawn([lab.load_bin, "h2-origin", "--listen", f"127.0.0.1:{self.port}", "--size", size],
                                 set(cpus), stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise Unable("the HTTP/2 origin does not start")

    def stop(self) -> None:
        self.lab.stop(self.process)


class Sink:
    """Drains a unix datagram socket that a proxy logs to."""

    def __init__(self, lab: Lab, path: Path, cpus: frozenset[int] = ON_LOAD_CPU):
        self.lab = lab
        self.path = path
        self.process = lab.spawn([lab.load_bin, "sink-unix", "--path", path], set(cpus),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise Unable("the log sink does not start")

    def messages(self) -> int:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["messages"]

    def stop(self) -> None:
        self.lab.stop(self.process)


class Client:
    """A running client; `finish` waits for (or, without an end of its own, ends) it and gives its report."""

    def __init__(self, lab: Lab, protocol: str, target: str, *words, pids: list[int] = (),
                 cpus: frozenset[int] = ON_LOAD_CPU):
        self.lab = lab
        watch = ["--pid", ",".join(map(str, pids))] if pids else []
        self.process = lab.spawn([lab.load_bin, protocol, "--target", target, *watch, *words], set(cpus),
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def finish(self, timeout: float | None = None) -> dict:
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
            self.process.stdin = None
        text, _ = self.process.communicate(timeout=timeout)
        self.lab.stop(self.process)
        if not text.strip():
            raise Unable(f"a load client ended with status {self.process.returncode} and no report")
        return json.loads(text)


class Held:
    """Connections opened once, each with one request answered, and used again when told."""

    def __init__(self, lab: Lab, target: str, count: int, path: str = "/128", cpus: frozenset[int] = ON_LOAD_CPU):
        self.lab = lab
        self.process = lab.spawn([lab.load_bin, "hold", "--target", target, "--conns", count, "--path", path],
                                 set(cpus), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.opened = self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise Unable("the held connections could not be opened")
        return json.loads(line)

    def request(self, path: str = "") -> dict:
        """One request on every connection: how many are open, and the outcomes by status."""
        self.process.stdin.write(f"request {path}\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self) -> None:
        self.lab.stop(self.process)


class HeldWeb:
    """The same over TLS or HTTP/2: opened with one answer each, and held."""

    def __init__(self, lab: Lab, target: str, count: int, words: list, cpus: frozenset[int] = ON_LOAD_CPU):
        self.lab = lab
        self.process = lab.spawn([lab.load_bin, "web", "--target", target, "--conns", count, "--hold", *words],
                                 set(cpus), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise Unable("the held connections could not be opened")
        self.opened = json.loads(line)

    def finish(self) -> dict:
        """Ends them; how many were open until then."""
        self.process.stdin.close()
        line = self.process.stdout.readline()
        self.lab.stop(self.process)
        return json.loads(line) if line else {"open": 0, "failed": 0}
