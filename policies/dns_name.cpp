// SPDX-License-Identifier: Apache-2.0
#include "policies/dns_name.h"

#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <algorithm>
#include <memory>

#include "base/log.h"

namespace postern {
namespace {

struct RdfDeleter {
  void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
};

/// Length of the one name at the start of wire, or 0.
std::size_t name_length(Wire wire) {
  std::size_t at = 0;
  while (at < wire.size() && at < kNameMax) {
    const std::size_t label = wire[at];
    if (label == 0) {
      return at + 1;
    }
    if (label > kLabelMax) {
      return 0;
    }
    at += label + 1;
  }
  return 0;
}

Result<> check_label(std::string_view label, std::string_view text) {
  const auto fail = [&](const std::string& why) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not a host name: " + why);
  };
  if (label.empty()) {
    return fail("a label between two dots is empty");
  }
  if (label.size() > kLabelMax) {
    return fail("a label is longer than 63 bytes");
  }
  if (label == "*") {
    return {};
  }
  for (const char c : label) {
    if (is_plain(static_cast<std::uint8_t>(c))) {
      continue;
    }
    if (c == '*') {
      return fail("\"*\" must be a whole label, as in *.example.com or sts.*.amazonaws.com");
    }
    if (c == ' ' || c == '\t') {
      return fail("it contains a space (write each name as an item of its own)");
    }
    if (c == '/' || c == ':') {
      return fail("write the name alone, without scheme, port or path");
    }
    return fail("\"" + printable(std::string_view(&c, 1)) + "\" is no letter, digit, hyphen or underscore" +
                (static_cast<unsigned char>(c) > 0x7f ? " (write an international name in its xn-- form)" : ""));
  }
  return {};
}

}  // namespace

Result<DnsName> DnsName::from_text(std::string_view text) {
  std::string_view rest = text;
  if (rest.ends_with('.') && rest.size() > 1) {
    rest.remove_suffix(1);
  }
  if (rest.empty()) {
    return Error(Errc::kInvalid, "a name is empty");
  }
  if (rest.size() > kNameMax - 2) {
    return Error(Errc::kInvalid, "\"" + printable(text.substr(0, 40)) + "...\" is longer than 253 bytes");
  }
  for (std::size_t start = 0; start <= rest.size();) {
    const std::size_t dot = std::min(rest.find('.', start), rest.size());
    POSTERN_RETURN_IF_ERROR(check_label(rest.substr(start, dot - start), text));
    start = dot + 1;
  }
  const std::unique_ptr<ldns_rdf, RdfDeleter> rdf(ldns_dname_new_frm_str(std::string(rest).c_str()));
  if (rdf == nullptr) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not a host name");
  }
  ldns_dname2canonical(rdf.get());
  return DnsName(std::string(reinterpret_cast<const char*>(ldns_rdf_data(rdf.get())), ldns_rdf_size(rdf.get())));
}

Result<DnsName> DnsName::from_wire(Wire wire) {
  if (wire.empty() || name_length(wire) != wire.size()) {
    return Error(Errc::kInvalid, "not a wire name");
  }
  std::string lowered(wire.size(), '\0');
  std::transform(wire.begin(), wire.end(), lowered.begin(), [](std::uint8_t b) { return static_cast<char>(lower(b)); });
  return DnsName(std::move(lowered));
}

std::size_t DnsName::label_count() const {
  std::size_t count = 0;
  for (std::size_t at = 0; wire_[at] != '\0'; at += static_cast<std::size_t>(wire_[at]) + 1) {
    ++count;
  }
  return count;
}

DnsName DnsName::parent() const {
  return is_root() ? DnsName() : DnsName(wire_.substr(static_cast<std::size_t>(wire_[0]) + 1));
}

bool DnsName::is_equal_or_below(const DnsName& other) const {
  if (wire_.size() < other.wire_.size()) {
    return false;
  }
  const std::size_t cut = wire_.size() - other.wire_.size();
  std::size_t at = 0;
  while (at < cut) {
    at += static_cast<std::size_t>(wire_[at]) + 1;
  }
  return at == cut && wire_.compare(cut, std::string::npos, other.wire_) == 0;
}

std::string DnsName::text() const { return text_of(wire()); }

std::string text_of(Wire wire) {
  if (wire.empty() || name_length(wire) != wire.size()) {
    return "?";
  }
  const std::unique_ptr<ldns_rdf, RdfDeleter> rdf(ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, wire.size(), wire.data()));
  const std::unique_ptr<char, decltype(&free)> printed(rdf ? ldns_rdf2str(rdf.get()) : nullptr, &free);
  if (printed == nullptr) {
    return "?";
  }
  std::string text = printed.get();
  if (text.size() > 1 && text.ends_with('.')) {
    text.pop_back();
  }
  return text;
}

}  // namespace postern
