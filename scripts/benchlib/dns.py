"""The DNS responder beside Knot, gdnsd and PowerDNS's geoip backend, and beside an answer that looks nothing up.

Every server has one thread that answers, on CPU 0; what asks has CPU 1. A figure is CPU time of all threads of a server
by answered query, saturated unless a rate is given, UDP over loopback. Sides take turns within a round, in one order and
then in the other; the processes of a round are new ones; a row's figure is the median of its rounds.

  static   10,000 names with an address each, dnsperf, beside Knot: at least 1.1 times its queries a CPU second
  geo      an address of the nearest of three regions by a country database, each query from a network of its own (a
           sender of our own: dnsperf knows one network a run): at most 1.10 of the CPU of a canned answer, and three
           times PowerDNS's geoip; gdnsd is shown beside it
  cache    names of another server, answered from memory: at most 1.10 of a canned answer
  srv      four servers and their addresses from the region map: 0.85 of the queries of the same from a zone file
  paced    20,000 queries a second, evenly: p99 no worse than Knot's
  swap     the region map changes 100 times a second at half the peak load: no query lost, p99 at most twice the quiet one
  size     1,000,000 records in a zone file: loaded in three times Knot's time, 1.2 of its memory at most
  regions  1,000 regions and a country database, one of them moves: answers follow in two seconds, no query is lost
"""
import argparse
import re
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack

from . import report
from .dns_peers import Canned, Files, Gdnsd, Isobar, Knot, PowerDns
from .dns_size import regions, size
from .lab import LOAD_CPU, Lab, Unable
from .load import Client
from .proxy import sides, version

RATE = 20_000
CHANGES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", default=",".join(ROWS), metavar="A,B", help="rows to run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds per row (default 5; --quick: 2)")
    parser.add_argument("--seconds", type=float, help="of a window (default 1; --quick: 0.5)")
    parser.add_argument("--swap-seconds", type=float, default=30, help="of changes (default: %(default)s)")


class Bench:
    """What all rows need."""

    def __init__(self, lab: Lab, args: argparse.Namespace):
        self.lab = lab
        self.args = args
        self.files = Files(lab)
        self.side = sides(args)["isobar"]
        self.rounds = args.rounds or (2 if args.quick else 5)
        self.seconds = args.seconds or (0.5 if args.quick else 1)
        self.unable: list[str] = []

    def start(self, stack: ExitStack, kind, **more):
        server = kind(self.lab, self.files, **more)
        stack.callback(server.stop)
        return server

    def start_if(self, stack: ExitStack, kind, **more):
        """A server that is only shown beside the others."""
        try:
            return self.start(stack, kind, **more)
        except (Unable, OSError) as why:
            self.unable.append(f"{kind.name}: {why}")
            return None

    def isobar(self, stack: ExitStack, **more):
        server = self.start(stack, Isobar, side=self.side, **more)
        server.fill()
        return server

    def dnsperf(self, server, names, clients: int = 10) -> dict:
        command = ["dnsperf", "-s", "127.0.0.1", "-p", server.port, "-d", names, "-l", self.seconds, "-c", clients, "-T", 1,
                   "-q", max(100, clients), "-t", 2, "-b", 1024]
        before, begin = server.cpu_ns(), time.monotonic()
        asking = self.lab.spawn(command, {LOAD_CPU}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        text, _ = asking.communicate(timeout=self.seconds + 30)
        spent, took = server.cpu_ns() - before, time.monotonic() - begin
        self.lab.stop(asking)

        def number(label: str) -> float:
            found = re.search(rf"{label}:\s+([\d.]+)", text)
            if not found:
                raise Unable(f"dnsperf says no '{label}': {text[-300:]}")
            return float(found[1])

        done = number("Queries completed")
        good = re.search(r"NOERROR (\d+)", text)
        lost = number("Queries lost")
        # It may lose some itself, where its buffers are short.
        if not good or int(good[1]) != done or lost > done / 1000:
            raise Unable(f"{server.name}: not every answer was good: {text[-600:]}")
        return {"us": spent / 1e3 / done, "per_second": number("Queries per second"), "busy": spent / 1e9 / took,
                "lost": lost}

    def client(self, server, names, *words) -> Client:
        return Client(self.lab, "dns", f"127.0.0.1:{server.port}", "--names", names, *words, pids=[server.process.pid])

    def ours(self, server, names, *words) -> dict:
        if "--duration" not in words:
            words += ("--duration", self.seconds)
        told = self.client(server, names, *words).finish(120)
        if told["failed"]:
            raise Unable(f"{server.name}: {told['errors']}")
        return {"us": told["cpu_ns"] / 1e3 / max(told["requests"], 1), "per_second": told["requests"] / told["seconds"],
                "p99": told["latency_us"]["p99"], "p50": told["latency_us"]["p50"], "lost": told["lost"],
                "max": told["latency_us"]["max"], "busy": told["cpu_ns"] / 1e9 / told["seconds"]}


def interleaved(bench: Bench, start, ask) -> dict[str, list[dict]]:
    """Rounds of new processes; `start` gives them by name, `ask` measures one."""
    found: dict[str, list[dict]] = {}
    for _ in range(bench.rounds):
        with ExitStack() as stack:
            servers = {name: server for name, server in start(stack).items() if server}
            for name, server in servers.items():
                ask(name, server)
            for order in (list(servers), list(reversed(servers))):
                for name in order:
                    found.setdefault(name, []).append(ask(name, servers[name]))
    return found


def middle(windows: list[dict], figure: str) -> float:
    return statistics.median(window[figure] for window in windows)


def table(key: str, found: dict[str, list[dict]]) -> None:
    for name, windows in found.items():
        us = [window["us"] for window in windows]
        print(f"{key:8} {name:14} {middle(windows, 'us'):7.3f} us/query [{min(us):.2f} {max(us):.2f}]  "
              f"{middle(windows, 'per_second'):8.0f}/s  busy {middle(windows, 'busy'):4.0%}"
              + (f"  p50 {middle(windows, 'p50'):6.1f} us  p99 {middle(windows, 'p99'):6.1f} us"
                 if "p99" in windows[0] else ""))


def at_least(name: str, ratio: float, bar: float, text: str) -> dict:
    return report.verdict(name, ratio >= bar, f"{ratio:.3f} {text}, bar {bar} at least")


def at_most(name: str, ratio: float, bar: float, text: str) -> dict:
    return report.verdict(name, ratio <= bar, f"{ratio:.3f} {text}, bar {bar} at most")


def static(bench: Bench) -> list[dict]:
    found = interleaved(
        bench, lambda stack: {"knot": bench.start(stack, Knot), "isobar": bench.isobar(stack),
                              "canned": bench.start(stack, Canned)},
        lambda _, server: bench.dnsperf(server, bench.files.static))
    table("static", found)
    us = {name: middle(windows, "us") for name, windows in found.items()}
    print(f"         isobar is {us['isobar'] / us['canned']:.3f} of the canned answer, knot {us['knot'] / us['canned']:.3f}")
    return [at_least("static", us["knot"] / us["isobar"], 1.1, "times Knot's queries a CPU second")]


def geo(bench: Bench) -> list[dict]:
    found = interleaved(
        bench, lambda stack: {"isobar": bench.isobar(stack), "canned": bench.start(stack, Canned),
                              "gdnsd": bench.start_if(stack, Gdnsd), "pdns": bench.start_if(stack, PowerDns)},
        lambda _, server: bench.ours(server, bench.files.geo, "--ecs"))
    table("geo", found)
    us = {name: middle(windows, "us") for name, windows in found.items()}
    verdicts = [at_most("geo", us["isobar"] / us["canned"], 1.10, "of the CPU of a canned answer")]
    if "pdns" not in us:
        raise Unable("; ".join(bench.unable))
    if "gdnsd" in us:
        print(f"         gdnsd is {us['gdnsd'] / us['canned']:.3f} of the canned answer")
    return verdicts + [at_least("geo pdns", us["pdns"] / us["isobar"], 3, "times the queries of PowerDNS's geoip")]


def cache(bench: Bench) -> list[dict]:
    def start(stack: ExitStack) -> dict:
        upstream = bench.start(stack, Knot, zone=bench.files.up, origin="up.test")
        isobar = bench.isobar(stack, upstream=upstream.port)
        for n in range(1000):
            if not isobar.asked(f"h{n}.up.test"):
                raise Unable(f"h{n}.up.test is not answered")
        return {"isobar": isobar, "canned": bench.start(stack, Canned)}

    found = interleaved(bench, start, lambda _, server: bench.dnsperf(server, bench.files.cached))
    table("cache", found)
    ratio = middle(found["isobar"], "us") / middle(found["canned"], "us")
    return [at_most("cache", ratio, 1.10, "of the CPU of a canned answer")]


def srv(bench: Bench) -> list[dict]:
    def start(stack: ExitStack) -> dict:
        isobar = bench.isobar(stack)
        return {"from a file": isobar, "from the map": isobar}

    lists = {"from a file": bench.files.srv, "from the map": bench.files.live}
    found = interleaved(bench, start, lambda name, server: bench.dnsperf(server, lists[name]))
    table("srv", found)
    ratio = middle(found["from a file"], "us") / middle(found["from the map"], "us")
    return [at_least("srv", ratio, 0.85, "of the queries of static answers")]


def paced(bench: Bench) -> list[dict]:
    found = interleaved(
        bench, lambda stack: {"knot": bench.start(stack, Knot), "isobar": bench.isobar(stack)},
        lambda _, server: bench.ours(server, bench.files.static, "--rate", RATE))
    table("paced", found)
    lost = sum(window["lost"] for windows in found.values() for window in windows)
    ratio = middle(found["isobar"], "p99") / middle(found["knot"], "p99")
    # No worse within the noise of the machine.
    text = f"{ratio:.3f} of Knot's p99 at {RATE} queries a second, bar 1 (and {report.NOISE:.0%} of noise); {lost} lost"
    return [report.verdict("paced", ratio <= 1 + report.NOISE and lost == 0, text)]


class Changes(threading.Thread):
    """Registers an instance again and again, each time with another weight; or only asks for it, which costs this machine's
    two processors the same and changes nothing."""

    def __init__(self, server: Isobar, quiet: bool = False):
        super().__init__(daemon=True)
        self.server = server
        self.quiet = quiet
        self.made = 0
        self.running = True

    def run(self) -> None:
        begin = time.monotonic()
        while self.running:
            if self.quiet:
                self.server.get("/v1/health/service/web")
            else:
                self.server.register("web", "EU", "web-EU", "192.0.2.1", weight=1 + self.made % 100)
            self.made += 1
            time.sleep(max(0.0, begin + self.made / CHANGES - time.monotonic()))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.running = False
        self.join()


def swap(bench: Bench) -> list[dict]:
    with ExitStack() as stack:
        isobar = bench.isobar(stack)
        peak = middle([bench.ours(isobar, bench.files.geo, "--ecs") for _ in range(3)], "per_second")
        words = ("--ecs", "--rate", round(peak / 2), "--duration")
        seconds = 3 if bench.args.quick else bench.args.swap_seconds

        def window(length: float, is_quiet: bool) -> tuple[dict, int]:
            with Changes(isobar, is_quiet) as changes:
                found = bench.ours(isobar, bench.files.geo, *words, length)
                return found, changes.made

        quiet = [window(min(seconds, 10), True)[0]]
        one, made = window(seconds, False)
        busy = [one]
        quiet.append(window(min(seconds, 10), True)[0])
    table("swap", {"quiet": quiet, "changing": busy})
    lost, p99 = busy[0]["lost"], busy[0]["p99"] / middle(quiet, "p99")
    text = (f"{made} changes in {seconds:g} s at {peak / 2:.0f} queries a second: {lost} lost, p99 {busy[0]['p99']:.1f} us, "
            f"{p99:.2f} of the quiet one, bar 2")
    return [report.verdict("swap", lost == 0 and p99 <= 2 and made >= 0.9 * CHANGES * seconds, text)]


ROWS = {"static": static, "geo": geo, "cache": cache, "srv": srv, "paced": paced, "swap": swap, "size": size,
        "regions": regions}


def build_canned(lab: Lab) -> None:
    source, built = lab.root / "benches/dns/canned.rs", lab.load_bin.parent / "canned"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        if subprocess.run(["cargo", "build", "--release", "--offline", "--example", "canned"], cwd=lab.root).returncode:
            raise Unable("the canned answer does not build")


def run(lab: Lab, args: argparse.Namespace) -> int:
    wanted = [key for key in args.rows.split(",") if key]
    if unknown := [key for key in wanted if key not in ROWS]:
        raise Unable(f"no row {', '.join(unknown)}; rows are {', '.join(ROWS)}")
    build_canned(lab)
    bench, told = Bench(lab, args), lab.describe()
    peers = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}; ", "knot", "gdnsd", "pdns-server", "dnsperf"],
                           capture_output=True, text=True).stdout
    print(f"isobar   {args.proxy_bin}: {version(args.proxy_bin)}\npeers    {peers}\nmachine  {told['cpu']}, {told['cpus']} "
          f"CPUs, Linux {told['kernel']}, load average {told['load_average']:.2f}; {bench.rounds} rounds of "
          f"2 x {bench.seconds:g} s a side\n")
    verdicts = []
    for key in wanted:
        try:
            verdicts += ROWS[key](bench)
        except (Unable, OSError, subprocess.TimeoutExpired) as why:
            verdicts.append(report.verdict(key, False, f"not measured: {why}"))
    for why in bench.unable:
        print(f"not shown: {why}")
    report.write_json(args.json, {"part": "dns", "about": told, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
