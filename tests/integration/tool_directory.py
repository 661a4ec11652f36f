"""What the tests of lsmkv-tool share: the tool itself, and copies of a directory that the real server made."""

import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

import lsmkv_server
from lsmkv_server import Server

CLASSIC = "config/presets/classic.conf"


def tool(*arguments, stdin=None, code=0):
    """The tool's standard output; it must end with `code`."""
    path = os.environ.get("LSMKV_TOOL") or os.path.join(os.path.dirname(lsmkv_server.binary()), "lsmkv-tool")
    done = subprocess.run([path, *arguments], input=stdin, capture_output=True, timeout=120, check=False)
    text = done.stdout.decode() + done.stderr.decode()
    if done.returncode != code:
        raise AssertionError(f"{arguments}: ended with {done.returncode}, not {code}:\n{text}")
    return text


def findings(directory, code):
    report = json.loads(tool("check", "--json", directory, code=code))
    return [f for f in report["findings"] if f["severity"] == "damage"]


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
        at = file.tell()
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x40]))
    return at


def blocks_of(table):
    """Where the parts of a table begin, by the name of the part."""
    size = os.path.getsize(table)
    with open(table, "rb") as file:
        file.seek(size - 64)
        top, top_size, properties, _ = struct.unpack("<4Q", file.read(32))
    places = {"first block": 0, "middle": top // 2, "last of the sections": top - 1, "top index": top,
              "checksum of the top index": top + top_size + 8, "properties": properties, "footer": size - 64,
              "footer's version": size - 32, "footer's checksum": size - 16, "magic": size - 1}
    return places


class OnCopies(unittest.TestCase):
    """Each test has a copy, at self.copy, of a tree of several levels with deletions, deadlines and large values, and a log that is not
    flushed; self.model is what must be read of it."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="lsmkv-tool-")
        cls.made = os.path.join(cls.home, "made")
        os.mkdir(cls.made)
        cls.model = {}
        rng = random.Random(5)
        with Server(config=CLASSIC, directory=cls.made, directives=["--wal-fsync", "no", "--memtable-size", "400", "--base-level-entries", "400",
                                                                       "--level-ratio", "4"]) as server:
            client = server.client()
            for round_number in range(3):
                pipe = client.pipeline(transaction=False)
                for i in range(4000):
                    key = b"key:%05d" % rng.randrange(6000)
                    if rng.random() < 0.15:
                        pipe.delete(key)
                        cls.model.pop(key, None)
                    else:
                        value = b"%d:%d:" % (round_number, i) + (rng.randbytes(40) if i % 50 else rng.randbytes(2500) * 2)
                        pipe.set(key, value)
                        cls.model[key] = value
                pipe.execute()
            lsmkv_server.wait_until(lambda: client.info("lsm")["compactions_running"] == 0, "the tree is at rest")
            client.set("expiring", "x", ex=100000)
            cls.model[b"expiring"] = b"x"
            client.set("expiring large", b"x" * 9000, ex=100000)
            cls.model[b"expiring large"] = b"x" * 9000
            client.execute_command("LSM", "FLUSH")
            blobs = os.path.join(cls.made, "data", "blob")
            lsmkv_server.wait_until(lambda: client.info("lsm")["compactions_running"] == 0 and client.info("lsm")["blob_files"] == len(os.listdir(blobs)),
                                    "the tree is at rest, and what it needs no more is gone")
            pipe = client.pipeline(transaction=False)
            for i in range(200):
                pipe.set(b"logged:%d" % i, b"y" * 50)
                cls.model[b"logged:%d" % i] = b"y" * 50
            pipe.execute()
            server.stop()
        cls.data = os.path.join(cls.made, "data")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.home, ignore_errors=True)

    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=self.home)
        self.copy = os.path.join(self.directory, "data")
        shutil.copytree(self.data, self.copy)

    def file(self, *parts):
        return os.path.join(self.copy, *parts)

    def tables(self, level):
        with open(self.file(f"manifest_l{level}.json"), encoding="utf-8") as manifest:
            return [table["file"] for table in json.load(manifest)["sstables"]]

    def levels(self):
        return [n for n in range(10) if os.path.exists(self.file(f"manifest_l{n}.json")) and self.tables(n)]

    def deepest(self):
        return self.levels()[-1]

    def blobs(self):
        return ["blob/" + name for name in sorted(os.listdir(self.file("blob")))]

    def contents(self, directory, config=CLASSIC):
        with Server(config=config, directory=directory) as server:
            client = server.client()
            keys = list(client.scan_iter(count=1000))
            self.assertEqual(client.dbsize(), len(keys))
            return dict(zip(keys, client.mget(keys))) if keys else {}
