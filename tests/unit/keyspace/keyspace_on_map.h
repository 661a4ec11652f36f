// A keyspace over an engine that is a map.
#pragma once

#include <memory>

#include <catch2/catch.hpp>

#include "fake_engine.h"
#include "keyspace/keyspace.h"

namespace lsmkv {

struct KeyspaceOnMap {
  DatabaseMap map;
  FakeEngine engine{&map};
  std::unique_ptr<Keyspace> keyspace;

  KeyspaceOnMap() {
    Result<std::unique_ptr<Keyspace>> opened = Keyspace::Open(engine, 4, map);
    REQUIRE(opened);
    keyspace = std::move(*opened);
  }
};

}  // namespace lsmkv
