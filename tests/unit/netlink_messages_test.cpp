// SPDX-License-Identifier: Apache-2.0
//
// rtnetlink messages, built by hand and cut short: what is malformed is an error, and nothing past a
// message's end is read (asan sees to that: each message has a buffer of exactly its own size).
#include "agent/netlink/messages.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <vector>

namespace postern {
namespace {

class MessageBuilder {
 public:
  template <typename Body>
  MessageBuilder(std::uint16_t type, const Body& body) : bytes_(sizeof(nlmsghdr)), type_(type) {
    append(&body, sizeof(body));
  }

  MessageBuilder& attribute(std::uint16_t type, const void* data, std::size_t size) {
    const nlattr head{static_cast<std::uint16_t>(sizeof(nlattr) + size), type};
    append(&head, sizeof(head));
    append(data, size);
    return *this;
  }
  MessageBuilder& text(std::uint16_t type, const char* value) { return attribute(type, value, std::strlen(value) + 1); }
  MessageBuilder& number(std::uint16_t type, std::uint32_t value) { return attribute(type, &value, sizeof(value)); }
  /// IFLA_LINKINFO with a kind of these bytes.
  MessageBuilder& kind(const std::string& bytes) {
    std::vector<char> inner(sizeof(nlattr));
    const nlattr head{static_cast<std::uint16_t>(sizeof(nlattr) + bytes.size()), IFLA_INFO_KIND};
    std::memcpy(inner.data(), &head, sizeof(head));
    inner.insert(inner.end(), bytes.begin(), bytes.end());
    return attribute(IFLA_LINKINFO, inner.data(), inner.size());
  }

  /// The message's first `size` bytes, saying that they are all.
  std::vector<char> cut(std::size_t size) const {
    std::vector<char> part(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    nlmsghdr head{};
    head.nlmsg_len = static_cast<std::uint32_t>(size);
    head.nlmsg_type = type_;
    std::memcpy(part.data(), &head, sizeof(head));
    return part;
  }
  std::vector<char> whole() const { return cut(bytes_.size()); }
  std::size_t size() const { return bytes_.size(); }

 private:
  void append(const void* data, std::size_t size) {
    const auto* first = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
    bytes_.resize(MNL_ALIGN(bytes_.size()));
  }

  std::vector<char> bytes_;
  std::uint16_t type_;
};

const nlmsghdr* header(const std::vector<char>& message) { return reinterpret_cast<const nlmsghdr*>(message.data()); }

Result<LinkInfo> link_of(const MessageBuilder& builder) { return parse_link(header(builder.whole())); }
Result<InterfaceAddress> address_of(const MessageBuilder& builder) { return parse_address(header(builder.whole())); }

ifinfomsg interface(int index) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = index;
  return body;
}

ifaddrmsg address(unsigned char family, unsigned char prefix_bits) {
  ifaddrmsg body{};
  body.ifa_family = family;
  body.ifa_prefixlen = prefix_bits;
  body.ifa_index = 7;
  return body;
}

MessageBuilder veth() {
  constexpr std::uint8_t kMac[6] = {2, 0, 0, 0, 0, 9};
  return MessageBuilder(RTM_NEWLINK, interface(7))
      .text(IFLA_IFNAME, "veth7")
      .attribute(IFLA_ADDRESS, kMac, sizeof(kMac))
      .number(IFLA_LINK, 2)
      .number(IFLA_LINK_NETNSID, 3)
      .kind(std::string("veth", 5));
}

constexpr std::uint8_t kFour[4] = {10, 0, 0, 1};
constexpr std::uint8_t kOther[4] = {10, 0, 0, 2};
constexpr std::uint8_t kSixteen[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

}  // namespace

TEST_CASE("a veth's message says who it is and where its other end is") {
  const auto link = link_of(veth());
  REQUIRE(link);
  CHECK(link->ifindex == 7);
  CHECK(link->name == "veth7");
  CHECK(link->kind == "veth");
  CHECK(link->mac == MacAddress{2, 0, 0, 0, 0, 9});
  CHECK(link->peer_ifindex == 2);
  CHECK(link->peer_netns == 3);
}

TEST_CASE("a link without a namespace id has its other end here; id -1 is not that") {
  const auto here = link_of(MessageBuilder(RTM_NEWLINK, interface(7)).number(IFLA_LINK, 2));
  REQUIRE(here);
  CHECK_FALSE(here->peer_netns);
  const auto unknown = link_of(MessageBuilder(RTM_NEWLINK, interface(7)).number(IFLA_LINK_NETNSID, 0xffffffff));
  REQUIRE(unknown);
  CHECK(unknown->peer_netns == -1);
}

TEST_CASE("an address of another length, as InfiniBand has it, is left out") {
  const std::uint8_t long_address[20] = {1};
  const auto link =
      link_of(MessageBuilder(RTM_NEWLINK, interface(7)).attribute(IFLA_ADDRESS, long_address, sizeof(long_address)));
  REQUIRE(link);
  CHECK(link->mac == MacAddress{});
}

TEST_CASE("a malformed interface message is an error") {
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, std::uint32_t{0})));
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, interface(7)).attribute(IFLA_IFNAME, "veth", 4)));
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, interface(7)).attribute(IFLA_IFNAME, "", 0)));
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, interface(7)).attribute(IFLA_LINK, "ab", 2)));
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, interface(7)).attribute(IFLA_LINK_NETNSID, "abcdefgh", 8)));
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, interface(7)).kind("veth")));
  const nlattr lies{200, IFLA_INFO_KIND};
  CHECK_FALSE(link_of(MessageBuilder(RTM_NEWLINK, interface(7)).attribute(IFLA_LINKINFO, &lies, sizeof(lies))));
}

TEST_CASE("a message cut anywhere is an error or says less, and is never read past its end") {
  const MessageBuilder builder = veth();
  constexpr std::size_t kPadding = 3;  // behind the kind, its last attribute: nothing is lost with it
  for (std::size_t size = sizeof(nlmsghdr); size < builder.size() - kPadding; ++size) {
    const auto link = parse_link(header(builder.cut(size)));
    CHECK((!link || link->kind.empty()));
  }
  const MessageBuilder own =
      MessageBuilder(RTM_NEWADDR, address(AF_INET, 24)).attribute(IFA_ADDRESS, kFour, 4).attribute(IFA_LOCAL, kFour, 4);
  for (std::size_t size = sizeof(nlmsghdr); size < own.size(); ++size) {
    const auto parsed = parse_address(header(own.cut(size)));
    CHECK((!parsed || parsed->address == Address::from_v4(kFour)));
  }
}

TEST_CASE("addresses of both families, with the prefix of the 16-byte form") {
  const auto v4 = address_of(MessageBuilder(RTM_NEWADDR, address(AF_INET, 24)).attribute(IFA_ADDRESS, kFour, 4));
  REQUIRE(v4);
  CHECK(v4->ifindex == 7);
  CHECK(v4->address == Address::from_v4(kFour));
  CHECK(v4->bits == 120);
  const auto v6 = address_of(MessageBuilder(RTM_NEWADDR, address(AF_INET6, 64)).attribute(IFA_ADDRESS, kSixteen, 16));
  REQUIRE(v6);
  CHECK(v6->address == Address::from_v6(kSixteen));
  CHECK(v6->bits == 64);
}

TEST_CASE("on a point-to-point link the own address is IFA_LOCAL, in either order") {
  for (const bool local_first : {false, true}) {
    MessageBuilder builder(RTM_NEWADDR, address(AF_INET, 32));
    builder.attribute(local_first ? IFA_LOCAL : IFA_ADDRESS, local_first ? kFour : kOther, 4);
    builder.attribute(local_first ? IFA_ADDRESS : IFA_LOCAL, local_first ? kOther : kFour, 4);
    const auto parsed = address_of(builder);
    REQUIRE(parsed);
    CHECK(parsed->address == Address::from_v4(kFour));
  }
}

TEST_CASE("a malformed address message is an error; another family is not for us") {
  CHECK_FALSE(address_of(MessageBuilder(RTM_NEWADDR, std::uint32_t{AF_INET})));
  CHECK_FALSE(address_of(MessageBuilder(RTM_NEWADDR, address(AF_INET, 24))));
  CHECK_FALSE(address_of(MessageBuilder(RTM_NEWADDR, address(AF_INET, 33)).attribute(IFA_ADDRESS, kFour, 4)));
  CHECK_FALSE(address_of(MessageBuilder(RTM_NEWADDR, address(AF_INET6, 129)).attribute(IFA_ADDRESS, kSixteen, 16)));
  CHECK_FALSE(address_of(MessageBuilder(RTM_NEWADDR, address(AF_INET6, 64)).attribute(IFA_ADDRESS, kFour, 4)));
  const auto other = address_of(MessageBuilder(RTM_NEWADDR, address(AF_PACKET, 8)).attribute(IFA_ADDRESS, kFour, 4));
  REQUIRE_FALSE(other);
  CHECK(other.error().code() == Errc::kUnsupported);
}

TEST_CASE("what a notification is about") {
  const auto event_of = [](const MessageBuilder& builder) { return parse_event(header(builder.whole())); };
  tcmsg filter{};
  filter.tcm_ifindex = 9;
  const auto filter_gone = event_of(MessageBuilder(RTM_DELTFILTER, filter));
  REQUIRE(filter_gone);
  CHECK(filter_gone->kind == LinkEvent::Kind::kFilterRemoved);
  CHECK(filter_gone->ifindex == 9);
  CHECK(event_of(MessageBuilder(RTM_DELQDISC, filter))->kind == LinkEvent::Kind::kFilterRemoved);
  CHECK(event_of(MessageBuilder(RTM_NEWTFILTER, filter))->kind == LinkEvent::Kind::kOther);

  const auto gone = event_of(MessageBuilder(RTM_DELLINK, interface(7)));
  REQUIRE(gone);
  CHECK(gone->kind == LinkEvent::Kind::kLinkRemoved);
  CHECK(gone->ifindex == 7);
  ifinfomsg port = interface(7);
  port.ifi_family = AF_BRIDGE;  // it left its bridge, and is still there
  CHECK(event_of(MessageBuilder(RTM_DELLINK, port))->kind == LinkEvent::Kind::kOther);

  const auto came = event_of(MessageBuilder(RTM_NEWLINK, interface(8)));
  REQUIRE(came);
  CHECK(came->kind == LinkEvent::Kind::kLink);
  CHECK(came->link.ifindex == 8);
  port.ifi_index = 8;
  CHECK(event_of(MessageBuilder(RTM_NEWLINK, port))->kind == LinkEvent::Kind::kOther);
  CHECK_FALSE(event_of(MessageBuilder(RTM_NEWLINK, std::uint32_t{0})));

  CHECK(event_of(MessageBuilder(RTM_NEWADDR, address(AF_INET, 24)))->kind == LinkEvent::Kind::kAddresses);
  CHECK(event_of(MessageBuilder(RTM_DELADDR, address(AF_INET6, 64)))->kind == LinkEvent::Kind::kAddresses);
  CHECK_FALSE(event_of(MessageBuilder(RTM_DELLINK, std::uint32_t{0})));
  CHECK_FALSE(event_of(MessageBuilder(RTM_DELTFILTER, std::uint32_t{0})));
}

}  // namespace postern
