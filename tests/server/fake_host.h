#pragma once
// A ModelHost that reads nothing: what it does is a script's, and what it was asked for is kept.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/model_host.h"
#include "core/mutex.h"
#include "tests/support/await.h"

namespace stepcast {

// Shared by a test and its host.
//
// Thread-safety: all methods may be called from any thread.
class HostScript {
 public:
  // What Load gives; without one it fails.
  void Set(SharedModelInfo info) {
    MutexLock lock(mutex_);
    failures_.erase(info->id);
    infos_[info->id] = std::move(info);
  }
  void Fail(const std::string& id, absl::Status why) {
    MutexLock lock(mutex_);
    failures_[id] = std::move(why);
  }
  // Loads wait until Release.
  void Hold() {
    MutexLock lock(mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  // "load a", "unload b", in order of their beginning.
  std::vector<std::string> log() const {
    MutexLock lock(mutex_);
    return log_;
  }
  [[nodiscard]] bool AwaitLog(size_t lines) const {
    return Await([&] { return log().size() >= lines; });
  }

  absl::StatusOr<SharedModelInfo> Find(const std::string& what, const std::string& id) {
    MutexLock lock(mutex_);
    if (!what.empty()) {
      log_.push_back(what + " " + id);
      while (held_) changed_.Wait(mutex_);
    }
    if (const auto failure = failures_.find(id); failure != failures_.end()) return failure->second;
    const auto found = infos_.find(id);
    if (found == infos_.end()) return absl::NotFoundError("model '" + id + "': /models/" + id + " is not there");
    return found->second;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, SharedModelInfo> infos_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> log_ ABSL_GUARDED_BY(mutex_);
};

class FakeHost final : public ModelHost {
 public:
  explicit FakeHost(std::shared_ptr<HostScript> script) : script_(std::move(script)) {}

  absl::StatusOr<SharedModelInfo> Inspect(const std::string& id) override { return script_->Find("", id); }
  absl::StatusOr<HostedModel> Load(const std::string& id) override {
    absl::StatusOr<SharedModelInfo> info = script_->Find("load", id);
    if (!info.ok()) return info.status();
    return HostedModel{.info = *std::move(info)};
  }
  void Unload(const std::string& id) override { (void)script_->Find("unload", id); }

 private:
  const std::shared_ptr<HostScript> script_;
};

}  // namespace stepcast
