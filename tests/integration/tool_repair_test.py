"""lsmkv-tool repair on directories that the real server made: what is whole is saved, what is lost is named."""

import os
import shutil
import tempfile

import lsmkv_server
from tool_directory import OnCopies, blocks_of, findings, flip, tool


class Repair(OnCopies):
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

    def test_repair_sorts_out_tables_that_were_exchanged(self):
        """Each is whole and under the other's name; what no manifest names stays out, since all of these are whole."""
        one, other = (self.tables(level)[0] for level in (self.levels()[0], self.deepest()))
        for name, source in ((one, other), (other, one)):
            os.remove(self.file(name))                       # they are links
            shutil.copy(os.path.join(self.data, source), self.file(name))
        unnamed = "sst/sstable_900000.sst"
        shutil.copy(os.path.join(self.data, one), self.file(unnamed))
        contents, text = self.repaired(1)
        self.assertIn("is whole, but not the table that", text)
        self.assertNotIn(unnamed, text)
        self.assertEqual(contents, self.model)

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


if __name__ == "__main__":
    lsmkv_server.main()
