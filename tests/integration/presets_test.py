"""Every configuration that is shipped starts, serves, restarts, and still has what was written."""

import lsmkv_server
from lsmkv_server import Server
import unittest

KEYS = 3000


class Presets(unittest.TestCase):
    def serves_and_restarts(self, config, directives=()):
        with Server(config=config, directives=directives) as server:
            client = server.client()
            for start in range(0, KEYS, 500):
                pipeline = client.pipeline(transaction=False)
                for i in range(start, start + 500):
                    pipeline.set(f"key:{i}", f"value-{i}")
                self.assertEqual(pipeline.execute(), [True] * 500)
            client.delete("key:7")
            self.check_contents(client)
            server.restart()
            self.check_contents(server.client())

    def check_contents(self, client):
        values = client.mget([f"key:{i}" for i in range(KEYS)])
        expected = [None if i == 7 else b"value-%d" % i for i in range(KEYS)]
        self.assertEqual(values, expected)

    def test_the_defaults(self):
        self.serves_and_restarts(None)

    def test_lsmkv_conf(self):
        self.serves_and_restarts("config/lsmkv.conf")

    def test_classic(self):
        self.serves_and_restarts("config/presets/classic.conf")

    def test_write_heavy(self):
        self.serves_and_restarts("config/presets/write-heavy.conf")

    def test_read_heavy(self):
        self.serves_and_restarts("config/presets/read-heavy.conf")

    def test_balanced(self):
        self.serves_and_restarts("config/presets/balanced.conf")

    def test_classic_flushes_by_itself(self):
        with Server(config="config/presets/classic.conf") as server:
            client = server.client()
            for i in range(KEYS):
                client.set(f"key:{i}", "x")
            lsmkv_server.wait_until(lambda: lsm_stats(client).get(b"num_sstables", 0) > 0, "a table appears")


def lsm_stats(client):
    flat = client.execute_command("LSM", "STATS")
    if isinstance(flat, dict):
        return {k if isinstance(k, bytes) else k.encode(): int(float(v)) for k, v in flat.items()}
    return {flat[i]: int(float(flat[i + 1])) for i in range(0, len(flat), 2)}


if __name__ == "__main__":
    lsmkv_server.main()
