"""lsmkv-tool on directories whose log is not flushed: batches that lie beside it, and where it may begin."""

import json
import os
import re
import shutil
import tempfile
import unittest

import lsmkv_server
from lsmkv_server import Server
from tool_directory import findings, flip, tool

LARGE = 5 << 20          # lies beside the log


class OnLogs(unittest.TestCase):
    """self.copy is a copy of what make() has made in a running server, which was killed then."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="lsmkv-tool-log-")
        cls.made = os.path.join(cls.home, "made")
        os.mkdir(cls.made)
        with Server(directory=cls.made, directives=["--wal-fsync", "always"]) as server:
            cls.model = cls.make(server)
            server.kill()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.home, ignore_errors=True)

    def setUp(self):
        self.directory = tempfile.mkdtemp(dir=self.home)
        self.copy = os.path.join(self.directory, "data")
        shutil.copytree(os.path.join(self.made, "data"), self.copy)

    def log(self, name=""):
        return os.path.join(self.copy, "wal", name)

    def named(self, suffix):
        return sorted(name for name in os.listdir(self.log()) if name.endswith(suffix))

    def contents(self, directory):
        with Server(directory=directory) as server:
            client = server.client()
            return {key: client.get(key) for key in client.keys("*")}

    def repaired(self, code):
        home = tempfile.mkdtemp(dir=self.directory)
        new = os.path.join(home, "data")
        text = tool("repair", self.copy, new, code=code)
        self.assertEqual(findings(new, 0), [])
        return self.contents(home), text

    def refused(self):
        """What a start says that ends at once."""
        with self.assertRaises(AssertionError) as refusal:
            Server(directory=self.directory).start()
        return str(refusal.exception)


class BatchesBesideTheLog(OnLogs):
    @staticmethod
    def make(server):
        client = server.client()
        many = {b"many:%04d" % i: b"%d" % i * 1000 for i in range(2000)}
        writes = [{b"first": b"1"}, {b"large": b"A" * LARGE}, {b"between": b"2"}, many, {b"large too": b"B" * LARGE}, {b"last": b"3"}]
        model = {}
        for write in writes:
            client.mset(write)
            model.update(write)
        return model

    def damage(self, how, name):
        path = self.log(name)
        if how == "missing":
            os.remove(path)
        elif how == "cut":
            os.truncate(path, os.path.getsize(path) - 10)
        else:
            flip(path, 100_000)

    def test_whole_ones_are_no_finding_and_are_counted_and_shown(self):
        report = json.loads(tool("check", "--json", self.copy))
        self.assertEqual((report["findings"], report["batches beside the log"]), ([], 3))
        stats = json.loads(tool("stats", "--json", self.copy))
        self.assertEqual(stats["wal_batches"], 3)
        self.assertEqual(stats["wal_batch_bytes"], sum(os.path.getsize(self.log(name)) for name in self.named(".ops")))
        self.assertRegex(tool("stats", self.copy), r"log: \d+ segments, .*; 3 batches beside it, 1\d\.\d MiB")
        text = tool("dump", "--values", "3", "--limit", "10", self.log(self.named(".log")[0]))
        self.assertRegex(text, rf"in {self.named('.ops')[0]}, \d+ bytes\n +\d+ put +db0 large = \"AAA\"... \({LARGE} bytes\)\n")
        self.assertIn("... 1990 operations more\n", text)
        self.assertRegex(tool("dump", "--limit", "1", self.log(self.named(".ops")[1])), r" 1 put +db0 many:0000 = \"000.*\n\.\.\. 1999 operations more")

    def test_of_a_spare_what_its_records_name_may_be_gone(self):
        batch, segment = self.named(".ops")[0], self.named(".log")[0]
        os.remove(self.log(batch))
        self.assertIn(f"DAMAGE  {self.log(batch)}: is missing", tool("dump", self.log(segment), code=1))
        spare = segment.replace("wal_", "wal_spare_")
        os.rename(self.log(segment), self.log(spare))
        text = tool("dump", self.log(spare))
        self.assertTrue(text.startswith("a spare, "), text[:200])
        self.assertRegex(text, rf"in {batch}, \d+ bytes\n +which went when the segment did\n")

    def test_damaged_ones_are_named_each_and_what_is_whole_is_saved(self):
        for how, offset in (("missing", 0), ("cut", LARGE), ("flipped", 100_000)):
            with self.subTest(how=how):
                names = self.named(".ops")
                self.damage(how, names[0])
                flip(self.log(names[2]), 0)
                found = findings(self.copy, 1)
                self.assertEqual([f["file"] for f in found], ["wal/" + names[0], "wal/" + names[2]])
                self.assertLessEqual(found[0]["offset"], offset + 1000)
                self.assertIn("sequence numbers", found[0]["what"])
                self.assertIn(names[0], tool("dump", self.log(self.named(".log")[0]), code=1))
                text = self.refused()
                self.assertIn(names[0], text)
                self.assertIn(names[0], tool("compact", self.copy, code=2))
                contents, text = self.repaired(1)
                self.assertIn(f"DAMAGE  wal/{names[0]}: lost: this batch, of 1 writes", text)
                self.assertEqual(contents, {key: value for key, value in self.model.items() if not key.startswith(b"large")})
                shutil.rmtree(self.copy)
                shutil.copytree(os.path.join(self.made, "data"), self.copy)

    def test_one_that_no_record_names_is_a_note_and_goes(self):
        shutil.copy(self.log(self.named(".ops")[0]), self.log("aside_000900.ops"))
        self.assertEqual(findings(self.copy, 0), [])
        self.assertIn("note    wal/aside_000900.ops: is named by no record", tool("check", self.copy))
        self.assertEqual(self.contents(self.directory), self.model)
        self.assertNotIn("aside_000900.ops", os.listdir(self.log()))

    def test_repair_and_compact_take_them_in(self):
        contents, _ = self.repaired(0)
        self.assertEqual(contents, self.model)
        tool("compact", self.copy)
        self.assertEqual(self.named(".ops"), [])
        self.assertEqual(findings(self.copy, 0), [])
        self.assertEqual(self.contents(self.directory), self.model)


class TheLogsBeginning(OnLogs):
    @staticmethod
    def make(server):
        """Two segments with records, the second written after another start; nothing is flushed."""
        server.client().set("in the first", "1")
        server.kill()
        server.start()
        server.client().set("in the second", "2")
        return {b"in the first": b"1", b"in the second": b"2"}

    def with_records(self):
        return [name for name in self.named(".log") if re.search(r"\d operations from", tool("dump", self.log(name)))]

    def test_a_first_segment_that_is_gone_or_empty_is_missed_as_a_start_misses_it(self):
        self.assertEqual(findings(self.copy, 0), [])
        first, second = self.with_records()
        for how in ("gone", "empty"):
            with self.subTest(how=how):
                if how == "gone":
                    os.rename(self.log(first), os.path.join(self.directory, first))
                else:
                    with open(self.log(first), "wb"):
                        pass
                found = findings(self.copy, 1)
                self.assertEqual(len(found), 1)
                self.assertIn("sequence number 1 was on disk", found[0]["what"])
                self.assertIn("sequence number 1 was on disk", self.refused())
                contents, text = self.repaired(1)
                self.assertEqual(contents, {})
                self.assertIn(found[0]["file"], text)
                shutil.copy(os.path.join(self.directory, first), self.log(first))
        self.assertEqual(self.contents(self.directory), self.model)

    def test_a_first_segment_that_was_flushed_is_not_missed(self):
        tool("compact", self.copy)                        # flushes, and the log begins anew
        with Server(directory=self.directory) as server:
            server.client().set("in the third", "3")
            server.kill()
        self.assertEqual(findings(self.copy, 0), [])
        contents, _ = self.repaired(0)
        self.assertEqual(contents, {**self.model, b"in the third": b"3"})


if __name__ == "__main__":
    lsmkv_server.main()
