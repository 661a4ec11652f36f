#include <catch2/catch.hpp>

#include <random>

#include "engine/version/dead_data.h"

using namespace lsmkv;

TEST_CASE("tombstones are dead at once, expiring entries one after another", "[dead]") {
  TableRecord record;
  CHECK(DeadPart(record, 1) == 0);
  CHECK_FALSE(DeadSince(record, 0.1));
  record.entries = 100;
  record.tombstones = 20;
  record.created_at_ms = 50;
  CHECK(DeadPart(record, 0) == Approx(0.2));
  CHECK(DeadSince(record, 0.2) == 50u);
  CHECK_FALSE(DeadSince(record, 0.21));
  record.expiring = 50;
  record.expires_first_ms = 1000;
  record.expires_last_ms = 1999;
  CHECK(DeadPart(record, 999) == Approx(0.2));
  CHECK(DeadPart(record, 1499) == Approx(0.45));
  CHECK(DeadPart(record, 1999) == Approx(0.7));
  CHECK(DeadPart(record, 1'000'000) == Approx(0.7));
  CHECK_FALSE(DeadSince(record, 0.71));
  record.created_at_ms = 1800;                       // written when half of it had passed
  CHECK(DeadSince(record, 0.3) == 1800u);
}

TEST_CASE("when a ratio was reached is when the dead part says so", "[dead]") {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    TableRecord record;
    record.entries = 1 + random() % 1000;
    record.tombstones = random() % (record.entries + 1);
    record.expiring = random() % (record.entries - record.tombstones + 1);
    record.expires_first_ms = 1'000'000 + random() % 1000;
    record.expires_last_ms = record.expires_first_ms + random() % 100'000;
    const double ratio = static_cast<double>(1 + random() % 100) / 100;
    const auto since = DeadSince(record, ratio);
    if (!since) {
      CHECK(DeadPart(record, record.expires_last_ms) < ratio);
      continue;
    }
    CHECK(DeadPart(record, *since) >= ratio - 1e-9);
    if (*since > record.expires_first_ms + 200) CHECK(DeadPart(record, *since - 200) < ratio + 1e-9);
  }
}
