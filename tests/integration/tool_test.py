"""lsmkv-tool on directories that the real server made: damage is named, what is whole is saved, what was built is taken in."""

import base64
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


class Tool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A tree of several levels with deletions, deadlines and large values, and a log that is not flushed."""
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

    # ---- check

    def test_a_whole_directory_is_fine_and_a_running_server_keeps_the_tool_away(self):
        self.assertIn("entries", tool("check", self.copy))
        self.assertEqual(findings(self.copy, 0), [])
        with Server(config=CLASSIC, directory=self.directory) as server:
            for command in (["check"], ["stats"], ["compact"]):
                text = tool(*command, self.copy, code=2)
                self.assertIn(str(server.process.pid), text)
                self.assertIn("stop the server", text)
            self.assertIn("manifest of L0", tool("dump", self.file("manifest_l0.json")))

    def test_every_flipped_byte_of_a_table_is_named(self):
        for table in (self.tables(self.levels()[0])[0], self.tables(self.deepest())[-1]):
            for part, offset in blocks_of(self.file(table)).items():
                with self.subTest(part=part, table=table):
                    flip(self.file(table), offset)
                    found = findings(self.copy, 1)
                    self.assertEqual({f["file"] for f in found}, {table})
                    self.assertTrue(any(f["offset"] is not None and f["offset"] <= offset for f in found), found)
                    self.assertIn(table, tool("check", self.copy, code=1))
                    flip(self.file(table), offset)
        self.assertEqual(findings(self.copy, 0), [])

    def test_damage_to_other_files_is_named(self):
        level = self.deepest()
        manifest = f"manifest_l{level}.json"
        flip(self.file(manifest), os.path.getsize(self.file(manifest)) // 2)
        self.assertIn(manifest, {f["file"] for f in findings(self.copy, 1)})
        shutil.copy(os.path.join(self.data, manifest), self.file(manifest))

        segments = sorted(os.listdir(self.file("wal")))
        segment = next(s for s in segments if os.path.getsize(self.file("wal", s)) > 5000)
        for offset in (0, 4, 12, 40, 3000):
            with self.subTest(offset=offset):
                flip(self.file("wal", segment), offset)
                found = findings(self.copy, 1)
                self.assertEqual([f["file"] for f in found], ["wal/" + segment])
                self.assertLessEqual(found[0]["offset"], offset)
                flip(self.file("wal", segment), offset)

        table = self.tables(self.deepest())[0]
        os.rename(self.file(table), self.file("aside"))
        self.assertEqual([(f["file"], "missing" in f["what"]) for f in findings(self.copy, 1)], [(table, True)])
        with open(self.file("aside"), "rb") as file, open(self.file(table), "wb") as cut:
            cut.write(file.read()[:-100])
        self.assertEqual({f["file"] for f in findings(self.copy, 1)}, {table})
        os.rename(self.file("aside"), self.file(table))

        os.remove(self.file("manifest_l1.json"))
        self.assertEqual([f["file"] for f in findings(self.copy, 1)], ["manifest_l1.json"])

    def test_damage_to_blob_files_is_named(self):
        report = json.loads(tool("check", "--json", self.copy))
        self.assertEqual(report["blob files"], len(self.blobs()))
        self.assertEqual(report["blob bytes"], sum(os.path.getsize(self.file(blob)) for blob in self.blobs()))
        self.assertGreater(report["live blob bytes"], 100_000)
        for blob in (self.blobs()[0], self.blobs()[-1]):
            size = os.path.getsize(self.file(blob))
            for offset in (0, 8, 12, 16, 31, 32, 40, 48, 52, 60, size // 2, size - 33, size - 32, size - 24, size - 16, size - 1):
                with self.subTest(blob=blob, offset=offset):
                    flip(self.file(blob), offset)
                    found = [f for f in findings(self.copy, 1) if f["file"] == blob]
                    self.assertEqual(len(found), 1)
                    self.assertLessEqual(found[0]["offset"], offset)
                    flip(self.file(blob), offset)
            os.rename(self.file(blob), self.file("aside"))
            self.assertEqual([(f["file"], "missing" in f["what"]) for f in findings(self.copy, 1)], [(blob, True)])
            os.rename(self.file("aside"), self.file(blob))
        with open(self.file("blob", "blob_900000.blob"), "wb"):
            self.assertIn("blob_900000.blob: is named by no table", tool("check", self.copy))
        self.assertEqual(findings(self.copy, 0), [])

    def test_a_torn_end_of_the_log_is_no_damage(self):
        segment = sorted(os.listdir(self.file("wal")))[-1]
        with open(self.file("wal", segment), "ab") as log:
            log.write(b"\x99" * 100)
        self.assertEqual(findings(self.copy, 0), [])
        self.assertIn("wal/" + segment, tool("check", self.copy))

    # ---- repair

    def repaired(self, code, *options):
        new = os.path.join(tempfile.mkdtemp(dir=self.directory), "data")
        text = tool("repair", *options, self.copy, new, code=code)
        self.assertEqual(findings(new, 0), [])
        return self.contents(os.path.dirname(new)), text

    def test_a_whole_directory_is_repaired_into_its_like(self):
        for options in ([], ["--copy"]):
            contents, _ = self.repaired(0, *options)
            self.assertEqual(contents, self.model)

    def test_repair_saves_the_whole_blocks_of_damaged_tables(self):
        table = self.tables(self.deepest())[0]
        flip(self.file(table), blocks_of(self.file(table))["middle"])
        contents, text = self.repaired(1)
        self.assertIn(table, text)
        self.assertIn("lost: keys behind", text)
        self.assertEqual({k: v for k, v in contents.items() if self.model.get(k) != v}, {})   # nothing wrong, nothing undead
        self.assertGreater(len(contents), len(self.model) * 0.9)
        self.assertLess(len(contents), len(self.model))

    def test_repair_finds_blocks_without_their_index(self):
        for part in ("top index", "footer", "properties", "last of the sections"):
            with self.subTest(part=part):
                table = self.tables(self.deepest())[0]
                offset = flip(self.file(table), blocks_of(os.path.join(self.data, table))[part])
                contents, _ = self.repaired(1)
                self.assertEqual(contents, self.model)
                flip(self.file(table), offset)

    def test_repair_without_a_manifest_merges_all_by_sequence_number(self):
        for level in {0, self.levels()[0], self.deepest()}:
            with self.subTest(level=level):
                os.remove(self.file(f"manifest_l{level}.json"))
                contents, text = self.repaired(1)
                self.assertIn(f"manifest_l{level}.json", text)
                self.assertEqual(contents, self.model)
                shutil.copy(os.path.join(self.data, f"manifest_l{level}.json"), self.copy)

    def test_repair_saves_the_values_of_damaged_blob_files(self):
        blob = self.blobs()[-1]
        whole = os.path.getsize(self.file(blob))
        for lost_manifest in (False, True):
            if lost_manifest:
                os.remove(self.file("manifest_l0.json"))
            for what, least, most in (("header", 0, 0), ("record", 0, 1), ("footer", 0, 0), ("missing", 1, 200)):
                with self.subTest(what=what, lost_manifest=lost_manifest):
                    offset = {"header": 20, "record": 60, "footer": whole - 20, "missing": 0}[what]
                    if what == "missing":
                        os.remove(self.file(blob))
                    else:
                        flip(self.file(blob), offset)
                    contents, text = self.repaired(1)
                    self.assertIn(blob, text)
                    lost = self.model.keys() - contents.keys()
                    self.assertEqual({k: v for k, v in contents.items() if self.model.get(k) != v}, {})
                    self.assertTrue(least <= len(lost) <= most, lost)
                    for key in lost:
                        self.assertIn(f"lost: db0 {key.decode()}: {blob}: ", text)
                    shutil.copy(os.path.join(self.data, blob), self.file(blob))

    def test_repair_saves_the_log_up_to_the_damage(self):
        segment = next(s for s in sorted(os.listdir(self.file("wal"))) if os.path.getsize(self.file("wal", s)) > 5000)
        flip(self.file("wal", segment), 8000)
        contents, text = self.repaired(1)
        self.assertIn("wal/" + segment, text)
        logged = [k for k in self.model if k.startswith(b"logged:")]
        saved = [k for k in logged if k in contents]
        self.assertTrue(10 < len(saved) < len(logged))
        self.assertEqual(saved, logged[:len(saved)])
        self.assertEqual(len(contents), len(self.model) - len(logged) + len(saved))

    def test_repair_never_writes_over_anything(self):
        new = os.path.join(self.directory, "there")
        os.mkdir(new)
        self.assertIn("is there already", tool("repair", self.copy, new, code=2))
        self.assertEqual(os.listdir(new), [])

    # ---- build and ingest

    def test_build_and_ingest_many_keys(self):
        rng = random.Random(9)
        model = {b"key:%d" % i: b"old" for i in range(0, 5000, 7)}
        new = {}
        for i in range(100_000):
            key = rng.randbytes(rng.randrange(1, 12)) if i % 3 == 0 else b"key:%d" % i
            new[key] = b"value %d\n\t\\ \x00" % i + (b"" if i % 500 else rng.randbytes(5000))
        lines = [(key, b"replaced") for key in list(new)[::50]] + list(new.items())
        escape = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
        text = "".join(k.decode("latin-1").translate(escape) + "\t" + v.decode("latin-1").translate(escape) + "\n" for k, v in lines)
        source = os.path.join(self.directory, "source.tsv")
        with open(source, "wb") as file:
            file.write(text.encode("latin-1"))
        bundle = os.path.join(self.directory, "bundle")
        built = json.loads(tool("build", "--json", "--memory-mb", "2", bundle, source))
        self.assertEqual(built["keys"], len(new))
        self.assertGreater(built["sorted_runs"], 1)
        self.assertEqual(sorted(os.listdir(bundle))[0], "bundle.json")
        with Server(config=CLASSIC) as server:
            client = server.client()
            client.mset(model)
            before = client.dbsize()
            self.assertEqual(before, len(model))
            reply = client.execute_command("LSM", "INGEST", bundle)
            self.assertIn(len(new), reply)
            self.assertGreater(client.info("lsm")["blob_live_bytes"], 190 * 5000)      # 200 values, a few of them for one key
            model.update(new)
            self.assertEqual(client.dbsize(), len(model))
            client.set("key:1", "later")
            model[b"key:1"] = b"later"
            for restarted in (False, True):
                keys = list(client.scan_iter(count=5000))
                self.assertEqual(len(keys), len(model))
                found = dict(zip(keys, client.mget(keys)))
                self.assertEqual(found, model)
                if not restarted:
                    server.restart()
                    client = server.client()
            with self.assertRaisesRegex(Exception, "absolute"):
                client.execute_command("LSM", "INGEST", "bundle")
            flip(os.path.join(bundle, "table_000001.sst"), 500)
            with self.assertRaisesRegex(Exception, "table_000001.sst: offset"):
                client.execute_command("LSM", "INGEST", bundle)
            self.assertEqual(client.dbsize(), len(model))
            server.stop()
            self.assertEqual(findings(os.path.join(server.directory, "data"), 0), [])

    def test_every_format_and_a_database_of_its_own(self):
        packed = base64.b64encode(b"\x00\xff").decode()
        inputs = {
            "tsv": b"a\t1\nb\t2\\x00\t4102444800000\n\nold\tx\t1000\n",
            "jsonl": json.dumps({"key": "a", "value": "1"}).encode() + b"\n" +
                     json.dumps({"key": "b", "value_base64": base64.b64encode(b"2\x00").decode(), "expire_at_ms": 4102444800000}).encode() +
                     b"\n" + json.dumps({"key": "old", "value": "x", "expire_at_ms": 1000}).encode(),
            "resp": b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*5\r\n$3\r\nset\r\n$1\r\nb\r\n$2\r\n2\x00\r\n$4\r\npxat\r\n$13\r\n4102444800000\r\n"
                    b"set old x exat 1\r\n",
        }
        self.assertEqual(json.loads(tool("build", "--format", "jsonl", "--json", os.path.join(self.directory, "binary"),
                                         stdin=json.dumps({"key_base64": packed, "value": ""}).encode()))["keys"], 1)
        with Server() as server:
            client = server.client(db=3)
            for name, text in inputs.items():
                with self.subTest(format=name):
                    bundle = os.path.join(self.directory, name)
                    tool("build", "--format", name, "--db", "3", bundle, stdin=text)
                    client.set("old", "here")
                    client.execute_command("LSM", "INGEST", bundle)
                    self.assertEqual(client.mget("a", "b", "old"), [b"1", b"2\x00", None])
                    self.assertEqual(client.pexpiretime("b"), 4102444800000)
                    self.assertEqual(client.dbsize(), 2)
                    client.flushdb()
                    self.assertEqual(client.dbsize(), 0)
            self.assertEqual(server.client(db=0).dbsize(), 0)
            client.execute_command("LSM", "INGEST", os.path.join(self.directory, "binary"))
            self.assertEqual(server.client(db=0).get(b"\x00\xff"), b"")
            tool("build", "--db", "16", os.path.join(self.directory, "sixteen"), stdin=b"a\t1\n")
            with self.assertRaisesRegex(Exception, "database 16"):
                client.execute_command("LSM", "INGEST", os.path.join(self.directory, "sixteen"))

    def test_build_says_where_the_input_is_wrong_and_leaves_nothing(self):
        cases = {
            ("tsv", b"a\tb\nno tab\n"): "standard input:2: no tab",
            ("tsv", b"a\t\\q\n"): "'\\q' is no escape",
            ("tsv", b"a\tb\tsoon\n"): "'soon' is not a time",
            ("jsonl", b'{"key": "a"}\n'): ":1: \"value\"",
            ("jsonl", b"nonsense\n"): "not a JSON object",
            ("resp", b"set a 1\r\ndel a\r\n"): "command 2: 'del'",
            ("resp", b"*2\r\n$3\r\nset"): "ends in the middle",
            ("tsv", b""): "no entries",
        }
        for (name, text), words in cases.items():
            with self.subTest(words=words):
                bundle = os.path.join(self.directory, "bundle")
                self.assertIn(words, tool("build", "--format", name, bundle, stdin=text, code=2))
                self.assertFalse(os.path.exists(bundle))
        self.assertIn("smaller than the one before", tool("build", "--sorted", os.path.join(self.directory, "s"), stdin=b"b\t1\na\t2\n", code=2))
        self.assertIn("not empty", tool("build", self.copy, stdin=b"a\t1\n", code=2))

    # ---- the rest

    def test_dumps_are_readable(self):
        level = self.deepest()
        table = self.file(self.tables(level)[0])
        self.assertRegex(tool("dump", self.file(f"manifest_l{level}.json")), rf"manifest of L{level}: .*\n.*sstable_.* entries")
        text = tool("dump", "--limit", "3", table)
        self.assertRegex(text, r"\d+ put +db0 key:\d+ = \"")
        self.assertIn("entries more", text)
        self.assertEqual(text.count(" put "), 3)
        blocks = [line.split()[2].rstrip(",") for line in tool("dump", "--blocks", "--limit", "0", table).splitlines() if line.startswith("block at")]
        self.assertGreater(len(blocks), 3)
        self.assertIn(f"block at {blocks[1]},", tool("dump", "--block", blocks[1], table))
        self.assertIn("no data block begins", tool("dump", "--block", "1", table, code=2))
        segment = next(s for s in sorted(os.listdir(self.file("wal"))) if os.path.getsize(self.file("wal", s)) > 5000)
        text = tool("dump", self.file("wal", segment))
        self.assertRegex(text, r"db0 logged:0 = \"yyy")
        self.assertIn("operations from", text)

        blob = self.file(self.blobs()[0])
        text = tool("dump", "--limit", "2", "--values", "10", blob)
        self.assertRegex(text, r"blob file \d+; .*\n +32 \+\d+ bytes, key hash [0-9a-f]{16}, .* = \"\d:\d+:")
        self.assertRegex(text, r"header: format 1\n.*\nfooter: \d+ records")
        flip(blob, 60)
        self.assertIn("DAMAGE  offset 32: record checksum does not match", tool("dump", blob, code=1))
        flip(blob, 60)
        pointer = r"db0 key:\d+ = blob \d+ @ \d+ \+\d+ bytes"
        texts = [tool("dump", "--limit", "100000", *options, table) for options in ([], ["--values", "20"]) for table in [self.file(self.tables(level)[-1])]]
        self.assertRegex(texts[0], pointer)
        self.assertRegex(texts[1], pointer + r" .*\"\d:\d+:")

    def test_stats_and_an_offline_compaction(self):
        levels = json.loads(tool("stats", "--json", "--config", str(lsmkv_server.REPOSITORY / CLASSIC), self.copy))["levels"]
        self.assertGreater(len([l for l in levels if l["sstables"]]), 1)
        self.assertEqual(levels[0]["max_entries"], 1000)
        self.assertIn("L1 ", tool("stats", self.copy))
        self.assertRegex(tool("stats", self.copy), r"blobs: \d+ files, .* KiB, \d+\.\d% of their values garbage")
        self.assertIn("after", tool("compact", "--config", str(lsmkv_server.REPOSITORY / CLASSIC), self.copy))
        levels = json.loads(tool("stats", "--json", self.copy))["levels"]
        self.assertEqual(len([l for l in levels if l["sstables"]]), 1)
        self.assertEqual(sum(l["tombstones"] for l in levels), 0)
        self.assertEqual(findings(self.copy, 0), [])
        self.assertEqual(self.contents(self.directory), self.model)

    def test_the_command_line_is_checked(self):
        self.assertIn("check", tool("--help"))
        self.assertIn("--memory-mb", tool("build", "--help"))
        self.assertIn("--help", tool("chekc", code=2))
        self.assertIn("--fast", tool("check", "--fast", self.copy, code=2))
        self.assertIn("it takes DIR", tool("check", code=2))
        self.assertIn("allowed is 1 to", tool("build", "--memory-mb", "0", os.path.join(self.directory, "x"), stdin=b"", code=2))
        self.assertIn("no data directory", tool("check", self.home, code=2))
        self.assertFalse(os.path.exists(os.path.join(self.home, "LOCK")))


if __name__ == "__main__":
    lsmkv_server.main()
