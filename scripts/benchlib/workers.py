"""What a second worker on a second core costs per request, beside HAProxy's own cost.

`nbthread 1` runs on CPU 0 with origin and client on CPU 1, as in `bench proxy`. `nbthread 2` runs on CPUs 0 and 1,
and since there are only two, origin and client share both with it; so part of the growth is caches and wake-ups
that the load causes, not the proxy. HAProxy meets the same, hence the bar: Isobar's growth over HAProxy's growth.
HAProxy runs twice, and its second growth over its first is the control.
"""
import argparse
import statistics
from contextlib import ExitStack

from . import report
from .compare import ORDERS, SIDES, stopping
from .lab import LOAD_CPU, PROXY_CPU, Lab
from .load import Client, Origin
from .proxy import Proxy, about, config, sides

CPUS = {1: frozenset({PROXY_CPU}), 2: frozenset({PROXY_CPU, LOAD_CPU})}
LOADS = {"keep-alive, 128 B": (), "new connection per request": ("--close",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bar", type=float, default=1.05,
                        help="the most Isobar's growth may be of HAProxy's (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds (default 5; --quick: 3)")
    parser.add_argument("--window", type=float, help="seconds per window (default 2; --quick: 0.7)")


def measure(lab: Lab, args: argparse.Namespace, words: tuple, rounds: int, seconds: float) -> dict:
    """CPU per request by side and number of workers, for each round."""
    us: dict[str, dict[int, list[float]]] = {side: {1: [], 2: []} for side in SIDES}
    errors: dict[str, int] = {}
    per_second: dict[str, dict[int, list[float]]] = {side: {1: [], 2: []} for side in SIDES}
    with ExitStack() as stack:
        origins = {count: stack.enter_context(stopping(Origin(lab, cpus=load_cpus(count)))) for count in CPUS}
        proxies = {}
        for side, described in sides(args).items():
            for count, cpus in CPUS.items():
                port = lab.port()
                text = config("http", port, origins[count].http, threads=count)
                proxies[side, count] = stack.enter_context(
                    stopping(Proxy(lab, f"{side}-{count}", described, text, port, cpus=cpus)))
        for number in range(-1, rounds):
            for count in CPUS:
                for side in ORDERS[number % 2]:
                    proxy = proxies[side, count]
                    told = Client(lab, "http", proxy.target, "--duration", seconds, *words, pids=proxy.pids(),
                                  cpus=load_cpus(count)).finish(seconds + 60)
                    for kind, failed in told["errors"].items():
                        errors[f"{side}: {kind}"] = errors.get(f"{side}: {kind}", 0) + failed
                    if number >= 0:
                        us[side][count].append(told["cpu_ns"] / 1e3 / max(told["requests"], 1))
                        per_second[side][count].append(told["requests"] / told["seconds"])
    return {"us": us, "per_second": per_second, "errors": errors}


def load_cpus(workers: int) -> frozenset[int]:
    return frozenset({LOAD_CPU}) if workers == 1 else CPUS[2]


def run(lab: Lab, args: argparse.Namespace) -> int:
    rounds = args.rounds or (3 if args.quick else 5)
    seconds = args.window or (0.7 if args.quick else 2.0)
    told = about(lab, args)
    report.heading(told)
    verdicts, results = [], {}
    for name, words in LOADS.items():
        result = measure(lab, args, words, rounds, seconds)
        results[name] = result
        growth = {side: [two / one for one, two in zip(us[1], us[2])] for side, us in result["us"].items()}
        middle = {side: statistics.median(values) for side, values in growth.items()}
        print(f"{name}: us/request with one and two workers, growth; requests/s")
        for side in SIDES:
            one, two = (statistics.median(result["us"][side][count]) for count in CPUS)
            rate_one, rate_two = (statistics.median(result["per_second"][side][count]) for count in CPUS)
            print(f"  {side:8} {one:7.2f} {two:7.2f}  {report.span(middle[side], growth[side])}  "
                  f"{rate_one:7.0f} {rate_two:7.0f}")
        base = (middle["haproxy"] + middle["control"]) / 2
        control = middle["control"] / middle["haproxy"]
        good = middle["isobar"] / base <= args.bar and not result["errors"]
        noisy = "; NOISY" if abs(control - 1) > report.NOISE else ""
        verdicts.append(report.verdict(name, good, f"growth {middle['isobar'] / base:.3f} of HAProxy's, bar {args.bar}, "
                                       f"control {control:.3f}{noisy}; errors {result['errors'] or 'none'}"))
        print()
    report.write_json(args.json, {"part": "workers", "about": told, "results": results, "verdicts": verdicts})
    return 0 if all(one["pass"] for one in verdicts) else 1
