#include "server/catalog/device_description.h"

namespace stepcast {

v1::Device DescribeDevice(const DeviceStatus& device) {
  v1::Device wire;
  wire.set_name(device.name);
  wire.set_max_rows(device.limits.RowCap(Phase::kDenoise));
  wire.set_state(device.engine.lost       ? v1::DEVICE_STATE_LOST
                 : device.engine.draining ? v1::DEVICE_STATE_DRAINING
                                          : v1::DEVICE_STATE_SERVING);
  wire.mutable_queue()->set_waiting(device.engine.waiting);
  wire.mutable_queue()->set_running(device.engine.running);
  wire.mutable_queue()->set_ticks(device.engine.ticks);
  return wire;
}

}  // namespace stepcast
