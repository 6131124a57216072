#pragma once
// A device as clients and operators are told of it.

#include "scheduler/dispatch/dispatcher.h"
#include "stepcast/v1/server_info.pb.h"

namespace stepcast {

v1::Device DescribeDevice(const DeviceStatus& device);

}  // namespace stepcast
