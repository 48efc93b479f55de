// SPDX-License-Identifier: Apache-2.0
//
// ResourceFeed: one kind of object kept in step: ListWatch's requests made, their answers read into the table.
//
// ClusterWatch has one for pods and one for namespaces, PolicyWatch one for each kind of policy. Thread: the loop's.
// Limits: of ApiClient (a body), kLineMax (a watch event), ObjectTable (objects), kWarningsMax (log lines a minute).
#pragma once

#include <functional>
#include <random>
#include <string>
#include <utility>

#include "agent/kube/api_client.h"
#include "agent/kube/cluster_watch.h"
#include "agent/kube/line_splitter.h"
#include "agent/kube/list_watch.h"
#include "agent/kube/object_table.h"
#include "base/log.h"

namespace postern {

template <typename T>
class ResourceFeed {
 public:
  static constexpr std::size_t kLineMax = ApiClient::kBodyMax;
  static constexpr std::uint32_t kWatchGraceS =
      30;  ///< The server ends a watch; this long after it should have, we do.
  static constexpr std::uint64_t kWarningsMax = 10;

  struct Events {
    std::function<void(const T&)> on_object;
    std::function<void(const std::string& id)> on_gone;
    std::function<void()> on_state;  ///< synced() or trouble() has changed.
  };

  /// Whether the API server may not know of this kind: it may be one that a user can install later.
  enum class Kind { kAlwaysThere, kMaybeAbsent };
  /// So many answers in a row have to say so: a server that is just starting does not know yet what it has.
  static constexpr int kAbsentAnswers = 3;

  /// @param plural  "pods", for error texts.
  ResourceFeed(EventLoop& loop,
               ApiClient& client,
               std::string plural,
               ListWatch protocol,
               std::size_t objects_max,
               Kind kind = Kind::kAlwaysThere)
      : loop_(loop),
        client_(client),
        plural_(std::move(plural)),
        kind_(kind),
        protocol_(std::move(protocol)),
        table_(objects_max),
        lines_(kLineMax),
        random_(std::random_device{}()) {}
  ResourceFeed(const ResourceFeed&) = delete;
  ResourceFeed& operator=(const ResourceFeed&) = delete;
  ~ResourceFeed() {
    loop_.cancel(timer_);
    client_.cancel(request_);
  }

  void start(Events events) {
    events_ = std::move(events);
    go(protocol_.begin());
  }

  const std::map<std::string, T>& objects() const { return table_.objects(); }
  /// The first list is in, or the API server has no such kind.
  bool synced() const { return synced_ || absent(); }
  bool absent() const { return absent_answers_ >= kAbsentAnswers; }
  const std::string& trouble() const { return trouble_; }
  Errc trouble_code() const { return trouble_code_; }
  const ClusterWatch::Counters& counters() const { return counters_; }

 private:
  using Request = ListWatch::Request;

  std::uint32_t random() { return static_cast<std::uint32_t>(random_()); }

  void go(Request request) {
    request_ = 0;
    if (request.after_ms == 0) {
      send(request);
      return;
    }
    const std::uint64_t after_ms = request.after_ms;
    timer_ = loop_.after_ms(after_ms, [this, request = std::move(request)] {
      timer_ = 0;
      send(request);
    });
  }

  void send(const Request& request) {
    if (request.what == ListWatch::What::kWatch) {
      send_watch(request);
      return;
    }
    if (request.fresh_list) {
      table_.begin_list();
    }
    request_ = client_.get(request.path, [this](ApiReply reply) { on_list(std::move(reply)); });
  }

  void on_list(ApiReply reply) {
    if (reply.ok()) {
      auto page = read_list<T>(reply.body);
      if (page) {
        take_page(std::move(*page));
        return;
      }
      reply.error = std::move(page).error();
    }
    if (!note_absence(reply)) {
      fail("listing " + plural_, reply);
    }
    go(protocol_.on_list_failure(reply, random()));
  }

  /// It is asked for again and again, ever more rarely, in case somebody installs it. What was known of it before stays.
  bool note_absence(const ApiReply& reply) {
    constexpr int kNotFoundStatus = 404;
    if (kind_ != Kind::kMaybeAbsent || reply.status != kNotFoundStatus) {
      return false;
    }
    if (absent_answers_ < kAbsentAnswers && ++absent_answers_ == kAbsentAnswers) {
      trouble_.clear();
      events_.on_state();
    }
    return true;
  }

  void take_page(ListPage<T> page) {
    const bool was_absent = std::exchange(absent_answers_, 0) >= kAbsentAnswers;
    for (ObjectRead<T>& item : page.items) {
      if (!item.problem.empty()) {
        unreadable(item.problem);
        table_.list_unread(item.id);
      } else if (const std::string id = item.id; !table_.list(std::move(item))) {
        unreadable("no room for one of the " + plural_ + " (" + printable(id) + ")");
        table_.list_unread(id);
      }
    }
    Request next = protocol_.on_page(page.version, page.next, random());
    if (next.what == ListWatch::What::kWatch) {
      ++counters_.lists;
      counters_.relists += synced_ ? 1 : 0;
      typename ObjectTable<T>::Changes changes;
      table_.end_list(changes);
      tell(changes);
      if (!std::exchange(synced_, true) || was_absent) {
        events_.on_state();
      }
    }
    go(std::move(next));
  }

  void send_watch(const Request& request) {
    counters_.reconnects += watched_ ? 1 : 0;
    watched_ = true;
    said_something_ = false;
    opened_ = {};
    lines_.reset();
    ApiClient::Stream stream;
    stream.on_open = [this] {
      opened_ = clock_.now();
      set_trouble({}, Errc::kIo);
    };
    stream.on_data = [this](std::string_view bytes) {
      lines_.feed(bytes, [this](std::string_view line) { return on_line(line); });
      note_long_lines();
    };
    stream.on_done = [this](ApiReply reply) {
      // A watch that worked and then broke is no trouble before the next one fails, too.
      const bool opened = opened_.ns != 0;
      if (!reply.ok() && !opened) {
        fail("watching " + plural_, reply);
      }
      const std::uint64_t lasted_ms = opened ? (clock_.now() - opened_) / kNsPerMs : 0;
      go(protocol_.on_watch_end(reply, said_something_, lasted_ms, random()));
    };
    request_ = client_.stream(request.path, request.seconds_max + kWatchGraceS, std::move(stream));
  }

  /// @return false once the watch has been ended.
  bool on_line(std::string_view line) {
    auto event = read_watch_event<T>(line);
    if (!event) {
      unreadable(event.error().message());
      return true;
    }
    ++counters_.events;
    if (event->type == WatchEventType::kError) {
      client_.cancel(request_);
      spdlog::debug("the watch of {} ends: {} {}", plural_, event->status.code, event->status.message);
      go(protocol_.on_watch_error(event->status, random()));
      return false;
    }
    said_something_ = true;
    protocol_.on_version(event->object.version);
    typename ObjectTable<T>::Changes changes;
    if (event->type == WatchEventType::kDeleted) {
      table_.remove(event->object.id, changes);
    } else if (event->type != WatchEventType::kBookmark) {
      if (!event->object.problem.empty()) {
        unreadable(event->object.problem);
      } else if (const std::string id = event->object.id; !table_.put(std::move(event->object), changes)) {
        unreadable("no room for one of the " + plural_ + " (" + printable(id) + ")");
      }
    }
    tell(changes);
    return true;
  }

  void tell(const typename ObjectTable<T>::Changes& changes) {
    for (const std::string& id : changes.gone) {
      events_.on_gone(id);
    }
    for (const std::string& id : changes.changed) {
      events_.on_object(table_.objects().at(id));
    }
  }

  void fail(const std::string& step, const ApiReply& reply) {
    ++counters_.failures;
    const bool answered = reply.status != 0;
    // Without an answer the trouble is the server's, not this kind's: both feeds then say the same.
    Error error = answered ? Error(*reply.error).within(step) : *reply.error;
    set_trouble(error.message(), error.code());
  }

  void set_trouble(std::string text, Errc code) {
    if (text != trouble_) {
      trouble_ = std::move(text);
      trouble_code_ = code;
      events_.on_state();
    }
  }

  void unreadable(const std::string& what) {
    ++counters_.unreadable;
    const BootNs now = clock_.now();
    if (now - warnings_since_ > 60 * kNsPerS) {
      warnings_since_ = now;
      warnings_ = 0;
    }
    if (++warnings_ <= kWarningsMax) {
      spdlog::warn("from the API server: {}; it stays as it was", what);
    }
  }

  void note_long_lines() {
    while (long_lines_ < lines_.too_long()) {
      ++long_lines_;
      unreadable("an event of the watch of " + plural_ + " is longer than " + std::to_string(kLineMax >> 20) + " MiB");
    }
  }

  EventLoop& loop_;
  ApiClient& client_;
  SystemClock clock_;
  std::string plural_;
  Kind kind_;
  int absent_answers_ = 0;  // in a row
  ListWatch protocol_;
  ObjectTable<T> table_;
  LineSplitter lines_;
  std::minstd_rand random_;
  Events events_;
  ApiClient::RequestId request_ = 0;
  EventLoop::TimerId timer_ = 0;
  bool synced_ = false;
  bool watched_ = false;
  bool said_something_ = false;
  BootNs opened_;  // 0: the watch under way has not been answered yet
  std::string trouble_;
  Errc trouble_code_ = Errc::kIo;
  ClusterWatch::Counters counters_;
  std::uint64_t long_lines_ = 0;
  BootNs warnings_since_;
  std::uint64_t warnings_ = 0;
};

}  // namespace postern
