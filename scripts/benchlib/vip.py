"""Pairs of VIP agents on a bridge: who takes over when, beside keepalived in the same run.

Every pair is run in both orders, Isobar and keepalived, and with two of a kind. `interop` says whether a pair agrees on
one master whatever happens, and whether Isobar's adverts equal keepalived's byte for byte; `takeover` measures, for each
way in which a master may go, the backup's first advert and the gap that a client of the address sees; `together` has
clients with open connections while a master stops or is killed; `pressure` swaps a map of a million entries under load;
`files` has both read files in the style of public ones, and such files broken; `public` has them read real ones, which
`--corpus` has: see vippublic.tsv.
"""
import argparse
import ctypes
import itertools
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import vipread
from .vipnet import Network, report, run, until

VIP, VIP6, PORT = "192.168.1.200", "2001:db8::200", 8080
PASS = "authentication {\n auth_type PASS\n auth_pass 1111\n }"
UNICAST = "unicast_src_ip SELF\n unicast_peer {\n PEER\n }"
UNICAST6 = UNICAST.replace("SELF", "SELF6").replace("PEER", "PEER6")
SETTINGS = {
    "v2 multicast": "",
    "v2 multicast PASS": PASS,
    "v2 unicast": UNICAST,
    "v2 unicast PASS": f"{UNICAST}\n {PASS}",
    "v3 multicast": "version 3\n advert_int 0.1",
    "v3 unicast": f"version 3\n advert_int 0.1\n {UNICAST}",
    "v3 IPv6 multicast": "advert_int 0.2",
    "v3 IPv6 unicast": f"advert_int 0.2\n {UNICAST6}",
}
SETTINGS |= {f"{name} nopreempt": f"{lines}\n nopreempt" for name, lines in SETTINGS.items()}
# With a heartbeat beside VRRP, which keepalived.conf has no words for.
SECTION = """vrrp VI_1
 interface eth0
 router-id 51
 priority PRIORITY
 address VIP
 heartbeat PEER:7112 key 0123456789abcdef
"""


PARTS = ("interop", "takeover", "together", "pressure", "files", "public")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="of each takeover (default: %(default)s)")
    parser.add_argument("--broken", type=int, default=400, help="broken files (default: %(default)s)")
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="public files, as DIR/<owner>/<name>/<path> of benchlib/vippublic.tsv")
    parser.add_argument("--only", choices=PARTS, help="default: all")


class Node:
    """A router and the web server beside it, which for Isobar is the same process."""

    def __init__(self, network: Network, number: int, kind: str, lines: str, vip: str, program: Path, place: Path,
                 extra: str = ""):
        self.network, self.number, self.kind, self.vip = network, number, kind, vip
        self.place, host = place, network.hosts[number]
        for word, address in (("PEER6", f"2001:db8::{12 - number}"), ("PEER", f"192.168.1.{12 - number}"),
                              ("SELF6", f"2001:db8::{11 + number}"), ("SELF", f"192.168.1.{11 + number}")):
            lines = lines.replace(word, address)
        conf, web = place / f"{number}.conf", place / f"{number}.cfg"
        conf.write_text(f"vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {(150, 100)[number]}\n"
                        f" {lines}\n virtual_ipaddress {{\n  {vip}\n }}\n}}\n")
        section = ""
        if kind == "heartbeat":
            section = SECTION.replace("PRIORITY", str((150, 100)[number])).replace("VIP", vip)
            section = section.replace("PEER", f"192.168.1.{12 - number}")
        web.write_text(f"{section}{extra}frontend web\n mode http\n timeout client 5s\n bind :{PORT}\n http-request return status 200 "
                       f"content-type text/plain string {'ab'[number]}\n")
        inside = ["ip", "netns", "exec", host]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": (place / f"{number}.out").open("a"), "stderr": subprocess.STDOUT}
        if kind == "isobar":
            commands = [[str(program), "-f", str(web), "-f", str(conf)]]
        elif kind == "heartbeat":
            commands = [[str(program), "-f", str(web)]]
        else:
            pids = ["-p", str(place / f"{number}.pid"), "-r", str(place / f"{number}.vrrp")]
            commands = [["keepalived", "-P", "-n", "-l", "-D", "-f", str(conf), *pids], [str(program), "-f", str(web)]]
        self.processes = [subprocess.Popen(inside + command, **quiet) for command in commands]

    def has(self) -> bool:
        return self.network.has(self.number, self.vip)

    def all_pids(self) -> list[int]:
        pids = [process.pid for process in self.processes]
        # The list grows while it is read: children of children.
        for pid in pids:
            pids += [int(child) for child in run("pgrep", "-P", str(pid), check=False).split()]
        return pids

    def signal(self, number: int) -> None:
        for pid in self.all_pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def stop(self) -> None:
        self.processes[0].send_signal(signal.SIGTERM)

    def end(self) -> None:
        self.signal(signal.SIGCONT)
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Client(threading.Thread):
    """Asks for a page again and again, and remembers when it got one."""

    def __init__(self, host: str):
        super().__init__(daemon=True)
        self.host, self.answers, self.going = host, [], True

    def run(self) -> None:
        with open(f"/var/run/netns/{self.host}") as namespace:
            ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000)
        while self.going:
            try:
                with socket.create_connection((VIP, PORT), timeout=0.02) as connection:
                    connection.settimeout(0.2)
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                        self.answers.append(time.time())
            except OSError:
                pass
            time.sleep(0.002)

    def gap_ms(self, since: float) -> float:
        times = [at for at in self.answers if at > since - 0.5] + [time.time()]
        return 1000 * max(b - a for a, b in itertools.pairwise(times))


class Capture:
    """What passes the bridge, read back with tshark."""

    def __init__(self, network: Network, place: Path, port: str):
        self.path = place / f"{time.time_ns()}.pcap"
        command = ["ip", "netns", "exec", network.hub, "tcpdump", "-U", "-ni", port, "-w", str(self.path), "ip proto 112 or arp or ip6"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(5, lambda: self.path.exists() and self.path.stat().st_size > 0)

    def end(self) -> None:
        time.sleep(0.2)
        self.process.terminate()
        self.process.wait()

    def adverts(self) -> list[tuple[float, str, int]]:
        fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "vrrp.prio"]
        rows = [line.split("\t") for line in run("tshark", "-r", str(self.path), "-Y", "vrrp && ip", *fields).splitlines()]
        return [(float(at), source, int(priority, 0)) for at, source, priority in rows]

    def bytes_of(self, source: str) -> str:
        """The first advert of a router above 0, from its IP header on; over IPv6 the message alone."""
        shown = run("tshark", "-r", str(self.path), "-Y", f"vrrp && eth.src == {source} && vrrp.prio > 0", "-c", "400", "-x")
        data = "".join(re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} )+)", shown.split("\n\n")[0], re.M)).replace(" ", "")
        return data[108:] if data[24:28] == "86dd" else data[28:]

    def malformed(self) -> int:
        return len(run("tshark", "-r", str(self.path), "-Y", "_ws.malformed || vrrp.checksum.status == 0").splitlines())


def mac(network: Network, number: int) -> str:
    return re.search(r"link/ether (\S+)", run("ip", "-n", network.hosts[number], "link", "show", "eth0"))[1]


def interop(args: argparse.Namespace, place: Path) -> list[str]:
    failed = []
    for name, lines in SETTINGS.items():
        vip = VIP6 if "IPv6" in name else VIP
        packets = {}
        with Network() as network:
            for kinds in (("isobar", "keepalived"), ("keepalived", "isobar")):
                capture = Capture(network, place, "p0")
                nodes = [Node(network, 0, kinds[0], lines, vip, args.bin, place)]
                if "nopreempt" in name:
                    until(12, nodes[0].has)
                nodes.append(Node(network, 1, kinds[1], lines, vip, args.bin, place))
                good = until(12, lambda: [n.has() for n in nodes] == [True, False])
                nodes[0].stop()
                good &= until(5, lambda: [n.has() for n in nodes] == [False, True])
                nodes[0].end()
                nodes[0] = Node(network, 0, kinds[0], lines, vip, args.bin, place)
                if "nopreempt" in name:
                    time.sleep(6 if "v2" in name else 3)
                    good &= [n.has() for n in nodes] == [False, True]
                else:
                    good &= until(12, lambda: [n.has() for n in nodes] == [True, False])
                    nodes[0].signal(signal.SIGKILL)
                    good &= until(12, nodes[1].has)
                for node in nodes:
                    node.end()
                capture.end()
                packets[kinds[0]] = capture.bytes_of(mac(network, 0))
                good &= capture.malformed() == 0
                failed += report(f"{name:28} {kinds[0]} above {kinds[1]}", good)
        same = packets["isobar"] == packets["keepalived"] != ""
        failed += report(f"{name:28} adverts are the same bytes", same)
    return failed


EVENTS = {"stop": lambda node: node.stop(), "kill": lambda node: node.signal(signal.SIGKILL),
          "freeze": lambda node: node.signal(signal.SIGSTOP), "cut": lambda node: node.network.cut(node.number, False)}


def moments(nodes: list[Node], began: float) -> tuple[float, float]:
    """When the second had the address and when the first had it no more, in milliseconds; at most 8 seconds."""
    taken = gone = None
    while time.time() < began + 8 and None in (taken, gone):
        now = 1000 * (time.time() - began)
        taken = now if taken is None and nodes[1].has() else taken
        gone = now if gone is None and not nodes[0].has() else gone
    return taken or float("inf"), gone or float("inf")


def once(args: argparse.Namespace, place: Path, kinds: tuple[str, str], event: str) -> dict[str, float]:
    with Network() as network:
        nodes = [Node(network, number, kind, "", VIP, args.bin, place) for number, kind in enumerate(kinds)]
        try:
            if not until(15, lambda: [n.has() for n in nodes] == [True, False]):
                raise RuntimeError(f"{kinds} do not agree at the start")
            client = Client(network.hosts[2])
            client.start()
            time.sleep(1.5)
            capture = Capture(network, place, "p1")
            # Long enough for an advert of the master.
            time.sleep(1.2)
            began = time.time()
            EVENTS[event](nodes[0])
            taken, gone = moments(nodes, began)
            time.sleep(1)
            # What the machine itself makes of it: the gap while nothing happens.
            still = [at for at in client.answers if began - 1.3 < at < began]
            idle = max((b - a for a, b in itertools.pairwise(still)), default=0.0)
            figures = {"gap_ms": client.gap_ms(began), "idle_gap_ms": 1000 * idle, "both_ms": max(0.0, gone - taken)}
            if event == "cut":
                healed = time.time()
                network.cut(0, True)
                time.sleep(5)
                figures["heal_gap_ms"] = client.gap_ms(healed)
            client.going = False
            capture.end()
            adverts = capture.adverts()
            second = [at for at, source, priority in adverts if source == "192.168.1.12" and at > began and priority]
            first = [at for at, source, _ in adverts if source == "192.168.1.11" and (not second or at < second[0])]
            figures["advert_ms"] = 1000 * (second[0] - began) if second else float("inf")
            # Since the last word of the master: what does not depend on the moment at which it went.
            figures["silence_ms"] = 1000 * (second[0] - first[-1]) if first and second else float("inf")
            return figures
        finally:
            for node in nodes:
                node.end()


def takeover(args: argparse.Namespace, place: Path) -> list[str]:
    print(f"medians of {args.rounds}, v2, 1 s: gap of a client, how long both had the address, gap at the healing, first advert of the "
          "backup since the event and since the last of the master")
    rows, failed = {}, []
    pairs = [*itertools.product(("keepalived", "isobar"), repeat=2), ("heartbeat", "heartbeat")]
    for event, kinds in itertools.product(EVENTS, pairs):
        rounds = [once(args, place, kinds, event) for _ in range(args.rounds)]
        rows[event, kinds] = row = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
        row["both_worst_ms"] = max(r["both_ms"] for r in rounds)
        shown = "  ".join(f"{name} {value:8.1f}" for name, value in row.items())
        print(f"{event:7} {kinds[0]:>10} -> {kinds[1]:<10} {shown}", flush=True)

    def bar(what: str, value: float, most: float) -> None:
        failed.extend(report(what, value <= most, f": {value:.1f} ms, at most {most:.1f}"))

    ours, beats = ("isobar", "isobar"), ("heartbeat", "heartbeat")
    bar("graceful stop", rows["stop", ours]["gap_ms"], 50)
    bar("graceful stop, heartbeat", rows["stop", beats]["gap_ms"], 50)
    bar("kill -9, heartbeat", rows["kill", beats]["gap_ms"], 100)
    bar("host cut off, heartbeat", rows["cut", beats]["gap_ms"], 100)
    bar("healed split, heartbeat", rows["cut", beats]["heal_gap_ms"], 100)
    for event, first in itertools.product(EVENTS, ("keepalived", "isobar")):
        theirs = rows[event, (first, "keepalived")]["silence_ms"]
        bar(f"first advert, {event} of {first}", rows[event, (first, "isobar")]["silence_ms"], theirs)
    for kinds in (("isobar", "keepalived"), ours, beats):
        bar(f"two owners after kill -9, {kinds[0]} -> {kinds[1]}", rows["kill", kinds]["both_worst_ms"], 2500)
    return failed


class Surfer(threading.Thread):
    """Keeps a connection, asks again and again, and once more on a new connection where one broke before its answer."""

    def __init__(self, host: str):
        super().__init__(daemon=True)
        self.host, self.going, self.broken, self.lost, self.done, self.worst = host, True, 0, [], 0, 0.0

    def ask(self, connection: socket.socket | None) -> socket.socket | None:
        if connection is None:
            connection = socket.create_connection((VIP, PORT), timeout=5)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            connection.close()
            raise ConnectionResetError("no answer")
        if b"connection: close" in answer.lower():
            connection.close()
            return None
        return connection

    def run(self) -> None:
        with open(f"/var/run/netns/{self.host}") as namespace:
            ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000)
        connection = None
        while self.going:
            began = time.time()
            for tries in (1, 0):
                try:
                    connection = self.ask(connection)
                    self.done += 1
                    break
                except OSError as error:
                    connection = None
                    self.broken += 1
                    if not tries or isinstance(error, TimeoutError):
                        self.lost.append((began, repr(error)))
                        break
            self.worst = max(self.worst, time.time() - began)
            time.sleep(0.001)


def together(args: argparse.Namespace, place: Path) -> list[str]:
    failed = []
    for kind, event, most in (("isobar", "stop", 0), ("heartbeat", "stop", 0), ("heartbeat", "kill", None)):
        with Network() as network:
            nodes = [Node(network, number, kind, "", VIP, args.bin, place) for number in (0, 1)]
            if not until(15, lambda: [n.has() for n in nodes] == [True, False]):
                raise RuntimeError("no master at the start")
            surfers = [Surfer(network.hosts[2]) for _ in range(8)]
            client = Client(network.hosts[2])
            for one in (*surfers, client):
                one.start()
            time.sleep(2)
            began = time.time()
            EVENTS[event](nodes[0])
            time.sleep(7)
            gap = client.gap_ms(began)
            for one in (*surfers, client):
                one.going = False
            for node in nodes:
                node.end()
            lost = [one for surfer in surfers for one in surfer.lost]
            figures = (f": {sum(s.done for s in surfers)} requests, {sum(s.broken for s in surfers)} connections broken, {len(lost)} lost, "
                       f"gap {gap:.1f} ms")
            good = not lost if most == 0 else gap < 100
            failed += report(f"{event} under load, {kind}", good, figures)
    return failed


def pressure(args: argparse.Namespace, place: Path) -> list[str]:
    """The master reads a map of a million entries again and again, with all its workers busy."""
    table = place / "million.map"
    table.write_text("".join(f"/path/{n} value{n}\n" for n in range(1_000_000)))
    extra = f"frontend busy\n mode http\n timeout client 5s\n bind :8081\n http-request return status 200 hdr x %[path,map({table})]\n"
    with Network() as network:
        lines = "version 3\n advert_int 0.1"
        nodes = [Node(network, number, "isobar", lines, VIP, args.bin, place, extra if number == 0 else "") for number in (0, 1)]
        if not until(240, lambda: [n.has() for n in nodes] == [True, False]):
            raise RuntimeError("no master at the start")
        time.sleep(1)
        capture = Capture(network, place, "p1")
        surfers = [Surfer(network.hosts[2]) for _ in range(32)]
        for one in surfers:
            one.start()
        moved = False
        for _ in range(5):
            nodes[0].processes[0].send_signal(signal.SIGUSR2)
            end = time.time() + 5
            while time.time() < end:
                moved |= [n.has() for n in nodes] != [True, False]
                time.sleep(0.05)
        for one in surfers:
            one.going = False
        capture.end()
        adverts = [at for at, source, priority in capture.adverts() if source == "192.168.1.11" and priority]
        others = [at for at, source, _ in capture.adverts() if source != "192.168.1.11"]
        for node in nodes:
            node.end()
    gap = 1000 * max(b - a for a, b in itertools.pairwise(adverts))
    figures = f": {len(adverts)} adverts, at most {gap:.1f} ms apart, {len(others)} of others, {sum(s.done for s in surfers)} requests"
    return report("five swaps of a million entries under load, adverts at 100 ms", not moved and not others and gap < 200, figures)


TOOLS = ("ip", "keepalived", "tcpdump", "tshark")


def main(args: argparse.Namespace) -> int:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        print(f"lab: not installed here: {', '.join(missing)}", file=sys.stderr)
        return 2
    parts = {"interop": interop, "takeover": takeover, "together": together, "pressure": pressure, "files": vipread.files, "public": vipread.public}
    failed = []
    with tempfile.TemporaryDirectory() as place:
        for name in [args.only] if args.only else PARTS:
            failed += parts[name](args, Path(place))
    return 1 if failed else 0
