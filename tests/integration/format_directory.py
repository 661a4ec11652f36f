"""A small data directory in which everything occurs that a format knows; what it must read as; and which versions its files say.

    format_directory.py NEWDIR [--server PATH]      makes one, as tests/data/formats/README.md says

    NEWDIR/formats.json   the version of each kind of file in it
    NEWDIR/listing.json   every key that a reader must find, by database: its value (or the value's digest) and its deadline
    NEWDIR/killed/        a server's directory after SIGKILL: a log that is not flushed, no note of what is durable
    NEWDIR/closed/        the same, started once more, written to and ended by SIGTERM
    NEWDIR/bundle/        a bundle; in the listing under "bundle"
"""

import glob
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

import lsmkv_server
from lsmkv_server import Server, wait_until

FAR = 4_102_444_800_000          # 2100-01-01, in milliseconds
BESIDE_THE_LOG = 4 << 20         # the least that is
TINY = ["--memtable-size", "40", "--base-level-entries", "60", "--level-ratio", "2", "--min-blob-size", "1kb", "--max-l0-sstables", "2",
        "--disk-reserve", "0", "--wal-fsync", "everysec"]


def tool(*arguments, code=0, stdin=None):
    path = os.environ.get("LSMKV_TOOL") or os.path.join(os.path.dirname(lsmkv_server.binary()), "lsmkv-tool")
    done = subprocess.run([path, *arguments], input=stdin, capture_output=True, timeout=120, check=False)
    if done.returncode != code:
        raise AssertionError(f"{arguments}: ended with {done.returncode}, not {code}:\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout.decode()


def as_listed(value):
    """A value as the listing has it: short printable ones as they are, the others by their digest."""
    if len(value) <= 40 and re.fullmatch(rb"[ -~]*", value):
        return value.decode()
    return f"sha256:{hashlib.sha256(value).hexdigest()} of {len(value)} bytes"


def list_keys(client, databases=16):
    """What a server has, in the listing's form."""
    listing = {}
    for database in range(databases):
        client.execute_command("SELECT", database)
        keys = sorted(client.keys("*"))
        rows = {}
        for key in keys:
            deadline = client.execute_command("PEXPIRETIME", key)
            rows[key.decode("latin-1")] = [as_listed(client.get(key)), None if deadline == -1 else deadline]
        if rows:
            listing[str(database)] = rows
    client.execute_command("SELECT", 0)
    return listing


def _load(client, r, rounds):
    """Levels, tombstones, deadlines that have passed and that have not, large values that compress and that do not."""
    for number in rounds:
        for database in (0, 3, 15):
            client.execute_command("SELECT", database)
            pipe = client.pipeline(transaction=False)
            for i in range(60):
                key = b"key:%03d" % r.randrange(90)
                pick = r.random()
                if pick < 0.15:
                    pipe.delete(key)
                elif pick < 0.25:
                    pipe.set(key, b"for long %d" % i, pxat=FAR + number)
                elif pick < 0.3:
                    pipe.set(key, b"for a moment", px=1)
                elif pick < 0.33:
                    pipe.set(key, r.randbytes(1100))
                elif pick < 0.36:
                    pipe.set(key, b"%d times " % number * 300)
                else:
                    pipe.set(key, b"%d of round %d" % (i, number))
            pipe.execute()
    client.execute_command("SELECT", 7)
    client.mset({b"odd \x00\xff\r\n key": b"\x00\x01", b"empty": b"", b"number": b"41"})
    client.incr("number")
    client.append("empty", "")
    client.setrange("edited", 5, "x")
    client.execute_command("SELECT", 9)
    client.set("in a database that is flushed", "x" * 2000)
    client.flushdb()
    client.set("after the flush", "there")
    client.execute_command("SWAPDB", 1, 3)
    client.execute_command("SELECT", 0)


def _at_rest(client):
    wait_until(lambda: client.info("lsm")["compactions_running"] == 0 and client.info("lsm")["immutable_memtables"] == 0, "the tree is at rest")


def _tidy(data):
    """What is not data: it would only make the directory larger."""
    for name in ("LOCK", "history.jsonl", "scrub.json"):
        path = os.path.join(data, name)
        if os.path.exists(path):
            os.remove(path)


def make(place):
    os.makedirs(place)
    r = random.Random(2026)
    home = tempfile.mkdtemp(prefix="lsmkv-formats-")
    try:
        listing = {}
        server = Server(directory=home, directives=[*TINY, "--compression", "lz4"])
        for compression, rounds in (("lz4", (1, 2)), ("none", (3,)), ("zstd", (4,))):
            server.set_directives([*TINY, "--compression", compression])
            server.start()
            _load(server.client(), r, rounds)
            _at_rest(server.client())
            if compression != "zstd":
                server.stop()
        data = os.path.join(home, "data")
        client = server.client()
        client.set("in the log alone", "kept", pxat=FAR)
        client.delete("key:001")
        client.set("beside the log", b"x" * BESIDE_THE_LOG)      # a batch that is a file of its own; git packs it into a few kilobytes
        listing["killed"] = list_keys(client)
        server.kill()
        if os.path.exists(os.path.join(data, "wal", "durable.txt")):
            os.remove(os.path.join(data, "wal", "durable.txt"))      # of the orderly ends before: this one's log has none
        shutil.copytree(data, os.path.join(place, "killed"))
        server.start()
        client = server.client()
        client.execute_command("LSM", "FLUSH")           # one directory with such a batch is enough
        client.set("after the death", "kept too")
        client.delete("key:002")
        _at_rest(client)                                 # so that this one stays in the log
        client.set("in the closed log", "kept three")
        listing["closed"] = list_keys(client)
        server.stop()
        shutil.copytree(data, os.path.join(place, "closed"))
        rows = b"".join(b"bundled:%02d\t%d\n" % (i, i) for i in range(30)) + b"with a deadline\tx\t%d\n" % FAR
        tool("build", os.path.join(place, "bundle"), stdin=rows)
        listing["bundle"] = {**{f"bundled:{i:02}": [str(i), None] for i in range(30)}, "with a deadline": ["x", FAR]}
    finally:
        server.kill()
        shutil.rmtree(home)
    for kind in ("killed", "closed"):
        _tidy(os.path.join(place, kind))
    for name, content in (("listing.json", listing), ("formats.json", versions(place))):
        with open(os.path.join(place, name), "w", encoding="ascii") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")


def _only(found, what):
    if len(found) != 1:
        raise AssertionError(f"{what}: one version expected, the files say {sorted(found)}")
    return found.pop()


def _dumped(pattern, paths, what):
    found = {int(number) for path in paths for number in re.findall(pattern, tool("dump", path), re.MULTILINE)[:1]}
    return _only(found, what)


def versions(place):
    """The version of each kind of file, as the files themselves say."""
    def files(*parts):
        found = [path for kind in ("killed", "closed") for path in sorted(glob.glob(os.path.join(place, kind, *parts)))]
        return [path for path in found if os.path.getsize(path) > 0]

    def in_json(paths, what):
        found = set()
        for path in paths:
            with open(path, encoding="utf-8") as file:
                found.add(json.load(file)["format"])
        return _only(found, what)

    return {"table": _dumped(r"^format (\d+)", files("sst", "*.sst"), "tables"),
            "blob": _dumped(r"^header: format (\d+)", files("blob", "*.blob"), "blob files"),
            "log": _dumped(r"^ +0  format (\d+)", files("wal", "wal_[0-9]*.log"), "the log"),
            "manifest": in_json(files("manifest_l?.json"), "manifests"),
            "bundle": in_json([os.path.join(place, "bundle", "bundle.json")], "bundles")}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if "--server" in arguments:
        at = arguments.index("--server")
        lsmkv_server.use_binary(arguments[at + 1])
        del arguments[at:at + 2]
    make(arguments[0])
