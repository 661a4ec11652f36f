// Commands as the server runs them: first where waiting is not allowed, and, when they say that they would wait, again where it
// is. What a command says kWouldBlock after must not have changed anything. Between MULTI and EXEC commands are queued, as a session does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/words.h"
#include "commands/client_transaction.h"
#include "commands/command_bench.h"

namespace lsmkv {

class KeyBench : public CommandBench {
 public:
  KeyBench() { now_ms = 1'790'000'000'000; }

  std::string Serve(const std::vector<std::string_view>& args) {
    bool unknown_subcommand = false;
    const CommandSpec* const spec = FindCommand(args, &unknown_subcommand);
    resp::OutputBuffer out;
    resp::Writer reply(out, client.protocol);
    if (spec == nullptr) {
      unknown_subcommand ? ReplyUnknownSubcommand(reply, args) : ReplyUnknownCommand(reply, args);
    } else if (!ArityFits(*spec, args.size())) {
      ReplyWrongArity(reply, *spec);
    } else if (client.in_multi() && !RunsInsideMulti(*spec)) {
      client.transaction->Queue(*spec, args, {});
      ++client.queued_commands;
      reply.SimpleString("QUEUED");
    } else {
      Outcome how = Outcome::kWouldBlock;
      if (spec->runs_on == RunsOn::kLoop) how = RunOnce(*spec, args, reply, false);
      if (how == Outcome::kWouldBlock) {
        ++left_loop;
        out.Clear();
        how = RunOnce(*spec, args, reply, true);
      }
      if (how != Outcome::kDone && how != Outcome::kRanTransaction) FAIL("the command did not end");
    }
    return std::string(out.view());
  }

  /// A line with Redis's quoting.
  std::string ServeLine(std::string_view line) {
    const std::optional<std::vector<std::string>> words = SplitWords(line);
    REQUIRE(words.has_value());
    return Serve({words->begin(), words->end()});
  }

  int left_loop = 0;   // how many commands did not end on the loop

 private:
  Outcome RunOnce(const CommandSpec& spec, const std::vector<std::string_view>& args, resp::Writer& reply, bool may_block) {
    const std::uint64_t writes = engine.writes();
    CommandContext context{args, spec, reply, client, *keyspace, server, now_ms, may_block};
    engine.now_ms = now_ms;
    const Outcome how = spec.handler(context);
    if (how == Outcome::kWouldBlock) {
      CHECK_FALSE(may_block);
      CHECK(engine.writes() == writes);
    }
    return how;
  }
};

}  // namespace lsmkv
