#include "clients/cli/arguments/generate_arguments.h"

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace stepcast::cli {
namespace {

// The request that `options` make of one in a file.
stepcast::v1::GenerateRequest Edited(const std::string& json, std::vector<std::string> options) {
  const std::string file = testing::TempDir() + "stepcast_generate_arguments_test.json";
  std::ofstream(file) << json;
  options.insert(options.begin(), {"--from", file, "-q"});
  std::reverse(options.begin(), options.end());  // as the library wants them
  CLI::App app;
  GenerateArguments arguments;
  AddGenerateOptions(app, arguments);
  app.parse(options);
  GenerateOptions made;
  EXPECT_EQ(ToGenerateOptions(arguments, made), "");
  return made.request;
}

// Levels and steps are one number: whichever option is given, the other gives way.
TEST(GenerateArgumentsTest, StepsAndLevelsReplaceEachOther) {
  const std::string three = R"({"steps": 3, "sampler_options": {"langevin": {"levels": 3, "inner_steps": 2}}})";
  const auto steps = Edited(three, {"--steps", "5"});
  EXPECT_EQ(steps.steps(), 5);
  EXPECT_FALSE(steps.sampler_options().langevin().has_levels());
  EXPECT_EQ(steps.sampler_options().langevin().inner_steps(), 2);
  const auto levels = Edited(three, {"--langevin-levels", "5"});
  EXPECT_FALSE(levels.has_steps());
  EXPECT_EQ(levels.sampler_options().langevin().levels(), 5);
  const auto both = Edited(three, {"--steps", "5", "--langevin-levels", "5"});
  EXPECT_EQ(both.steps(), 5);
  EXPECT_EQ(both.sampler_options().langevin().levels(), 5);
}

TEST(GenerateArgumentsTest, ListsAndStepsReplaceEachOther) {
  EXPECT_EQ(Edited(R"({"timesteps": [999, 500]})", {"--steps", "5"}).timesteps_size(), 0);
  const auto listed = Edited(R"({"steps": 3, "timestep_spacing": "TIMESTEP_SPACING_LEADING"})", {"--sigmas", "9,1,0"});
  EXPECT_FALSE(listed.has_steps());
  EXPECT_EQ(listed.timestep_spacing(), stepcast::v1::TIMESTEP_SPACING_UNSPECIFIED);
  EXPECT_EQ(listed.sigmas_size(), 3);
}

}  // namespace
}  // namespace stepcast::cli
