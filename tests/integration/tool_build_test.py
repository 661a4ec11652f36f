"""lsmkv-tool build: what was built is taken in by the real server; what cannot be is said."""

import base64
import json
import os
import random

import lsmkv_server
from lsmkv_server import Server
from tool_directory import CLASSIC, OnCopies, findings, flip, tool


class Build(OnCopies):
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


    def test_sorted_input_is_one_run_and_the_same_in_the_end(self):
        model = {b"key:%06d" % i: b"value %d" % i for i in range(20_000)}
        lines = b"".join(key + b"\t" + value + b"\n" for key, value in sorted(model.items()))
        for options in ([], ["--sorted"]):
            with self.subTest(options=options), Server(config=CLASSIC) as server:
                bundle = os.path.join(self.directory, "bundle" + "".join(options))
                built = json.loads(tool("build", "--json", *options, bundle, stdin=lines))
                self.assertEqual(built["keys"], len(model))
                self.assertLessEqual(built["sorted_runs"], 1)
                client = server.client()
                client.execute_command("LSM", "INGEST", bundle)
                keys = sorted(model)
                self.assertEqual(client.dbsize(), len(model))
                self.assertEqual(client.mget(keys), [model[key] for key in keys])


if __name__ == "__main__":
    lsmkv_server.main()
