#include "clients/cli/views/sampler_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepcast::cli {
namespace {

namespace v1 = ::stepcast::v1;
using testing::HasSubstr;
using testing::Not;

TEST(SamplerTable, TellsCostNoiseAndOptions) {
  v1::Model model;
  model.mutable_defaults()->set_sampler(v1::SAMPLER_EULER);
  model.mutable_defaults()->set_steps(20);
  v1::SamplerSupport& euler = *model.add_samplers();
  euler.set_sampler(v1::SAMPLER_EULER);
  euler.set_evaluations(20);
  euler.add_sigma_schedules(v1::SIGMA_SCHEDULE_DEFAULT);
  euler.add_sigma_schedules(v1::SIGMA_SCHEDULE_KARRAS);
  euler.add_sigma_schedules(v1::SIGMA_SCHEDULE_BETA);
  euler.set_takes_churn(true);
  v1::SamplerSupport& ddpm = *model.add_samplers();
  ddpm.set_sampler(v1::SAMPLER_DDPM);
  ddpm.set_evaluations(20);
  ddpm.set_draws_noise(true);
  ddpm.set_max_solver_order(3);
  const std::string table = SamplerTable(model);
  EXPECT_THAT(table, HasSubstr("evals/20"));
  EXPECT_THAT(table,
              HasSubstr("euler *              20           -      karras,beta                  churn s-noise\n"));
  EXPECT_THAT(table,
              HasSubstr("ddpm                 20           yes    -                            solver-order<=3\n"));
  EXPECT_THAT(table, Not(HasSubstr("ddpm *")));
}

}  // namespace
}  // namespace stepcast::cli
