// SPDX-License-Identifier: Apache-2.0
#include "cli/source_files.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <tuple>

#include "base/text_files.h"
#include "policies/template_reader.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSystemTemplates = "/etc/postern/allowlists";

}  // namespace

void FileFindings::take(const Diagnostics& diagnostics) {
  auto sorted = diagnostics.errors();  // the reader finds them field by field; people read from the top
  std::ranges::stable_sort(sorted, {}, [](const Diagnostic& error) {
    return std::tie(error.place.file, error.place.line, error.place.column);
  });
  std::ranges::move(sorted, std::back_inserter(errors));
  std::ranges::copy(diagnostics.warnings(), std::back_inserter(warnings));
}

std::string kind_of(const SourceText& source) {
  Diagnostics ignored;  // whoever reads the file in earnest reports them
  const auto documents = YamlField::parse(source.text, source.file, ignored);
  const bool says = !documents.empty() && documents[0].type() == YamlField::Type::kMap &&
                    documents[0]["kind"].type() == YamlField::Type::kScalar;
  return says ? documents[0]["kind"].text() : "";
}

std::string default_template_folder() {
  std::error_code failed;
  if (fs::is_directory(kSystemTemplates, failed)) {
    return kSystemTemplates;
  }
  return shared_folder("postern/allowlists");
}

std::vector<SourceText> read_sources(const std::vector<std::string>& paths, Diagnostics& diagnostics) {
  std::vector<SourceText> sources;
  for (const std::string& path : paths) {
    std::vector<std::string> files{path};
    std::error_code failed;
    if (fs::is_directory(path, failed)) {
      auto listed = yaml_files_of(path);
      if (!listed) {
        diagnostics.error({}, "", listed.error().message());
        continue;
      }
      files = std::move(*listed);
      if (files.empty()) {
        diagnostics.error({path}, "", "no *.yaml or *.yml in this folder");
      }
    }
    for (const std::string& file : files) {
      if (auto text = read_text_file(file, YamlField::kFileMax)) {
        sources.push_back({file, std::move(*text)});
      } else {
        diagnostics.error({}, "", text.error().message());
      }
    }
  }
  return sources;
}

Result<std::vector<AllowlistTemplate>> read_template_folder(const std::string& folder, Diagnostics& diagnostics) {
  std::vector<AllowlistTemplate> templates;
  if (folder.empty()) {
    return templates;
  }
  const auto files = yaml_files_of(folder);
  if (!files) {
    return files.error();
  }
  for (const SourceText& source : read_sources(*files, diagnostics)) {
    std::ranges::move(read_templates(source.text, source.file, diagnostics), std::back_inserter(templates));
  }
  return templates;
}

}  // namespace postern
