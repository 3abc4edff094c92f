"""Three regions, each in a namespace with a member and its responder; one is killed while all are asked.

Every member answers DNS for a service with an instance in each region, checked over TCP by its own region. A region is
killed with SIGKILL, wires and all, while resolvers in the others ask on behalf of its clients every few milliseconds and a
steady load runs beside. The bar: the first answer that names another region comes within the time of the check (inter x
fall + timeout) or `region-timeout`, whichever is first, and 100 ms; and nobody is ever told SERVFAIL, or nothing. The region
of the leader goes first, so that an election comes in between.
"""
import argparse
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

TAG = f"id{os.getpid()}"
REGIONS = ("eu-west", "us-east", "ap-south")
PLACES = ("53.3 -6.3", "40.7 -74.0", "1.3 103.8")
GRACE = 0.1
CHECK_INTERVAL = 1.0
NEWNET = 0x40000000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="of each timeout (default: %(default)s)")
    parser.add_argument("--timeouts", default="5000,2000", metavar="MS,MS", help="region-timeout (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=2000, help="queries a second to each member (default: %(default)s)")


def run(*words: str, check: bool = True) -> str:
    return subprocess.run(words, check=check, capture_output=True, text=True).stdout


def in_namespace(name: str) -> None:
    with open(f"/var/run/netns/{name}") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), NEWNET):
            raise OSError(ctypes.get_errno(), name)


def query(network: int, number: int) -> bytes:
    """www.lb.test A, from a client of a region's network."""
    name = b"\x03www\x02lb\x04test\0"
    option = struct.pack(">HHHBB", 8, 7, 1, 24, 0) + bytes([10, 100 + network, 0])
    return (struct.pack(">6H", number & 0xffff, 0x100, 1, 0, 0, 1) + name + struct.pack(">2H", 1, 1)
            + struct.pack(">BHHIH", 0, 41, 1232, 0, len(option)) + option)


def told(answer: bytes) -> tuple[int, set[str]]:
    """The code, and the addresses in the answer section."""
    at, found = 12 + 13 + 4, set()
    for _ in range(struct.unpack(">H", answer[6:8])[0]):
        kind, _, _, size = struct.unpack(">HHIH", answer[at + 2:at + 12])
        if kind == 1:
            found.add(socket.inet_ntoa(answer[at + 12:at + 16]))
        at += 12 + size
    return answer[3] & 15, found


class Asking(threading.Thread):
    """A resolver beside a member: asks again and again for one region's client, and remembers what it was told and when."""

    def __init__(self, region: "Region", network: int, rate: int):
        super().__init__(daemon=True)
        self.region, self.network, self.pause = region, network, 1 / rate
        self.going, self.answers, self.bad = True, [], []

    def run(self) -> None:
        in_namespace(self.region.namespace)
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.settimeout(1)
        asking.connect((self.region.address, 53))
        number = 0
        due = time.monotonic()
        while self.going:
            number += 1
            begin = time.monotonic()
            try:
                asking.send(query(self.network, number))
                answer = asking.recv(2048)
                code, addresses = told(answer)
                if code != 0 or not addresses:
                    self.bad.append((begin, f"code {code}, {len(addresses)} addresses"))
                self.answers.append((time.monotonic(), frozenset(addresses)))
            except OSError as why:
                if self.going:
                    self.bad.append((begin, str(why)))
            due = max(due + self.pause, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))


class Region:
    """A namespace with a member."""

    def __init__(self, lab: "Lab", number: int):
        self.lab, self.number, self.name = lab, number, REGIONS[number]
        self.namespace, self.address = f"{TAG}{number}", f"10.99.0.{number + 1}"
        self.process = None

    def config(self, timeout_ms: int) -> str:
        join = " ".join(f"10.99.0.{n + 1}:7400" for n in range(3))
        liveness = min(3000, timeout_ms // 2)
        sections = "".join(f"region {name}\n    location {place}\n    networks 10.{100 + n}.0.0/16\n"
                           for n, (name, place) in enumerate(zip(REGIONS, PLACES)))
        return (f"global\n    nbthread 1\ndefaults\n    mode http\n    timeout client 5s\n{sections}"
                f"region-map\n    node {self.name}-1 region {self.name}\n    bind {self.address}:7400 insecure\n"
                f"    data-dir {self.lab.place}/{self.number}\n    retry-join {join}\n    expect 3\n"
                f"    http-api {self.address}:8500 insecure\n    region-timeout {timeout_ms}ms\n"
                f"    liveness-timeout {liveness}ms\n"
                f"frontend web\n    bind {self.address}:80\n    http-request return status 200\n"
                f"dns lab\n    bind {self.address}:53\n    zone lb.test\n    record www service web policy nearest ttl 5s\n")

    def start(self, timeout_ms: int) -> None:
        file = self.lab.place / f"{self.number}.cfg"
        file.write_text(self.config(timeout_ms))
        output = (self.lab.place / f"{self.number}.out").open("a")
        self.process = subprocess.Popen(["ip", "netns", "exec", self.namespace, str(self.lab.program), "-db", "-f", str(file)],
                                        stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def curl(self, *words: str) -> str:
        return run("ip", "netns", "exec", self.namespace, "curl", "-s", "-m", "5", *words, check=False)

    def register(self) -> bool:
        body = {"Name": "web", "ID": f"web-{self.number}", "Address": self.address, "Port": 80,
                "Check": {"TCP": f"{self.address}:80", "Interval": f"{CHECK_INTERVAL}s", "Timeout": "500ms"}}
        done = self.curl("-f", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "-d", json.dumps(body),
                         f"http://{self.address}:8500/v1/agent/service/register")
        return done == "200"

    def leader(self) -> str:
        return self.curl(f"http://{self.address}:8500/v1/status/leader").strip('"\n')

    def kill(self) -> None:
        """Wires first, so that nobody hears of it."""
        run("ip", "-n", f"{TAG}hub", "link", "set", f"p{self.number}", "nomaster")
        os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()


class Lab:
    """Three regions on a bridge."""

    def __init__(self, program: Path, place: Path):
        self.program, self.place = program, place
        self.regions = [Region(self, number) for number in range(3)]

    def __enter__(self) -> "Lab":
        hub = f"{TAG}hub"
        run("ip", "netns", "add", hub)
        run("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", hub, "link", "set", "br0", "up")
        for region in self.regions:
            run("ip", "netns", "add", region.namespace)
            run("ip", "-n", hub, "link", "add", f"p{region.number}", "type", "veth", "peer", "name", "eth0", "netns",
                region.namespace)
            run("ip", "-n", hub, "link", "set", f"p{region.number}", "master", "br0", "up")
            for link in ("lo", "eth0"):
                run("ip", "-n", region.namespace, "link", "set", link, "up")
            run("ip", "-n", region.namespace, "addr", "add", f"{region.address}/24", "dev", "eth0")
        return self

    def __exit__(self, *_: object) -> None:
        for region in self.regions:
            region.end()
            run("ip", "netns", "del", region.namespace, check=False)
        run("ip", "netns", "del", f"{TAG}hub", check=False)


def until(seconds: float, what: str, holds) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def trial(program: Path, timeout_ms: int, leader_dies: bool, rate: int) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory(prefix="isobar-dns.") as place, Lab(program, Path(place)) as lab:
        for region in lab.regions:
            region.start(timeout_ms)
        for region in lab.regions:
            until(30, "registration", region.register)
        leader = lab.regions[0].leader().split(":")[0]
        victim = next(r for r in lab.regions if (r.address == leader) == leader_dies)
        others = [region for region in lab.regions if region is not victim]
        asking = [Asking(region, victim.number, rate) for region in others]
        asking += [Asking(region, other.number, rate) for region, other in zip(others, others)]
        for one in asking:
            one.start()
        for one in asking[:2]:
            until(20, "the nearest region is named", lambda: one.answers and one.answers[-1][1] == {victim.address})
        time.sleep(1.5)
        killed = time.monotonic()
        victim.kill()
        limit = timeout_ms / 1000 + GRACE
        time.sleep(limit + 2)
        for one in asking:
            one.going = False
        for one in asking:
            one.join()
        first, last = [], []
        for one in asking[:2]:
            left = [at for at, addresses in one.answers if at > killed and victim.address not in addresses]
            still = [at for at, addresses in one.answers if victim.address in addresses]
            first.append(min(left) - killed if left else float("inf"))
            last.append(max(still) - killed)
        bad = [text for one in asking for _, text in one.bad]
        count = sum(len(one.answers) for one in asking)
        good = max(first) <= limit and max(last) <= limit and not bad
        return good, (f"region-timeout {timeout_ms} ms, {'the leader' if leader_dies else 'a follower'}'s region killed: first "
                      f"answer that avoids it after {' and '.join(f'{at:.3f}' for at in first)} s, last that names it "
                      f"{max(last):.3f} s, bar {limit:.1f} s; {count} answers, {len(bad)} bad{f' ({bad[0]})' if bad else ''}")


def main(args: argparse.Namespace) -> int:
    failed = 0
    for timeout_ms in map(int, args.timeouts.split(",")):
        for number in range(args.rounds):
            try:
                good, text = trial(args.bin.resolve(), timeout_ms, number % 2 == 0, args.rate)
            except RuntimeError as why:
                good, text = False, str(why)
            print(f"{'PASS' if good else 'FAIL'}  failover: {text}", flush=True)
            failed += not good
    return 1 if failed else 0
