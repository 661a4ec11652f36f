"""Upgrade safety: the directories in tests/data/formats, each made by the first server of its formats, open for ever with all that is in
them. tests/data/formats/README.md says how they were made, and what to do when a format's version changes."""

import glob
import json
import os
import shutil
import tempfile
import unittest

from format_directory import as_listed, list_keys, make, tool, versions
from lsmkv_server import REPOSITORY, Server, main

KEPT = REPOSITORY / "tests" / "data" / "formats"
SEVERAL_LEVELS = ["--base-level-entries", "200", "--level-ratio", "2", "--min-blob-size", "1kb"]
WHAT_TO_DO = f"""
    No directory in {KEPT} was made by this version of the formats: {{now}}.
    When a format's version changes on purpose, older files must stay readable, and the new ones are kept from now on:
        tests/integration/format_directory.py tests/data/formats/<the next number> --server build/lsmkv-server
        git add tests/data/formats/<the next number>      # beside the others: none of them ever goes or changes
    When it was not meant to change, this is the place that says it has."""


def kept():
    return sorted(path for path in KEPT.iterdir() if path.is_dir())


def listing_of(path):
    with open(path / "listing.json", encoding="ascii") as file:
        return json.load(file)


class Formats(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="lsmkv-formats-test-")
        self.addCleanup(shutil.rmtree, self.home)

    def _copy(self, path, kind):
        home = os.path.join(self.home, f"{path.name}-{kind}")
        shutil.copytree(path / kind, os.path.join(home, "data"))
        return home

    def _each(self):
        self.assertTrue(kept())
        for path in kept():
            for kind in ("killed", "closed"):
                with self.subTest(formats=path.name, kind=kind):
                    yield path, kind

    def test_every_format_that_is_written_now_has_a_directory(self):
        fresh = os.path.join(self.home, "fresh")
        make(fresh)
        now = versions(fresh)
        with open(os.path.join(fresh, "formats.json"), encoding="ascii") as file:
            self.assertEqual(json.load(file), now)
        made_by = []
        for path in kept():
            with open(path / "formats.json", encoding="ascii") as file:
                made_by.append(json.load(file))
            self.assertEqual(made_by[-1], versions(path), f"{path}: formats.json is not what the files say")
        if now not in made_by:
            self.fail(WHAT_TO_DO.format(now=now))

    def test_the_server_opens_each_and_finds_every_key(self):
        for path, kind in self._each():
            expected = listing_of(path)[kind]
            with Server(directory=self._copy(path, kind), directives=SEVERAL_LEVELS) as server:
                self.assertEqual(list_keys(server.client()), expected)
                client = server.client()
                client.execute_command("LSM", "SCRUB")
                self.assertEqual(client.info("lsm")["scrub_damage"], 0)
                client.set("written now", "new")
                server.kill()                                   # what the old log and the new one say together
                server.start()
                expected.setdefault("0", {})["written now"] = ["new", None]
                self.assertEqual(list_keys(server.client()), expected)
                server.client().execute_command("LSM", "COMPACT")   # every old table and value is rewritten or moved
                self.assertEqual(list_keys(server.client()), expected)
                server.restart()
                self.assertEqual(list_keys(server.client()), expected)

    def test_the_tool_checks_each_and_dumps_every_file(self):
        for path, kind in self._each():
            data = os.path.join(self._copy(path, kind), "data")
            report = json.loads(tool("check", "--json", data))
            self.assertEqual([f for f in report["findings"] if f["severity"] == "damage"], [])
            self.assertEqual(report["batches beside the log"], 1 if kind == "killed" else 0)
            for pattern in ("manifest_l*.json", "sst/*.sst", "blob/*.blob", "wal/*.log", "wal/*.ops"):
                for file in glob.glob(os.path.join(data, pattern)):
                    tool("dump", file)

    def test_the_tool_repairs_each_into_a_directory_with_every_key(self):
        for path, kind in self._each():
            home = os.path.join(self.home, f"{path.name}-{kind}-repaired")
            os.mkdir(home)
            tool("repair", os.path.join(self._copy(path, kind), "data"), os.path.join(home, "data"))
            with Server(directory=home) as server:
                self.assertEqual(list_keys(server.client()), listing_of(path)[kind])

    def test_what_each_says_to_be_durable_is_believed(self):
        for path in kept():
            with self.subTest(formats=path.name):
                home = self._copy(path, "closed")
                log = max(glob.glob(os.path.join(home, "data", "wal", "wal_[0-9]*.log")))
                os.truncate(log, os.path.getsize(log) // 2)
                server = Server(directory=home)
                with self.assertRaisesRegex(AssertionError, f"{log}: .*w(as|ere) on disk "):
                    server.start()

    def test_a_bundle_of_each_is_taken_in(self):
        for path in kept():
            with self.subTest(formats=path.name), Server() as server:
                bundle = os.path.join(self.home, f"{path.name}-bundle")
                shutil.copytree(path / "bundle", bundle)
                server.client().execute_command("LSM", "INGEST", bundle)
                self.assertEqual(list_keys(server.client()), {"0": listing_of(path)["bundle"]})

    def test_of_the_test_a_changed_value_is_noticed(self):
        path = kept()[-1]
        with Server(directory=self._copy(path, "killed")) as server:
            server.client().set("in the log alone", "changed")
            self.assertNotEqual(list_keys(server.client()), listing_of(path)["killed"])
        self.assertNotEqual(as_listed(b"a" * 100), as_listed(b"a" * 99 + b"b"))


if __name__ == "__main__":
    main()
