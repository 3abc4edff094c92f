"""Patroni with three PostgreSQLs that take the region map for Consul: never two primaries, never none for long.

Three hosts, all on loopback in a network namespace of their own. `members`: each runs a member, which its Patroni asks.
`agents`: three members stand elsewhere, each host runs an `isobar agent`. Every host is asked to write, four times a second;
the longest time without a write that succeeds is the failover, and two that write at once are two primaries. The bar for
each fault: TTL + loop_wait + 2 s, and for the switchover the same.

SKIPPED without Debian's PostgreSQL (`apt-get install postgresql`); PyPI's `patroni` is fetched once.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

TAG = f"ip{os.getpid()}"
TTL, LOOP_WAIT, RETRY = 20, 3, 5
BAR = TTL + LOOP_WAIT + 2
# Where the user postgres may read it.
CACHE = Path(os.environ.get("ISOBAR_CACHE", "/var/cache/isobar")) / "patroni"
ASKS = 0.25
SCENARIOS = ("switchover", "host", "leader", "freeze", "full", "hang")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--on", choices=("members", "agents", "both"), default="both")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave the logs")


def postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def fetched() -> bool:
    if (CACHE / "bin/patroni").exists():
        return True
    pip = subprocess.run(["/usr/bin/python3", "-m", "venv", CACHE], check=False).returncode == 0 and subprocess.run(
        [CACHE / "bin/pip", "-q", "install", "patroni[consul]", "psycopg2-binary"], check=False).returncode == 0
    return pip and (CACHE / "bin/patroni").exists()


def inside(*words: object) -> list[str]:
    return ["ip", "netns", "exec", TAG, *map(str, words)]


def api(address: str, path: str, method: str = "GET", timeout: float = 3) -> str:
    words = inside("curl", "-s", "-m", timeout, "-X", method, f"http://{address}:8500{path}")
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


class Host:
    """One host: its processes, and what they write."""

    def __init__(self, lab: "Lab", number: int):
        self.lab, self.name = lab, f"pg{number}"
        self.address, self.member = f"127.0.2.{number}", f"127.0.{1 if lab.agents else 2}.{number}"
        self.place = lab.place / self.name
        self.disk = lab.place / f"disk{number}"
        self.processes: dict[str, subprocess.Popen] = {}

    def prepare(self) -> None:
        self.place.mkdir()
        shutil.chown(self.place, "postgres", "postgres")
        image = self.lab.place / f"{self.name}.img"
        subprocess.run(["truncate", "-s", "96M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        self.disk.mkdir()
        subprocess.run(["mount", "-o", "loop", image, self.disk], check=True)
        joins = " ".join(f"127.0.{1 if self.lab.agents else 2}.{n}:7400" for n in (1, 2, 3))
        (self.lab.place / f"{self.name}.cfg").write_text(
            f"global\n    maxconn 500\nregion-map\n    node m-{self.name}\n    bind {self.member}:7400 insecure\n"
            f"    data-dir {self.disk}/map\n    http-api {self.member}:8500\n    retry-join {joins}\n    expect 3\n")
        (self.place / "patroni.yml").write_text(json.dumps({
            "scope": "lab", "name": self.name,
            "restapi": {"listen": f"{self.address}:8008", "connect_address": f"{self.address}:8008"},
            "consul": {"host": f"{self.address}:8500", "register_service": True},
            "bootstrap": {"dcs": {"ttl": TTL, "loop_wait": LOOP_WAIT, "retry_timeout": RETRY,
                                  "postgresql": {"use_pg_rewind": True, "parameters": {
                                      "max_connections": 30, "shared_buffers": "16MB", "fsync": "off"}}},
                          "initdb": [{"encoding": "UTF8"}, "data-checksums", "no-sync"],
                          "pg_hba": ["host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"]},
            "postgresql": {"listen": f"{self.address}:5432", "connect_address": f"{self.address}:5432",
                           "data_dir": f"{self.place}/data", "bin_dir": str(self.lab.postgres),
                           "pgpass": f"{self.place}/pgpass",
                           "parameters": {"unix_socket_directories": str(self.place)},
                           "authentication": {"superuser": {"username": "postgres", "password": "a"},
                                              "replication": {"username": "copy", "password": "a"},
                                              "rewind": {"username": "rewind", "password": "a"}}},
        }))

    def start(self, what: str, *words: object) -> None:
        log = (self.lab.place / f"{self.name}.{what}.log").open("a")
        self.processes[what] = subprocess.Popen(inside(*words), stdout=log, stderr=log, start_new_session=True)

    def start_member(self) -> None:
        self.start("member", self.lab.program, "-f", self.lab.place / f"{self.name}.cfg")

    def start_database(self) -> None:
        if self.lab.agents:
            members = [word for n in (1, 2, 3) for word in ("-retry-join", f"127.0.1.{n}:8500")]
            self.start("agent", self.lab.program, "agent", *members, "-node", self.name, "-advertise", self.address,
                       "-http-addr", f"{self.address}:8500", "-data-dir", self.lab.place / f"{self.name}.agent")
        # A host has processes of its own: with the first all die, as when its power is cut.
        self.start("patroni", "unshare", "-pf", "--kill-child", "--mount-proc", "setpriv", "--reuid=postgres",
                   "--regid=postgres", "--clear-groups", CACHE / "bin/patroni", self.place / "patroni.yml")

    def kill(self, what: str) -> None:
        process = self.processes.pop(what, None)
        if process:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill_database(self) -> None:
        self.kill("patroni")
        self.kill("agent")
        (self.place / "data/postmaster.pid").unlink(missing_ok=True)

    def end(self) -> None:
        self.kill_database()
        self.kill("member")
        subprocess.run(["fsfreeze", "-u", self.disk], capture_output=True, check=False)
        subprocess.run(["umount", "-l", self.disk], capture_output=True, check=False)


# Connects to each host in turn for ever, and says a line for each write that succeeds.
WRITER = """
import sys, time, psycopg2
address, pause = sys.argv[1], float(sys.argv[2])
while True:
    began = time.monotonic()
    try:
        c = psycopg2.connect(host=address, port=5432, user='postgres', password='a', dbname='postgres', connect_timeout=1,
                             options='-c statement_timeout=1000')
        c.autocommit = True
        q = c.cursor()
        q.execute('create table if not exists beat (at timestamptz)')
        while True:
            began = time.monotonic()
            q.execute('insert into beat values (now())')
            print(f'{began} {time.monotonic()}', flush=True)
            time.sleep(max(0, began + pause - time.monotonic()))
    except Exception:
        time.sleep(max(.02, began + pause - time.monotonic()))
"""


class Watch(threading.Thread):
    """Writes to one host, and remembers when that succeeded."""

    def __init__(self, host: Host):
        super().__init__(daemon=True)
        words = inside(CACHE / "bin/python", "-c", WRITER, host.address, ASKS)
        self.writer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.host, self.writes = host, []

    def run(self) -> None:
        for line in self.writer.stdout:
            began, ended = map(float, line.split())
            self.writes.append((began, ended))


class Lab:
    def __init__(self, program: Path, place: Path, agents: bool):
        self.program, self.place, self.agents, self.postgres = program, place, agents, postgres()
        self.hosts = [Host(self, number) for number in (1, 2, 3)]
        self.watches: list[Watch] = []

    def __enter__(self) -> "Lab":
        subprocess.run(["ip", "netns", "add", TAG], check=True)
        subprocess.run(["ip", "-n", TAG, "link", "set", "lo", "up"], check=True)
        os.chmod(self.place, 0o755)
        for host in self.hosts:
            host.prepare()
            host.start_member()
        until(40, "a leader", lambda: self.leader())
        for host in self.hosts:
            host.start_database()
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self.watches:
            watch.writer.kill()
        for host in self.hosts:
            host.end()
        subprocess.run(["ip", "netns", "del", TAG], check=False)

    def leader(self) -> Host | None:
        for host in self.hosts:
            at = api(host.member, "/v1/status/leader").strip().strip('"').split(":")[0]
            if at:
                return next((one for one in self.hosts if one.member == at), None)
        return None

    def watch(self) -> None:
        self.watches = [Watch(host) for host in self.hosts]
        for watch in self.watches:
            watch.start()

    def primary(self) -> Host | None:
        newest = max(((watch.writes[-1][1], watch.host) for watch in self.watches if watch.writes),
                     key=lambda pair: pair[0], default=None)
        return newest[1] if newest and time.monotonic() - newest[0] < 2 else None

    def all_run(self) -> bool:
        rows = self.ctl("list", "-f", "json")
        try:
            states = [row["State"] for row in json.loads(rows)]
        except ValueError:
            return False
        return len(states) == 3 and all(state in ("running", "streaming") for state in states)

    def ctl(self, *words: str) -> str:
        # Whoever is there to be asked.
        for host in self.hosts:
            if "patroni" in host.processes:
                out = subprocess.run(inside(CACHE / "bin/patronictl", "-c", host.place / "patroni.yml", *words),
                                     capture_output=True, text=True, check=False)
                if out.returncode == 0:
                    return out.stdout
        return ""

    def verdict(self, since: float) -> tuple[float, str]:
        """The longest time without a write since then, and what two hosts wrote at once."""
        merged = sorted((ended, began, watch.host.name) for watch in self.watches for began, ended in list(watch.writes)
                        if ended >= since - 2)
        gap, last, two = 0.0, since, ""
        for position, (ended, began, name) in enumerate(merged):
            gap = max(gap, ended - max(last, since))
            last = ended
            # Each wrote again after the other had: both are primaries.
            for other_ended, other_began, other in merged[max(0, position - 6):position]:
                if other != name and other_began > began:
                    two = f"{other} and {name} at once"
        names = [name for _, _, name in merged]
        changes = sum(1 for a, b in zip(names, names[1:]) if a != b)
        if changes > 1 and not two:
            two = f"the writer changed {changes} times" if changes > 2 else ""
        return max(gap, time.monotonic() - last), two


def until(seconds: float, what: str, holds) -> float:
    began = time.monotonic()
    while not holds():
        if time.monotonic() > began + seconds:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return time.monotonic() - began


def settled(lab: Lab) -> None:
    until(300, "three databases", lambda: lab.all_run() and lab.primary() is not None and lab.leader() is not None)
    time.sleep(2)


def switchover(lab: Lab) -> None:
    old = lab.primary()
    lab.ctl("switchover", "lab", "--leader", old.name, "--force")
    until(BAR, "another primary", lambda: lab.primary() not in (None, old))


def host_dies(lab: Lab) -> None:
    """The primary's whole host: database, Patroni and the agent or member beside it."""
    old = lab.primary()
    old.kill_database()
    if not lab.agents:
        old.kill("member")
    until(BAR + 20, "another primary", lambda: lab.primary() not in (None, old))
    if not lab.agents:
        old.start_member()
        time.sleep(3)
    old.start_database()


def leader_dies(lab: Lab) -> None:
    leader = lab.leader()
    leader.kill("member")
    time.sleep(BAR)
    leader.start_member()


def freeze(lab: Lab) -> None:
    """A member stands still, the one that leads."""
    leader = lab.leader()
    pid = leader.processes["member"].pid
    os.killpg(pid, signal.SIGSTOP)
    time.sleep(BAR + 5)
    os.killpg(pid, signal.SIGCONT)


def disk_fills(lab: Lab) -> None:
    leader = lab.leader()
    ballast = leader.disk / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], capture_output=True, check=False)
    subprocess.run(["dd", "if=/dev/zero", f"of={ballast}2", "bs=512"], capture_output=True, check=False)
    time.sleep(BAR + 5)
    for file in (ballast, Path(f"{ballast}2")):
        file.unlink(missing_ok=True)


def disk_hangs(lab: Lab) -> None:
    leader = lab.leader()
    subprocess.run(["fsfreeze", "-f", leader.disk], check=True)
    time.sleep(BAR + 5)
    subprocess.run(["fsfreeze", "-u", leader.disk], check=True)


FAULTS = {"switchover": (switchover, "switchover"), "host": (host_dies, "the primary's host dies"),
          "leader": (leader_dies, "the Raft leader dies"), "freeze": (freeze, "the Raft leader stands still"),
          "full": (disk_fills, "the Raft leader's disk is full"), "hang": (disk_hangs, "the Raft leader's disk hangs")}


def trial(args: argparse.Namespace, agents: bool) -> int:
    where, failed = "agents" if agents else "members", 0
    place = Path(tempfile.mkdtemp(prefix="isobar-patroni."))
    try:
        with Lab(args.bin.resolve(), place, agents) as lab:
            lab.watch()
            took = until(300, "a primary", lambda: lab.primary() is not None)
            settled(lab)
            print(f"PASS  {where}: bootstrap: a primary after {took:.1f} s", flush=True)
            for name in args.scenarios.split(","):
                fault, text = FAULTS[name]
                settled(lab)
                since = time.monotonic()
                fault(lab)
                settled(lab)
                gap, two = lab.verdict(since)
                good = gap <= BAR and not two
                failed += not good
                print(f"{'PASS' if good else 'FAIL'}  {where}: {text}: {gap:.1f} s without a primary, bar {BAR} s"
                      f"{'; ' + two if two else ''}", flush=True)
    except RuntimeError as why:
        print(f"FAIL  {where}: {why}", flush=True)
        failed += 1
    finally:
        if args.keep or failed:
            print(f"logs: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    return failed


def main(args: argparse.Namespace) -> int:
    if not postgres() or not fetched():
        print("SKIPPED  patroni: needs Debian's postgresql and PyPI's patroni")
        return 0
    trials = {"members": [False], "agents": [True], "both": [True, False]}[args.on]
    return 1 if sum(trial(args, agents) for agents in trials) else 0
