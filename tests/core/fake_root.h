#pragma once
// A machine's /proc and /sys, as far as a test needs them.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace stepcast {

// A folder of its own that goes with the object. `Tree`: the class that derives from it, so that calls can be chained.
template <typename Tree>
class FakeRoot {
 public:
  FakeRoot() {
    static int count = 0;
    root_ = testing::TempDir() + "stepcast_root_" + std::to_string(getpid()) + "_" + std::to_string(count++);
  }
  ~FakeRoot() { std::filesystem::remove_all(root_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  // `path` begins with a slash.
  Tree& Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
    return static_cast<Tree&>(*this);
  }

 protected:
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace stepcast
