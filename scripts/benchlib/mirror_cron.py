"""The mirror beside rsync by cron, on the same set: staleness, pulls that break during a copy, an unchanged run.

What operators do today is `rsync -a` of the registry's directory, every so often, to the directory of another registry.
Both ways get the same 20-image set, and the same pushes of 10 MiB images at random moments; clients ask the target for
what is there and pull it. An hour between runs of cron is too long for a trial: `--every` says how long it is here, and
what an hour makes of it follows from what was measured.
"""
import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from .lab import cpu_s
from .mirror import API, IMAGES, SOURCE, TARGET, Node, Registry, push_set
from .mirror_content import MANIFEST, noise

MIB = 1 << 20
MOMENT = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--every", type=float, default=20, help="seconds between runs of rsync (default: %(default)s)")
    parser.add_argument("--pushes", type=int, default=12, help="of an image each way (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)


class Cron(threading.Thread):
    """rsync of the source's directory to the target's, again and again."""

    def __init__(self, source: Registry, target: Registry, every: float) -> None:
        super().__init__(daemon=True)
        self.source, self.target, self.every, self.over = source, target, every, threading.Event()
        self.failed = 0

    def once(self) -> tuple:
        # A registry makes its directory with its first push; rsync makes no more than one.
        self.target.data.mkdir(exist_ok=True)
        before, began = os.times(), time.monotonic()
        done = subprocess.run(["rsync", "-a", f"{self.source.data}/docker/", f"{self.target.data}/docker/"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.failed += done.returncode not in (0, 24)
        after = os.times()
        return time.monotonic() - began, after[2] + after[3] - before[2] - before[3]

    def run(self) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            self.once()
            due = max(due + self.every, time.monotonic())

    def stop(self) -> None:
        self.over.set()
        self.join()


class Puller(threading.Thread):
    """Clients of the target: what has a tag is pulled, and every byte compared."""

    def __init__(self, target: Registry) -> None:
        super().__init__(daemon=True)
        self.target, self.going, self.pulls, self.broken = target, True, 0, []
        self.wanted: list = []
        self.done: set = set()

    def manifest(self, name: str, tag: str) -> tuple:
        status, _, body = self.target.ask("GET", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        return status, body, status == 404 and b"MANIFEST_UNKNOWN" in body or b"NAME_UNKNOWN" in body

    def pull(self, name: str, tag: str) -> bool | None:
        status, body, unknown = self.manifest(name, tag)
        if unknown:
            tags = self.target.ask("GET", f"/v2/{name}/tags/list")
            if tags[0] != 200 or tag not in (json.loads(tags[2]).get("tags") or []):
                return None
            # A tag that is listed and cannot be had is what a client calls broken. It may have come in between, and whoever
            # pushes, a registry lists a tag for a moment before it has it.
            until = time.monotonic() + MOMENT
            while unknown and time.monotonic() < until:
                status, body, unknown = self.manifest(name, tag)
        if status != 200:
            return False
        manifest = json.loads(body)
        for blob in (manifest["config"], *manifest["layers"]):
            status, _, data = self.target.ask("GET", f"/v2/{name}/blobs/{blob['digest']}")
            if status != 200 or "sha256:" + hashlib.sha256(data).hexdigest() != blob["digest"]:
                return False
        return True

    def run(self) -> None:
        while self.going:
            for name, tag in [one for one in self.wanted if one not in self.done]:
                try:
                    whole = self.pull(name, tag)
                except OSError:
                    continue
                if whole is not None:
                    self.pulls += 1
                if whole:
                    self.done.add((name, tag))
                elif whole is False:
                    self.broken.append((name, tag))
            time.sleep(0.005)

    def stop(self) -> None:
        self.going = False
        self.join()


def stale(args, way: str, source: Registry, target: Registry, puller: Puller) -> list:
    """Seconds from the end of each push to the digest being at the target."""
    rng, pushed, took = random.Random(f"{args.seed}{way}"), {}, []

    def seen() -> None:
        for (name, tag), (digest, at) in list(pushed.items()):
            if target.digest(name, tag) == digest:
                took.append(time.monotonic() - at)
                del pushed[name, tag]

    for n in range(args.pushes):
        until = time.monotonic() + rng.uniform(0, 2 * args.every / 3)
        while time.monotonic() < until:
            seen()
            time.sleep(0.02)
        name, tag = f"app/{way}", f"v{n}"
        puller.wanted.append((name, tag))
        digest = source.image(name, [tag], [noise(f"{way}{n}", 10 * MIB)])
        pushed[name, tag] = (digest, time.monotonic())
    deadline = time.monotonic() + 4 * args.every + 60
    while pushed and time.monotonic() < deadline:
        seen()
        time.sleep(0.02)
    if pushed:
        raise RuntimeError(f"{way}: not there: {list(pushed)}")
    return took


def row(took: list, puller: Puller, unchanged: tuple) -> dict:
    return {"median": statistics.median(took), "longest": max(took), "pulls": puller.pulls, "broken": len(puller.broken),
            "wall": unchanged[0], "cpu": unchanged[1]}


def by_cron(args, source: Registry, target: Registry) -> dict:
    cron, puller = Cron(source, target, args.every), Puller(target)
    puller.wanted = [(name, "v1") for name in IMAGES]
    puller.start()
    cron.start()
    try:
        took = stale(args, "cron", source, target, puller)
    finally:
        cron.stop()
        puller.stop()
    runs = [cron.once() for _ in range(3)]
    if cron.failed:
        raise RuntimeError(f"rsync failed {cron.failed} times")
    return row(took, puller, tuple(statistics.median(run[n] for run in runs) for n in (0, 1)))


def by_mirror(args, root: Path, source: Registry, target: Registry) -> dict:
    puller = Puller(target)
    puller.wanted = [(name, "v1") for name in IMAGES]
    puller.start()
    node = Node(root, args.bin, "app/**", more="    on push\n")
    try:
        took = stale(args, "mirror", source, target, puller)
        time.sleep(2)
        walls, before = [], cpu_s(node.process.pid)
        for _ in range(5):
            walls.append(node.sync())
        cpu = (cpu_s(node.process.pid) - before) / len(walls)
    finally:
        puller.stop()
        node.stop()
    return row(took, puller, (statistics.median(walls), cpu))


def main(args: argparse.Namespace) -> int:
    missing = [tool for tool in ("docker-registry", "rsync") if not shutil.which(tool)]
    if missing:
        print(f"lab: not installed: {' '.join(missing)}", file=sys.stderr)
        return 2
    args.bin = args.bin.resolve()
    with tempfile.TemporaryDirectory(prefix="mirror-cron.") as place:
        root = Path(place)
        events = "http://%s:%d/v1/mirror/events" % API
        source, target = Registry(root, SOURCE, events=events), Registry(root, TARGET)
        try:
            push_set(source)
            rows = {"rsync by cron": by_cron(args, source, target)}
            target.empty()
            rows["isobar"] = by_mirror(args, root, source, target)
        finally:
            source.stop()
            target.stop()
    return table(args, rows)


def table(args: argparse.Namespace, rows: dict) -> int:
    print(f"{len(IMAGES)} images of 512 MB and {args.pushes} pushes of 10 MiB; rsync every {args.every:g} s")
    print(f"{'':14} {'stale, median s':>16} {'longest s':>10} {'pulls':>6} {'broken':>7} {'unchanged, s':>13} {'CPU s':>7}")
    for name, of in rows.items():
        print(f"{name:14} {of['median']:16.2f} {of['longest']:10.2f} {of['pulls']:6} {of['broken']:7} {of['wall']:13.3f} "
              f"{of['cpu']:7.3f}")
    theirs, ours = rows["rsync by cron"], rows["isobar"]
    print(f"With an hour between runs rsync is stale for up to 3600 s + its run ({theirs['longest'] - args.every:.1f} s and "
          f"less here), half of it in the mean.")
    good = ours["median"] < theirs["median"] and ours["longest"] < theirs["longest"]
    verdicts = [(good, "stale for less than by cron"), (ours["broken"] == 0, f"{ours['broken']} broken pulls"),
                (ours["wall"] <= theirs["wall"] or ours["cpu"] <= theirs["cpu"], "an unchanged run costs no more time or CPU")]
    for holds, words in verdicts:
        print(f"{'PASS' if holds else 'FAIL'}  {words}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    return 0 if all(holds for holds, _ in verdicts) else 1
