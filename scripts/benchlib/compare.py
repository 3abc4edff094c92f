"""CPU per request and p99 beside HAProxy, row by row.

Each proxy has one worker on CPU 0; origin, client and log sink share CPU 1; 64 connections. In each round three
processes live side by side: HAProxy, the proxy under test, and HAProxy again as the control. They are warmed up
and measured in turn, in short windows, in the order A B A' and then A' B A, so that drift of the machine cancels.
Every round starts them afresh, because two processes of one binary can differ by 8 % for as long as they live
(where their pages happen to lie), and only new processes average that out.

A side's figure in a round is the median of its windows: CPU time of all its threads and child processes per
request. The round's ratio is the proxy's figure over the mean of the two HAProxys', the row's the median of the
rounds. Bulk rows count bytes over body size, not whole requests.

The kernel charges softirq work to the thread that runs when it happens: on loopback a proxy pays the receive
half of what it sends, and not the receive half of what is sent to it. That holds for both sides alike.

The p99 row sends at a fixed rate, 60 % of the peak that HAProxy reached just before, and counts latency from
the time a request was due (so nothing is hidden by requests that were not sent); its bar must hold in four
rounds of five.

At saturation, in all other rows, requests a second and median latency are judged beside HAProxy's too.

A row fails when it misses its bar or when one request failed on either side. Where HAProxy against itself is more
than 3 % off, as many rounds again are run and all are counted; where it still is (or misses the p99 bar itself),
the row is marked: the machine was too noisy for it.
"""
import argparse
import math
import os
import statistics
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from . import certificates, report
from .lab import LOAD_CPU, Lab, Unable
from .load import Client, FrameOrigin, Origin, Sink
from .proxy import Proxy, about, config, sides
from .rows import ROWS, Row

SIDES = ("haproxy", "isobar", "control")
ORDERS = (SIDES, tuple(reversed(SIDES)))
WARM_UP_SECONDS = 0.4
PACED_SHARE = 0.6
PACED_ROUNDS_SHARE = 0.8
# At saturation, of HAProxy's: the least requests a second and the most median latency.
RATE_BAR = 0.98
MEDIAN_BAR = 1.02
# Handshakes that must be resumed where they are to be, and must not where they are to be full: the first ones of a
# client cannot be.
RESUMED_SHARE = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_row_arguments(parser, ROWS)


def add_row_arguments(parser: argparse.ArgumentParser, rows: list[Row]) -> None:
    parser.add_argument("--rows", default=",".join(row.key for row in rows), metavar="A,B",
                        help="rows to run (default: all: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds per row (default 7; --quick: 3)")
    parser.add_argument("--windows", type=int, help="windows per proxy and round (default 3; --quick: 2)")
    parser.add_argument("--window", type=float, help="seconds per window (default 0.7; --quick: 0.4)")
    parser.add_argument("--perf", action="store_true",
                        help="also record a profile of each side with perf, into .bench/perf-ROW-SIDE.data")


@dataclass
class Window:
    """What one window of one side showed."""
    requests: float
    cpu_ns: int
    seconds: float
    latency_us: dict
    errors: dict
    total: int
    logged: int
    origin_connects: int
    threads_gone: int
    unsent: int
    # Of all handshakes.
    resumed: float


class Bench:
    """The three proxies of a row, their origin and their sinks."""

    def __init__(self, lab: Lab, row: Row, args: argparse.Namespace, stack: ExitStack):
        self.lab = lab
        self.row = row
        self.origin = stack.enter_context(stopping(Origin(lab)))
        self.sinks: dict[str, Sink] = {}
        self.proxies: dict[str, Proxy] = {}
        origin_port = self.origin.tcp if row.mode == "tcp" else self.origin.http[0]
        if row.h2_origin:
            origin_port = stack.enter_context(stopping(FrameOrigin(lab, row.size))).port
        certificate = certificates.made(lab, row.tls) if row.tls else None
        for side, described in sides(args).items():
            if row.log:
                self.sinks[side] = stack.enter_context(stopping(Sink(lab, lab.work / f"{side}.sock")))
            port = lab.port()
            text = config(row.mode, port, [origin_port], options=row.options, bind=row.bind_words(certificate),
                          server="proto h2" if row.h2_origin else "",
                          log=self.sinks[side].path if row.log else None)
            self.proxies[side] = stack.enter_context(stopping(Proxy(lab, side, described, text, port)))

    def window(self, side: str, seconds: float, *words) -> Window:
        """One window: connections are opened and warmed up first, and closed after it."""
        proxy, row = self.proxies[side], self.row
        before = self.connects(side)
        client = Client(self.lab, row.part, proxy.target, "--conns", row.conns, "--warmup", 0.15, "--duration", seconds,
                        *row.client_words(), *words, pids=proxy.pids())
        told = client.finish(timeout=seconds + 60)
        after = self.connects(side)
        return Window(
            requests=told["body_bytes"] / row.size if row.bulk else told["requests"],
            cpu_ns=told["cpu_ns"], seconds=told["seconds"], latency_us=told["latency_us"], errors=told["errors"],
            total=told["total_requests"], logged=after[1] - before[1], origin_connects=after[0] - before[0],
            threads_gone=told["threads_gone"], unsent=told["unsent"],
            resumed=told.get("resumed", 0) / max(told.get("handshakes", 0), 1))

    def connects(self, side: str) -> tuple[int, int]:
        """Connections the origin accepted so far, and log messages this side's sink got."""
        if side in self.sinks:
            time.sleep(0.05)
        accepted = sum(port["accepted"] for port in self.origin.counts().values())
        return accepted, self.sinks[side].messages() if side in self.sinks else 0

    def profile(self, side: str) -> str:
        """Records one more window with perf, and says where."""
        output = self.lab.work / f"perf-{self.row.key}-{side}.data"
        pids = ",".join(map(str, self.proxies[side].pids()))
        recorder = self.lab.spawn(["perf", "record", "-q", "-g", "-F", 999, "-o", output, "-p", pids], {LOAD_CPU},
                                  stderr=subprocess.DEVNULL)
        self.window(side, 3)
        self.lab.stop(recorder)
        return str(output)


@contextmanager
def stopping(thing):
    """Stops a part when its row ends."""
    try:
        yield thing
    finally:
        thing.stop()


Round = dict[str, list[Window]]


def interleaved(lab: Lab, row: Row, args: argparse.Namespace, *words) -> list[Round]:
    """All rounds of a row, each with fresh processes and the sides in turn."""
    rounds = []
    for number in range(args.rounds):
        windows: Round = {side: [] for side in SIDES}
        with fresh(lab, row, args) as bench:
            for turn in range(args.windows):
                for side in ORDERS[(number + turn) % 2]:
                    windows[side].append(bench.window(side, args.window, *words))
        rounds.append(windows)
    return rounds


@contextmanager
def fresh(lab: Lab, row: Row, args: argparse.Namespace):
    """New processes on all sides, warmed up."""
    with ExitStack() as stack:
        bench = Bench(lab, row, args, stack)
        for side in SIDES:
            bench.window(side, WARM_UP_SECONDS)
        yield bench


def per_round(rounds: list[Round], figure) -> dict[str, list[float]]:
    """The median over a round's windows of some figure of a window, by side and round."""
    return {side: [statistics.median(figure(window) for window in r[side]) for r in rounds] for side in SIDES}


def cpu_us(window: Window) -> float:
    """Microseconds of CPU per request."""
    return window.cpu_ns / 1e3 / window.requests if window.requests else float("inf")


def cpu_row(lab: Lab, row: Row, args: argparse.Namespace) -> dict:
    """Rounds of closed-loop windows, judged by CPU per request."""
    rounds = interleaved(lab, row, args)
    if noisy(rounds) and not args.quick:
        rounds += interleaved(lab, row, args)
    us = per_round(rounds, cpu_us)
    result = ratios(us)
    result["us_per_request"] = us
    result["met"] = result["ratio"] <= row.bar
    result["per_second"] = ratios(per_round(rounds, lambda window: window.requests / window.seconds))
    result["latency"] = ratios(per_round(rounds, lambda window: window.latency_us["p50"]))
    return result | shared_figures(row, rounds)


def paced_row(lab: Lab, row: Row, args: argparse.Namespace) -> dict:
    """Rounds of open-loop windows at one fixed rate; a round's p99 is the median of its windows'."""
    with fresh(lab, row, args) as bench:
        peaks = [bench.window("haproxy", args.window) for _ in range(5)]
    rate = PACED_SHARE * statistics.median(window.requests / window.seconds for window in peaks)
    rounds = interleaved(lab, row, args, "--rate", round(rate))
    p99 = per_round(rounds, lambda window: window.latency_us["p99"])
    result = ratios(p99)
    good = sum(ratio <= row.bar for ratio in result["ratios"])
    result |= {
        "p99_us": p99,
        "p50_us": per_round(rounds, lambda window: window.latency_us["p50"]),
        "us_per_request": per_round(rounds, cpu_us),
        "rate": rate,
        "rounds_within": good,
        "control_rounds_within": sum(ratio <= row.bar for ratio in result["controls"]),
        "rounds_needed": math.ceil(PACED_ROUNDS_SHARE * len(rounds)),
        "met": good >= math.ceil(PACED_ROUNDS_SHARE * len(rounds)),
    }
    return result | shared_figures(row, rounds)


def noisy(rounds: list[Round]) -> bool:
    """Whether HAProxy does not equal itself; says nothing about the proxy under test."""
    return abs(ratios(per_round(rounds, cpu_us))["control"] - 1) > report.NOISE


def ratios(values: dict[str, list[float]]) -> dict:
    """The proxy over the mean of both HAProxys, and the control over HAProxy, for each round and their medians."""
    test = [b / ((a + c) / 2) if a + c else float("inf")
            for a, b, c in zip(values["haproxy"], values["isobar"], values["control"])]
    control = [c / a if a else float("inf") for a, c in zip(values["haproxy"], values["control"])]
    return {"ratios": test, "ratio": statistics.median(test),
            "controls": control, "control": statistics.median(control)}


def shared_figures(row: Row, rounds: list[Round]) -> dict:
    """Rates, load of CPU 0, failures, log lines and origin connections of each side."""
    sides = {}
    for side in SIDES:
        windows = [window for turn in rounds for window in turn[side]]
        seconds = sum(window.seconds for window in windows)
        total = sum(window.total for window in windows)
        errors: dict[str, int] = {}
        for window in windows:
            for kind, count in window.errors.items():
                errors[kind] = errors.get(kind, 0) + count
        sides[side] = {
            "per_second": sum(window.requests for window in windows) / seconds,
            "busy": sum(window.cpu_ns for window in windows) / 1e9 / seconds,
            "requests": total,
            "errors": errors,
            "failed": sum(errors.values()),
            "origin_connects_per_request": sum(w.origin_connects for w in windows) / max(total, 1),
            "logged_per_request": sum(w.logged for w in windows) / max(total, 1) if row.log else None,
            "threads_gone": sum(window.threads_gone for window in windows),
            "unsent": sum(window.unsent for window in windows),
            "resumed": statistics.median(window.resumed for window in windows),
        }
    return {"sides": sides}


def measure(lab: Lab, row: Row, args: argparse.Namespace) -> dict:
    """Runs one row; a proxy that cannot run makes a failed row, not an aborted bench."""
    result = {"key": row.key, "title": row.title, "bar": row.bar, "paced": row.paced, "size": row.size,
              "rounds_asked": args.rounds, "load_average": os.getloadavg()[0]}
    try:
        result |= paced_row(lab, row, args) if row.paced else cpu_row(lab, row, args)
        if args.perf:
            with fresh(lab, row, args) as bench:
                result["profiles"] = [bench.profile(side) for side in SIDES[:2]]
    except (Unable, OSError, subprocess.TimeoutExpired) as why:
        result["unable"] = str(why)
    result["reasons"] = reasons(row, result)
    result["pass"] = not result["reasons"]
    return result


def reasons(row: Row, result: dict) -> list[str]:
    """Why a row fails; empty if it passes."""
    if "unable" in result:
        return [result["unable"]]
    found = []
    if not result["met"]:
        found.append(f"within the bar in {result['rounds_within']} of {len(result['ratios'])} rounds" if row.paced
                     else f"{result['ratio']:.3f} is over {row.bar:.2f}")
    if not row.paced and result["per_second"]["ratio"] < RATE_BAR:
        found.append(f"{result['per_second']['ratio']:.3f} of HAProxy's requests a second, under {RATE_BAR}")
    if not row.paced and result["latency"]["ratio"] > MEDIAN_BAR:
        found.append(f"median latency {result['latency']['ratio']:.3f} of HAProxy's, over {MEDIAN_BAR}")
    for side, figures in result["sides"].items():
        for kind, count in figures["errors"].items():
            found.append(f"{side}: {count} x {kind}")
    if row.tls and row.close:
        for side, figures in result["sides"].items():
            if row.resume != (figures["resumed"] > RESUMED_SHARE):
                found.append(f"{side}: {figures['resumed']:.0%} of the handshakes were resumed")
    if row.log:
        ours, theirs = (result["sides"][side]["logged_per_request"] for side in ("isobar", "haproxy"))
        if ours < min(0.99, theirs - 0.01):
            found.append(f"isobar logged {ours:.3f} lines a request, haproxy {theirs:.3f}")
    return found


def run(lab: Lab, args: argparse.Namespace) -> int:
    return run_rows(lab, args, ROWS, "proxy")


def run_rows(lab: Lab, args: argparse.Namespace, rows: list[Row], part: str) -> int:
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.windows = args.windows or (2 if args.quick else 3)
    args.window = args.window or (0.4 if args.quick else 0.7)
    wanted = [key for key in args.rows.split(",") if key]
    unknown = [key for key in wanted if key not in {row.key for row in rows}]
    if unknown:
        raise Unable(f"no row {', '.join(unknown)}; rows are {', '.join(row.key for row in rows)}")
    told = about(lab, args, rounds=args.rounds, windows=args.windows, window_seconds=args.window,
                 connections=" or ".join(map(str, sorted({row.conns for row in rows}))))
    report.heading(told)
    results = []
    for row in (row for row in rows if row.key in wanted):
        results.append(measure(lab, row, args))
        report.row(results[-1])
    report.closing_words(results)
    report.write_json(args.json, {"part": part, "about": told, "rows": results})
    return 0 if all(result["pass"] for result in results) else 1
