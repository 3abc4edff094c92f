"""The mirror under faults, behind a hub with a quota, spread over nodes, and from push to pull: with real registries."""
import argparse
import http.client
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

from .mirror_content import noise
from .mirror_hub import Hub
from .mirror_net import HUB, Cluster, Node, Registry, Watch, enter_hub, leave, run, wait_for

MIB = 1 << 20
# What an uploader sends in one request: a fault may cost one.
PIECE = 8 * MIB
PARTS = ("push", "hub", "schedule", "join", "faults")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", default=",".join(PARTS), metavar="A,B", help="which (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="of the worker (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=500, help="that are spread (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)


class Verdicts:
    def __init__(self) -> None:
        self.failed = []

    def tell(self, good: bool, words: str) -> None:
        print(f"{'PASS' if good else 'FAIL'}  {words}", flush=True)
        if not good:
            self.failed.append(words)


def sections(source: str, target: str, rule: str, rate: str = "") -> str:
    return (f"registry a\n    url {source}\nregistry b\n    url {target}\n"
            f"mirror lab\n    from a\n    to b\n{rule}{rate}")


def push(args, root: Path, verdicts: Verdicts) -> None:
    """From the end of a push to the digest being there."""
    source = Registry(root, 5000, events="http://10.97.1.1:8500/v1/mirror/events")
    target = Registry(root, 5001)
    cluster = Cluster(root, args.bin, 1, sections(f"http://{HUB}:5000", f"http://{HUB}:5001",
                                                  "    images app/**\n    every 1h\n    on push\n"))
    layout = root / "layout"
    took = []
    try:
        for n in range(7):
            # Pushed as operators do, from another registry's copy of it.
            source.image("stage/one", [f"v{n}"], [noise(f"push{n}", 10 * MIB)])
            wanted = source.digest("stage/one", f"v{n}")
            subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
                            f"docker://{HUB}:5000/stage/one:v{n}", f"dir:{layout}"], check=True)
            subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", f"dir:{layout}",
                            f"docker://{HUB}:5000/app/one:v{n}"], check=True)
            _, seconds = wait_for("the push", lambda n=n, wanted=wanted: target.digest("app/one", f"v{n}") == wanted, 30, 0.005)
            took.append(seconds)
    finally:
        cluster.stop()
        source.kill()
        target.kill()
    worst = max(took)
    verdicts.tell(worst < 2, f"push to pull, 10 MiB: median {statistics.median(took):.2f} s, longest {worst:.2f} s, under 2")


def hub(args, root: Path, verdicts: Verdicts) -> None:
    """An upstream with tokens that end and a quota of pulls."""
    source, target = Registry(root, 5010), Registry(root, 5011)
    front = Hub((HUB, 5012), (HUB, 5010))
    front.token_s, front.quota = 3, (10, 10)
    wanted = {f"v{n}": source.image("lib/many", [f"v{n}"], [noise(f"hub{n}", 20000)]) for n in range(35)}
    began = time.monotonic()
    cluster = Cluster(root, args.bin, 1, sections(front.url(), f"http://{HUB}:5011", "    images lib/many\n    every 5s\n"))
    try:
        wait_for("the hub", lambda: all(target.digest("lib/many", tag) == digest for tag, digest in wanted.items()), 240, 0.5)
    finally:
        took = time.monotonic() - began
        cluster.stop()
        front.stop()
        source.kill()
        target.kill()
    verdicts.tell(front.refused == 0 and front.most <= 10,
                  f"a hub with 10 pulls in 10 s: 35 images in {took:.0f} s, {front.pulls} pulls, {front.refused} refused; "
                  f"{front.unauthorized} challenges of tokens that end after 3 s")


def seconds_of(text: str) -> float:
    return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()


def schedule(args, root: Path, verdicts: Verdicts) -> None:
    """Many jobs over three nodes; a fourth joins, one is killed, and the target's log says who did what."""
    source, target = Registry(root, 5020), Registry(root, 5021)
    cluster = Cluster(root, args.bin, 3, sections(f"http://{HUB}:5020", f"http://{HUB}:5021",
                                                  "    images jobs/**\n    every 2s\n    parallel 12\n", ""))
    rng = random.Random(args.seed)
    sizes = {f"jobs/j{n:04}": rng.randrange(64 << 10, 512 << 10) for n in range(args.jobs)}
    digests = {name: source.image(name, ["v"], [noise(name, size)]) for name, size in sizes.items()}
    done = lambda: sum(target.digest(name, "v") == digest for name, digest in digests.items())  # noqa: E731
    try:
        wait_for("half of the jobs", lambda: done() >= args.jobs // 2, 300, 0.5)
        wait_for("all jobs", lambda: done() == args.jobs, 300, 0.5)
        by_node, twice = spread(target, sizes)
        even = sum(by_node.values()) / 3
        off = max(abs(moved / even - 1) for moved in by_node.values()) if len(by_node) == 3 else 1.0
        verdicts.tell(off <= 0.15, f"{args.jobs} jobs over 3 nodes: furthest from even by bytes {off:.1%}, at most 15 %: "
                      + ", ".join(f"{who} {moved / MIB:.0f} MiB" for who, moved in sorted(by_node.items())))
        verdicts.tell(not twice, f"jobs run by two nodes at once: {len(twice)} {twice[:3]}")
        killed_job(args, cluster, source, target, verdicts)
    finally:
        cluster.stop()
        source.kill()
        target.kill()


def spread(target: Registry, sizes: dict) -> tuple[dict, list]:
    """Bytes of layers by who sent them; and repositories that two nodes sent at the same time."""
    by_node, spans = Counter(), defaultdict(lambda: defaultdict(list))
    for who, when, method, path, status in target.seen():
        name = "/".join(path.split("/")[2:4])
        if method in ("PUT", "PATCH", "POST") and name in sizes:
            spans[name][who].append(seconds_of(when))
            if method == "PUT" and "/manifests/" in path and status == 201:
                by_node[who] += sizes[name]
    twice = []
    for name, of in spans.items():
        ordered = sorted((min(times), max(times)) for times in of.values())
        twice += [name for (_, end), (begin, _) in zip(ordered, ordered[1:]) if begin < end]
    return dict(by_node), twice


def killed_job(args, cluster: Cluster, source: Registry, target: Registry, verdicts: Verdicts) -> None:
    """A node that is killed in the middle of its job: when another goes on."""
    digest = source.image("jobs/large", ["v"], [noise("large", 400 * MIB)])
    runs = lambda: [job for job in cluster.jobs() if "jobs/large" in str(job)]  # noqa: E731
    job, _ = wait_for("the large job", lambda: next((job for job in runs() if job.get("Done", 0) > 0), None), 60)
    victim = next(node for node in cluster.nodes if job["Node"] == f"n{node.number}")
    victim.kill()
    began = time.monotonic()
    others = [node for node in cluster.nodes if node is not victim]
    again = lambda: any("jobs/large" in str(job) and job["Node"] != f"n{victim.number}"  # noqa: E731
                        for node in others for job in node.ask("GET", "/v1/mirror/jobs"))
    wait_for("another node", lambda: again() or target.digest("jobs/large", "v") == digest, 60)
    took = time.monotonic() - began
    wait_for("the large image", lambda: target.digest("jobs/large", "v") == digest, 120)
    verdicts.tell(took <= 11, f"a killed node's job is gone on with after {took:.1f} s; its lease is 10")
    victim.start()


def join(args, root: Path, verdicts: Verdicts) -> None:
    """A fourth node joins while three are at work: when the target hears from it."""
    source, target = Registry(root, 5040), Registry(root, 5041)
    names = [f"join/j{n:03}" for n in range(100)]
    digests = {name: source.image(name, ["v"], [noise(name, MIB)]) for name in names}
    cluster = Cluster(root, args.bin, 3, sections(f"http://{HUB}:5040", f"http://{HUB}:5041",
                                                  "    images join/**\n    every 1h\n    parallel 64\n", "    bandwidth 16m\n"))
    fourth = Node(root, args.bin, 4, 3, cluster.sections)
    cluster.nodes.append(fourth)
    works = lambda: any(who.startswith(fourth.address) for who, *_ in target.seen())  # noqa: E731
    try:
        wait_for("the first images", lambda: sum(target.digest(name, "v") == digests[name] for name in names[:20]) > 2, 120)
        fourth.start()
        _, joined = wait_for("a fourth member", lambda: fourth.ask("GET", "/v1/status/leader"), 60)
        _, took = wait_for("work of the fourth", works, 60)
        left = sum(target.digest(name, "v") != digests[name] for name in names)
        wait_for("all images", lambda: all(target.digest(name, "v") == digest for name, digest in digests.items()), 240, 0.5)
    finally:
        cluster.stop()
        source.kill()
        target.kill()
    verdicts.tell(joined + took <= 5, f"a node that joins works {joined + took:.1f} s after its start ({joined:.1f} s until it "
                  f"knew who leads), at most 5; {left} of {len(names)} images were left then")


class Faults:
    """One image after the other while things break, each of three layers."""

    LAYERS = (20, 20, 4)

    def __init__(self, args, root: Path, verdicts: Verdicts) -> None:
        self.args, self.root, self.verdicts = args, root, verdicts
        self.rng = random.Random(args.seed)
        self.source = Registry(root, 5030)
        self.disk = root / "disk"
        self.disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=5g", "tmpfs", self.disk)
        self.target = Registry(root, 5031, data=self.disk)
        self.front, self.back = Hub((HUB, 5032), (HUB, 5030)), Hub((HUB, 5033), (HUB, 5031))
        self.cluster = Cluster(root, args.bin, 3, sections(
            self.front.url(), self.back.url(), "    images app/f\n    every 2s\n", "    bandwidth 40m\n"))
        self.count, self.tags = 0, []
        self.watch = Watch(self.target, "app/f", self.tags)
        self.watch.start()

    def trial(self, name: str, fault, after=lambda: None, pieces: int = 1) -> None:
        """Pushes an image, breaks something in the middle of its copy, mends it, and waits for the copy."""
        self.count += 1
        tag = f"v{self.count}"
        layers = [noise(f"{self.args.seed} {tag} {n}", size * MIB) for n, size in enumerate(self.LAYERS)]
        size = sum(map(len, layers))
        before, forgotten = self.back.sent, self.back.forgotten
        digest = self.source.image("app/f", [tag], layers)
        self.tags.append(tag)
        wait_for("the copy's begin", lambda: self.back.sent > before, 60, 0.005)
        time.sleep(self.rng.uniform(0, size / 40e6))
        is_through = self.target.digest("app/f", tag) == digest
        fault(layers)
        broke = time.monotonic()
        time.sleep(self.rng.uniform(0.2, 1.0))
        after()
        try:
            wait_for(name, lambda: self.target.digest("app/f", tag) == digest, 90, 0.05)
        except RuntimeError as why:
            return self.stood_still(name, why, tag, digest)
        took, sent = time.monotonic() - broke, self.back.sent - before
        over, lost = max(0, sent - size) / PIECE, (self.back.forgotten - forgotten) / PIECE
        words = f"{name}: there {took:.1f} s later, {over:.2f} pieces sent again"
        if lost:
            # docker-registry 2.8 keeps what came of a PATCH that is cut, and then takes no address of the upload that it
            # ever gave out: that of before does not fit the size, and there is no other.
            words += f", {lost:.2f} of uploads that the registry forgot (not counted)"
        self.verdicts.tell(over - lost <= pieces + 0.1, words + (" (the copy was through)" if is_through else ""))

    def stood_still(self, name: str, why: RuntimeError, tag: str, digest: str) -> None:
        """Writes down what every node says, and looks whether it goes on by itself."""
        file = self.root / f"stood-still-{tag}.txt"
        with file.open("w") as output:
            for node in self.cluster.nodes:
                for path in ("/v1/mirror", "/v1/mirror/jobs", "/v1/status/leader", "/v1/agent/self", "/v1/agent/members"):
                    try:
                        print(node.number, path, node.ask("GET", path), file=output)
                    except (OSError, ValueError, http.client.HTTPException) as e:
                        print(node.number, path, repr(e), file=output)
                words = (self.root / f"node-{node.number}.out").read_text(errors="replace").splitlines()[-60:]
                print("\n".join(words), file=output)
        try:
            _, more = wait_for(name, lambda: self.target.digest("app/f", tag) == digest, 240, 0.1)
            after = f"there {more:.0f} s later still"
        except RuntimeError:
            after = "not in another 240 s"
        kept = Path(tempfile.mkdtemp(prefix="mirror-stood-still.")) / file.name
        shutil.copy(file, kept)
        self.verdicts.tell(False, f"{name}: {why}; {after}; see {kept}")

    def worker(self):
        names = {job["Node"] for job in self.cluster.jobs()}
        return next((node for node in self.cluster.nodes if f"n{node.number}" in names), self.cluster.nodes[0])

    def kill(self, which) -> None:
        self.victim = which()
        self.victim.kill()

    def back_again(self) -> None:
        self.victim.start()

    def everything(self) -> None:
        for n in range(self.args.kills):
            self.trial(f"worker killed ({n + 1})", lambda _: self.kill(self.worker), self.back_again)
        self.trial("leader killed", lambda _: self.kill(self.cluster.leader), self.back_again)
        self.trial("source killed", lambda _: self.source.kill(), self.source.start)
        self.trial("target killed", lambda _: self.target.kill(), self.target.start)
        self.trial("storm of 503 at the target", lambda _: setattr(self.back, "storm", 0.5),
                   lambda: (time.sleep(4), setattr(self.back, "storm", 0.0)), pieces=3)
        self.trial("storm of 503 at the source", lambda _: setattr(self.front, "storm", 0.5),
                   lambda: (time.sleep(4), setattr(self.front, "storm", 0.0)), pieces=3)
        self.corrupted()
        self.full()
        self.front.token_s = self.back.token_s = 1
        self.trial("tokens that end after a second", lambda _: None, pieces=1)
        self.front.token_s = self.back.token_s = None
        self.verdicts.tell(self.watch.looks > 0 and not self.watch.broken,
                           f"tags that pointed to something incomplete: {len(self.watch.broken)} of {self.watch.looks} looks")

    def corrupted(self) -> None:
        """Wrong bytes on the source's disk for a while."""
        import hashlib
        kept = {}

        def spoil(layers) -> None:
            for layer in layers:
                file = self.source.blob_file("sha256:" + hashlib.sha256(layer).hexdigest())
                kept[file] = layer
                with file.open("r+b") as opened:
                    opened.seek(len(layer) // 2)
                    opened.write(bytes(byte ^ 0xff for byte in layer[len(layer) // 2:len(layer) // 2 + 64]))

        def mend() -> None:
            time.sleep(2)
            for file, layer in kept.items():
                file.write_bytes(layer)
        # Which of the bytes were wrong nobody knows: a layer is sent again for each try.
        self.trial("wrong bytes from the source", spoil, mend, pieces=30)

    def full(self) -> None:
        """A full disk at the target."""
        filler = self.disk / "filler"

        def fill(_) -> None:
            with filler.open("wb") as opened:
                try:
                    while True:
                        opened.write(b"\0" * MIB)
                except OSError:
                    pass

        def free() -> None:
            time.sleep(2)
            filler.unlink()
        self.trial("a full disk at the target", fill, free, pieces=30)

    def stop(self) -> None:
        self.watch.going = False
        self.cluster.stop()
        self.front.stop()
        self.back.stop()
        self.source.kill()
        self.target.kill()
        run("umount", "-l", self.disk, check=False)


def faults(args, root: Path, verdicts: Verdicts) -> None:
    trial = Faults(args, root, verdicts)
    try:
        trial.everything()
    finally:
        trial.stop()


def main(args: argparse.Namespace) -> int:
    if not all(map(shutil.which, ("docker-registry", "skopeo", "ip"))) or os.geteuid():
        print("lab: needs root, docker-registry, skopeo and iproute2", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args.bin = args.bin.resolve()
    verdicts = Verdicts()
    enter_hub()
    try:
        for name in args.trials.split(","):
            place = Path(tempfile.mkdtemp(prefix=f"mirror-{name}."))
            try:
                {"push": push, "hub": hub, "schedule": schedule, "join": join, "faults": faults}[name](args, place, verdicts)
            except RuntimeError as why:
                verdicts.tell(False, f"{name}: {why} (see {place})")
                continue
            shutil.rmtree(place, ignore_errors=True)
    finally:
        leave()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    return 1 if verdicts.failed else 0
