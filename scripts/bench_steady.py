#!/usr/bin/python3
"""Measures how steady the server is: a load and an overwriting of all keys as fast as it goes, then a share of that rate for minutes.

The rate is kept whether or not the answers keep up (open_loop.py). The second with the fewest answers and the slowest request say what a
client sees of flushes and merges. Servers are measured one after the other, each with a fresh data directory.
"""

import argparse
import json
import os
import pathlib
import signal
import tempfile

import bench_server
import open_loop

CONNECTIONS = 50


def measure(peer, options):
    port = bench_server.free_port()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.dir) as directory:
        process = peer.start(port, directory, "everysec", 0 if options.pin else None)
        try:
            values = open_loop.make_values(options.value_bytes)
            figures = {name: open_loop.highest_rate(port, options.keys, options.keys, values, CONNECTIONS) for name in ("load", "peak")}
            rate = options.rate or int(figures["peak"] * options.share)
            outcome = open_loop.run(port, rate, options.seconds, options.keys, values, CONNECTIONS)
            figures.update(outcome.figures(), answered=outcome.answered, slowest=outcome.slowest)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    return figures


def print_figures(name, figures):
    print(f"{name:<10}{figures['load']:>12,.0f}{figures['peak']:>12,.0f}{figures['rate']:>12,}{figures['p50_ms']:>9.1f}{figures['p99_ms']:>9.1f}"
          f"{figures['p99.9_ms']:>10.1f}{figures['slowest_ms']:>11.1f}{figures['worst_second']:>9.0%}{figures['seconds_below_90']:>7}"
          f"{figures['generator_late_ms']:>9.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh steady", description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=8_000_000, help="requests of the load, and of which keys are drawn (default 8,000,000)")
    parser.add_argument("--value-bytes", type=int, default=1024, help="bytes of a value, half of them compressible (default 1024)")
    parser.add_argument("--share", type=float, default=0.6, help="of the highest rate (default 0.6)")
    parser.add_argument("--rate", type=int, help="requests a second instead of a share")
    parser.add_argument("--seconds", type=int, default=600, help="of the open loop (default 600)")
    parser.add_argument("--memory", default="512mb", help="the server's memory-budget (default 512mb)")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="do not pin the server to core 0 and the load to core 1")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND", help="another server, as for scripts/bench.sh server")
    parser.add_argument("--binary", default=bench_server.REPOSITORY / "build" / "lsmkv-server", help="the server to measure (default build/lsmkv-server)")
    parser.add_argument("--dir", help="where the data directories are made (default: the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="all figures as JSON as well, those of each second among them")
    options = parser.parse_args()
    if options.pin:
        os.sched_setaffinity(0, {1})
    own = bench_server.own_peer(options.binary)
    own.template += f" --memory-budget {options.memory}"
    peers = [own, *bench_server.peers_of(options.peer)]
    print(f"{'server':<10}{'load 1/s':>12}{'peak 1/s':>12}{'asked 1/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'slowest ms':>11}"
          f"{'worst s':>9}{'s <90%':>7}{'gen ms':>9}", flush=True)
    results = {}
    for peer in peers:
        results[peer.name] = measure(peer, options)
        print_figures(peer.name, results[peer.name])
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": bench_server.machine(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
