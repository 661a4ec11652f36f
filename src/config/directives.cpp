#include "config/directive.h"

namespace lsmkv {
namespace {

using enum Category;
using S = Settings;
constexpr Mutability kStart = Mutability::kAtStart;
constexpr Mutability kRunTime = Mutability::kAtRunTime;

constexpr std::uint64_t kMb = 1ull << 20;
constexpr std::uint64_t kGb = 1ull << 30;
constexpr std::uint64_t kMaxMb = 1ull << 30;          // a pebibyte in MB: no product with a MB overflows
constexpr std::uint64_t kMaxSeconds = 2147483647;     // as Redis
constexpr std::uint64_t kMaxEntries = 1ull << 48;
constexpr std::uint64_t kMaxBytes = 1ull << 62;
constexpr std::int64_t kMaxInt64 = INT64_MAX;

constexpr std::string_view kLogVerbosityNames[] = {"debug", "verbose", "notice", "warning"};
constexpr std::string_view kWalFsyncNames[] = {"always", "everysec", "no"};
constexpr std::string_view kCompressionNames[] = {"none", "lz4", "zstd"};
static_assert(static_cast<int>(LogVerbosity::kWarning) == 3 && static_cast<int>(WalFsync::kNo) == 2 &&
              static_cast<int>(Compression::kZstd) == 2);

template <auto kField>
Choice MakeChoice(std::span<const std::string_view> names) {
  return {names, [](const S& s) { return static_cast<std::size_t>(s.*kField); },
          [](S& s, std::size_t index) {
            s.*kField = static_cast<std::remove_reference_t<decltype(s.*kField)>>(index);
          }};
}

// clang-format off
const Directive kDirectives[] = {
    // ---- network
    {"bind", "", WordList{&S::bind, 16}, "127.0.0.1 -::1", kStart, kNetwork,
     "The addresses to listen on. A leading '-' means: go on if this machine does not have it.\n"
     "'*' is every IPv4 address, '::*' every IPv6 address."},
    {"port", "", Count{&S::port, 0, 65535}, "6379", kStart, kNetwork, "The TCP port. 0: do not listen on TCP."},
    {"unixsocket", "", Text{&S::unixsocket, true}, "\"\"", kStart, kNetwork,
     "The path of a Unix socket to listen on as well. Empty: none."},
    {"unixsocketperm", "", Octal{&S::unixsocketperm, 0777}, "0", kStart, kNetwork,
     "The permissions of that socket, octal, such as 700. 0: what the umask leaves."},
    {"tcp-backlog", "", Count{&S::tcp_backlog, 1, 65535}, "511", kStart, kNetwork,
     "How many connections may wait to be accepted; the kernel's somaxconn caps it."},
    {"tcp-keepalive", "", Count{&S::tcp_keepalive_seconds, 0, kMaxSeconds}, "300", kRunTime, kNetwork,
     "Seconds between TCP keepalive probes, which find peers that are gone. 0: none.\n"
     "A change is for connections accepted after it."},
    {"timeout", "", Count{&S::timeout_seconds, 0, kMaxSeconds}, "0", kRunTime, kNetwork,
     "Close a client that was idle for this many seconds. 0: never."},

    // ---- security
    {"requirepass", "", Text{&S::requirepass, true}, "\"\"", kRunTime, kSecurity,
     "The password clients give with AUTH or HELLO. Empty: none is asked for."},
    {"protected-mode", "", Flag{&S::protected_mode}, "yes", kRunTime, kSecurity,
     "Without a password, serve only clients of this machine, whatever `bind` says."},

    // ---- clients
    {"maxclients", "", Count{&S::maxclients, 1, 1'000'000}, "10000", kRunTime, kClients,
     "How many clients may be connected at once; one more gets an error and is closed."},
    {"proto-max-bulk-len", "", ByteSize{&S::proto_max_bulk_bytes, kMb, kGb}, "512mb", kRunTime, kClients,
     "The longest single argument a client may send, and so the largest value."},
    {"client-query-buffer-limit", "", ByteSize{&S::client_query_buffer_bytes, kMb, kMaxBytes}, "1gb", kRunTime, kClients,
     "How much unfinished input one client may pile up before it is closed."},
    {"client-output-buffer-limit", "", OutputLimitList{&S::client_output_buffer},
     "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60", kRunTime, kClients,
     "Per class of client: close it above the hard limit, or when it stays above the soft limit for so many\n"
     "seconds. 0: no limit; a client that does not read is not read from either, so its replies stay bounded.\n"
     "There are no replicas; their class is known so that Redis's line can be kept."},

    {"maxmemory-clients", "", ByteSize{&S::maxmemory_clients_bytes, 0, kMaxBytes}, "0", kRunTime, kClients,
     "What all clients together may make the server hold: input not yet run, replies not yet sent. Above it nothing is\n"
     "read from those who hold the most until their replies are taken. Nobody is closed, but for who has sent part of an\n"
     "argument larger than all this, is silent for seconds, and keeps others of that kind waiting. 0: by memory-budget."},

    // ---- memory
    {"memory-budget", "", ByteSize{&S::memory_budget_bytes, 0, kMaxBytes}, "0", kRunTime, kMemory,
     "What the whole server may take, 32mb or more. It is divided as `INFO memory` shows; max-memory-mb, memtable-size-mb,\n"
     "block-cache-mb, max-open-sstables and maxmemory-clients overrule their part, and all must fit in. A huge argument or\n"
     "reply comes on top. 0: 60% of what the machine or the control group has, at most 1 GiB."},

    // ---- general
    {"databases", "", Count{&S::databases, 1, 16384}, "16", kStart, kGeneral, "How many databases SELECT can reach: 0 to this less one."},
    {"loglevel", "", MakeChoice<&S::loglevel>(kLogVerbosityNames), "notice", kRunTime, kGeneral,
     "How much to log. notice: limits, flushes, compactions and what an operator should know."},
    {"logfile", "", Text{&S::logfile, true}, "\"\"", kStart, kGeneral,
     "The file to log to; SIGHUP opens it anew, for log rotation. Empty: standard output."},
    {"shutdown-timeout", "", Count{&S::shutdown_timeout_seconds, 0, 3600}, "5", kRunTime, kGeneral,
     "On SIGTERM, SIGINT and SHUTDOWN: how many seconds clients have to take their last replies."},

    // ---- monitoring
    {"slowlog-log-slower-than", "", Integer{&S::slowlog_log_slower_than_us, -1, kMaxInt64}, "10000", kRunTime, kMonitoring,
     "SLOWLOG keeps commands that ran for at least this many microseconds, what they waited for the disk included. 0: all;\n"
     "-1: none."},
    {"slowlog-max-len", "", Count{&S::slowlog_max_entries, 0, 1'000'000}, "128", kRunTime, kMonitoring,
     "How many of them; the oldest go first. An entry takes about as much as its arguments, 4kb at most."},
    {"latency-monitor-threshold", "", Count{&S::latency_monitor_threshold_ms, 0, kMaxInt64}, "0", kRunTime, kMonitoring,
     "LATENCY keeps what took at least this many milliseconds: commands, event loops, the log's writes and syncs, stalls of\n"
     "writers. 0: nothing."},
    {"latency-tracking", "", Flag{&S::latency_tracking}, "yes", kRunTime, kMonitoring,
     "Count how long each command takes, for LATENCY HISTOGRAM and INFO latencystats."},
    {"latency-tracking-info-percentiles", "", PercentileList{&S::latency_tracking_info_percentiles, 32}, "50 99 99.9", kRunTime, kMonitoring,
     "Of each command INFO latencystats says within how long so many of a hundred calls ended, for each of these numbers."},

    // ---- threads
    {"io-threads", "", Count{&S::io_threads, 0, 128}, "0", kStart, kThreads,
     "Event loops, each with its share of the clients. 0: one for every two cores it may use, at most 4: the other\n"
     "cores are for flushes, merges and the system's work for the sockets."},
    {"read-threads", "", Count{&S::read_threads, 1, 256}, "4", kStart, kThreads,
     "Threads that read from the disk what was not in memory. Worth raising for a fast disk."},
    {"admin-threads", "", Count{&S::admin_threads, 1, 16}, "2", kStart, kThreads,
     "Threads for long commands, such as KEYS, DBSIZE and SAVE, so that nobody waits behind them. LSM COMPACT,\n"
     "LSM INGEST and LSM SCRUB have two of their own."},

    // ---- durability
    {"dir", "", Text{&S::dir, false}, "./data", kStart, kDurability,
     "Where the data is; made if it is missing, locked while the server runs."},
    {"wal-fsync", "appendfsync", MakeChoice<&S::wal_fsync>(kWalFsyncNames), "everysec", kRunTime, kDurability,
     "When the write-ahead log goes to the disk. A crash of the server loses nothing in any mode; a power cut loses\n"
     "always: nothing, and every write waits for the disk; everysec: about the last second;\n"
     "no: what the kernel had not written yet."},
    {"wal-skip-corruption", "", Flag{&S::wal_skip_corruption}, "no", kStart, kDurability,
     "Start although the middle of the log is damaged, WITHOUT the writes in the damaged part. Only to save what\n"
     "can be saved, after making a copy."},
    {"disk-reserve", "", ByteSize{&S::disk_reserve_bytes, 0, kMaxBytes}, "256mb", kRunTime, kDurability,
     "When no more than this is left on the disk, writes that add data are refused (-MISCONF) until there is more; reads,\n"
     "DEL, UNLINK, EXPIRE, FLUSHDB, FLUSHALL and compaction go on with what is kept for them. A compaction needs about as much as\n"
     "it leaves behind. Of a small disk a twentieth is kept at most. 0: nothing is kept."},
    {"checkpoints-kept", "", Count{&S::checkpoints_kept, 1, 1000}, "1", kRunTime, kDurability,
     "How many of the checkpoints that SAVE and BGSAVE make in DIR/checkpoints stay. Each keeps the space of the\n"
     "tables it names, even after compaction has replaced them."},
    {"scrub-interval", "", Count{&S::scrub_interval_s, 0, 315'360'000}, "604800", kRunTime, kDurability,
     "Seconds from one scrub to the next: all manifests, tables and blob files are read and checked, slowly and at the lowest\n"
     "priority, so that damage is found before a reader meets it. It is logged and counted in `INFO lsm`; LSM SCRUB does it at\n"
     "once. 0: only that."},

    // ---- memtables
    {"memtable-size", "", Count{&S::memtable_entries, 0, kMaxEntries}, "0", kStart, kMemtables,
     "Entries after which a memtable is flushed. 0: no entry limit."},
    {"memtable-size-mb", "", Count{&S::memtable_mb, 0, kMaxMb}, "0", kStart, kMemtables,
     "Megabytes after which a memtable is flushed. Larger: fewer, larger flushes, more memory, more to replay after a crash.\n"
     "0: a third of what all memtables may take."},
    {"max-immutable-memtables", "", Count{&S::max_immutable_memtables, 1, 1000}, "4", kStart, kMemtables,
     "How many full memtables may wait for their flush before writers wait too."},
    {"max-memory-mb", "", Count{&S::max_memory_mb, 0, kMaxMb}, "0", kStart, kMemtables,
     "What all memtables together may take. 0: four of memtable-size-mb; when that is 0 too, by memory-budget."},
    {"flush-workers", "", Count{&S::flush_workers, 1, 64}, "2", kStart, kMemtables, "Threads that write memtables out as tables."},

    // ---- levels and compaction
    {"level-ratio", "", Count{&S::level_ratio, 2, 100}, "10", kStart, kLevels,
     "How many times larger each level may be than the one above. Smaller: more levels, each compaction cheaper;\n"
     "larger: fewer levels to look through when reading."},
    {"base-level-size-mb", "", Count{&S::base_level_mb, 0, kMaxMb}, "256", kStart, kLevels,
     "The size limit of level 0; level N may have this times level-ratio^N. 0: no size limit."},
    {"base-level-entries", "", Count{&S::base_level_entries, 0, kMaxEntries}, "0", kStart, kLevels,
     "The entry limit of level 0, which grows from level to level likewise. 0: no entry limit."},
    {"max-l0-sstables", "", Count{&S::max_l0_sstables, 1, 10000}, "4", kStart, kLevels,
     "How many tables level 0 may have. They overlap, so a read may have to look into each. While one flush follows the\n"
     "other there may be more, up to three fifths of l0-slowdown-sstables: each merge into level 1 rewrites much of it then."},
    {"l0-slowdown-sstables", "", Count{&S::l0_slowdown_sstables, 1, 10000}, "20", kStart, kLevels,
     "From this many tables in level 0 writers are slowed, the more the further compaction is behind. Tables that running\n"
     "compactions take away do not count."},
    {"l0-stop-sstables", "", Count{&S::l0_stop_sstables, 2, 10000}, "36", kStart, kLevels,
     "From this many tables in level 0, counted likewise, writers wait for a compaction. Above l0-slowdown-sstables."},
    {"soft-limit-ratio", "", Ratio{&S::soft_limit_ratio, 0.01, 1.0}, "0.85", kStart, kLevels,
     "Compaction starts at this share of every limit, so that writers do not meet the limit itself.\n"
     "1.0: only at the limit."},
    {"max-sstable-size-mb", "", Count{&S::max_sstable_mb, 0, kMaxMb}, "64", kStart, kLevels,
     "Levels from 1 on are cut into tables of this size, and a compaction rewrites only those that overlap.\n"
     "0: each level is a single table."},
    {"compaction-workers", "", Count{&S::compaction_workers, 1, 64}, "2", kStart, kLevels,
     "Threads that merge tables. A large compaction is cut by key range among those that are idle. Level 0 has two\n"
     "of its own besides."},
    {"compaction-rate-mb", "", Count{&S::compaction_rate_mb, 0, kMaxMb}, "0", kStart, kLevels,
     "Megabytes a second that compactions may write. 0: as much as leaves the response times of clients alone, and no\n"
     "bound once a level is past its limit, or level 0 has l0-slowdown-sstables."},
    {"dead-ratio", "", Ratio{&S::dead_ratio, 0.01, 1.0}, "0.3", kStart, kLevels,
     "A table of which this share is tombstones or expired entries is compacted even when no limit is reached."},
    {"dead-max-age", "", Count{&S::dead_max_age_s, 0, 31'536'000}, "600", kStart, kLevels,
     "Seconds within which it is. The larger, the more often a compaction that comes along anyway does it in passing."},

    // ---- tables and caches
    {"block-cache-mb", "", Count{&S::block_cache_mb, 0, kMaxMb}, "0", kRunTime, kTables,
     "Memory for blocks of tables: data, indexes and filters. The more of the data fits, the fewer disk reads.\n"
     "0: what memory-budget leaves."},
    {"row-cache-percent", "", Count{&S::row_cache_percent, 0, 80}, "40", kRunTime, kTables,
     "Of that memory, how much may hold single keys with their values (of at most 2kb together) instead of blocks. They are\n"
     "found at once, and a hot key takes its own size rather than a block's. Blocks have what rows have not grown to. 0: none."},
    {"block-size", "", ByteSize{&S::block_bytes, 512, kMb}, "4kb", kStart, kTables,
     "Size of a data block before compression: what one read from the disk fetches. Smaller: less read for a small\n"
     "value; larger: better compression, smaller indexes."},
    {"max-open-sstables", "", Count{&S::max_open_sstables, 0, 1'000'000}, "0", kStart, kTables,
     "How many table files stay open, and beside them a quarter as many blob files; the least recently used are closed.\n"
     "Keep both together below `ulimit -n` less maxclients. 0: by memory-budget, about one for each megabyte of it."},
    {"bloom-bits-per-key", "", Count{&S::bloom_bits_per_key, 0, 32}, "10", kStart, kTables,
     "Bits of filter for each key: 10 save 99 of 100 reads of tables that do not have the key. 0: no filters."},
    {"optimize-for-hits", "", Flag{&S::optimize_for_hits}, "no", kStart, kTables,
     "yes: no filters in the last level, which holds most of the data. A tenth less memory for indexes and filters; a read\n"
     "of a key that does not exist costs a block. For data whose keys are nearly always there."},
    {"compression", "", MakeChoice<&S::compression>(kCompressionNames), "lz4", kStart, kTables,
     "How blocks are compressed, where it pays. zstd is smaller and slower. Tables of each kind can always be read."},

    {"min-blob-size", "", ByteSize{&S::min_blob_bytes, 0, kGb}, "4kb", kStart, kTables,
     "Values from this size on are written once, into blob files beside the tables, which then hold pointers to them; smaller\n"
     "ones lie in the tables and are rewritten from level to level. 0: all lie in the tables."},

    // ---- what tools ask every Redis for
    {"save", "", Fact{}, "\"\"", kStart, kFacts, "there are no timed dumps: every write is in the log at once, and SAVE makes a checkpoint"},
    {"appendonly", "", Fact{}, "yes", kStart, kFacts, "the write-ahead log cannot be turned off"},
    {"dbfilename", "", Fact{}, "\"\"", kStart, kFacts, "the data is a directory, `dir`, not a dump file"},
    {"no-appendfsync-on-rewrite", "", Fact{}, "no", kStart, kFacts, "the log is synced as wal-fsync says, always"},
    {"auto-aof-rewrite-percentage", "", Fact{}, "0", kStart, kFacts, "the log is never rewritten: a segment goes when its memtable is on disk"},
    {"stop-writes-on-bgsave-error", "", Fact{}, "no", kStart, kFacts, "a checkpoint that fails endangers nothing that was written"},
    {"rdbcompression", "", Fact{}, "no", kStart, kFacts, "there is no dump file; tables are compressed as `compression` says"},
    {"rdbchecksum", "", Fact{}, "yes", kStart, kFacts, "everything on disk has a checksum"},
    {"maxmemory", "", Fact{}, "0", kStart, kFacts, "the data is on disk and nothing is evicted; memory-budget bounds the memory"},
    {"maxmemory-policy", "", Fact{}, "noeviction", kStart, kFacts, "the data is on disk and nothing is evicted"},
    {"lazyfree-lazy-user-del", "", Fact{}, "yes", kStart, kFacts, "deleting is a small write, and compaction frees the space"},
    {"lazyfree-lazy-user-flush", "", Fact{}, "yes", kStart, kFacts, "flushing is a small write, and compaction frees the space"},
    {"activedefrag", "", Fact{}, "no", kStart, kFacts, "compaction does for the disk what this does for memory"},
    {"hz", "", Fact{}, "10", kStart, kFacts, "housekeeping has no common timer; this is Redis's default, for tools that want a number"},
    {"io-threads-do-reads", "", Fact{}, "yes", kStart, kFacts, "every I/O thread reads, runs commands and writes for its clients"},
    {"lua-time-limit", "busy-reply-threshold", Fact{}, "5000", kStart, kFacts, "there are no scripts; this is Redis's default, for tools that want a number"},
    {"notify-keyspace-events", "", Fact{}, "\"\"", kStart, kFacts, "there are no keyspace events"},
    {"replicaof", "slaveof", Fact{}, "\"\"", kStart, kFacts, "there is no replication"},
    {"cluster-enabled", "", Fact{}, "no", kStart, kFacts, "there is no cluster mode"},
    {"tls-port", "", Fact{}, "0", kStart, kFacts, "there is no TLS; put a TLS proxy in front"},
    {"aclfile", "", Fact{}, "\"\"", kStart, kFacts, "there is one user, `default`, with the password of requirepass"},
    {"daemonize", "", Fact{}, "no", kStart, kFacts, "the server stays in the foreground; systemd or a container keeps it running"},
    {"supervised", "", Fact{}, "no", kStart, kFacts, "the server tells no supervisor; it is ready when its port answers"},
    {"pidfile", "", Fact{}, "\"\"", kStart, kFacts, "no pid file is written; DIR/LOCK keeps a second server away"},
};
// clang-format on

}  // namespace

std::span<const Directive> Directives() { return kDirectives; }

std::string_view CategoryTitle(Category category) {
  static constexpr std::string_view kTitles[kCategories] = {
      "Network", "Security", "Clients", "Memory", "General", "Monitoring", "Threads", "Data directory and durability", "Memtables",
      "Levels and compaction", "Tables and caches", "Facts: what tools ask every Redis for"};
  return kTitles[static_cast<std::size_t>(category)];
}

}  // namespace lsmkv
