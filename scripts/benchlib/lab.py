"""Where a bench runs: a private network namespace, pinned processes, and a clean end."""
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

PROXY_CPU = 0
LOAD_CPU = 1
MARK = "ISOBAR_BENCH_NAMESPACE"
PR_SET_PDEATHSIG = 1
SYSCTLS = {
    # The default of many distributions, bbr, paces loopback bulk and costs a third more CPU.
    "net/ipv4/tcp_congestion_control": "reno",
    "net/core/somaxconn": "65535",
    "net/ipv4/tcp_max_syn_backlog": "65535",
    "net/ipv4/ip_local_port_range": "2048 65535",
    "net/ipv4/tcp_tw_reuse": "1",
    # With the default of 10 a proxy would measure how fast it drops log lines.
    "net/unix/max_dgram_qlen": "4096",
}


class Unable(Exception):
    """The bench cannot run here, and why."""


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def enter_namespace() -> None:
    """Starts this program again inside a network namespace of its own, as root or through a user namespace."""
    if MARK in os.environ or "-h" in sys.argv or "--help" in sys.argv:
        return
    how = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") and subprocess.run([*how, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[MARK] = "private"
        os.execvp("unshare", [*how, sys.executable, *sys.argv])
    os.environ[MARK] = "host"


def in_own_session(work) -> int:
    """Runs `work` in a child that is a session of its own, and passes on the signals that end it."""
    child = os.fork()
    if child == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return work()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def free_port() -> int:
    """A port that the kernel gives."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """Starts processes on given CPUs and ends every one of them."""

    def __init__(self, root: Path, nice: int):
        self.root = root
        self.nice = nice
        self.private = os.environ[MARK] == "private"
        self.work = root / ".bench"
        self.work.mkdir(exist_ok=True)
        target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
        self.load_bin = target / "release/examples/load"
        self.children: list[subprocess.Popen] = []
        self.next_port = 1100

    def __enter__(self) -> "Lab":
        if os.cpu_count() < 2:
            raise Unable("two CPUs are needed: one for the proxy, one for its peers")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        os.sched_setaffinity(0, {LOAD_CPU})
        self.take_priority()
        if self.private:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            for name, value in SYSCTLS.items():
                try:
                    Path("/proc/sys", name).write_text(value)
                except OSError as error:
                    print(f"bench: WARNING: cannot set {name}: {error}", file=sys.stderr)
        else:
            print("bench: WARNING: not root and no user namespaces: running in the HOST's network namespace, "
                  "with its congestion control, port range and backlog limits. Figures are not comparable.",
                  file=sys.stderr)
        return self

    def take_priority(self) -> None:
        """Puts the bench before whatever else the machine does, as far as it may.

        Where the scheduler groups tasks by session, nice values count only inside a session, and the group as a
        whole has one of its own: so the bench, which is a session, sets both.
        """
        try:
            os.setpriority(os.PRIO_PROCESS, 0, self.nice)
            Path("/proc/self/autogroup").write_text(str(self.nice))
        except OSError as error:
            print(f"bench: WARNING: cannot take priority over other work: {error}", file=sys.stderr)

    def __exit__(self, *_) -> None:
        for child in self.children:
            self.stop(child)

    def prepare(self, proxy_bin: Path, peer_bin: Path, load_bin: Path | None = None) -> None:
        """Checks the binaries and builds the load generator, unless one is named, if its sources are newer."""
        self.load_bin = load_bin.resolve() if load_bin else self.load_bin
        for path in (proxy_bin, peer_bin, *([load_bin] if load_bin else [])):
            if not os.access(path, os.X_OK):
                raise Unable(f"{path} is not there; build it first (cargo build --profile bench-lto) or name another")
        if load_bin:
            return
        sources = [self.root / "Cargo.lock", *(self.root / "benches/load").glob("*.rs")]
        built = self.load_bin.stat().st_mtime if self.load_bin.exists() else 0
        if built < max(source.stat().st_mtime for source in sources):
            # A private namespace has no network; everything needed is in the registry cache already.
            command = ["cargo", "build", "--release", "--offline", "--example", "load"]
            all_cpus = {*range(os.cpu_count())}
            if subprocess.run(command, cwd=self.root, preexec_fn=lambda: os.sched_setaffinity(0, all_cpus)).returncode:
                raise Unable("the load generator does not build")
            os.utime(self.load_bin)

    def port(self) -> int:
        """A port nobody uses: below the ephemeral range in a namespace of our own, else what the kernel gives."""
        if self.private:
            self.next_port += 1
            return self.next_port
        return free_port()

    def spawn(self, command: list, cpus: set[int], **options) -> subprocess.Popen:
        """Starts a process on these CPUs; it dies with this one."""
        libc = ctypes.CDLL(None)

        def before_exec() -> None:
            os.sched_setaffinity(0, cpus)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        child = subprocess.Popen([str(word) for word in command], preexec_fn=before_exec, **options)
        self.children.append(child)
        return child

    def stop(self, child: subprocess.Popen) -> None:
        """Ends a process, politely for five seconds."""
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()
        if child in self.children:
            self.children.remove(child)

    def describe(self) -> dict:
        """What a reader must know to judge the figures."""
        model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                      if line.startswith("model name")), "unknown")
        return {
            "cpu": model,
            "cpus": os.cpu_count(),
            "kernel": os.uname().release,
            "namespace": "private" if self.private else "HOST",
            "congestion": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
            "load_average": os.getloadavg()[0],
            "nice": self.nice,
        }
