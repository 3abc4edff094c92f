"""Protocol checks of real servers beside HAProxy's: MariaDB, PostgreSQL, Redis, Exim and slapd.

Each is started from Debian's package and checked by both proxies in the same file: by the option of its protocol, by the same
option with a user it does not let in, and where the server can refuse everyone, by that. All are up, then stopped in their
tracks (SIGSTOP), let go, ended and started again; after each step both proxies must say the same of every server: its state,
the result of its check, and the code of one that is not well. What is expected of each is written down here, too, so that both cannot be wrong
alike. SKIPPED for what is not installed:
`apt-get install mariadb-server postgresql redis-server exim4-daemon-light slapd`.
"""
import argparse
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .lab import free_port

SETTLE = 25
INTER, TIMEOUT = 300, 700


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peer-bin", type=Path, default=Path("/usr/sbin/haproxy"), metavar="PATH")
    parser.add_argument("--keep", action="store_true", help="leave the files")


def found(*names: str) -> str | None:
    paths = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return next((path for name in names if (path := shutil.which(name, path=":".join(paths)))), None)


@dataclass
class Server:
    """A real server: how it is made ready once, how it is run, and by which checks it is looked at."""
    name: str
    port: int
    program: str
    words: list
    # Option of the check, and whether it finds the server well.
    checks: list
    user: str | None = None
    prepare: list = field(default_factory=list)
    afterwards: list = field(default_factory=list)
    process: subprocess.Popen | None = None

    def as_user(self, words: list) -> list:
        return ["setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups", *words] if self.user else words

    def start(self, log) -> None:
        self.process = subprocess.Popen(self.as_user([self.program, *self.words]), stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not listen")

    def signal(self, number: int) -> None:
        # Its children too: some of them answer.
        os.killpg(self.process.pid, number)

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()


def own(place: Path, name: str, user: str | None) -> Path:
    made = place / name
    made.mkdir()
    if user:
        shutil.chown(made, user, user)
    return made


def mariadb(place: Path) -> Server | None:
    program, install, client = found("mariadbd", "mysqld"), found("mariadb-install-db"), found("mariadb", "mysql")
    if not (program and install and client):
        return None
    port, home = free_port(), own(place, "mariadb", "mysql")
    at = f"--socket={home}/s"
    base = ["--no-defaults", f"--datadir={home}"]
    sql = ("CREATE USER 'haproxy'@'%'; CREATE USER 'haproxy'@'localhost'; DROP USER IF EXISTS ''@'localhost'; "
           "DROP USER IF EXISTS ''@'%'; FLUSH PRIVILEGES;")
    server = Server("mariadb", port, program,
                    [*base, at, f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connect-errors=1000000000"],
                    [("mysql-check", True), ("mysql-check user haproxy", True), ("mysql-check user nosuch", False)], user="mysql")
    server.prepare = [server.as_user([install, *base, "--auth-root-authentication-method=normal", "--skip-test-db"])]
    server.afterwards = [[client, "--no-defaults", at, "-uroot", "-e", sql]]
    return server


def postgres(place: Path) -> Server | None:
    program, initdb, client = found("postgres"), found("initdb"), found("psql")
    # Some machines have a script of that name; the server proper stands beside initdb.
    program = str(Path(initdb).with_name("postgres")) if initdb else program
    if not (program and initdb and client):
        return None
    port, home = free_port(), own(place, "postgres", "postgres")
    words = ["-D", f"{home}/d", "-p", str(port), "-k", str(home), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    server = Server("postgres", port, program, words,
                    [("pgsql-check user haproxy", True), ("pgsql-check user nosuch", False)], user="postgres")
    refusal = f"echo 'host all nosuch 127.0.0.1/32 reject\nhost all all 127.0.0.1/32 trust\nlocal all all trust' > {home}/d/pg_hba.conf"
    server.prepare = [server.as_user([initdb, "-D", f"{home}/d", "-A", "trust", "--no-sync"]), server.as_user(["sh", "-c", refusal])]
    server.afterwards = [server.as_user([client, "-h", "127.0.0.1", "-p", str(port), "-c", "CREATE ROLE haproxy LOGIN", "-c", "CREATE DATABASE haproxy", "postgres"])]
    return server


def redis(place: Path, name: str, secret: bool) -> Server | None:
    program = found("redis-server")
    port = free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--dir", str(own(place, name, None))]
    return program and Server(name, port, program, words + (["--requirepass", "secret"] if secret else []),
                              [("redis-check", not secret)])


def exim(place: Path, name: str, refuses: bool) -> Server | None:
    program = found("exim4", "exim")
    port, home = free_port(), own(place, name, None)
    refusal = "host_reject_connection = *\n" if refuses else ""
    (home / "conf").write_text(f"local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port}\nspool_directory = {home}\n{refusal}"
                               "log_file_path = :syslog:\nprimary_hostname = mail.test\nhelo_allow_chars = _\n")
    (home / "conf").chmod(0o644)
    return program and Server(name, port, program, ["-C", f"{home}/conf", "-bdf"],
                              [("smtpchk", not refuses), ("smtpchk EHLO check.test", not refuses)])


def slapd(place: Path, name: str, refuses: bool) -> Server | None:
    program = found("slapd")
    port, home = free_port(), own(place, name, None)
    (home / "conf").write_text(f"include /etc/ldap/schema/core.schema\npidfile {home}/pid\n"
                               + ("disallow bind_anon\n" if refuses else "") + "database monitor\n")
    return program and Server(name, port, program, ["-h", f"ldap://127.0.0.1:{port}", "-f", f"{home}/conf", "-d", "0"],
                              [("ldap-check", not refuses)])


def servers(place: Path) -> list[Server]:
    all_of_them = {
        "MariaDB": [mariadb(place)], "PostgreSQL": [postgres(place)],
        "Redis": [redis(place, "redis", False), redis(place, "redis-secret", True)],
        "Exim": [exim(place, "exim", False), exim(place, "exim-refuses", True)],
        "slapd": [slapd(place, "slapd", False), slapd(place, "slapd-refuses", True)],
    }
    for name, ones in all_of_them.items():
        if not all(ones):
            print(f"SKIPPED  {name}: not installed", flush=True)
    return [one for ones in all_of_them.values() for one in ones if one]


def configuration(all_of_them: list[Server], api: Path) -> str:
    text = (f"global\n    stats socket {api} level admin\ndefaults\n    mode tcp\n    timeout connect 1s\n    timeout client 5s\n"
            f"    timeout server 5s\n    timeout check {TIMEOUT}ms\n    default-server inter {INTER}ms fall 2 rise 2\n"
            f"frontend none\n    bind 127.0.0.1:{free_port()}\n")
    for server in all_of_them:
        for number, (option, _) in enumerate(server.checks):
            text += f"backend {server.name}-{number}\n    option {option}\n    server s 127.0.0.1:{server.port} check\n"
    return text


def states(api: Path) -> dict[str, tuple[str, str, str]]:
    """Of each backend's server: UP or DOWN, the result of its check, and the code of that."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(5)
        asking.connect(str(api))
        asking.sendall(b"show stat -1 4 -1\n")
        text = b""
        while piece := asking.recv(65536):
            text += piece
    lines = text.decode().splitlines()
    names = lines[0].removeprefix("# ").split(",")
    rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]

    def said(row: dict) -> tuple[str, str, str]:
        # HAProxy tells the code of a well one at times and at times 0.
        result = row["check_status"].removeprefix("* ")
        return row["status"].split()[0], result, "" if result == "L7OK" else row["check_code"]

    return {row["pxname"]: said(row) for row in rows}


def expected(server: Server, step: str, is_well: bool) -> tuple[str, set[str]]:
    if step == "ended":
        return "DOWN", {"L4CON"}
    if step == "stopped":
        return "DOWN", {"L7TOUT", "L4TOUT", "L6TOUT"}
    # Redis without a password says less than an answer that is waited for.
    return ("UP", {"L7OK"}) if is_well else ("DOWN", {"L7STS", "L7RSP", "L7INV", "L7TOUT"})


def look(step: str, all_of_them: list[Server], apis: dict[str, Path]) -> bool:
    """Waits until both say what is expected, and the same; tells what differs once the time is over."""
    until, wrong = time.monotonic() + SETTLE, []
    while time.monotonic() < until:
        said, wrong = {name: states(api) for name, api in apis.items()}, []
        for server in all_of_them:
            for number, (option, is_well) in enumerate(server.checks):
                ours, theirs = (said[name].get(f"{server.name}-{number}") for name in ("isobar", "haproxy"))
                state, results = expected(server, step, is_well)
                if ours != theirs or ours[0] != state or ours[1] not in results:
                    wrong.append(f"{server.name}, {option}: {ours}, haproxy {theirs}, expected {state} by {'/'.join(sorted(results))}")
        if not wrong:
            break
        time.sleep(0.2)
    count = sum(len(server.checks) for server in all_of_them)
    print(f"{'FAIL' if wrong else 'PASS'}  {step}: {count - len(wrong)} of {count} alike and as expected", *wrong, sep="\n      ", flush=True)
    return not wrong


def trial(args: argparse.Namespace, place: Path) -> int:
    all_of_them, running = servers(place), []
    if not all_of_them:
        print("SKIPPED  nothing to check is installed", flush=True)
        return 2
    with (place / "log").open("w") as log:
        try:
            for server in all_of_them:
                for words in server.prepare:
                    subprocess.run(words, check=True, stdout=log, stderr=log)
                server.start(log)
                for words in server.afterwards:
                    subprocess.run(words, check=True, stdout=log, stderr=log)
            apis = {}
            for name, program in (("isobar", args.bin), ("haproxy", args.peer_bin)):
                apis[name] = place / f"{name}.sock"
                file = place / f"{name}.cfg"
                file.write_text(configuration(all_of_them, apis[name]))
                running.append(subprocess.Popen([program, "-db", "-f", file], stdout=log, stderr=log))
            time.sleep(2)
            good = look("up", all_of_them, apis)
            for number, step in ((signal.SIGSTOP, "stopped"), (signal.SIGCONT, "let go")):
                for server in all_of_them:
                    server.signal(number)
                good &= look(step, all_of_them, apis)
            for server in all_of_them:
                server.end()
            good &= look("ended", all_of_them, apis)
            for server in all_of_them:
                server.start(log)
            return 0 if look("started again", all_of_them, apis) and good else 1
        finally:
            for process in running:
                process.kill()
                process.wait()
            for server in all_of_them:
                server.end()


def main(args: argparse.Namespace) -> int:
    place = Path(tempfile.mkdtemp(prefix="isobar-checks-"))
    place.chmod(0o755)
    try:
        return trial(args, place)
    finally:
        if args.keep:
            print(f"files: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
