"""Tables and verdicts on stdout, figures in JSON."""
import json
import statistics
from pathlib import Path

NOISE = 0.03


def heading(about: dict) -> None:
    for name in ("isobar", "haproxy"):
        print(f"{name:8} {about[name]}")
    print(f"machine  {about['cpu']}, {about['cpus']} CPUs, Linux {about['kernel']}, {about['namespace']} namespace, "
          f"{about['congestion']}, load average {about['load_average']:.2f}")
    if "rounds" in about:
        print(f"rounds   {about['rounds']} of {about['windows']} x {about['window_seconds']:g} s a side, "
              f"{about['connections']} connections")
    print()
    if "rounds" not in about:
        return
    print("Ratio: CPU of the proxy per request over HAProxy's in the same round (p99 row: latency over latency); "
          "median [lowest highest round].\n")
    print(f"{'row':10} {'bar':>5} {'ratio':>19} {'control':>19}   {'us/request':>17} {'requests/s':>17} "
          f"{'CPU 0 busy':>11}  verdict")
    print(f"{'':10} {'':>5} {'isobar / haproxy':>19} {'haproxy / itself':>19}   {'haproxy':>8} {'isobar':>8} "
          f"{'haproxy':>8} {'isobar':>8} {'hap':>5} {'iso':>5}")


def span(middle: float, values: list[float]) -> str:
    return f"{middle:.3f} [{min(values):.2f} {max(values):.2f}]"


def row(result: dict) -> None:
    """One line of the table, and under it whatever the reader must not miss."""
    verdict = "PASS" if result["pass"] else "FAIL"
    if "unable" in result:
        print(f"{result['key']:10} {result['bar']:5.2f} {'not measured':>19} {'':93} {verdict}")
        print(f"      {result['unable']}")
        return
    sides = result["sides"]
    ours, theirs = sides["isobar"], sides["haproxy"]
    us = {side: statistics.median(values) for side, values in result["us_per_request"].items()}
    print(f"{result['key']:10} {result['bar']:5.2f} {span(result['ratio'], result['ratios']):>19} "
          f"{span(result['control'], result['controls']):>19}   {us['haproxy']:8.2f} {us['isobar']:8.2f} "
          f"{theirs['per_second']:8.0f} {ours['per_second']:8.0f} {theirs['busy']:5.0%} {ours['busy']:5.0%}  {verdict}")
    for note in notes(result):
        print(f"      {note}")


def notes(result: dict) -> list[str]:
    sides = result["sides"]
    ours, theirs = sides["isobar"], sides["haproxy"]
    found = [f"failed: {reason}" for reason in result["reasons"]]
    if result["paced"]:
        p99 = {side: statistics.median(values) for side, values in result["p99_us"].items()}
        p50 = {side: statistics.median(values) for side, values in result["p50_us"].items()}
        found.append(f"at {result['rate']:.0f} requests/s: p99 {p99['haproxy']:.0f} us haproxy, {p99['isobar']:.0f} us "
                     f"isobar, {p99['control']:.0f} us control; p50 {p50['haproxy']:.0f}, {p50['isobar']:.0f}, "
                     f"{p50['control']:.0f}; {result['rounds_within']} of {len(result['ratios'])} rounds within the bar")
        if result["control_rounds_within"] < result["rounds_needed"]:
            found.append(f"NOISY: HAProxy against itself is within the bar in {result['control_rounds_within']} rounds "
                         "only; run this row again on a quieter machine")
        late = {side: figures["unsent"] for side, figures in sides.items() if figures["unsent"]}
        if late:
            found.append(f"requests due but not yet sent when windows ended: {late}")
    else:
        found.append(f"at saturation: requests/s {span(result['per_second']['ratio'], result['per_second']['ratios'])}, median latency "
                     f"{span(result['latency']['ratio'], result['latency']['ratios'])} of HAProxy's")
    if not result["paced"] and abs(result["control"] - 1) > NOISE:
        found.append("NOISY: the control is more than 3 % off; run this row again on a quieter machine")
    if theirs["logged_per_request"] is not None:
        found.append(f"log lines a request: {theirs['logged_per_request']:.3f} haproxy, "
                     f"{ours['logged_per_request']:.3f} isobar")
    # A window of 10 MiB bodies has so few requests that its 64 opening connections would count.
    apart = abs(theirs["origin_connects_per_request"] - ours["origin_connects_per_request"])
    if result["size"] < 2**20 and apart > 0.05:
        found.append(f"connections to the origin a request: {theirs['origin_connects_per_request']:.2f} haproxy, "
                     f"{ours['origin_connects_per_request']:.2f} isobar (different work!)")
    gone = {side: figures["threads_gone"] for side, figures in sides.items() if figures["threads_gone"]}
    if gone:
        found.append(f"threads that ended inside a window, their last time uncounted: {gone}")
    return found


def closing_words(results: list[dict]) -> None:
    failed = [result["key"] for result in results if not result["pass"]]
    requests = sum(figures["requests"] for result in results for figures in result.get("sides", {}).values())
    lost = sum(figures["failed"] for result in results for figures in result.get("sides", {}).values())
    print(f"\n{len(results) - len(failed)} of {len(results)} rows pass"
          + (f"; FAIL: {', '.join(failed)}" if failed else "") + f"; {requests} requests, {lost} failed")


def verdict(name: str, good: bool, text: str) -> dict:
    """Prints one judged figure and returns it for the JSON."""
    print(f"{'PASS' if good else 'FAIL'}  {name}: {text}")
    return {"name": name, "pass": good, "text": text}


def write_json(path: Path | None, document: dict) -> None:
    if path:
        path.write_text(json.dumps(document, indent=1) + "\n")
