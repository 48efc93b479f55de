// SPDX-License-Identifier: Apache-2.0
#include "policies/user_content.h"

#include <algorithm>
#include <vector>

namespace postern {
namespace {

/// Native patterns: a host that serves everybody's uploads, or a zone whose hosts each are somebody's.
constexpr const char* kZones[] = {
    // buckets and file shares
    "s3.amazonaws.com", "*.s3.amazonaws.com", "s3.*.amazonaws.com", "*.s3.*.amazonaws.com",
    "*.s3-accelerate.amazonaws.com", "storage.googleapis.com", "*.storage.googleapis.com", "storage.cloud.google.com",
    "firebasestorage.googleapis.com", "*.blob.core.windows.net", "*.file.core.windows.net", "*.dfs.core.windows.net",
    "*.r2.cloudflarestorage.com", "*.r2.dev", "*.digitaloceanspaces.com", "*.backblazeb2.com", "*.wasabisys.com",
    "drive.google.com", "docs.google.com", "*.googleusercontent.com", "*.dropbox.com", "dl.dropboxusercontent.com",
    "*.dropboxusercontent.com", "*.sharepoint.com", "transfer.sh", "file.io", "*.mediafire.com", "mega.nz",
    // code hosts
    "github.com", "raw.githubusercontent.com", "objects.githubusercontent.com", "gist.githubusercontent.com",
    "*.githubusercontent.com", "codeload.github.com", "gist.github.com", "gitlab.com", "bitbucket.org", "codeberg.org",
    "dev.azure.com", "sourceforge.net",
    // models, packages, images
    "huggingface.co", "*.hf.co", "*.hf.space", "files.pythonhosted.org", "proxy.golang.org", "static.crates.io",
    "conda.anaconda.org", "ghcr.io", "registry-1.docker.io", "production.cloudflare.docker.com", "quay.io",
    "cdn.jsdelivr.net", "unpkg.com",
    // pages and functions of anybody
    "*.workers.dev", "*.pages.dev", "*.vercel.app", "*.netlify.app", "*.web.app", "*.firebaseapp.com", "*.github.io",
    "*.gitlab.io", "*.herokuapp.com", "*.onrender.com", "*.fly.dev", "*.azurewebsites.net", "*.cloudfront.net",
    "*.lambda-url.*.on.aws", "*.execute-api.*.amazonaws.com", "*.run.app", "*.ngrok.io", "*.ngrok-free.app",
    "*.trycloudflare.com", "sites.google.com",
    // text and messages
    "pastebin.com", "hastebin.com", "rentry.co", "0x0.st", "hooks.slack.com", "discord.com", "discordapp.com",
    "cdn.discordapp.com", "api.telegram.org", "webhook.site", "requestbin.com", "*.m.pipedream.net"};

const std::vector<NamePattern>& zones() {
  static const std::vector<NamePattern> list = [] {
    std::vector<NamePattern> made;
    for (const char* text : kZones) {
      made.push_back(NamePattern::parse(text, Dialect::kNative).value());
    }
    return made;
  }();
  return list;
}

}  // namespace

std::optional<std::string> user_content_zone(const NamePattern& pattern) {
  const auto opens = [&](const NamePattern& zone) {
    // One host in a zone of many has one owner, whom the list's author may know.
    return (zone.is_exact() || !pattern.is_exact()) && (zone.covers(pattern) || pattern.covers(zone));
  };
  const auto found = std::ranges::find_if(zones(), opens);
  return found == zones().end() ? std::nullopt : std::optional(found->text());
}

}  // namespace postern
