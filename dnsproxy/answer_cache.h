// SPDX-License-Identifier: Apache-2.0
//
// AnswerCache: checked upstream answers until their TTL ends, least recently used out first.
//
// Holds nothing that depends on a policy. Never stale: an old address may belong to somebody else.
// Limit: bytes of answers. Thread: the worker's loop.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "dnsproxy/answer.h"

namespace postern {

class AnswerCache {
 public:
  static constexpr std::size_t kBytesDefault = 16u << 20;

  explicit AnswerCache(std::size_t bytes_max = kBytesDefault) : bytes_max_(bytes_max) {}

  /// Null when there is none, or it is too old.
  std::shared_ptr<const Answer> find(const Question& question, BootNs now);
  /// Keeps the answer for its TTL; one of TTL 0 is not kept.
  void store(const Question& question, std::shared_ptr<const Answer> answer);
  void clear();

  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Question question;
    std::shared_ptr<const Answer> answer;
    std::size_t bytes = 0;
  };
  void erase(std::list<Entry>::iterator entry);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> by_use_;  // most recent first
  std::unordered_map<Question, std::list<Entry>::iterator, QuestionHash> index_;
};

}  // namespace postern
