// SPDX-License-Identifier: Apache-2.0
//
// ObjectTable: the objects of one kind, and what a list or an event changes about them.
//
// A list is gathered first and applied whole, what is gone before what is new: an address that moved
// to another pod between two lists is never two pods'. Pure. Limit: `objects_max`.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/kube/reader.h"

namespace postern {

template <typename T>
class ObjectTable {
 public:
  explicit ObjectTable(std::size_t objects_max) : objects_max_(objects_max) {}

  /// What one event, or one list, changed: ids that are gone, then objects that are new or differ.
  struct Changes {
    std::vector<std::string> gone;
    std::vector<std::string> changed;
  };

  /// @return false if there is no room for one more.
  bool put(ObjectRead<T> read, Changes& changes) {
    const auto found = objects_.find(read.id);
    if (found == objects_.end() && objects_.size() >= objects_max_) {
      return false;
    }
    if (found == objects_.end()) {
      objects_.emplace(read.id, std::move(read.object));
    } else if (found->second != read.object) {
      found->second = std::move(read.object);
    } else {
      return true;
    }
    changes.changed.push_back(std::move(read.id));
    return true;
  }

  void remove(const std::string& id, Changes& changes) {
    if (objects_.erase(id) != 0) {
      changes.gone.push_back(id);
    }
  }

  void begin_list() {
    listed_.clear();
    keep_.clear();
  }
  /// @return false if the list is longer than there is room for.
  bool list(ObjectRead<T> read) {
    if (!listed_.contains(read.id) && listed_.size() >= objects_max_) {
      return false;
    }
    listed_.insert_or_assign(std::move(read.id), std::move(read.object));
    return true;
  }
  /// It is in the list, but could not be read: it stays as it was.
  void list_unread(const std::string& id) { keep_.insert(id); }

  void end_list(Changes& changes) {
    std::erase_if(objects_, [&](const auto& entry) {
      const bool gone = !listed_.contains(entry.first) && !keep_.contains(entry.first);
      if (gone) {
        changes.gone.push_back(entry.first);
      }
      return gone;
    });
    for (auto& [id, object] : listed_) {
      const auto found = objects_.find(id);
      if (found == objects_.end() || found->second != object) {
        objects_.insert_or_assign(id, std::move(object));
        changes.changed.push_back(id);
      }
    }
    begin_list();
  }

  const std::map<std::string, T>& objects() const { return objects_; }

 private:
  std::size_t objects_max_;
  std::map<std::string, T> objects_;
  std::map<std::string, T> listed_;  // of the list under way
  std::set<std::string> keep_;
};

}  // namespace postern
