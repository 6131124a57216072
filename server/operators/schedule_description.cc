#include "server/operators/schedule_description.h"

#include <map>
#include <string>

#include "scheduler/costs/cost_curve.h"
#include "server/catalog/device_description.h"
#include "server/wire/proto_enums.h"
#include "server/wire/proto_time.h"

namespace stepcast {
namespace {

v1::TickPhase WireOf(Phase phase) {
  switch (phase) {
    case Phase::kEncode:
      return v1::TICK_PHASE_ENCODE;
    case Phase::kEncodePicture:
      return v1::TICK_PHASE_ENCODE_PICTURE;
    case Phase::kUpscale:
      return v1::TICK_PHASE_UPSCALE;
    case Phase::kDenoise:
      return v1::TICK_PHASE_DENOISE;
    case Phase::kPreview:
      return v1::TICK_PHASE_PREVIEW;
    case Phase::kDecode:
      return v1::TICK_PHASE_DECODE;
  }
  return v1::TICK_PHASE_UNSPECIFIED;
}

v1::JobState WireOf(JobStatus status) {
  switch (status) {
    case JobStatus::kWaiting:
      return v1::JOB_STATE_WAITING;
    case JobStatus::kEncoding:
      return v1::JOB_STATE_ENCODING;
    case JobStatus::kRunning:
      return v1::JOB_STATE_RUNNING;
    case JobStatus::kParked:
      return v1::JOB_STATE_PARKED;
    case JobStatus::kDecoding:
      return v1::JOB_STATE_DECODING;
    case JobStatus::kSucceeded:
    case JobStatus::kFailed:
    case JobStatus::kCancelled:
    case JobStatus::kExpired:
      break;  // no schedule holds them
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

v1::TickKey WireOf(const BatchKey& key) {
  v1::TickKey wire;
  wire.set_phase(WireOf(key.phase));
  wire.set_model(key.model);
  wire.set_latent_height(key.latent_height);
  wire.set_latent_width(key.latent_width);
  return wire;
}

void Describe(const ScheduledJob& job, absl::Time now, bool costs_known, v1::ScheduledJob& wire) {
  wire.set_job_id(job.id.value);
  wire.set_state(WireOf(job.status));
  wire.set_model(job.model);
  wire.set_width(job.width);
  wire.set_height(job.height);
  wire.set_position(job.position);
  wire.set_evaluations(job.evaluations);
  wire.set_priority(ToProto(job.priority));
  wire.set_tenant(job.tenant);
  *wire.mutable_age() = ToProto(now - job.arrival);
  if (job.deadline != absl::InfiniteFuture()) *wire.mutable_deadline_in() = ToProto(job.deadline - now);
  if (costs_known) *wire.mutable_predicted_finish_in() = ToProto(job.predicted_finish - now);
}

void Describe(const CostEntry& entry, v1::TickCost& wire) {
  *wire.mutable_key() = WireOf(entry.key);
  wire.set_row_cap(entry.row_cap);
  if (!entry.points.empty()) {
    const int measured = entry.points.back().rows;
    wire.set_knee(CostCurve(entry.points).Knee(entry.row_cap > 0 ? entry.row_cap : measured));
  }
  for (const CostPoint& point : entry.points) {
    v1::CostPoint& told = *wire.add_points();
    told.set_rows(point.rows);
    *told.mutable_cost() = ToProto(point.cost);
  }
}

}  // namespace

v1::WatchTicksResponse DescribeTick(const TickRecord& tick, int64_t dropped) {
  v1::WatchTicksResponse response;
  response.set_dropped(dropped);
  v1::Tick& wire = *response.mutable_tick();
  wire.set_device(tick.device);
  wire.set_plan_id(tick.plan.id);
  *wire.mutable_key() = WireOf(tick.plan.key);
  wire.set_rows(tick.plan.rows);
  for (const TickRecord::Part& part : tick.parts) {
    v1::TickJob& job = *wire.add_jobs();
    job.set_job_id(part.job.value);
    job.set_position(part.position);
    job.set_evaluations(part.evaluations);
    job.set_failed(part.failed);
    job.set_rows(part.rows);
    job.set_evaluation_rows(part.whole_rows);
    job.set_rows_done(part.first_row);
  }
  for (const JobId job : tick.plan.evict) wire.add_parked_job_ids(job.value);
  if (tick.plan.predicted > absl::ZeroDuration()) *wire.mutable_predicted_cost() = ToProto(tick.plan.predicted);
  *wire.mutable_measured_cost() = ToProto(tick.measured);
  *wire.mutable_start_time() = ToProto(tick.start);
  return response;
}

v1::GetScheduleResponse DescribeSchedule(const std::vector<DeviceView>& devices) {
  v1::GetScheduleResponse response;
  std::map<std::string, v1::TenantSchedule> tenants;
  std::map<std::string, absl::Duration> device_time;
  for (const DeviceView& view : devices) {
    v1::DeviceSchedule& wire = *response.add_devices();
    *wire.mutable_device() = DescribeDevice(view.device);
    *wire.mutable_backlog() = ToProto(view.schedule.backlog);
    const bool costs_known = !view.schedule.costs.empty();
    for (const ScheduledJob& job : view.schedule.jobs) Describe(job, view.schedule.now, costs_known, *wire.add_jobs());
    for (const CostEntry& entry : view.schedule.costs) Describe(entry, *wire.add_costs());
    if (!view.schedule.policy.empty()) response.set_policy(view.schedule.policy);
    for (const TenantStanding& standing : view.schedule.tenants) {
      v1::TenantSchedule& tenant = tenants[standing.tenant];
      tenant.set_tenant(standing.tenant);
      tenant.set_weight(standing.weight);
      tenant.set_waiting(tenant.waiting() + standing.waiting);
      tenant.set_running(tenant.running() + standing.running);
      device_time[standing.tenant] += standing.device_time;
    }
  }
  for (auto& [name, tenant] : tenants) {
    *tenant.mutable_device_time() = ToProto(device_time[name]);
    *response.add_tenants() = std::move(tenant);
  }
  return response;
}

}  // namespace stepcast
