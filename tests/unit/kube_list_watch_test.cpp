// SPDX-License-Identifier: Apache-2.0
//
// The protocol of list and watch: which request follows which outcome.
#include "agent/kube/list_watch.h"

#include <catch2/catch_test_macros.hpp>

namespace postern {
namespace {

using What = ListWatch::What;

ApiReply failed(int status, std::uint32_t retry_after_s = 0) {
  ApiReply reply;
  reply.status = status;
  reply.retry_after_s = retry_after_s;
  reply.error = Error(Errc::kIo, "failed");
  return reply;
}

ApiReply ended() {
  ApiReply reply;
  reply.status = 200;
  return reply;
}

bool has(const ListWatch::Request& request, std::string_view part) {
  return request.path.find(part) != std::string::npos;
}

ListWatch pods() { return {"/api/v1/pods", "fieldSelector=spec.nodeName%3Dn1"}; }

/// A machine that has listed and watches from version 10.
ListWatch watching() {
  ListWatch machine = pods();
  machine.begin();
  machine.on_page("10", "", 0);
  return machine;
}

}  // namespace

TEST_CASE("kube backoff: doubles to its limit, within its upper half, and starts again") {
  Backoff backoff;
  std::uint64_t whole = Backoff::kMinMs;
  for (int i = 0; i < 12; ++i) {
    Backoff low = backoff;
    CHECK(low.next_ms(0) == whole / 2);
    const std::uint64_t high = backoff.next_ms(static_cast<std::uint32_t>(whole / 2));
    CHECK(high == whole);
    whole = std::min(whole * 2, Backoff::kMaxMs);
  }
  CHECK(whole == Backoff::kMaxMs);
  backoff.reset();
  CHECK(backoff.next_ms(0) == Backoff::kMinMs / 2);
}

TEST_CASE("kube list and watch: the first list comes from the server's memory, the watch from its version") {
  ListWatch machine = pods();
  const auto list = machine.begin();
  CHECK(list.what == What::kList);
  CHECK(list.path == "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&resourceVersion=0");
  CHECK(list.fresh_list);
  const auto watch = machine.on_page("10", "", 7);
  CHECK(watch.what == What::kWatch);
  CHECK(watch.after_ms == 0);
  CHECK(watch.seconds_max == ListWatch::kWatchSMin + 7);
  CHECK(watch.path ==
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&watch=true&allowWatchBookmarks=true&resourceVersion=10"
        "&timeoutSeconds=247");
}

TEST_CASE("kube list and watch: a watch goes on from the last version it told") {
  ListWatch machine = watching();
  machine.on_version("12");
  machine.on_version("");  // an object without one changes nothing
  const auto again = machine.on_watch_end(ended(), true, 240'000, 0);
  CHECK(again.what == What::kWatch);
  CHECK(again.after_ms == 0);
  CHECK(has(again, "resourceVersion=12&"));
}

TEST_CASE("kube list and watch: a watch that ends at once and in silence is not asked again at once") {
  ListWatch machine = watching();
  CHECK(machine.on_watch_end(ended(), false, 10, 0).after_ms == Backoff::kMinMs / 2);
  CHECK(machine.on_watch_end(ended(), false, 10, 0).after_ms == Backoff::kMinMs);
  CHECK(machine.on_watch_end(ended(), true, 10, 0).after_ms == 0);
  CHECK(machine.on_watch_end(ended(), false, 10, 0).after_ms == Backoff::kMinMs / 2);
}

TEST_CASE("kube list and watch: a version that is gone leads to a list not older than it") {
  for (const bool as_event : {true, false}) {
    ListWatch machine = watching();
    machine.on_version("12");
    const auto list = as_event ? machine.on_watch_error({410, "Expired", "too old"}, 0)
                               : machine.on_watch_end(failed(410), false, 0, 0);
    CHECK(list.what == What::kList);
    CHECK(list.fresh_list);
    CHECK(list.after_ms == Backoff::kMinMs / 2);
    CHECK(has(list, "&resourceVersion=12&resourceVersionMatch=NotOlderThan"));
    // The server has not got that far, or it is gone there too: etcd, in pages.
    const auto etcd = machine.on_list_failure(failed(as_event ? 504 : 410), 0);
    CHECK(has(etcd, "&limit=250"));
    CHECK_FALSE(has(etcd, "resourceVersion"));
    CHECK((etcd.after_ms == 0) == !as_event);
  }
}

TEST_CASE("kube list and watch: pages, with their token escaped") {
  ListWatch machine = pods();
  machine.begin();
  auto next = machine.on_page("10", "a+/=", 0);
  CHECK(next.what == What::kList);
  CHECK_FALSE(next.fresh_list);
  CHECK(has(next, "limit=250&continue=a%2B%2F%3D"));
  next = machine.on_page("10", "b", 0);
  CHECK(has(next, "continue=b"));
  CHECK(machine.on_page("10", "", 0).what == What::kWatch);
}

TEST_CASE("kube list and watch: a token that has expired begins the list again") {
  ListWatch machine = pods();
  machine.begin();
  machine.on_page("10", "a", 0);
  const auto again = machine.on_list_failure(failed(410), 0);
  CHECK(again.fresh_list);
  CHECK(again.after_ms > 0);
  CHECK_FALSE(has(again, "continue"));
  CHECK(has(again, "limit=250"));
}

TEST_CASE("kube list and watch: an answer that is too large is asked for in smaller pages") {
  ListWatch machine = pods();
  machine.begin();
  ApiReply large = failed(0);
  large.too_large = true;
  for (const char* limit : {"limit=250", "limit=62", "limit=15", "limit=3", "limit=1"}) {
    const auto next = machine.on_list_failure(large, 0);
    CAPTURE(next.path);
    CHECK(next.path.ends_with(limit));
    CHECK(next.after_ms == 0);
  }
  const auto hopeless = machine.on_list_failure(large, 0);
  CHECK(hopeless.path.ends_with("limit=1"));
  CHECK(hopeless.after_ms > 0);
  CHECK(machine.on_page("10", "", 0).what == What::kWatch);
  machine.on_watch_error({410, "", ""}, 0);
  CHECK(machine.on_list_failure(large, 0).path.ends_with("limit=250"));  // forgotten after a whole list
}

TEST_CASE("kube list and watch: failures wait longer and longer, but never less than the server wishes") {
  ListWatch machine = pods();
  machine.begin();
  CHECK(machine.on_list_failure(failed(0), 0).after_ms == 125);
  CHECK(machine.on_list_failure(failed(503), 0).after_ms == 250);
  CHECK(machine.on_list_failure(failed(429, 3), 0).after_ms == 3'000);
  CHECK(machine.on_list_failure(failed(429, 999'999), 0).after_ms == ListWatch::kRetryAfterSMax * 1'000);
  std::uint64_t longest = 0;
  for (int i = 0; i < 20; ++i) {
    longest = std::max(longest, machine.on_list_failure(failed(0), 0xffffffff).after_ms);
  }
  CHECK(longest <= Backoff::kMaxMs);
  // Not reset by the list alone: the watch may still be forbidden.
  CHECK(machine.on_page("10", "", 0).after_ms == 0);
  CHECK(machine.on_watch_end(failed(403), false, 0, 0).after_ms >= Backoff::kMaxMs / 2);
  machine.on_version("11");
  CHECK(machine.on_watch_end(failed(0), false, 0, 0).after_ms == 125);
}

TEST_CASE("kube list and watch: a version the server does not understand leads to a list from etcd") {
  ListWatch machine = watching();
  const auto list = machine.on_watch_end(failed(400), false, 0, 0);
  CHECK(list.what == What::kList);
  CHECK(has(list, "limit="));
}

}  // namespace postern
