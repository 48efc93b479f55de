// SPDX-License-Identifier: Apache-2.0
#include "policies/template_values.h"

#include "base/log.h"
#include "policies/dns_name.h"

namespace postern {

TemplateValues fallbacks_of(const AllowlistTemplate& object) {
  TemplateValues values;
  for (const TemplateParameter& parameter : object.parameters) {
    values[parameter.name] = parameter.fallback;
  }
  return values;
}

Result<std::string> expand(std::string_view text, const TemplateValues& values) {
  std::string out;
  while (true) {
    const auto open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) {
      return out;
    }
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) {
      return Error(Errc::kInvalid, "\"{\" without \"}\"");
    }
    const std::string name(text.substr(open + 1, close - open - 1));
    const auto value = values.find(name);
    if (value == values.end()) {
      return Error(Errc::kInvalid, "parameter {" + printable(name) + "} is not declared in spec.parameters");
    }
    out += value->second;
    text.remove_prefix(close + 1);
  }
}

Result<> check_value(std::string_view value) {
  const auto label = DnsName::from_text(value.empty() ? "?" : value);
  if (!label || label->label_count() != 1) {
    return Error(Errc::kInvalid,
                 "\"" + printable(value) +
                     "\" is not one label of a name: write a word of letters, digits and hyphens, or \"*\" for any");
  }
  return {};
}

}  // namespace postern
