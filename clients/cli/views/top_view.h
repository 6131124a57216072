#pragma once
// What `stepcast top` shows: the schedule and the ticks of a moment as lines of text.

#include <string>
#include <vector>

#include "stepcast/v1/scheduler.pb.h"

namespace stepcast::cli {

// One look at a server.
struct TopFrame {
  std::string host = {};
  stepcast::v1::GetScheduleResponse schedule = {};
  std::vector<stepcast::v1::Tick> ticks = {};  // of the last `seconds`, in order of arrival
  long long dropped = 0;                       // ticks of that time that were missed
  double seconds = 1;
};

// Lines of at most `width` columns, at most `height` of them (>= 8; jobs that do not fit are counted). Without escape
// sequences; a pure function.
std::string RenderTop(const TopFrame& frame, int width, int height);

}  // namespace stepcast::cli
