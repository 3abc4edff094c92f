"""A responder and others beside it, for trials that measure nothing."""
import json
import socket
import subprocess
import time
import urllib.request
import zlib
from pathlib import Path

from .lab import Lab

ALL = {0, 1}


def until(seconds: float, holds) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def dig(address: str, *words: str, port: int = 53) -> str:
    command = ["dig", f"@{address}", "-p", str(port), "+tries=1", "+time=3", *words]
    return subprocess.run(command, capture_output=True, text=True).stdout


def short(address: str, *words: str, port: int = 53) -> list[str]:
    return sorted(dig(address, "+short", *words, port=port).split("\n")[:-1])


class Program:
    """A process with its log."""

    def __init__(self, lab: Lab, directory: Path, name: str, *command, cpus: set[int] = ALL):
        self.lab, self.log = lab, directory / f"{name}.log"
        with self.log.open("w") as output:
            self.process = lab.spawn(list(command), cpus, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        self.lab.stop(self.process)


class Node:
    """Isobar with a `dns` section on port 53 of an address, and an API on port 8500."""
    program: Path

    def __init__(self, lab: Lab, directory: Path, lines: str, before: str = "", address: str = "127.0.0.2",
                 region: str = "eu"):
        self.address, self.alive, self.region = address, True, region
        self.file = directory / "isobar.cfg"
        self.lines, self.before = lines, before
        self.write()
        self.process = Program(lab, directory, "isobar", self.program, "-db", "-f", self.file)
        if not until(20, self.listens):
            raise RuntimeError(f"isobar does not answer: {self.process.words()[-500:]}")

    def write(self) -> None:
        lines = "".join(f"    {line}\n" for line in self.lines.splitlines())
        self.file.write_text(f"global\n    nbthread 1\n    watch-config\n{self.before}region-map\n    node here region {self.region}\n"
                             f"    http-api {self.address}:8500\ndns trial\n    bind {self.address}:53\n{lines}")

    def listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex((self.address, 53)) == 0

    def put(self, path: str, body: dict) -> bool:
        request = urllib.request.Request(f"http://{self.address}:8500{path}", json.dumps(body).encode(), method="PUT")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=3) as answer:
                return answer.status == 200
        except OSError:
            return False

    def live(self, region: str) -> bool:
        return self.put("/v1/isobar/agent/alive",
                        {"Node": f"host-{region}", "ID": f"00000000-0000-0000-0000-{zlib.crc32(region.encode()):012x}",
                         "Address": "127.0.0.1", "Region": region, "Digest": ""})

    def register(self, service: str, region: str, id: str, address: str, port: int, status: str = "passing") -> bool:
        return self.put("/v1/catalog/register", {
            "Node": f"host-{region}", "Address": "127.0.0.1", "SkipNodeUpdate": True,
            "Service": {"Service": service, "ID": id, "Address": address, "Port": port},
            "Check": {"CheckID": id, "Name": id, "ServiceID": id, "Status": status}})

    def stop(self) -> None:
        self.process.stop()
