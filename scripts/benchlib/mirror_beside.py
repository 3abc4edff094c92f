"""The proxy's p99 while a 2 GiB layer is copied by its own mirror, beside that while skopeo copies it.

One Isobar with one worker on CPU 0 is proxy and mirror; it is one of three members of a region map, the two others and
both registries stand on CPU 1 with the load. At 60 % of the peak of the same run one layer is copied, in turns by the
mirror in the process and by skopeo on the same CPU at its usual priority. Judged is the median of the rounds' ratios of
p99, and that no election took place. p99 with nothing beside it is shown too.
"""
import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from . import report
from .compare import stopping
from .lab import LOAD_CPU, PROXY_CPU, Lab, Unable
from .load import Client, Origin
from .mirror_content import MANIFEST, Content, noise
from .proxy import Proxy, Side, about, config
from .rows import CONNS

SOURCE, TARGET = ("127.0.0.81", 5000), ("127.0.0.82", 5000)
MEMBERS = ("127.0.0.83", "127.0.0.84", "127.0.0.85")
SHARE = 0.6
MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, help="of both (default 5; --quick: 2)")
    parser.add_argument("--mib", type=int, help="of the layer (default 2048; --quick: 512)")
    parser.add_argument("--bar", type=float, default=1.0, help="the most p99 may be of that beside skopeo (default: %(default)s)")


class Registry(Content):
    def __init__(self, lab: Lab, root: Path, address: tuple) -> None:
        self.lab, self.address = lab, address
        self.data, self.config = root / f"data-{address[0]}", root / f"{address[0]}.json"
        self.config.write_text(json.dumps({
            "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": True}},
            "http": {"addr": "%s:%d" % address, "secret": "bench"}}))
        self.start()

    def start(self) -> None:
        self.process = self.lab.spawn(["docker-registry", "serve", self.config], {LOAD_CPU}, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        until("docker-registry", lambda: self.ask("GET", "/v2/")[0])

    def stop(self) -> None:
        self.lab.stop(self.process)

    def empty(self) -> None:
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.start()

    def name_again(self, manifest: dict, old: str, new: str) -> None:
        """The same image in another repository, without moving its blobs."""
        for blob in (manifest["config"], *manifest["layers"]):
            status = self.ask("POST", f"/v2/{new}/blobs/uploads/?mount={blob['digest']}&from={old}")[0]
            if status != 201:
                raise Unable(f"a mount: {status}")
        assert self.ask("PUT", f"/v2/{new}/manifests/v", json.dumps(manifest), {"Content-Type": MANIFEST})[0] == 201


def until(what: str, holds, seconds: float = 60) -> float:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if holds():
                return time.monotonic() - began
        except (OSError, ValueError, KeyError, TypeError, IndexError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise Unable(f"{what}: not within {seconds:g} s")


def api(method: str, path: str):
    connection = http.client.HTTPConnection(MEMBERS[0], 8500, timeout=10)
    try:
        connection.request(method, path)
        return json.loads(connection.getresponse().read() or "null")
    finally:
        connection.close()


def term() -> str:
    return api("GET", "/v1/agent/self")["Stats"]["raft"]["term"]


def member(root: Path, number: int) -> str:
    join = " ".join(f"{address}:7400" for address in MEMBERS)
    return (f"region-map\n    node n{number} region r{number}\n    bind {MEMBERS[number - 1]}:7400 insecure\n"
            f"    data-dir {root}/member-{number}\n    retry-join {join}\n    expect 3\n"
            f"    http-api {MEMBERS[number - 1]}:8500 insecure\n")


# It is copied by the one node that has the rule.
RULE = (f"registry a\n    url http://{SOURCE[0]}:{SOURCE[1]}\nregistry b\n    url http://{TARGET[0]}:{TARGET[1]}\n"
        "mirror beside\n    from a\n    to b\n    images big/**\n    every 1d\n")


class Scene:
    def __init__(self, lab: Lab, args: argparse.Namespace, root: Path, stack: ExitStack) -> None:
        self.lab, self.args = lab, args
        self.source, self.target = (stack.enter_context(stopping(Registry(lab, root, at))) for at in (SOURCE, TARGET))
        mib = args.mib or (512 if args.quick else 2048)
        layers = [noise("beside", mib * MIB)]
        self.digest = self.source.image("stage/layer", ["v"], layers)
        self.manifest = json.loads(self.source.ask("GET", "/v2/stage/layer/manifests/v", headers={"Accept": MANIFEST})[2])
        origin = stack.enter_context(stopping(Origin(lab)))
        for number in (2, 3):
            file = root / f"member-{number}.cfg"
            file.write_text(member(root, number))
            child = lab.spawn([args.proxy_bin, "-f", file], {LOAD_CPU}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(lab.stop, child)
        port = lab.port()
        text = config("http", port, origin.http, options=("option splice-auto",)) + member(root, 1) + RULE
        side = Side("isobar", args.proxy_bin, tuple(args.proxy_flags))
        self.proxy = stack.enter_context(stopping(Proxy(lab, "isobar", side, text, port)))
        until("a leader", lambda: api("GET", "/v1/status/leader"))
        until("a first look", lambda: api("GET", "/v1/mirror")[0]["Targets"])

    def window(self, seconds: float, *words) -> dict:
        return Client(self.lab, "http", self.proxy.target, "--conns", CONNS, "--duration", seconds, *words,
                      pids=self.proxy.pids()).finish(seconds + 60)

    def is_there(self, name: str) -> bool:
        return self.target.digest(name, "v") == self.digest

    def beside(self, way: str, number: int, rate: int) -> dict:
        """Windows of a second for as long as the copy lasts."""
        self.target.empty()
        name = f"big/{way}{number}" if way == "mirror" else f"other/layer{number}"
        child, began = None, time.monotonic()
        if way == "mirror":
            self.source.name_again(self.manifest, "stage/layer", name)
            api("PUT", "/v1/mirror/beside/sync")
        else:
            words = ["nice", "-n", -self.args.nice, "skopeo", "copy", "-q", "--preserve-digests", "--src-tls-verify=false",
                     "--dest-tls-verify=false", f"docker://{SOURCE[0]}:{SOURCE[1]}/stage/layer:v",
                     f"docker://{TARGET[0]}:{TARGET[1]}/{name}:v"]
            child = self.lab.spawn(words, {PROXY_CPU}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        windows = []
        while not self.is_there(name):
            windows.append(self.window(1, "--rate", rate))
            if time.monotonic() - began > 600:
                raise Unable(f"{way}: the layer is not there after 600 s: {api('GET', '/v1/mirror/jobs')}")
        if child:
            self.lab.stop(child)
        # The last window may have seen the end of it.
        counted = windows[:-1] or windows
        return {"took": time.monotonic() - began, "p99": statistics.median(one["latency_us"]["p99"] for one in counted),
                "worst": max(one["latency_us"]["p99"] for one in counted), "windows": len(counted),
                "failed": sum(one["failed"] for one in windows)}


def run(lab: Lab, args: argparse.Namespace) -> int:
    missing = [tool for tool in ("docker-registry", "skopeo") if not shutil.which(tool)]
    if missing:
        raise Unable(f"not installed: {' '.join(missing)}")
    rounds = args.rounds or (2 if args.quick else 5)
    told = about(lab, args)
    report.heading(told)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="beside.")))
        scene = Scene(lab, args, root, stack)
        scene.window(2)
        peak = statistics.median(one["requests"] / one["seconds"] for one in (scene.window(2) for _ in range(3)))
        rate = round(SHARE * peak)
        alone = statistics.median(scene.window(1, "--rate", rate)["latency_us"]["p99"] for _ in range(5))
        before, rows = term(), {"mirror": [], "skopeo": []}
        for number in range(rounds):
            for way in (("mirror", "skopeo"), ("skopeo", "mirror"))[number % 2]:
                rows[way].append(scene.beside(way, number, rate))
        after = term()
    print(f"peak {peak:.0f}/s, measured at {rate}/s; p99 alone {alone:.0f} us")
    print(f"{'':8} {'p99 us':>9} {'worst second':>13} {'copy s':>8} {'windows':>8}")
    for way, of in rows.items():
        middle = {key: statistics.median(one[key] for one in of) for key in of[0]}
        print(f"{way:8} {middle['p99']:9.0f} {middle['worst']:13.0f} {middle['took']:8.1f} {middle['windows']:8.0f}")
    ratios = [a["p99"] / b["p99"] for a, b in zip(rows["mirror"], rows["skopeo"])]
    failed = sum(one["failed"] for of in rows.values() for one in of)
    middle = statistics.median(ratios)
    verdicts = [
        report.verdict("p99", middle <= args.bar, f"{report.span(middle, ratios)} of that beside skopeo, bar {args.bar}"),
        report.verdict("election", before == after, f"term {before} before and {after} after"),
        report.verdict("answered", failed == 0, f"{failed} requests failed"),
    ]
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    report.write_json(args.json, {"part": "beside", "about": told, "rows": rows, "alone": alone, "rate": rate,
                                  "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
