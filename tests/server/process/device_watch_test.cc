#include "server/process/device_watch.h"

#include <vector>

#include <gtest/gtest.h>

namespace stepcast {
namespace {

const absl::Time kStart = absl::UnixEpoch();

DeviceStatus Device(const std::string& name, int running, absl::Duration progress, bool lost = false) {
  DeviceStatus device;
  device.name = name;
  device.engine.running = running;
  device.engine.last_progress = kStart + progress;
  device.engine.lost = lost;
  return device;
}

TEST(DeviceWatchTest, ADeviceStallsOnlyWhileItHasWork) {
  DeviceWatch watch(absl::Seconds(120));
  EXPECT_TRUE(watch.live());
  std::vector<DeviceStatus> devices = {Device("cpu", 0, absl::ZeroDuration())};
  watch.Look(devices, kStart + absl::Hours(5));
  EXPECT_TRUE(watch.live()) << "idle is fine";
  devices = {Device("cpu", 1, absl::ZeroDuration())};
  watch.Look(devices, kStart + absl::Hours(5));
  EXPECT_TRUE(watch.live()) << "the work has only just come";
  watch.Look(devices, kStart + absl::Hours(5) + absl::Seconds(120));
  EXPECT_TRUE(watch.live());
  watch.Look(devices, kStart + absl::Hours(5) + absl::Seconds(121));
  EXPECT_FALSE(watch.live());
  devices = {Device("cpu", 1, absl::Hours(5) + absl::Seconds(121))};
  watch.Look(devices, kStart + absl::Hours(5) + absl::Seconds(122));
  EXPECT_TRUE(watch.live()) << "it moves again";
}

TEST(DeviceWatchTest, OneDeviceOfSeveralThatStallsIsEnough) {
  DeviceWatch watch(absl::Seconds(10));
  std::vector<DeviceStatus> devices = {Device("cuda:0", 1, absl::ZeroDuration()),
                                       Device("cuda:1", 1, absl::ZeroDuration())};
  watch.Look(devices, kStart);
  devices[0].engine.last_progress = kStart + absl::Seconds(11);
  watch.Look(devices, kStart + absl::Seconds(11));
  EXPECT_FALSE(watch.live());
}

TEST(DeviceWatchTest, LostDevicesAreNoReasonToRestartWhileOneIsLeft) {
  DeviceWatch watch(absl::Seconds(10));
  std::vector<DeviceStatus> devices = {Device("cuda:0", 1, absl::ZeroDuration(), /*lost=*/true),
                                       Device("cuda:1", 0, absl::ZeroDuration())};
  watch.Look(devices, kStart);
  watch.Look(devices, kStart + absl::Hours(1));
  EXPECT_TRUE(watch.live());
  EXPECT_FALSE(watch.all_lost());
  devices[1].engine.lost = true;
  watch.Look(devices, kStart + absl::Hours(1));
  EXPECT_FALSE(watch.live());
  EXPECT_TRUE(watch.all_lost());
}

}  // namespace
}  // namespace stepcast
