// Moves an iterator about at random, in both directions, and compares each place with a std::map's.
#pragma once

#include <catch2/catch.hpp>

#include <iterator>
#include <string>

namespace lsmkv::test {

/// @param iterator  with the moves of InternalIterator, over what `model`, a std::map by key, says; its keys can be compared with
///                  the std::string that `target` makes.
/// @param target    () -> std::string, a place to seek.
/// @param same      (model's iterator) -> whether `iterator` stands on that.
template <typename AnyIterator, typename Model, typename Random, typename Target, typename Same>
void RandomWalk(AnyIterator& iterator, const Model& model, Random& random, int steps, const Target& target, const Same& same) {
  auto at = model.end();
  bool forward = true;
  const auto seek = [&] {
    const std::string to = target();
    switch (random() % 6) {
      case 0:
        iterator.SeekToFirst();
        at = model.begin();
        break;
      case 1:
        iterator.SeekToLast();
        at = model.empty() ? model.end() : std::prev(model.end());
        break;
      case 2: case 3:
        iterator.Seek(to);
        at = model.lower_bound(to);
        break;
      default:
        iterator.SeekForPrev(to);
        at = model.upper_bound(to);
        at = at == model.begin() ? model.end() : std::prev(at);
    }
  };
  for (int step = 0; step < steps; ++step) {
    if (random() % 5 == 0) forward = random() % 2 == 0;
    if (at == model.end() || random() % 12 == 0) {
      seek();
    } else if (forward) {
      iterator.Next();
      ++at;
    } else {
      iterator.Prev();
      at = at == model.begin() ? model.end() : std::prev(at);
    }
    // Not a REQUIRE each: a walk is thousands of steps.
    if (!iterator.status().ok()) FAIL("step " << step << ": " << iterator.status().message());
    if (iterator.Valid() != (at != model.end())) FAIL("step " << step << ": Valid() is " << iterator.Valid());
    if (at != model.end() && !same(at)) FAIL("step " << step << ": stands elsewhere than on " << at->first);
  }
}

}  // namespace lsmkv::test
