#pragma once
// The scheduler's plain data as messages for operators.

#include <vector>

#include "scheduler/dispatch/dispatcher.h"
#include "server/operators/tick_feed.h"
#include "stepcast/v1/scheduler.pb.h"

namespace stepcast {

v1::WatchTicksResponse DescribeTick(const TickRecord& tick, int64_t dropped);

// Tenants are summed over the devices.
v1::GetScheduleResponse DescribeSchedule(const std::vector<DeviceView>& devices);

}  // namespace stepcast
