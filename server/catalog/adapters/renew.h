#pragma once
// A listing of files, kept up to date.

#include <map>
#include <string>

namespace stepcast {

// Brings `entries` up to what was `found`: what has gone leaves, and what is new or has another stamp is what
// `read(name, stamp)` makes of it. Returns whether anything was different.
template <typename Stamp, typename Entry, typename Read>
bool Renew(const std::map<std::string, Stamp>& found, std::map<std::string, Entry>& entries, const Read& read) {
  bool changed = std::erase_if(entries, [&](const auto& entry) { return !found.contains(entry.first); }) > 0;
  for (const auto& [name, stamp] : found) {
    const auto known = entries.find(name);
    if (known != entries.end() && known->second.stamp == stamp) continue;
    entries.insert_or_assign(name, read(name, stamp));
    changed = true;
  }
  return changed;
}

}  // namespace stepcast
