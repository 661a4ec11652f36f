"""What INFO says of a server that has done this and that."""

import unittest

import lsmkv_server
from lsmkv_server import Server


class Info(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()

    def stats(self):
        return self.client.info("stats")

    def test_hits_and_misses(self):
        before = self.stats()
        self.client.set("hit", 1)
        self.client.get("hit")
        self.client.mget("hit", "no", "none")
        self.client.exists("hit")
        after = self.stats()
        self.assertEqual(after["keyspace_hits"] - before["keyspace_hits"], 3)
        self.assertEqual(after["keyspace_misses"] - before["keyspace_misses"], 2)
        self.client.config_resetstat()
        self.assertEqual(self.stats()["keyspace_hits"], 0)

    def test_expired_keys(self):
        before = self.stats()["expired_keys"]
        for i in range(10):
            self.client.set(f"short:{i}", "v", px=1)
        lsmkv_server.wait_until(lambda: not self.client.exists("short:9"), "the keys expire")
        self.client.execute_command("LSM", "COMPACT")
        self.assertEqual(self.stats()["expired_keys"] - before, 10)

    def test_changes_since_the_last_save(self):
        self.client.save()
        persistence = self.client.info("persistence")
        self.assertEqual(persistence["rdb_changes_since_last_save"], 0)
        self.assertGreaterEqual(persistence["rdb_last_bgsave_time_sec"], 0)
        self.client.mset({"a": 1, "b": 2})
        self.client.incr("a")
        self.client.get("a")
        self.assertEqual(self.client.info("persistence")["rdb_changes_since_last_save"], 3)
        self.client.bgsave()
        lsmkv_server.wait_until(lambda: self.client.info("persistence")["rdb_changes_since_last_save"] == 0, "it is saved")

    def test_ids(self):
        run_id = self.client.info("server")["run_id"]
        self.assertRegex(run_id, "^[0-9a-f]{40}$")
        self.assertEqual(self.client.info("server")["run_id"], run_id)
        replication_id = self.client.info("replication")["master_replid"]
        self.assertTrue(self.client.execute_command("DEBUG", "CHANGE-REPL-ID"))
        self.assertNotEqual(self.client.info("replication")["master_replid"], replication_id)
        self.assertEqual(self.client.info("server")["run_id"], run_id)

    def test_sections_and_fields_that_tools_look_for(self):
        self.assertIn("cmdstat_info", self.client.info("everything"))
        self.assertEqual(self.client.info("cluster"), {"cluster_enabled": 0})
        self.assertEqual(self.client.info("modules"), {})
        stats = self.stats()
        for name in ("total_net_input_bytes", "total_net_output_bytes", "total_net_repl_input_bytes", "instantaneous_ops_per_sec",
                     "instantaneous_input_kbps", "instantaneous_output_kbps", "instantaneous_input_repl_kbps", "latest_fork_usec",
                     "evicted_keys", "pubsub_channels"):
            self.assertIn(name, stats)
        for name in ("master_failover_state", "master_replid2", "repl_backlog_active"):
            self.assertIn(name, self.client.info("replication"))

    def test_a_reload_keeps_everything(self):
        for i in range(500):
            self.client.set(f"kept:{i}", i)
        digest = self.client.execute_command("DEBUG", "DIGEST")
        self.assertEqual(self.client.execute_command("DEBUG", "RELOAD"), b"OK")
        self.assertEqual(self.client.execute_command("DEBUG", "DIGEST"), digest)
        self.assertEqual(self.client.get("kept:499"), b"499")
        self.client.set("kept:499", "x")
        self.assertNotEqual(self.client.execute_command("DEBUG", "DIGEST"), digest)


if __name__ == "__main__":
    lsmkv_server.main()
