#include "keyspace/keyspace.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "keyspace/key_walk.h"

namespace lsmkv {
namespace {

constexpr std::uint64_t kLargeDatabaseKeys = 1'000'000;
constexpr std::uint64_t kRecentMillis = 10'000;
constexpr int kSampleAttempts = 16;
constexpr std::uint64_t kDeadAfterSample = 256;

/// A different, equally random number each time (the output step of SplitMix64).
std::uint64_t Mix(std::uint64_t random) {
  random += 0x9e3779b97f4a7c15;
  random = (random ^ (random >> 30)) * 0xbf58476d1ce4e5b9;
  random = (random ^ (random >> 27)) * 0x94d049bb133111eb;
  return random ^ (random >> 31);
}

bool IsLive(const PinnedValue& value, std::uint64_t now_ms) {
  return !HasExpired(value.expire_at_ms(), now_ms);
}

std::string UserKey(std::string_view engine_key) {
  const std::optional<DecodedKey> decoded = DecodeEngineKey(engine_key);
  LSMKV_ASSERT(decoded.has_value());   // the key lies in a range that only Redis keys have
  return std::string(decoded->user_key);
}

Status UnknownType(std::string_view user_key) {
  return Status::Corruption("key of unknown type, " + std::to_string(user_key.size()) + " bytes long");
}

}  // namespace

void Keyspace::Warm(std::uint32_t database, std::span<const UpcomingKey> user_keys) {
  constexpr std::size_t kMostKeyBytes = 1024;        // the keys of a batch are copied; long ones cost more than they save
  const std::uint64_t physical = map_.Physical(database);
  std::array<std::optional<EngineKey>, Engine::kMostWarmed> engine_keys;
  std::array<UpcomingKey, Engine::kMostWarmed> upcoming;
  std::size_t count = 0;
  for (const UpcomingKey& user : user_keys.first(std::min(user_keys.size(), Engine::kMostWarmed))) {
    if (user.key.size() > kMostKeyBytes) continue;
    upcoming[count] = {engine_keys[count].emplace(physical, user.key).view(), user.read};
    ++count;
  }
  engine_.Warm(std::span(upcoming).first(count));
}

// ---- the table

Result<std::unique_ptr<Keyspace>> Keyspace::Open(Engine& engine, std::uint32_t databases, DatabaseMap& map) {
  if (databases == 0) return Status::InvalidArgument("at least one database");
  const Result<std::optional<PinnedValue>> record = engine.Get(ServerKey(kDatabaseTableName));
  if (!record) return record.error();
  DatabaseTable table = DatabaseTable::Fresh(databases);
  bool as_it_was = false;
  if (*record) {
    Result<DatabaseTable> decoded = DatabaseTable::Decode((*record)->data());
    if (!decoded) return decoded.error();
    table = std::move(*decoded);
    table.GrowTo(databases);
    as_it_was = table.Encode() == (*record)->data();
  }
  std::unique_ptr<Keyspace> keyspace(new Keyspace(engine, map, table));
  // Written again even when nothing is new: compaction must not act on what a power cut can take back. On a full disk, which
  // is no reason not to serve what is there, this rests on the engine having made safe what it recovered.
  Status safe = keyspace->WriteTable(table);
  if (safe.ok()) safe = engine.Sync();
  if (!safe.ok() && (safe.code() != StatusCode::kNoSpace || !as_it_was)) return safe;
  map.Prepare(databases, table);
  map.MarkDurable(table);
  engine.ReclaimDeadRanges();
  return keyspace;
}

// ---- bundles

Result<IngestPlace> Keyspace::PlaceOfBundle(std::string_view prefix) {
  const std::optional<DecodedKey> decoded = DecodeEngineKey(prefix);
  if (!decoded || !decoded->user_key.empty()) return Status::InvalidArgument("the bundle does not hold the keys of a database");
  const MutexLock lock(table_mutex_);
  if (decoded->database >= databases()) {
    return Status::InvalidArgument("the bundle is for database " + std::to_string(decoded->database) + ", and there are " +
                                   std::to_string(databases()));
  }
  return IngestPlace{DatabaseBegin(table_.id(static_cast<std::uint32_t>(decoded->database))), table_changes_};
}

Result<IngestReport> Keyspace::Ingest(const std::string& bundle) {
  IngestRequest request;
  request.bundle = bundle;
  request.place = [this](std::string_view prefix) { return PlaceOfBundle(prefix); };
  Result<IngestReport> report = engine_.Ingest(request);
  if (report) TouchAll();
  return report;
}

Result<std::string> Keyspace::Reload() {
  Result<std::string> changes = engine_.Reload();
  if (changes) TouchAll();
  return changes;
}

/// Which keys it brought or took nobody looks up: whoever watches something is told that it may have changed.
void Keyspace::TouchAll() {
  if (watched_.any()) watched_.TouchAll([](const Watch&) { return true; });
}

// ---- counting

KeyspaceInfo Keyspace::Count::InfoAt(std::uint64_t now_ms) const {
  KeyspaceInfo info{keys, expires, 0};
  if (expires > 0) {
    const double average = deadlines_sum / static_cast<double>(expires) - static_cast<double>(now_ms);
    info.avg_ttl = static_cast<std::uint64_t>(std::max(0.0, average));
  }
  return info;
}

bool Keyspace::StillHolds(const Count& count, std::uint64_t physical, std::uint64_t now_ms, CountMode mode) const {
  if (count.physical != physical || now_ms < count.counted_at_ms) return false;
  if (count.content_changes != engine_.content_changes()) return false;
  if (count.sequence == engine_.last_sequence() && now_ms <= count.first_expiry_ms) return true;
  return mode == CountMode::kRecent && count.keys > kLargeDatabaseKeys && now_ms - count.counted_at_ms <= kRecentMillis;
}

Result<KeyspaceInfo> Keyspace::CountDatabase(std::uint32_t database, std::uint64_t now_ms, CountMode mode, const Transaction* transaction) {
  LSMKV_ASSERT(database < databases());
  const std::uint64_t physical = PhysicalIn(transaction, database);
  if (transaction != nullptr) {   // of its moment, and with what it has staged: nobody else's count
    const Result<Count> count = Walk(physical, now_ms, transaction);
    if (!count) return count.error();
    return count->InfoAt(now_ms);
  }
  {
    const MutexLock lock(counts_mutex_);
    counts_.resize(databases());
    const Count& last = counts_[database];
    if (StillHolds(last, physical, now_ms, mode)) return last.InfoAt(now_ms);
  }
  const Result<Count> count = Walk(physical, now_ms, nullptr);
  if (!count) return count.error();
  const MutexLock lock(counts_mutex_);
  counts_[database] = *count;
  return count->InfoAt(now_ms);
}

Result<Keyspace::Count> Keyspace::Walk(std::uint64_t physical, std::uint64_t now_ms, const Transaction* transaction) {
  const std::string end = DatabaseEnd(physical);
  Count count;
  count.content_changes = engine_.content_changes();          // before the snapshot: one that ends in between is counted anew
  ReadOptions options;
  options.snapshot = engine_.GetSnapshot();   // its sequence, not last_sequence(): a batch may have its number before it is seen
  options.now_ms = now_ms;
  options.upper_bound = end;
  options.fill_cache = false;
  count.physical = physical;
  count.sequence = options.snapshot->sequence();
  count.counted_at_ms = now_ms;
  KeyWalk keys(engine_, options, transaction);
  for (keys.Seek(DatabaseBegin(physical)); keys.Valid(); keys.Next()) {
    ++count.keys;
    const std::uint64_t deadline = keys.expire_at_ms();
    if (deadline == 0) continue;
    ++count.expires;
    count.deadlines_sum += static_cast<double>(deadline);
    count.first_expiry_ms = std::min(count.first_expiry_ms, deadline);
  }
  if (Status status = keys.status(); !status.ok()) return status;
  return count;
}

Result<ContentDigest> Keyspace::Digest(std::uint64_t now_ms) {
  ContentDigest digest;
  ReadOptions options;
  options.snapshot = engine_.GetSnapshot();
  options.now_ms = now_ms;
  options.fill_cache = false;
  for (std::uint32_t database = 0; database < databases(); ++database) {
    const std::uint64_t physical = Physical(database);
    const std::string end = DatabaseEnd(physical);
    options.upper_bound = end;
    const std::unique_ptr<Iterator> keys = engine_.NewIterator(options);
    for (keys->Seek(DatabaseBegin(physical)); keys->Valid(); keys->Next()) {
      const std::optional<DecodedKey> key = DecodeEngineKey(keys->key());
      LSMKV_ASSERT(key.has_value());
      std::string name = std::to_string(database) + ' ' + std::to_string(keys->expire_at_ms()) + ' ';
      digest.Add(name.append(key->user_key), keys->value());
    }
    if (Status status = keys->status(); !status.ok()) return status;
  }
  return digest;
}

// ---- some key, all keys

Result<std::optional<std::string>> Keyspace::FirstLiveKey(std::string_view begin, std::string_view end,
                                                          std::uint64_t now_ms, std::uint64_t max_skipped,
                                                          const Transaction* transaction) {
  ReadOptions options;
  options.now_ms = now_ms;
  options.max_skipped = max_skipped;
  options.upper_bound = end;
  KeyWalk keys(engine_, options, transaction);
  keys.Seek(begin);
  if (Status status = keys.status(); !status.ok()) return status;
  if (!keys.Valid()) return std::optional<std::string>();
  return std::optional<std::string>(UserKey(keys.key()));
}

Result<std::optional<std::string>> Keyspace::RandomKey(std::uint32_t database, std::uint64_t now_ms, std::uint64_t random,
                                                       const Transaction* transaction) {
  const std::uint64_t physical = PhysicalIn(transaction, database);
  const std::string begin = DatabaseBegin(physical);
  const std::string end = DatabaseEnd(physical);
  std::string somewhere = begin;
  for (int attempt = 0; attempt < kSampleAttempts; ++attempt, random = Mix(random)) {
    Result<std::optional<std::string>> sample = engine_.SampleKey(begin, end, random);
    if (!sample) return sample.error();
    if (!*sample) break;                          // what there is was staged, or is gone since a transaction's moment
    somewhere = std::move(**sample);
    if (transaction == nullptr || transaction->Find(somewhere) == nullptr) {
      ReadOptions options;
      if (transaction != nullptr) options.snapshot = transaction->snapshot();
      const Result<std::optional<PinnedValue>> value = engine_.Get(somewhere, options);
      if (!value) return value.error();
      if (*value && IsLive(**value, now_ms)) return std::optional<std::string>(UserKey(somewhere));
    }
    Result<std::optional<std::string>> near = FirstLiveKey(somewhere, end, now_ms, kDeadAfterSample, transaction);
    if (!near || *near) return near;
  }
  if (somewhere == begin && transaction == nullptr) return std::optional<std::string>();
  // Mostly dead keys here: the first live one from the last sample on, or else from the beginning.
  Result<std::optional<std::string>> found = FirstLiveKey(somewhere, end, now_ms, 0, transaction);
  if (!found || *found || somewhere == begin) return found;
  return FirstLiveKey(begin, end, now_ms, 0, transaction);
}

Result<std::optional<std::string>> Keyspace::Scan(const ScanRequest& request, const ScanVisitor& visit,
                                                  const Transaction* transaction) {
  const std::uint64_t physical = PhysicalIn(transaction, request.database);
  const std::string end = PrefixEnd(physical, request.prefix);
  std::string begin(EngineKey(physical, request.prefix).view());
  if (request.after) {
    std::string next(EngineKey(physical, *request.after).view());
    next.push_back('\0');   // the smallest key behind it
    begin = std::max(begin, next);
  }
  ReadOptions options;
  options.now_ms = request.now_ms;
  options.upper_bound = end;
  options.fill_cache = request.fill_cache;
  options.max_skipped = request.max_examined;
  KeyWalk keys(engine_, options, transaction);
  std::uint64_t counted = 0;
  for (keys.Seek(begin); keys.Valid(); keys.Next()) {
    const std::optional<DecodedKey> key = DecodeEngineKey(keys.key());
    LSMKV_ASSERT(key.has_value() && key->database == physical);
    const std::optional<DecodedValue> value = DecodeValue(keys.value_head());
    if (!value) return UnknownType(key->user_key);
    if (visit(key->user_key, value->type)) ++counted;
    if (counted >= request.max_keys || keys.examined() >= request.max_examined) {
      std::optional<std::string> position(key->user_key);
      keys.Next();   // a walk that just reached its end says so
      if (Status status = keys.status(); !status.ok()) return status;
      if (keys.Valid()) return position;
      break;
    }
  }
  if (Status status = keys.status(); !status.ok()) return status;
  if (keys.paused()) return std::optional<std::string>(UserKey(keys.position()));   // there may be more behind the dead ones
  return std::optional<std::string>();
}

}  // namespace lsmkv
