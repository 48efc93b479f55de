// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/answer_cache.h"

namespace postern {

void AnswerCache::erase(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  index_.erase(entry->question);
  by_use_.erase(entry);
}

std::shared_ptr<const Answer> AnswerCache::find(const Question& question, BootNs now) {
  const auto found = index_.find(question);
  if (found == index_.end()) {
    return nullptr;
  }
  const auto& answer = found->second->answer;
  if (now - answer->received >= answer->ttl_s * kNsPerS) {
    erase(found->second);
    return nullptr;
  }
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return answer;
}

void AnswerCache::store(const Question& question, std::shared_ptr<const Answer> answer) {
  if (const auto old = index_.find(question); old != index_.end()) {
    erase(old->second);
  }
  // The question is held twice: in the list and as the key.
  const std::size_t bytes = answer->memory_bytes() + 2 * (sizeof(Question) + question.name.size()) + sizeof(Entry);
  if (answer->ttl_s == 0 || bytes > bytes_max_) {
    return;
  }
  while (bytes_ + bytes > bytes_max_) {
    erase(std::prev(by_use_.end()));
  }
  by_use_.push_front({question, std::move(answer), bytes});
  index_.emplace(question, by_use_.begin());
  bytes_ += bytes;
}

void AnswerCache::clear() {
  index_.clear();
  by_use_.clear();
  bytes_ = 0;
}

}  // namespace postern
