#!/usr/bin/python3
"""Measures the server against redis-server, both as processes on this machine, with redis-benchmark. See scripts/bench.sh --help.

One run is: a fresh data directory, a server, what the work needs to be there and a rest until the server has done all it does about that,
then the work; throughput as redis-benchmark counts it, and the server's user and system time from the kernel's accounting, a request.
The runs of one work are interleaved (A B A B ...), so that what else the machine does meets all alike; the table shows medians, the
spread between the least and the greatest, and ratios.
"""

import argparse
import csv
import io
import json
import os
import pathlib
import platform
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
START_SECONDS = 30
REST_SECONDS = 30
KEYS = 1_000_000
TICKS = os.sysconf("SC_CLK_TCK")


class Work:
    """One row of the table."""

    def __init__(self, name, command, connections, pipeline, requests, fsync="everysec", filled=False):
        self.name = name
        self.command = command          # redis-benchmark's words: a test's name for -t, or a command line
        self.connections = connections
        self.pipeline = pipeline
        self.requests = requests        # at --scale 1
        self.fsync = fsync
        self.filled = filled            # every key is there before it begins


def works():
    mset = "MSET " + " ".join("key:__rand_int__ __data__" for _ in range(10))
    rows = []
    for pipeline, requests in ((1, 200_000), (16, 1_000_000), (64, 1_500_000)):
        rows.append(Work(f"SET P{pipeline}", "set", 50, pipeline, requests))
        rows.append(Work(f"GET P{pipeline}", "get", 50, pipeline, requests * (1 if pipeline == 1 else 2), filled=True))
    for pipeline, requests in ((1, 200_000), (16, 1_000_000)):
        rows.append(Work(f"INCR P{pipeline}", "incr", 50, pipeline, requests))
        rows.append(Work(f"MSET10 P{pipeline}", mset, 50, pipeline, requests // 4))
    for connections, pipeline, requests in ((1, 1, 1_000), (50, 1, 20_000), (200, 1, 40_000), (50, 16, 200_000)):
        rows.append(Work(f"SET always c{connections} P{pipeline}", "set", connections, pipeline, requests, fsync="always"))
    return rows


class Peer:
    def __init__(self, name, template):
        self.name = name
        self.template = template        # {port}, {dir} and {fsync} are filled in

    def start(self, port, directory, fsync, core):
        words = shlex.split(self.template.format(port=port, dir=directory, fsync=fsync))
        if core is not None:
            words = ["taskset", "-c", str(core), *words]
        log = open(os.path.join(directory, "log"), "wb")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith(b"+PONG"):
                        return process
            except OSError:
                pass
            time.sleep(0.02)
        process.kill()
        text = pathlib.Path(directory, "log").read_text(errors="replace")
        raise SystemExit(f"bench: {self.name} does not answer on port {port}: {shlex.join(words)}\n{text}")


def own_peer(binary):
    return Peer("lsmkv", f"{shlex.quote(str(binary))} --port {{port}} --bind 127.0.0.1 --dir {{dir}}/data --appendfsync {{fsync}}")


def peers_of(options):
    """From what was given as --peer."""
    peers = []
    for text in options:
        name, equals, command = text.partition("=")
        if not equals:
            raise SystemExit(f"bench: --peer wants NAME=COMMAND, not {text}")
        peers.append(Peer(name, command))
    return peers


def default_peers(binary):
    peers = [own_peer(binary)]
    redis = shutil.which("redis-server")
    if redis:
        peers.append(Peer("redis", f"{redis} --port {{port}} --bind 127.0.0.1 --dir {{dir}} --save '' --appendonly yes --appendfsync {{fsync}}"))
    else:
        print("bench: redis-server is not there (apt-get install redis-server): lsmkv alone is measured", file=sys.stderr)
    return peers


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(port, work, requests, core):
    """Runs redis-benchmark; returns its requests a second and p99 in milliseconds."""
    words = ["redis-benchmark", "-p", str(port), "-c", str(work.connections), "-P", str(work.pipeline), "-n", str(requests),
             "-r", str(KEYS), "-d", "100", "--csv"]
    words += ["-t", work.command] if " " not in work.command else shlex.split(work.command)
    if core is not None:
        words = ["taskset", "-c", str(core), *words]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    if result.returncode != 0 or not rows:
        raise SystemExit(f"bench: {shlex.join(words)} failed: {result.stderr or result.stdout}")
    return float(rows[0]["rps"]), float(rows[0]["p99_latency_ms"])


def fill(port):
    """Every key that redis-benchmark may ask for, 100 bytes each."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        value = b"x" * 100
        for begin in range(0, KEYS, 1000):
            batch = b"".join(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$100\r\n%s\r\n" % (i, value) for i in range(begin, begin + 1000))
            link.sendall(batch)
            wanted = 1000 * len(b"+OK\r\n")
            while wanted > 0:
                got = link.recv(wanted)
                if not got:
                    raise SystemExit("bench: the server hung up while it was being filled")
                wanted -= len(got)


def wait_for_rest(pid):
    """Until what filling has left to do in the background is done: no processor time in half a second."""
    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(0.5)
        if cpu_seconds(pid) - before <= 1 / TICKS:
            return


def run_once(peer, work, options):
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.dir) as directory:
        server_core, load_core = (0, 1) if options.pin else (None, None)
        process = peer.start(port, directory, work.fsync, server_core)
        try:
            if work.filled:
                fill(port)
                wait_for_rest(process.pid)
            requests = max(int(work.requests * options.scale), work.connections * work.pipeline)
            before = cpu_seconds(process.pid)
            rps, p99 = load(port, work, requests, load_core)
            micros = (cpu_seconds(process.pid) - before) / requests * 1e6
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return {"rps": rps, "p99_ms": p99, "cpu_us": micros}


def machine():
    return {"cores": os.cpu_count(), "kernel": platform.release(), "date": time.strftime("%Y-%m-%d")}


def summary(runs):
    return {key: {"median": statistics.median(run[key] for run in runs), "least": min(run[key] for run in runs),
                  "greatest": max(run[key] for run in runs)} for key in runs[0]}


def measure(options, peers):
    results = []
    for work in works():
        if options.only and not any(word.lower() in work.name.lower() for word in options.only):
            continue
        runs = {peer.name: [] for peer in peers}
        for _ in range(options.rounds):
            for peer in peers:
                runs[peer.name].append(run_once(peer, work, options))
        results.append({"work": work.name, "peers": {name: summary(of) for name, of in runs.items()}})
        print_row(results[-1], peers)
    return results


def print_head(peers):
    print(f"{'work':<22}" + "".join(f"{peer.name + ' 1/s':>14}{'spread':>8}{'us CPU':>8}{'p99 ms':>8}" for peer in peers)
          + "".join(f"{'to ' + peer.name:>12}{'CPU':>6}" for peer in peers[1:]))


def print_row(row, peers):
    line = f"{row['work']:<22}"
    for peer in peers:
        figures = row["peers"][peer.name]
        spread = (figures["rps"]["greatest"] - figures["rps"]["least"]) / figures["rps"]["median"]
        line += f"{figures['rps']['median']:>14,.0f}{spread:>8.0%}{figures['cpu_us']['median']:>8.2f}{figures['p99_ms']['median']:>8.2f}"
    own = row["peers"][peers[0].name]
    for peer in peers[1:]:
        other = row["peers"][peer.name]
        cpu = own["cpu_us"]["median"] / other["cpu_us"]["median"] if other["cpu_us"]["median"] else 0
        line += f"{own['rps']['median'] / other['rps']['median']:>12.2f}{cpu:>6.2f}"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh server", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each work and server (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many requests as usual")
    parser.add_argument("--only", action="append", metavar="WORD", help="only works with WORD in their name; may be given several times")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="do not pin the server to core 0 and the load to core 1")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                        help="another server; {port}, {dir} and {fsync} (everysec, always) in COMMAND are filled in")
    parser.add_argument("--binary", default=REPOSITORY / "build" / "lsmkv-server", help="the server to measure (default build/lsmkv-server)")
    parser.add_argument("--dir", help="where the data directories are made (default: the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="all figures as JSON as well")
    options = parser.parse_args()
    if not shutil.which("redis-benchmark"):
        raise SystemExit("bench: redis-benchmark is not there (apt-get install redis-tools)")
    peers = default_peers(options.binary) + peers_of(options.peer)
    print_head(peers)
    results = measure(options, peers)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": machine(), "rounds": options.rounds, "results": results}, indent=1))


if __name__ == "__main__":
    main()
