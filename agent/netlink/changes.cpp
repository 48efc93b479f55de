// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/changes.h"

#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>

#include "agent/netlink/socket.h"

namespace postern {
namespace {

Result<> change(NetlinkRequest& request) {
  auto socket = NetlinkSocket::open();
  return socket ? socket->call(request) : Result<>(std::move(socket).error());
}

/// A nested attribute, closed at the end of the block.
class Nest {
 public:
  Nest(NetlinkRequest& request, std::uint16_t type)
      : request_(request), nest_(mnl_attr_nest_start(request.header(), type)) {}
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;
  ~Nest() { mnl_attr_nest_end(request_.header(), nest_); }

 private:
  NetlinkRequest& request_;
  nlattr* nest_;
};

void put_address(NetlinkRequest& request, std::uint16_t type, const Address& address) {
  const bool v4 = address.is_v4();
  mnl_attr_put(request.header(), type, v4 ? 4 : 16, v4 ? address.v4() : address.bytes.data());
}

void put_end(NetlinkRequest& request, const VethEnd& end, std::uint32_t mtu) {
  mnl_attr_put_strz(request.header(), IFLA_IFNAME, end.name.c_str());
  mnl_attr_put(request.header(), IFLA_ADDRESS, end.mac.size(), end.mac.data());
  mnl_attr_put_u32(request.header(), IFLA_MTU, mtu);
}

}  // namespace

Result<> add_veth(const VethPair& pair) {
  NetlinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.body<ifinfomsg>().ifi_family = AF_UNSPEC;
  put_end(request, pair.here, pair.mtu);
  {
    const Nest info(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request.header(), IFLA_INFO_KIND, "veth");
    const Nest data(request, IFLA_INFO_DATA);
    const Nest peer(request, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(request.header(), sizeof(ifinfomsg));
    put_end(request, pair.there, pair.mtu);
    mnl_attr_put_u32(request.header(), IFLA_NET_NS_FD, static_cast<std::uint32_t>(pair.netns_there));
  }
  return change(request);
}

Result<> remove_link(std::uint32_t ifindex) {
  NetlinkRequest request(RTM_DELLINK, 0);
  request.body<ifinfomsg>().ifi_index = static_cast<int>(ifindex);
  return change(request);
}

Result<> set_link_up(std::uint32_t ifindex, bool noarp) {
  NetlinkRequest request(RTM_NEWLINK, 0);
  auto& body = request.body<ifinfomsg>();
  body.ifi_index = static_cast<int>(ifindex);
  body.ifi_flags = IFF_UP | (noarp ? static_cast<unsigned>(IFF_NOARP) : 0u);
  body.ifi_change = IFF_UP | IFF_NOARP;
  return change(request);
}

Result<> add_route(const Route& route) {
  NetlinkRequest request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  auto& body = request.body<rtmsg>();
  body.rtm_family = route.prefix.is_v4() ? AF_INET : AF_INET6;
  body.rtm_dst_len = static_cast<unsigned char>(route.prefix.family_bits());
  body.rtm_table = RT_TABLE_UNSPEC;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = route.local ? RT_SCOPE_HOST : route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  body.rtm_type = route.local ? RTN_LOCAL : RTN_UNICAST;
  if (route.prefix.family_bits() > 0) {
    put_address(request, RTA_DST, route.prefix.address);
  }
  if (route.gateway) {
    body.rtm_flags = RTNH_F_ONLINK;
    put_address(request, RTA_GATEWAY, *route.gateway);
  }
  mnl_attr_put_u32(request.header(), RTA_OIF, route.ifindex);
  mnl_attr_put_u32(request.header(), RTA_TABLE, route.table);
  return change(request);
}

Result<> add_rule_iif(const std::string& name, std::uint32_t table, std::uint32_t priority, bool v4) {
  NetlinkRequest request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  auto& body = request.body<fib_rule_hdr>();
  body.family = v4 ? AF_INET : AF_INET6;
  body.action = FR_ACT_TO_TBL;
  mnl_attr_put_strz(request.header(), FRA_IIFNAME, name.c_str());
  mnl_attr_put_u32(request.header(), FRA_TABLE, table);
  mnl_attr_put_u32(request.header(), FRA_PRIORITY, priority);
  return change(request);
}

}  // namespace postern
