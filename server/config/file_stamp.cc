#include "server/config/file_stamp.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace stepcast {

std::string StampOf(const std::string& path) {
  if (path.empty()) return "";
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return "none";
  return absl::StrCat(status.st_dev, ":", status.st_ino, ":", status.st_size, ":", status.st_mtim.tv_sec, ".",
                      status.st_mtim.tv_nsec, ":", status.st_ctim.tv_sec, ".", status.st_ctim.tv_nsec);
}

}  // namespace stepcast
