"""What the protocol asks of a server, as others' tools and servers see it."""
import re
import shutil
import subprocess
from pathlib import Path

from .dns_node import Node, Program, dig, short, until
from .lab import Lab

SECRET = "c2VjcmV0LW9mLXRoZS16b25lcy0wMTIzNDU2Nzg5"
ZONE = "example.test"


def zone(serial: int, more: str = "") -> str:
    return (f"$TTL 3600\n@ SOA ns1 hostmaster {serial} 3600 600 604800 300\n@ NS ns1\n@ NS ns2\nns1 A 127.0.0.2\n"
            f"ns2 A 127.0.0.3\n@ MX 10 mail\nmail A 192.0.2.25\nwww A 192.0.2.80\n@ TXT \"v=spf1 -all\"\n"
            f"*.wild A 192.0.2.9\nalias CNAME www\n$GENERATE 1-2000 h$ A 10.0.0.1\n{more}")


# RFC 8906, section 8, and ISC's eight (marked): words for dig; what must be in the answer; what must not.
EDNS = [
    ("SOA (8.1.1)", "+noedns +noad soa", ["status: NOERROR", "SOA\t"], []),
    ("unknown type (8.1.2)", "+noedns +noad type1000", ["status: NOERROR", "ANSWER: 0"], []),
    ("CD (8.1.3.1)", "+noedns +noad +cd soa", ["status: NOERROR", "SOA\t"], []),
    ("AD (8.1.3.2)", "+noedns +ad soa", ["status: NOERROR", "SOA\t"], []),
    ("reserved bit (8.1.3.3)", "+noedns +noad +zflag soa", ["status: NOERROR", "SOA\t"], ["MBZ"]),
    ("recursive (8.1.3.4)", "+noedns +noad +rec soa", ["status: NOERROR", "SOA\t"], []),
    ("unknown opcode (8.1.4)", "+noedns +noad +opcode=15 +header-only", ["status: NOTIMP"], ["SOA\t"]),
    ("TCP (8.1.5)", "+noedns +noad +tcp soa", ["status: NOERROR", "SOA\t"], []),
    ("ISC 1: no EDNS", "+noedns +noad soa", ["status: NOERROR", "SOA\t"], ["EDNS:"]),
    ("ISC 2: EDNS 0 (8.2.1)", "+edns=0 +nocookie +noad soa", ["status: NOERROR", "EDNS: version: 0", "SOA\t"], []),
    ("ISC 3: EDNS 1 (8.2.2)", "+edns=1 +noednsneg +nocookie +noad soa", ["BADVERS", "EDNS: version: 0"], ["SOA\t"]),
    ("ISC 4: unknown option (8.2.3)", "+edns=0 +noad +nocookie +ednsopt=100 soa",
     ["status: NOERROR", "EDNS: version: 0", "SOA\t"], ["OPT=100"]),
    ("ISC 5: unknown flags (8.2.4)", "+edns=0 +noad +nocookie +ednsflags=0x40 soa",
     ["status: NOERROR", "EDNS: version: 0", "SOA\t"], ["MBZ"]),
    ("ISC 6: EDNS 1 with an option (8.2.6)", "+edns=1 +noednsneg +noad +nocookie +ednsopt=100 soa",
     ["BADVERS", "EDNS: version: 0"], ["SOA\t", "OPT=100"]),
    ("ISC 7: truncated (8.2.7)", "+norec +dnssec +bufsize=512 +ignore +noad dnskey", ["status: NOERROR", "EDNS: version: 0"], []),
    ("ISC 8: DO (8.2.8)", "+edns=0 +noad +nocookie +dnssec soa", ["status: NOERROR", "flags: do", "SOA\t"], []),
    ("EDNS 1 with flags (8.2.5)", "+edns=1 +noednsneg +noad +nocookie +ednsflags=0x80 soa", ["BADVERS"], ["SOA\t", "MBZ"]),
    ("EDNS 1 with DO (8.2.9)", "+edns=1 +noednsneg +noad +nocookie +dnssec soa", ["BADVERS"], ["SOA\t"]),
    ("many options (8.2.10)", "+edns=0 +noad +cookie +nsid +expire +subnet=0.0.0.0/0 soa",
     ["status: NOERROR", "SOA\t", "COOKIE"], []),
]


def edns(lab: Lab, place: Path, _args):
    (place / "zone").write_text(zone(1))
    node = Node(lab, place, f"nsid here\nzone-file {ZONE} {place}/zone")
    for what, words, has, lacks in EDNS:
        told = dig(node.address, "+norec", *words.split(), ZONE)
        missing = [text for text in has if text not in told]
        found = [text for text in lacks if text in told]
        yield what, not missing and not found, "; ".join([f"no {t!r}" for t in missing] + [f"has {t!r}" for t in found])
    node.stop()


def bind(lab: Lab, place: Path) -> Program:
    place.mkdir()
    # It listens on addresses that an interface has.
    subprocess.run(["ip", "addr", "add", "127.0.0.11/32", "dev", "lo"], capture_output=True)
    (place / "named.conf").write_text(
        f'key t {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'
        f'options {{ directory "{place}"; listen-on {{ 127.0.0.11; }}; listen-on-v6 {{ none; }}; recursion no;\n'
        f'  pid-file "{place}/pid"; session-keyfile "{place}/key"; allow-transfer {{ any; }}; dnssec-validation no; }};\n'
        f'controls {{ }};\nzone "{ZONE}" {{ type secondary; file "zone"; masterfile-format text;\n'
        f'  primaries {{ 127.0.0.2 key t; }}; allow-notify {{ 127.0.0.0/8; }}; }};\n')
    return Program(lab, place, "named", "named", "-g", "-c", place / "named.conf", "-u", "root")


def nsd(lab: Lab, place: Path) -> Program:
    place.mkdir()
    (place / "nsd.conf").write_text(
        f'server:\n  ip-address: 127.0.0.12\n  username: ""\n  zonesdir: "{place}"\n  pidfile: "{place}/pid"\n  database: ""\n'
        f'  xfrdfile: "{place}/xfrd"\n  zonelistfile: "{place}/list"\n  xfrdir: "{place}"\n  server-count: 1\n'
        f'remote-control:\n  control-enable: no\n'
        f'key:\n  name: "t"\n  algorithm: hmac-sha256\n  secret: "{SECRET}"\n'
        f'zone:\n  name: "{ZONE}"\n  zonefile: "zone"\n  request-xfr: AXFR 127.0.0.2 t\n  allow-notify: 127.0.0.0/8 NOKEY\n'
        f'  provide-xfr: 127.0.0.0/8 NOKEY\n')
    return Program(lab, place, "nsd", "nsd", "-d", "-c", place / "nsd.conf")


def knot(lab: Lab, place: Path) -> Program:
    place.mkdir()
    (place / "knot.conf").write_text(
        f"server:\n  listen: 127.0.0.13@53\n  rundir: {place}\n  pidfile: {place}/pid\nlog:\n  - target: stderr\n    any: info\n"
        f"database:\n  storage: {place}\nkey:\n  - id: t\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
        f"remote:\n  - id: main\n    address: 127.0.0.2@53\n    key: t\n"
        f"acl:\n  - id: all\n    address: 127.0.0.0/8\n    action: [notify, transfer]\n"
        f"zone:\n  - domain: {ZONE}\n    master: main\n    acl: all\n    file: {place}/zone\n")
    return Program(lab, place, "knot", "knotd", "-c", place / "knot.conf")


SECONDARIES = {"BIND": (bind, "127.0.0.11"), "NSD": (nsd, "127.0.0.12"), "Knot": (knot, "127.0.0.13")}


def records(text: str) -> set[str]:
    return {" ".join(line.split()) for line in text.splitlines() if line and not line.startswith(";") and "TSIG" not in line}


def secondaries(lab: Lab, place: Path, _args):
    (place / "zone").write_text(zone(1))
    addresses = " ".join(address for _, address in SECONDARIES.values())
    node = Node(lab, place, f"key t hmac-sha256 {SECRET}\ntransfer key t\nnotify {addresses}\nzone-file {ZONE} {place}/zone")
    running = {name: start(lab, place / name.lower()) for name, (start, _) in SECONDARIES.items()}
    for serial, more in ((1, ""), (2, "new A 192.0.2.200\n")):
        if serial > 1:
            (place / "zone").write_text(zone(serial, more))
        ours = records(dig(node.address, "-y", f"hmac-sha256:t:{SECRET}", "AXFR", ZONE))
        for name, (_, address) in SECONDARIES.items():
            follows = until(30, lambda: any(f" {serial} 3600" in line for line in short(address, "SOA", ZONE)))
            if serial > 1:
                until(5, lambda: len(ours := records(dig(node.address, "-y", f"hmac-sha256:t:{SECRET}", "AXFR", ZONE))) > 0
                      and f"new.{ZONE}. 3600 IN A 192.0.2.200" in ours)
                ours = records(dig(node.address, "-y", f"hmac-sha256:t:{SECRET}", "AXFR", ZONE))
            theirs = records(dig(address, "AXFR", ZONE))
            good = follows and ours == theirs and len(ours) > 2000
            what = "holds the zone" if serial == 1 else "follows after NOTIFY"
            why = f"{len(ours)} records here, {len(theirs)} there, {len(ours ^ theirs)} differ"
            yield f"{name} {what}", good, why if good else f"{why}; {running[name].words()[-300:]!r}"
    refused = dig(node.address, "AXFR", ZONE)
    yield "a stranger gets no zone", "Transfer failed" in refused, ""
    for program in running.values():
        program.stop()
    node.stop()


def zonemaster(lab: Lab, place: Path, _args):
    if not shutil.which("zonemaster-cli"):
        yield "zonemaster-cli", False, "not installed"
        return
    (place / "zone").write_text(zone(2024010101))
    # It asks the root for where the zone is; another responder is the tree above.
    root = "$TTL 3600\n@ SOA a.root.test. host 1 3600 600 604800 300\n@ NS a.root.test.\na.root.test. A 127.0.0.4\n"
    parent = "$TTL 3600\n@ SOA a.root host 1 3600 600 604800 300\n@ NS a.root\na.root A 127.0.0.4\n" \
             "example NS ns1.example\nexample NS ns2.example\nns1.example A 127.0.0.2\nns2.example A 127.0.0.3\n"
    (place / "root").write_text(root + "test. NS a.root.test.\n")
    (place / "parent").write_text(parent)
    (place / "hints").write_text(". 3600 IN NS a.root.test.\na.root.test. 3600 IN A 127.0.0.4\n")
    above = f"dns above\n    bind 127.0.0.4:53\n    zone-file . {place}/root\n    zone-file test {place}/parent\n"
    node = Node(lab, place, f"bind 127.0.0.3:53\nzone-file {ZONE} {place}/zone", above)
    for test in ("Basic", "Nameserver", "Syntax", "Zone", "Consistency", "Delegation"):
        done = subprocess.run(["zonemaster-cli", "--hints", place / "hints", "--no-ipv6", "--no-time", "--no-progress", "--raw",
                               "--test", test, "--level", "NOTICE", ZONE], capture_output=True, text=True, timeout=120)
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        bad = [line for line in lines if re.search(r"\b(ERROR|CRITICAL)\b", line)]
        # That all servers stand in one network says something about this trial, not about the server.
        good = not bad and done.returncode == 0
        yield f"zonemaster {test}", good, f"{len(lines)} notices or warnings" if good else " / ".join(bad or [done.stderr[-200:]])
    node.stop()


def dnsviz(lab: Lab, place: Path, _args):
    if not shutil.which("dnsviz"):
        yield "dnsviz", False, "not installed"
        return
    (place / "zone").write_text(zone(1))
    node = Node(lab, place, f"bind 127.0.0.3:53\nzone-file {ZONE} {place}/zone")
    servers = f"{ZONE}+:ns1.{ZONE}=127.0.0.2,ns2.{ZONE}=127.0.0.3"
    probe = subprocess.run(["dnsviz", "probe", "-4", "-A", "-x", servers, "-o", place / "probe.json", f"www.{ZONE}", ZONE],
                           capture_output=True, text=True, timeout=180)
    grok = subprocess.run(["dnsviz", "grok", "-l", "error", "-r", place / "probe.json"], capture_output=True, text=True,
                          timeout=120)
    codes = re.findall(r'"code": "([A-Z_]+)"', grok.stdout)
    good = probe.returncode == 0 and grok.returncode == 0 and not codes
    yield "dnsviz", good, "no errors" if good else f"{sorted(set(codes))} {probe.stderr[-200:]} {grok.stderr[-200:]}"
    node.stop()
