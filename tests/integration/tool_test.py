"""lsmkv-tool check, dump, stats and compact on directories that the real server made: damage is named, what is whole is fine."""

import json
import os
import shutil

import lsmkv_server
from lsmkv_server import Server
from tool_directory import CLASSIC, OnCopies, blocks_of, findings, flip, tool


class Check(OnCopies):
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


class Rest(OnCopies):
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
        # The one before may be there still: it goes a moment after its memtable has been flushed.
        segments = [name for name in os.listdir(self.file("wal")) if name.endswith(".log") and "spare" not in name]
        text = "".join(tool("dump", self.file("wal", segment)) for segment in segments)
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
        deepest = max(l["level"] for l in levels if l["sstables"])
        tool("compact", "--to", str(deepest + 1), "--config", str(lsmkv_server.REPOSITORY / CLASSIC), self.copy)
        levels = json.loads(tool("stats", "--json", self.copy))["levels"]
        self.assertEqual([l["level"] for l in levels if l["sstables"]], [deepest + 1])
        self.assertIn("--to is 'a'", tool("compact", "--to", "a", self.copy, code=2))
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
