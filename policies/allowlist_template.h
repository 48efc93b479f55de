// SPDX-License-Identifier: Apache-2.0
//
// AllowlistTemplate: names and address ranges that belong together, as data that policies take by name.
//
// The template reader makes it from text; link_templates puts in what it extends. A policy's reader
// and `postern allowlist` select from the linked set. Plain data.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "policies/diagnostics.h"
#include "policies/ports.h"

namespace postern {

/// A word that somebody wrote, and where: what is wrong with it shows only when all templates are known.
struct WrittenWord {
  std::string text;
  Place place;
  std::string field;  ///< Path, "spec.extends[0].groups[1]".
};

/// One name or address range.
struct TemplateEntry {
  std::string group;
  std::string text;            ///< A name, which may hold {parameter}; or a CIDR.
  std::optional<Prefix> cidr;  ///< Present when it is a CIDR.
  PortSet ports;
  std::string purpose;        ///< The group's, if the entry has none of its own.
  std::string source;         ///< https link to who says that it is needed; may be empty.
  std::string checked;        ///< YYYY-MM-DD, when somebody last compared it with the source; may be empty.
  bool user_content = false;  ///< Strangers can register names or publish content behind it.
  std::string home;           ///< The template it was written in, whichever extends that.
  Place place;
};

struct TemplateGroup {
  std::string name;
  std::string purpose;
};

struct TemplateParameter {
  std::string name;
  std::string purpose;
  std::string fallback;  ///< Value when the policy gives none; "*" stands for any one label.
};

/// What asks for a template: an item of spec.allow[].templates or of spec.extends, or a command line.
struct TemplateReference {
  WrittenWord name;
  std::optional<std::vector<WrittenWord>> groups;  ///< Absent: all.
  std::vector<std::pair<std::string, WrittenWord>> values;
};

struct AllowlistTemplate {
  std::string name;
  std::string version;  ///< The date of its last change.
  std::string purpose;
  Place place;
  std::vector<TemplateParameter> parameters;
  std::vector<TemplateGroup> groups;   ///< Linked: also those it inherits.
  std::vector<TemplateEntry> entries;  ///< Linked: also those it inherits, without those it excepts.
  std::vector<TemplateReference> extends;
  std::vector<WrittenWord> except;
};

/// Linked templates by name; link_templates makes it.
using TemplateSet = std::map<std::string, AllowlistTemplate>;

}  // namespace postern
