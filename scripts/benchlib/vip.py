"""Pairs of VIP agents on a bridge: who takes over when, beside keepalived in the same run.

Every pair is run in both orders, Isobar and keepalived, and with two of a kind. `interop` says whether a pair agrees on
one master whatever happens, and whether Isobar's adverts equal keepalived's byte for byte; `takeover` measures, for each
way in which a master may go, the backup's first advert and the gap that a client of the address sees.
"""
import argparse
import ctypes
import itertools
import os
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

VIP, VIP6, PORT = "192.168.1.200", "2001:db8::200", 8080
TAG = f"iv{os.getpid()}"
SETTINGS = {
    "v2 multicast": "",
    "v2 PASS": "authentication {\n auth_type PASS\n auth_pass 1111\n }",
    "v2 unicast": "unicast_peer {\n PEER\n }",
    "v3 multicast": "version 3\n advert_int 0.1",
    "v3 unicast": "version 3\n advert_int 0.1\n unicast_peer {\n PEER\n }",
    "v3 IPv6": "advert_int 0.2",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="of each takeover (default: %(default)s)")
    parser.add_argument("--only", choices=("interop", "takeover"), help="default: both")


def run(*words: str, check: bool = True) -> str:
    return subprocess.run(words, check=check, capture_output=True, text=True).stdout


class Network:
    """Two routers and a client on a bridge, each in a namespace."""

    def __enter__(self) -> "Network":
        self.hosts = [f"{TAG}{name}" for name in "abc"]
        self.hub = f"{TAG}hub"
        self.__exit__()
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        for number, host in enumerate(self.hosts):
            run("ip", "netns", "add", host)
            run("ip", "-n", self.hub, "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", host)
            run("ip", "-n", self.hub, "link", "set", f"p{number}", "master", "br0", "up")
            run("ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
            for link in ("lo", "eth0"):
                run("ip", "-n", host, "link", "set", link, "up")
            run("ip", "-n", host, "addr", "add", f"192.168.1.{11 + number}/24", "dev", "eth0")
        return self

    def __exit__(self, *_: object) -> None:
        for host in [*self.hosts, self.hub]:
            run("ip", "netns", "del", host, check=False)

    def cut(self, number: int, connected: bool) -> None:
        run("ip", "-n", self.hub, "link", "set", f"p{number}", *(["master", "br0"] if connected else ["nomaster"]))

    def has(self, number: int, address: str) -> bool:
        return f" {address}/" in run("ip", "-n", self.hosts[number], "-o", "addr", "show", "dev", "eth0")


class Node:
    """A router and the web server beside it, which for Isobar is the same process."""

    def __init__(self, network: Network, number: int, kind: str, lines: str, vip: str, program: Path, place: Path):
        self.network, self.number, self.kind, self.vip = network, number, kind, vip
        self.place, host = place, network.hosts[number]
        lines = lines.replace("PEER", f"192.168.1.{12 - number}")
        conf, web = place / f"{number}.conf", place / f"{number}.cfg"
        conf.write_text(f"vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n priority {(150, 100)[number]}\n"
                        f" {lines}\n virtual_ipaddress {{\n  {vip}\n }}\n}}\n")
        web.write_text(f"frontend web\n mode http\n timeout client 5s\n bind :{PORT}\n http-request return status 200 "
                       f"content-type text/plain string {'ab'[number]}\n")
        inside = ["ip", "netns", "exec", host]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": (place / f"{number}.out").open("a"), "stderr": subprocess.STDOUT}
        if kind == "isobar":
            commands = [[str(program), "-f", str(web), "-f", str(conf)]]
        else:
            pids = ["-p", str(place / f"{number}.pid"), "-r", str(place / f"{number}.vrrp")]
            commands = [["keepalived", "-P", "-n", "-l", "-D", "-f", str(conf), *pids], [str(program), "-f", str(web)]]
        self.processes = [subprocess.Popen(inside + command, **quiet) for command in commands]

    def has(self) -> bool:
        return self.network.has(self.number, self.vip)

    def all_pids(self) -> list[int]:
        pids = [process.pid for process in self.processes]
        for pid in list(pids):
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
                with socket.create_connection((VIP, PORT), timeout=0.04) as connection:
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


def until(seconds: float, done) -> bool:
    deadline = time.time() + seconds
    while time.time() < deadline:
        if done():
            return True
        time.sleep(0.01)
    return done()


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
                nodes = [Node(network, number, kind, lines, vip, args.bin, place) for number, kind in enumerate(kinds)]
                good = until(12, lambda: [n.has() for n in nodes] == [True, False])
                nodes[0].stop()
                good &= until(5, lambda: [n.has() for n in nodes] == [False, True])
                nodes[0].end()
                nodes[0] = Node(network, 0, kinds[0], lines, vip, args.bin, place)
                good &= until(12, lambda: [n.has() for n in nodes] == [True, False])
                for node in nodes:
                    node.end()
                capture.end()
                packets[kinds[0]] = capture.bytes_of(mac(network, 0))
                good &= capture.malformed() == 0
                failed += report(f"{name:14} {kinds[0]} above {kinds[1]}", good)
        same = packets["isobar"] == packets["keepalived"] != ""
        failed += report(f"{name:14} adverts are the same bytes", same)
    return failed


def report(what: str, good: bool, more: str = "") -> list[str]:
    print(f"{'PASS' if good else 'FAIL'}  {what}{more}", flush=True)
    return [] if good else [what]


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
            time.sleep(0.3)
            began = time.time()
            EVENTS[event](nodes[0])
            taken, gone = moments(nodes, began)
            time.sleep(1)
            figures = {"gap_ms": client.gap_ms(began), "both_ms": max(0.0, gone - taken)}
            if event == "cut":
                healed = time.time()
                network.cut(0, True)
                time.sleep(5)
                figures["heal_gap_ms"] = client.gap_ms(healed)
            client.going = False
            capture.end()
            second = [at for at, source, priority in capture.adverts() if source == "192.168.1.12" and at > began and priority]
            figures["advert_ms"] = 1000 * (second[0] - began) if second else float("inf")
            return figures
        finally:
            for node in nodes:
                node.end()


def takeover(args: argparse.Namespace, place: Path) -> list[str]:
    print(f"medians of {args.rounds}, v2, 1 s: gap of a client, how long both had the address, gap at the healing, first advert of the backup")
    for event in EVENTS:
        for kinds in itertools.product(("keepalived", "isobar"), repeat=2):
            rounds = [once(args, place, kinds, event) for _ in range(args.rounds)]
            row = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
            shown = "  ".join(f"{name} {value:8.1f}" for name, value in row.items())
            print(f"{event:7} {kinds[0]:>10} -> {kinds[1]:<10} {shown}", flush=True)
    return []


def main(args: argparse.Namespace) -> int:
    failed = []
    with tempfile.TemporaryDirectory() as place:
        if args.only != "takeover":
            failed += interop(args, Path(place))
        if args.only != "interop":
            failed += takeover(args, Path(place))
    return 1 if failed else 0
