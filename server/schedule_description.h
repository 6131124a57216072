#pragma once
// The scheduler's plain data as messages for operators.

#include <vector>

#include "scheduler/dispatcher.h"
#include "server/tick_feed.h"
#include "stepcast/v1/scheduler.pb.h"
#include "stepcast/v1/server_info.pb.h"

namespace stepcast {

v1::Device DescribeDevice(const DeviceStatus& device);

v1::WatchTicksResponse DescribeTick(const TickRecord& tick, int64_t dropped);

// Tenants are summed over the devices.
v1::GetScheduleResponse DescribeSchedule(const std::vector<DeviceView>& devices);

}  // namespace stepcast
