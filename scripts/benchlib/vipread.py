"""keepalived.conf as keepalived and Isobar read it: verdicts, and what instances they make of it.

`files` takes the texts of vipfiles.py, and such texts broken; `public` takes files of public repositories that vippublic.tsv lists
(repository, path, commit), which are read from a directory: they are not ours to copy. Each is read twice, on a bare host and on one
that has its interfaces, addresses and programs.
"""
import argparse
import concurrent.futures
import ipaddress
import json
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import vipfiles
from .vipnet import TAG, report, run, until

LISTED = Path(__file__).with_name("vippublic.tsv")
AT_ONCE = 6
# Directories in which programs may be added, on a layer of their own.
LAYERS = ("etc", "usr", "opt", "root", "home", "var", "srv")
# Placeholders of what fills files in.
TEMPLATE = re.compile(r"\{\{|\{%|<%|<[A-Za-z][\w. -]*>|%[A-Z_]{3,}%|\$\{?[A-Za-z_]\w*\}?|__[A-Z_]+__|@[A-Z_]+@")
# What is compared, as keepalived names it.
SAME = ("State", "VRRP Version", "Virtual Router ID", "Priority", "Effective priority", "Advert interval", "addresses", "tracks")


def is_template(text: str) -> bool:
    code = "\n".join(re.split(r"[#!]", line)[0] for line in text.splitlines())
    # What keepalived defines itself is no placeholder.
    for name in re.findall(r"^\s*\$(\w+)\s*=", code, re.M):
        code = re.sub(rf"\$\{{?{name}\b\}}?", "", code)
    # In programs it is the shell's.
    code = re.sub(r"^\s*(script|notify\w*)\s.*$", "", code, flags=re.M)
    return bool(TEMPLATE.search(code))


class Host:
    """A namespace of its own with the interfaces, addresses and programs that a file names."""

    def __init__(self, name: str, place: Path, text: str, binary: Path, furnished: bool):
        self.name, self.place, self.conf = name, place, "/tmp/k.conf"
        (place / "tmp").mkdir(parents=True)
        (place / "layers").mkdir()
        (place / "tmp/k.conf").write_bytes(text.encode(errors="surrogateescape"))
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        (place / "tmp/isobar").touch()
        setup = ["set -e", f"mount -t tmpfs none {place}/layers", f"mount --bind {binary} {place}/tmp/isobar"]
        if furnished:
            self.interfaces(text)
            setup += self.programs(text)
        (place / "setup.sh").write_text("\n".join([*setup, f"mount --rbind {place}/tmp /tmp", 'exec "$@"']) + "\n")

    def interfaces(self, text: str) -> None:
        words = [line.split() for line in re.sub(r"[#!].*", "", text).splitlines()]
        names = {line[1] for line in words if len(line) > 1 and line[0] in ("interface", "lvs_sync_daemon_interface")}
        names |= {b for line in words for a, b in zip(line, line[1:], strict=False) if a == "dev"}
        names |= {name for block in re.findall(r"track_interface\s*\{([^}]*)\}", text) for name in re.findall(r"^\s*(\w\S*)", block, re.M)}
        names = [name for name in sorted(names) if re.fullmatch(r"[A-Za-z][\w.-]{0,14}", name)]
        sources = re.findall(r"^\s*(?:unicast_src_ip|mcast_src_ip)\s+(\S+)", text, re.M)
        for number, name in enumerate(names):
            if name != "lo":
                run("ip", "-n", self.name, "link", "add", name, "type", "veth", "peer", "name", f"peer{number}")
                run("ip", "-n", self.name, "link", "set", f"peer{number}", "up")
            run("ip", "-n", self.name, "link", "set", name, "up")
            run("ip", "-n", self.name, "addr", "add", f"10.250.{number}.11/24", "dev", name)
        for source in sources:
            try:
                address = ipaddress.ip_interface(source)
            except ValueError:
                continue
            if names:
                run("ip", "-n", self.name, "addr", "add", f"{address.ip}/24", "dev", names[0], check=False)

    def programs(self, text: str) -> list[str]:
        lines = []
        for layer in (layer for layer in LAYERS if Path("/", layer).is_dir()):
            upper, work = (f"{self.place}/layers/{layer}.{part}" for part in ("u", "w"))
            lines.append(f"mkdir {upper} {work}; mount -t overlay -o lowerdir=/{layer},upperdir={upper},workdir={work} none /{layer}")
        for path in sorted(set(re.findall(rf"(?<![\w.])/(?:{'|'.join(LAYERS)})/[\w./-]+", text))):
            lines.append(f"[ -e {path} ] || {{ mkdir -p {path.rsplit('/', 1)[0]}; printf '#!/bin/sh\\n' > {path}; chmod 755 {path}; }} || true")
        return lines

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, "unshare", "-m", "sh", str(self.place / "setup.sh"), *words]

    def status(self, *words: str) -> int:
        return subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True).returncode

    def start(self, *words: str) -> subprocess.Popen:
        with (self.place / "tmp/said").open("w") as said:
            return subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def end(self) -> None:
        run("ip", "netns", "del", self.name, check=False)


def numbers(text: str) -> float:
    value, unit = text.split()
    return round(float(value) / {"sec": 1, "milli-sec": 1000, "usec": 1e6}.get(unit, 1), 6)


def dumped(text: str) -> dict:
    """The instances in what keepalived writes on SIGUSR1."""
    found, one, part = {}, None, ""
    for line in text.split("< VRRP Topology >")[-1].split("------<")[0].splitlines():
        if match := re.match(r" VRRP Instance = (.*)", line):
            one = found[match[1]] = {"addresses": set(), "tracks": set()}
        elif one is None:
            continue
        elif match := re.match(r"   ([A-Z][\w ]*?) = (.*)", line):
            key, value = match[1], match[2]
            if key in ("Virtual Router ID", "Priority", "Effective priority", "VRRP Version"):
                one[key] = int(value)
            elif key == "Advert interval":
                one[key] = numbers(value)
            elif key == "State":
                one[key] = value
        elif match := re.match(r"   (Virtual IP|Tracked|\w)", line):
            part = {"Tracked": "tracks", "Virtual IP": "addresses"}.get(match[1], "")
        elif match := re.match(r"     ([^\s,]+),?(?: weight (-?\d+)( reverse)?)?", line):
            if part == "tracks":
                one["tracks"].add(f"{match[1]} weight {match[2] or 0}{match[3] or ''}")
            elif part == "addresses" and re.match(r"[\da-f:.]+(/\d+)?$", match[1]):
                one["addresses"].add(match[1].split("/")[0])
    return found


def waits(text: str) -> float:
    """How long a router takes to be master with this file."""
    times = [float(time) for time in re.findall(r"^\s*(?:advert_int|vrrp_startup_delay)\s+([\d.]+)", text, re.M)]
    return min(3.8 * max([1.0, *times]) + 1.5, 60)


def theirs_of(host: Host, wait: float) -> dict | None:
    """As it dumps it; `None` when it ended by itself."""
    process = host.start("keepalived", "-P", "-n", "-l", "-f", host.conf, "-p", "/tmp/k.pid", "-r", "/tmp/kv.pid")
    try:
        time.sleep(wait)
        if process.poll() is not None:
            return None
        process.send_signal(signal.SIGUSR1)
        dump = host.place / "tmp/keepalived.data"
        until(5, lambda: process.poll() is not None or dump.exists() and "VRRP Sockpool" in dump.read_text(errors="replace"))
        return dumped(dump.read_text(errors="replace")) if dump.exists() else {}
    finally:
        process.terminate()
        process.wait()


def ours_of(host: Host, wait: float) -> dict:
    """As `show vip json` tells."""
    extra, sock = host.place / "tmp/sock.cfg", host.place / "tmp/sock"
    extra.write_text("global\n stats socket /tmp/sock level admin\n nbthread 1\n")
    process = host.start("/tmp/isobar", "-f", "/tmp/sock.cfg", "-f", host.conf)
    rows = []
    try:
        time.sleep(wait)
        if until(10, lambda: sock.exists() or process.poll() is not None) and sock.exists():
            with socket.socket(socket.AF_UNIX) as asked:
                asked.connect(str(sock))
                asked.sendall(b"show vip json\n")
                rows = json.loads(b"".join(iter(lambda: asked.recv(65536), b"")) or b"[]")
    finally:
        process.terminate()
        process.wait()
    return {row["Name"]: {"State": row["State"], "Virtual Router ID": row["RouterID"], "Priority": row["ConfiguredPriority"],
                          "Effective priority": row["Priority"], "VRRP Version": row["Version"],
                          "Advert interval": round(row["AdvertInterval"], 6), "addresses": set(row["Addresses"]),
                          "tracks": {track.removeprefix("interface ") for track in row["Tracks"]}} for row in rows}


def compare(binary: Path, place: Path, number: int, text: str, furnished: bool, meaning: bool) -> tuple[int, int, str]:
    """Both verdicts on a text, and how what they make of it differs."""
    hosts = [Host(f"{TAG}r{number}{side}", place / f"{number}{side}", text, binary.resolve(), furnished) for side in "ko"]
    try:
        theirs = hosts[0].status("keepalived", "-t", "-P", "-f", hosts[0].conf)
        ours = hosts[1].status("/tmp/isobar", "-c", "-f", hosts[1].conf)
        if not meaning or theirs == 2 or theirs < 0:
            return theirs, ours, ""
        if not Path("/proc/net/ip_vs").exists():
            # Without that module keepalived ends at such a line.
            lines = re.sub(r"(?m)^\s*lvs_sync_daemon.*$", "", text)
            for host in hosts:
                (host.place / "tmp/k.conf").write_bytes(lines.encode(errors="surrogateescape"))
        # On a busy machine states need longer.
        for wait in (waits(text), 3 * waits(text)):
            with concurrent.futures.ThreadPoolExecutor(2) as both:
                wanted, found = (one.result() for one in (both.submit(theirs_of, hosts[0], wait), both.submit(ours_of, hosts[1], wait)))
            # It ends where an interface is missing, which is waited for here.
            differs = difference(wanted, found) if wanted is not None else ""
            if not differs:
                break
            for leftover in ("keepalived.data", "sock", "k.pid", "kv.pid"):
                (hosts[0].place / "tmp" / leftover).unlink(missing_ok=True)
                (hosts[1].place / "tmp" / leftover).unlink(missing_ok=True)
        return theirs, ours, differs
    finally:
        for host in hosts:
            host.end()
            shutil.rmtree(host.place, ignore_errors=True)


def difference(wanted: dict, found: dict) -> str:
    said = []
    for name in sorted({*wanted, *found}):
        one, other = wanted.get(name), found.get(name)
        if one is None or other is None:
            said.append(f"{name} is {'only theirs' if other is None else 'only ours'}")
            continue
        said += [f"{name}: {key} {one.get(key)}, ours {other.get(key)}" for key in SAME if one.get(key) != other.get(key)]
    return "; ".join(said)


def read_all(args: argparse.Namespace, place: Path, texts: list[tuple[str, str, bool, bool]], what: str) -> list[str]:
    """Reads texts: name, text, whether the host is furnished, whether what they mean is compared."""
    failed, seen = [], {}

    def one(numbered: tuple[int, tuple[str, str, bool, bool]]) -> tuple[str, str, tuple[int, int, str]]:
        number, (name, text, furnished, meaning) = numbered
        return name, text, compare(args.bin, place / what, number, text, furnished, meaning)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, text, (theirs, ours, differs) in pool.map(one, enumerate(texts)):
            if theirs < 0 or theirs == 143 or "virtual_server" in text and theirs == 2:
                continue  # It died of the file, or what is wrong with it is not of VRRP.
            seen[theirs, ours] = seen.get((theirs, ours), 0) + 1
            if ours != (1 if theirs == 2 else 0):
                failed += report(f"verdict on {name}", False, f": keepalived {theirs}, Isobar {ours}")
            elif differs:
                failed += report(f"meaning of {name}", False, f": {differs}")
    report(f"{what} files: verdicts and meanings", not failed, f": {sum(seen.values())} readings, by exit status {seen}")
    return failed


def files(args: argparse.Namespace, place: Path) -> list[str]:
    texts = [(name, text, True, name in vipfiles.FILES) for name, text in vipfiles.all_files(args.broken)]
    return read_all(args, place, texts, "own")


def public(args: argparse.Namespace, place: Path) -> list[str]:
    if not args.corpus:
        print("SKIP  public files: no --corpus")
        return []
    texts, templates, missing = [], 0, 0
    for line in LISTED.read_text().splitlines():
        repository, path, _commit = line.split("\t")
        file = args.corpus / repository / path
        if not file.exists():
            missing += 1
            continue
        text = file.read_bytes().decode(errors="surrogateescape")
        if is_template(text):
            templates += 1
            continue
        texts += [(f"{repository}/{path}", text, True, True), (f"{repository}/{path} on a bare host", text, False, False)]
    print(f"      {len(texts) // 2} public files, {templates} templates left out, {missing} not there", flush=True)
    return read_all(args, place, texts, "public")
