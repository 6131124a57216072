#pragma once
// Pages of lists.

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/request/errors/field_violations.h"
#include "server/wire/text_limits.h"

namespace stepcast {

inline constexpr int kDefaultPageSize = 50;
inline constexpr int kMaxPageSize = 1000;

// What of a list is asked for.
struct Page {
  size_t begin = 0;
  size_t end = 0;
  std::string next = "";  // token of the next page; "": this is the last
};

// The page of `count` entries that page_size and page_token of `request` ask for; a token is the index of the next
// entry. What is wrong with them is added.
template <typename Request>
Page PageOf(const Request& request, size_t count, FieldViolations& violations) {
  const bool sized = violations.CheckRange("page_size", request.page_size(), 0, kMaxPageSize);
  size_t begin = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &begin) || begin < 1 || begin >= count)) {
    violations.Add("page_token", Quoted(request.page_token()), "a next_page_token of the previous page");
    return {};
  }
  if (!sized) return {};
  const auto size = static_cast<size_t>(request.page_size() == 0 ? kDefaultPageSize : request.page_size());
  Page page{.begin = begin, .end = std::min(begin + size, count)};
  if (page.end < count) page.next = absl::StrCat(page.end);
  return page;
}

}  // namespace stepcast
