// Random commands against a plain model of what Redis does with strings, deadlines and databases.
#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>

#include "base/numbers.h"
#include "commands_keys/key_bench.h"

namespace lsmkv {
namespace {

using Words = std::vector<std::string>;

std::string Bulk(const std::string& text) { return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }
std::string Int(std::int64_t number) { return ":" + std::to_string(number) + "\r\n"; }
const std::string kOkReply = "+OK\r\n";
const std::string kNil = "$-1\r\n";

/// Redis, as far as these commands go, by the book and without any of the server's own code.
class Model {
 public:
  std::uint64_t now = 0;
  std::uint32_t selected = 0;

  std::string Run(const Words& w) {
    const std::string& name = w[0];
    if (name == "get") return Value(w[1]);
    if (name == "set") return Set(w);
    if (name == "setnx") return Find(w[1]) ? Int(0) : (Store(w[1], w[2], 0), Int(1));
    if (name == "getset") return After(Value(w[1]), [&] { Store(w[1], w[2], 0); });
    if (name == "getdel") return After(Value(w[1]), [&] { Erase(w[1]); });
    if (name == "getex") return After(Value(w[1]), [&] { Expire(w[1], w[2] == "persist" ? 0 : now + Number(w[3])); });
    if (name == "append") return Append(w[1], w[2]);
    if (name == "strlen") return Int(Find(w[1]) ? Size(Find(w[1])->value) : 0);
    if (name == "setrange") return SetRange(w[1], Number(w[2]), w[3]);
    if (name == "incrby") return IncrBy(w[1], static_cast<std::int64_t>(Number(w[2])));
    if (name == "mget") return MGet(w);
    if (name == "mset") return Each(w, 2, [&](std::size_t i) { Store(w[i], w[i + 1], 0); }), kOkReply;
    if (name == "msetnx") return MSetNx(w);
    if (name == "del") return Del(w);
    if (name == "exists") return Exists(w);
    if (name == "pexpire") return PExpire(w);
    if (name == "pttl") return PTtl(w[1]);
    if (name == "persist") return Find(w[1]) && Find(w[1])->deadline != 0 ? (Expire(w[1], 0), Int(1)) : Int(0);
    if (name == "rename") return Rename(w[1], w[2]);
    if (name == "copy") return Copy(w);
    if (name == "move") return Move(w[1], static_cast<std::uint32_t>(Number(w[2])));
    if (name == "dbsize") return Int(Count());
    if (name == "keys") return Keys();
    if (name == "flushdb") return databases_[selected].clear(), kOkReply;
    if (name == "swapdb") return std::swap(databases_[Number(w[1])], databases_[Number(w[2])]), kOkReply;
    if (name == "select") return selected = static_cast<std::uint32_t>(Number(w[1])), kOkReply;
    std::abort();
  }

 private:
  struct Entry {
    std::string value;
    std::uint64_t deadline = 0;
  };
  using Database = std::map<std::string, Entry>;

  static std::uint64_t Number(const std::string& text) { return static_cast<std::uint64_t>(std::stoll(text)); }
  static std::int64_t Size(const std::string& text) { return static_cast<std::int64_t>(text.size()); }
  Entry* FindIn(std::uint32_t database, const std::string& key) {
    const auto found = databases_[database].find(key);
    if (found == databases_[database].end()) return nullptr;
    if (found->second.deadline == 0 || found->second.deadline >= now) return &found->second;
    databases_[database].erase(found);
    return nullptr;
  }
  Entry* Find(const std::string& key) { return FindIn(selected, key); }
  void Erase(const std::string& key) { databases_[selected].erase(key); }
  void Store(const std::string& key, const std::string& value, std::uint64_t deadline) {
    databases_[selected][key] = {value, deadline};
  }
  void Expire(const std::string& key, std::uint64_t deadline) {
    if (Entry* const entry = Find(key)) entry->deadline = deadline;
  }
  std::string Value(const std::string& key) { return Find(key) ? Bulk(Find(key)->value) : kNil; }
  template <typename Do>
  static std::string After(std::string reply, Do act) {
    act();
    return reply;
  }
  template <typename Do>
  static void Each(const Words& w, std::size_t step, Do act) {
    for (std::size_t i = 1; i < w.size(); i += step) act(i);
  }

  std::string Set(const Words& w) {
    bool nx = false;
    bool xx = false;
    bool get = false;
    bool keep = false;
    std::uint64_t deadline = 0;
    for (std::size_t i = 3; i < w.size(); ++i) {
      nx |= w[i] == "nx";
      xx |= w[i] == "xx";
      get |= w[i] == "get";
      keep |= w[i] == "keepttl";
      if (w[i] == "px") deadline = now + Number(w[++i]);
    }
    const Entry* const old = Find(w[1]);
    const std::string old_value = Value(w[1]);
    if (keep && old) deadline = old->deadline;
    const bool writes = !(nx && old) && !(xx && !old);
    if (writes) Store(w[1], w[2], deadline);
    if (get) return old_value;
    return writes ? kOkReply : kNil;
  }
  std::string Append(const std::string& key, const std::string& more) {
    if (!Find(key)) Store(key, "", 0);
    Find(key)->value += more;
    return Int(Size(Find(key)->value));
  }
  std::string SetRange(const std::string& key, std::uint64_t offset, const std::string& piece) {
    if (piece.empty()) return Int(Find(key) ? Size(Find(key)->value) : 0);
    if (!Find(key)) Store(key, "", 0);
    std::string& value = Find(key)->value;
    if (value.size() < offset + piece.size()) value.resize(offset + piece.size());
    value.replace(offset, piece.size(), piece);
    return Int(Size(value));
  }
  std::string IncrBy(const std::string& key, std::int64_t by) {
    const std::string old = Find(key) ? Find(key)->value : "0";
    std::int64_t number = 0;
    if (old != "0") {
      number = std::strtoll(old.c_str(), nullptr, 10);
      if (std::to_string(number) != old) return "-ERR value is not an integer or out of range\r\n";
    }
    const std::uint64_t deadline = Find(key) ? Find(key)->deadline : 0;
    Store(key, std::to_string(number + by), deadline);
    return Int(number + by);
  }
  std::string MGet(const Words& w) {
    std::string reply = "*" + std::to_string(w.size() - 1) + "\r\n";
    Each(w, 1, [&](std::size_t i) { reply += Value(w[i]); });
    return reply;
  }
  std::string MSetNx(const Words& w) {
    bool any = false;
    Each(w, 2, [&](std::size_t i) { any |= Find(w[i]) != nullptr; });
    if (any) return Int(0);
    Each(w, 2, [&](std::size_t i) { Store(w[i], w[i + 1], 0); });
    return Int(1);
  }
  std::string Del(const Words& w) {
    std::int64_t deleted = 0;
    Each(w, 1, [&](std::size_t i) {
      if (!Find(w[i])) return;
      ++deleted;
      Erase(w[i]);
    });
    return Int(deleted);
  }
  std::string Exists(const Words& w) {
    std::int64_t found = 0;
    Each(w, 1, [&](std::size_t i) { found += Find(w[i]) ? 1 : 0; });
    return Int(found);
  }
  std::string PExpire(const Words& w) {
    Entry* const entry = Find(w[1]);
    if (!entry) return Int(0);
    const auto deadline = static_cast<std::int64_t>(now) + std::stoll(w[2]);
    const auto current = static_cast<std::int64_t>(entry->deadline);
    const std::string condition = w.size() > 3 ? w[3] : "";
    if (condition == "nx" && current != 0) return Int(0);
    if (condition == "xx" && current == 0) return Int(0);
    if (condition == "gt" && (current == 0 || deadline <= current)) return Int(0);
    if (condition == "lt" && current != 0 && deadline >= current) return Int(0);
    entry->deadline = static_cast<std::uint64_t>(deadline);
    return Int(1);
  }
  std::string PTtl(const std::string& key) {
    const Entry* const entry = Find(key);
    if (!entry) return Int(-2);
    return Int(entry->deadline == 0 ? -1 : static_cast<std::int64_t>(entry->deadline - now));
  }
  std::string Rename(const std::string& from, const std::string& to) {
    if (!Find(from)) return "-ERR no such key\r\n";
    const Entry entry = *Find(from);
    Erase(from);
    databases_[selected][to] = entry;
    return kOkReply;
  }
  std::string Copy(const Words& w) {   // copy from to db n [replace]
    const auto target = static_cast<std::uint32_t>(Number(w[4]));
    if (target == selected && w[1] == w[2]) return "-ERR source and destination objects are the same\r\n";
    const Entry* const source = Find(w[1]);
    if (!source || (w.size() == 5 && FindIn(target, w[2]))) return Int(0);
    databases_[target][w[2]] = Entry(*source);
    return Int(1);
  }
  std::string Move(const std::string& key, std::uint32_t target) {
    if (target == selected) return "-ERR source and destination objects are the same\r\n";
    if (!Find(key) || FindIn(target, key)) return Int(0);
    databases_[target][key] = *Find(key);
    Erase(key);
    return Int(1);
  }
  std::int64_t Count() {
    std::erase_if(databases_[selected], [&](const auto& e) { return e.second.deadline != 0 && e.second.deadline < now; });
    return static_cast<std::int64_t>(databases_[selected].size());
  }
  std::string Keys() {
    std::string reply = "*" + std::to_string(Count()) + "\r\n";
    for (const auto& [key, entry] : databases_[selected]) reply += Bulk(key);
    return reply;
  }

  std::array<Database, 3> databases_;
};

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}
  unsigned Below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  Words Next() {
    static const std::vector<std::string> kNames{"get", "set", "set", "setnx", "getset", "getdel", "getex", "append", "strlen",
        "setrange", "incrby", "mget", "mset", "msetnx", "del", "exists", "pexpire", "pttl", "persist", "rename", "copy", "move",
        "dbsize", "keys", "flushdb", "swapdb", "select"};
    const std::string& name = kNames[Below(static_cast<unsigned>(kNames.size()))];
    Words w{name};
    if (name == "dbsize") return w;
    if (name == "flushdb") return Below(5) == 0 ? w : Words{"get", Key()};
    if (name == "keys") return {name, "*"};
    if (name == "select") return {name, Database()};
    if (name == "swapdb") return {name, Database(), Database()};
    w.push_back(Key());
    if (name == "set") return AddSetOptions(w);
    if (name == "setnx" || name == "getset" || name == "append") w.push_back(Text());
    if (name == "getex") {
      const Words option = Below(2) == 0 ? Words{"persist"} : Words{"px", Time()};
      w.insert(w.end(), option.begin(), option.end());
    }
    if (name == "setrange") w.insert(w.end(), {std::to_string(Below(20)), Text()});
    if (name == "incrby") w.push_back(std::to_string(static_cast<int>(Below(200)) - 100));
    if (name == "mget" || name == "exists" || name == "del") AddKeys(w);
    if (name == "mset" || name == "msetnx") w.insert(w.end(), {Text(), Key(), Text()});
    if (name == "pexpire") {
      w.push_back(Below(6) == 0 ? "-5" : Time());
      static const std::vector<std::string> kConditions{"nx", "xx", "gt", "lt"};
      if (Below(2) == 0) w.push_back(kConditions[Below(4)]);
    }
    if (name == "rename") w.push_back(Key());
    if (name == "copy") {
      w.insert(w.end(), {Key(), "db", Database()});
      if (Below(2) == 0) w.push_back("replace");
    }
    if (name == "move") w.push_back(Database());
    return w;
  }

 private:
  std::string Key() { return std::string(1, static_cast<char>('a' + Below(6))); }
  std::string Database() { return std::to_string(Below(3)); }
  std::string Time() { return std::to_string(1 + Below(60)); }
  std::string Text() {
    if (Below(2) == 0) return std::to_string(static_cast<int>(Below(1000)) - 500);
    return std::string(Below(30), static_cast<char>(Below(256)));
  }
  void AddKeys(Words& w) {
    for (unsigned more = Below(25); more > 0; --more) w.push_back(Key());
  }
  Words AddSetOptions(Words& w) {
    w.push_back(Text());
    if (Below(3) == 0) w.push_back(Below(2) == 0 ? "nx" : "xx");
    if (Below(3) == 0) w.push_back("get");
    if (Below(3) == 0) {
      w.push_back("keepttl");
    } else if (Below(2) == 0) {
      w.insert(w.end(), {"px", Time()});
    }
    return w;
  }

  std::mt19937 random_;
};

TEST_CASE("any history of commands is answered as a plain model answers it", "[commands][model]") {
  const auto seed = GENERATE(range(0u, 12u));
  CAPTURE(seed);
  Generator generator(seed);
  KeyBench bench;
  bench.engine.would_block_one_in = seed % 3 == 0 ? 0 : seed;
  Model model;
  for (int step = 0; step < 2000; ++step) {
    const Words words = generator.Next();
    model.now = bench.now_ms;
    std::string line;
    for (const std::string& word : words) line.append(word).append(" ");
    CAPTURE(step, line);
    REQUIRE(bench.Serve({words.begin(), words.end()}) == model.Run(words));
    bench.now_ms += generator.Below(4);
    if (generator.Below(50) == 0) bench.engine.CompactNow();
  }
}

TEST_CASE("any history of transactions is answered as their commands one after another, or not at all", "[commands][model][transaction]") {
  const auto seed = GENERATE(range(100u, 112u));
  CAPTURE(seed);
  Generator generator(seed);
  KeyBench bench;
  bench.engine.would_block_one_in = seed % 3 == 0 ? 0 : seed - 95;
  Model model;
  int refused = 0;
  int left_loop = 0;
  for (int step = 0; step < 600; ++step) {
    Model after = model;
    after.now = bench.now_ms;
    std::string expected;
    std::string lines;
    REQUIRE(bench.ServeLine("multi") == kOkReply);
    const unsigned commands = generator.Below(12);
    for (unsigned i = 0; i < commands; ++i) {
      const Words words = generator.Next();
      for (const std::string& word : words) lines.append(word).append(" ");
      lines += "| ";
      REQUIRE(bench.Serve({words.begin(), words.end()}) == "+QUEUED\r\n");
      expected += after.Run(words);
    }
    CAPTURE(step, lines);
    const unsigned how = generator.Below(10);
    const int left_before = bench.left_loop;
    if (how == 0) {
      REQUIRE(bench.ServeLine("discard") == kOkReply);
    } else {
      bench.engine.fail_writes = how == 1;
      const std::string reply = bench.ServeLine("exec");
      bench.engine.fail_writes = false;
      if (how == 1 && reply.starts_with("-EXECABORT Transaction discarded because of: MISCONF")) {
        ++refused;
      } else {
        REQUIRE(reply == "*" + std::to_string(commands) + "\r\n" + expected);
        model = after;
      }
    }
    left_loop += bench.left_loop - left_before;
    REQUIRE(bench.client.database == model.selected);
    model.now = bench.now_ms;
    REQUIRE(bench.ServeLine("keys *") == model.Run({"keys", "*"}));
    bench.now_ms += generator.Below(4);
    if (generator.Below(50) == 0) bench.engine.CompactNow();
  }
  CHECK(refused > 10);
  CHECK(left_loop > 100);
  CHECK(left_loop < 600);
}

}  // namespace
}  // namespace lsmkv
