"""The mirror beside `skopeo sync`, between two real registries on loopback.

The set: 20 images of seven layers, two of them shared, about 510 MB. Compared in the same run, in turns: the first copy
(wall, CPU of the client), a run in which nothing changed, and for Isobar the memory beyond rest and 5,000 unchanged tags.
"""
import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .lab import cpu_s
from .mirror_content import Content, noise

SOURCE, TARGET, API = ("127.0.0.81", 5000), ("127.0.0.82", 5000), ("127.0.0.83", 8500)
BARS = {"first wall": 0.60, "first CPU": 0.60, "unchanged wall": 0.10}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="of the first copy, each (default: %(default)s)")
    parser.add_argument("--large", type=int, default=1024, help="MiB of a layer whose copy's memory is looked at (default: %(default)s)")
    parser.add_argument("--tags", type=int, default=5000, help="unchanged tags of one repository (default: %(default)s)")


class Registry(Content):
    def __init__(self, root: Path, address: tuple, events: str | None = None) -> None:
        self.data, self.address, self.config = root / f"data-{address[0]}", address, root / f"{address[0]}.json"
        says = {"version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": True}},
                "http": {"addr": "%s:%d" % address, "secret": "bench"}}
        if events:
            says["notifications"] = {"endpoints": [{"name": "isobar", "url": events, "timeout": "1s", "threshold": 5,
                                                    "backoff": "1s"}]}
        self.config.write_text(json.dumps(says))
        self.process = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(["docker-registry", "serve", self.config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                return self.ask("GET", "/v2/")[0]
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("docker-registry does not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def empty(self) -> None:
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.start()


IMAGES = [f"app/i{n:02}" for n in range(20)]


def push_set(source: Registry) -> None:
    shared = [noise("shared", 3 << 20), noise("shared too", 8 << 20)]
    for name in IMAGES:
        source.image(name, ["v1"], shared + [noise(f"{name}{n}", size << 20) for n, size in enumerate((3, 8, 3, 8, 3))])


def memory_kb(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


class Node:
    """Isobar with one rule."""

    def __init__(self, root: Path, binary: Path, images: str, more: str = "") -> None:
        config = root / "isobar.cfg"
        config.write_text(
            f"region-map\n    node lb1\n    http-api {API[0]}:{API[1]}\n"
            f"registry a\n    url http://{SOURCE[0]}:{SOURCE[1]}\n"
            f"registry b\n    url http://{TARGET[0]}:{TARGET[1]}\n"
            f"mirror bench\n    from a\n    to b\n    images {images}\n    every 1d\n    parallel 6\n{more}")
        self.process = subprocess.Popen([binary, "-f", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.started = self.wait(0)
        self.cpu, self.rest = cpu_s(self.process.pid), memory_kb(self.process.pid, "VmRSS")

    def ask(self, method: str, path: str):
        connection = http.client.HTTPConnection(*API)
        connection.request(method, path)
        return json.loads(connection.getresponse().read() or "null")

    def looked(self) -> int:
        try:
            rules = self.ask("GET", "/v1/mirror")
            return rules[0]["Targets"][0]["Looked"] if rules and not rules[0]["Looking"] else 0
        except (OSError, IndexError, TypeError, KeyError, ValueError):
            return 0

    def wait(self, after: int) -> int:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            looked = self.looked()
            if looked > after:
                return looked
            time.sleep(0.005)
        raise RuntimeError("the mirror does not look")

    def sync(self) -> float:
        """How long a look takes that finds nothing to do."""
        before, began = self.looked(), time.monotonic()
        self.ask("PUT", "/v1/mirror/bench/sync")
        self.wait(before)
        return time.monotonic() - began

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def isobar_first(root: Path, binary: Path, source: Registry, target: Registry) -> dict:
    target.empty()
    # It looks when it starts: at nothing, so that its start is no part of the copy.
    wanted = {name: source.digest(name, "v1") for name in IMAGES}
    began = time.monotonic()
    node = Node(root, binary, "app/**")
    started = time.monotonic() - began
    while any(target.digest(name, "v1") != digest for name, digest in wanted.items()):
        time.sleep(0.02)
    wall = time.monotonic() - began
    row = {"wall": wall, "started": started, "cpu": cpu_s(node.process.pid),
           "memory": (memory_kb(node.process.pid, "VmHWM") - node.rest) / 1024}
    time.sleep(1)
    row["unchanged"] = statistics.median(node.sync() for _ in range(5))
    node.stop()
    return row


def skopeo(root: Path) -> tuple:
    rules = root / "sync.yml"
    rules.write_text("%s:%d:\n  tls-verify: false\n  images:\n" % SOURCE + "".join(f"    {name}: [v1]\n" for name in IMAGES))
    before, began = os.times(), time.monotonic()
    subprocess.run(["skopeo", "sync", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false", rules,
                    "%s:%d/app" % TARGET], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return time.monotonic() - began, after[2] + after[3] - before[2] - before[3]


def large(args: argparse.Namespace, root: Path, source: Registry, target: Registry) -> float:
    """Memory beyond rest while one layer is copied, in MiB."""
    target.empty()
    source.image("large/small", ["v1"], [b"small"])
    node = Node(root, args.bin, "large/**")
    try:
        digest = source.image("large/layer", ["v1"], [noise("large", args.large << 20)])
        node.ask("PUT", "/v1/mirror/bench/sync")
        deadline = time.monotonic() + 300
        while target.digest("large/layer", "v1") != digest:
            if time.monotonic() > deadline:
                raise RuntimeError("the large layer is not there after 300 s")
            time.sleep(0.05)
        return (memory_kb(node.process.pid, "VmHWM") - node.rest) / 1024
    finally:
        node.stop()


def main(args: argparse.Namespace) -> int:
    if not all(map(shutil.which, ("docker-registry", "skopeo"))):
        print("lab: needs docker-registry and skopeo", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mirror.") as place:
        root = Path(place)
        source, target = Registry(root, SOURCE), Registry(root, TARGET)
        try:
            return compare(args, root, source, target)
        finally:
            source.stop()
            target.stop()


def compare(args: argparse.Namespace, root: Path, source: Registry, target: Registry) -> int:
    push_set(source)
    ours, theirs = [], []
    for _ in range(args.rounds):
        target.empty()
        wall, cpu = skopeo(root)
        theirs.append({"wall": wall, "cpu": cpu, "unchanged": skopeo(root)[0]})
        ours.append(isobar_first(root, args.bin, source, target))
    median = lambda rows, key: statistics.median(row[key] for row in rows)  # noqa: E731
    failed = False
    for name, key in (("first wall", "wall"), ("first CPU", "cpu"), ("unchanged wall", "unchanged")):
        a, b = median(ours, key), median(theirs, key)
        good = a / b <= BARS[name]
        failed |= not good
        print(f"{'PASS' if good else 'FAIL'}  {name}: {a:.3f} s beside {b:.3f} s of skopeo: {a / b:.2f}x, at most {BARS[name]:.2f}x")
    memory = median(ours, "memory")
    failed |= memory > 64
    print(f"{'PASS' if memory <= 64 else 'FAIL'}  memory beyond rest: {memory:.1f} MiB, at most 64")
    beyond = large(args, root, source, target)
    failed |= beyond > 64
    print(f"{'PASS' if beyond <= 64 else 'FAIL'}  memory beyond rest for a layer of {args.large} MiB: {beyond:.1f} MiB, at most 64")
    tags = [f"t{n}" for n in range(args.tags)]
    for registry in (source, target):
        registry.image("many/tags", tags, [b"x" * 1000])
    node = Node(root, args.bin, "many/tags")
    took = statistics.median(node.sync() for _ in range(3))
    node.stop()
    failed |= took > 10
    print(f"{'PASS' if took <= 10 else 'FAIL'}  {args.tags} unchanged tags: {took:.2f} s, at most 10")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    return 1 if failed else 0
