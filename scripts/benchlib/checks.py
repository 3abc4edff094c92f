"""Health checks of 10,000 servers every two seconds, beside HAProxy: CPU of the proxy.

One thread on CPU 0, the servers on CPU 1: one origin, which each server has under an address of its own. Each side is
started afresh, waits until every server was checked twice, and is measured for some rounds of checks. A row fails too if
ours come less often than they should, or a server is not up.
"""
import argparse
import statistics
import subprocess
import time
import urllib.request
from dataclasses import dataclass

from . import report
from .lab import LOAD_CPU, Lab, Unable, cpu_s
from .load import Origin
from .proxy import Proxy, Side, about, sides

BAR = 0.70
EVERY_SECONDS = 2


@dataclass(frozen=True)
class Row:
    key: str
    title: str
    lines: tuple[str, ...]
    # The origin sees them: connects alone are reset before they stand, by both sides.
    seen: bool = True


ROWS = [
    Row("tcp", "connects", (), seen=False),
    Row("http", "option httpchk", ("option httpchk GET /128",)),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", default=",".join(row.key for row in ROWS), metavar="A,B", help="default: %(default)s")
    parser.add_argument("--servers", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, help="fresh starts of each side (default 3; --quick: 1)")
    parser.add_argument("--seconds", type=float, help="of each measurement (default 12; --quick: 6)")
    parser.add_argument("--bar", type=float, default=BAR, help="default: %(default)s")


class Everywhere(Origin):
    """An origin that is reached at every address of the loopback network."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.http, self.control = [lab.port()], lab.port()
        self.process = lab.spawn([lab.load_bin, "origin", "--http", f"0.0.0.0:{self.http[0]}", "--control",
                                  f"127.0.0.1:{self.control}"], {LOAD_CPU}, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise Unable("the origin does not start")

    def accepted(self) -> int:
        return self.counts()[self.http[0]]["accepted"]


def text(row: Row, servers: int, origin: int, port: int) -> str:
    lines = ["global", "    nbthread 1", "    maxconn 1000", "defaults", "    mode http",
             "    timeout connect 2s", "    timeout client 1m", "    timeout server 1m", "    timeout check 2s",
             "frontend bench", f"    bind 127.0.0.1:{port}",
             "    http-request return status 200 content-type text/plain lf-string %[nbsrv(checked)]",
             "backend checked", *(f"    {line}" for line in row.lines)]
    lines += [f"    server s{n} 127.{1 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}:{origin} check inter {EVERY_SECONDS}s"
              for n in range(servers)]
    return "\n".join(lines) + "\n"


def cpu_seconds(proxy: Proxy) -> float:
    return sum(cpu_s(pid) for pid in proxy.pids())


def up(proxy: Proxy) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{proxy.target}/", timeout=10) as answer:
        return int(answer.read())


def once(lab: Lab, args: argparse.Namespace, row: Row, side: Side, seconds: float) -> dict:
    origin, port = Everywhere(lab), lab.port()
    proxy = Proxy(lab, f"checks-{side.name}", side, text(row, args.servers, origin.http[0], port), port)
    try:
        time.sleep(2.5 * EVERY_SECONDS)
        seen, began, before = origin.accepted(), time.monotonic(), cpu_seconds(proxy)
        time.sleep(seconds)
        used, checks, took = cpu_seconds(proxy) - before, origin.accepted() - seen, time.monotonic() - began
        return {"share": used / took, "us": used / took / args.servers * EVERY_SECONDS * 1e6, "rate": checks / took,
                "up": up(proxy)}
    finally:
        proxy.stop()
        origin.stop()


def run(lab: Lab, args: argparse.Namespace) -> int:
    told = about(lab, args, servers=args.servers)
    report.heading(told)
    rounds, seconds = args.rounds or (1 if args.quick else 3), args.seconds or (6 if args.quick else 12)
    due = args.servers / EVERY_SECONDS
    verdicts, figures = [], {}
    print(f"{'':14} {'us a check':>11} {'of a CPU':>9} {'seen/s':>9} {'up':>7}")
    for row in (row for row in ROWS if row.key in args.rows.split(",")):
        ones = {name: [] for name in ("haproxy", "isobar", "control")}
        for _ in range(rounds):
            for name in ones:
                ones[name].append(once(lab, args, row, sides(args)[name], seconds))
        for name, of in ones.items():
            middle = {key: statistics.median(one[key] for one in of) for key in of[0]}
            print(f"{row.key:5} {name:8} {middle['us']:11.2f} {middle['share']:9.1%} {middle['rate']:9.0f} {middle['up']:7.0f}")
        ratios = [a["us"] / b["us"] for a, b in zip(ones["isobar"], ones["haproxy"])]
        controls = [a["us"] / b["us"] for a, b in zip(ones["control"], ones["haproxy"])]
        # The next one is due two seconds after the last has ended.
        whole = all((not row.seen or one["rate"] >= 0.93 * due) and one["up"] == args.servers for one in ones["isobar"])
        middle = statistics.median(ratios)
        verdicts.append(report.verdict(
            row.key, middle <= args.bar and whole,
            f"{row.title}: {report.span(middle, ratios)} of HAProxy's CPU a check, bar {args.bar}; HAProxy beside itself "
            f"{report.span(statistics.median(controls), controls)}" + ("" if whole else "; checks are missing or servers down")))
        figures[row.key] = ones
    report.write_json(args.json, {"part": "checks", "about": told, "rows": figures, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
