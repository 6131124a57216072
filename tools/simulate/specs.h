#pragma once
// Arrivals as what a scheduler takes.

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "scheduler/words/job.h"
#include "tools/simulate/traffic.h"

namespace stepcast::simulate {

// Makes requests and programs of the right shape, without arithmetic; equal arrivals share them.
//
// Thread-safety: none.
class SpecMaker {
 public:
  // Without arrival time and deadline.
  JobSpec Make(const Arrival& arrival, std::shared_ptr<EventSink> sink);

 private:
  using Key = std::tuple<std::string, int, int, int, int, bool, int, int, Priority, std::string>;

  SharedModelInfo ModelOf(const std::string& id);

  std::map<std::string, SharedModelInfo> models_;
  std::map<Key, JobSpec> made_;
};

}  // namespace stepcast::simulate
