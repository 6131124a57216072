#include "tools/simulate/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "tools/simulate/bench_report.h"

namespace stepcast::simulate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<SweepPoint> Points() {
  std::vector<SweepPoint> points;
  for (const double rate : {1.0, 2.0}) {
    for (const char* policy : {"slo", "fifo"}) {
      SweepPoint point{.policy = policy, .rate = rate, .devices = 1, .summary = {}};
      point.summary.all = {.jobs = 10, .finished = 8, .dropped = 2, .mean = rate, .p99 = 2 * rate, .attainment = 0.75};
      point.summary.by_tenant = {{"", {.jobs = 4}}, {"night", {.jobs = 6}}};
      point.summary.by_priority = {{"batch", {.jobs = 10}}};
      point.summary.latencies = {1.0, 2.0, 4.0, 8.0};
      points.push_back(point);
    }
  }
  return points;
}

TEST(ReportTest, ATableForPeople) {
  const std::string text = ToText(Points());
  EXPECT_THAT(text, HasSubstr("mean s"));
  EXPECT_THAT(text, HasSubstr("slo"));
  EXPECT_THAT(text, HasSubstr("  night"));
  EXPECT_THAT(text, HasSubstr("  (no tenant)"));
  EXPECT_THAT(text, testing::Not(HasSubstr("batch"))) << "one class alone is everybody";
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
    EXPECT_LE(end - begin, 120u) << text.substr(begin, end - begin);
  }
}

// The keys are a promise (tools/simulate/README.md): they may be added to, not changed.
TEST(ReportTest, JsonHasTheDocumentedKeys) {
  const auto json = nlohmann::json::parse(ToJson("L", Points()));
  const auto keys = [](const nlohmann::json& object) {
    std::vector<std::string> names;
    for (const auto& [key, value] : object.items()) names.push_back(key);
    return names;
  };
  EXPECT_THAT(keys(json), ElementsAre("device", "points", "version"));
  EXPECT_EQ(json["version"], 1);
  ASSERT_EQ(json["points"].size(), 4u);
  const auto& point = json["points"][1];
  EXPECT_THAT(keys(point), ElementsAre("all", "by_priority", "by_tenant", "devices", "occupancy", "policy",
                                       "prediction_error_p50", "rate", "row_waste", "utilisation"));
  EXPECT_THAT(keys(point["all"]),
              ElementsAre("attainment", "cancelled", "dropped", "finished", "goodput", "jobs", "mean_s", "p50_s",
                          "p95_s", "p99_s", "stretch", "throughput", "wasted_steps"));
  EXPECT_EQ(point["policy"], "fifo");
  EXPECT_EQ(point["all"]["dropped"], 2);
  EXPECT_EQ(point["by_tenant"]["night"]["jobs"], 6);
}

TEST(ReportTest, PlotsShowWhatTheSweepHolds) {
  std::vector<std::string> names;
  for (const Plot& plot : Plots(Points())) names.push_back(plot.name);
  EXPECT_THAT(names, ElementsAre("mean_latency.svg", "p99_latency.svg", "attainment.svg", "distribution.svg"));
  EXPECT_THAT(Plots(Points())[0].svg, HasSubstr("offered requests a second"));
  EXPECT_THAT(Plots(Points(), {0.5, 0.9})[0].svg, HasSubstr(">load</text>"));
  std::vector<SweepPoint> fleet = Points();
  for (size_t i = 0; i < fleet.size(); ++i) {
    fleet[i].rate = 1.0;
    fleet[i].devices = 1 + static_cast<int>(i) / 2;
  }
  EXPECT_EQ(Plots(fleet)[0].name, "attainment_by_devices.svg");
  EXPECT_TRUE(Plots({}).empty());
}

TEST(ReportTest, PlotsAreWrittenWhereTheyShould) {
  const std::string folder = testing::TempDir() + "/plots/deep";
  ASSERT_TRUE(WritePlots(folder, Plots(Points())).ok());
  std::ifstream file(folder + "/mean_latency.svg");
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  EXPECT_THAT(line, HasSubstr("<svg"));
  std::filesystem::remove_all(testing::TempDir() + "/plots");
  std::ofstream(testing::TempDir() + "/in_the_way") << "x";
  const absl::Status status = WritePlots(testing::TempDir() + "/in_the_way", {});
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("in_the_way"));
}

TEST(BenchReportTest, SaysWhatIsMetAndWhatIsNot) {
  std::vector<Claim> claims = {{.name = "faster", .measured = 2.0, .bound = 1.8},
                               {.name = "wasted", .measured = 0.01, .bound = 0.02, .at_most = true}};
  EXPECT_TRUE(AllHold(claims));
  claims.push_back({.name = "slower", .measured = 0.9, .bound = 1.0});
  EXPECT_FALSE(AllHold(claims));
  EXPECT_THAT(ToText(claims), HasSubstr("FAILS slower"));
  const auto json = nlohmann::json::parse(ToJson(claims));
  EXPECT_EQ(json["met"], false);
  EXPECT_EQ(json["claims"][2], nlohmann::json::parse(R"({"name": "slower", "measured": 0.9, "bound": 1.0,
      "at_most": false, "met": false})"));
}

TEST(BenchReportTest, MeasuresTheScenesThatAreAskedFor) {
  std::vector<std::string> scenes;
  const auto claims = MeasureClaims({.seeds = 1}, "phases", [&](const std::string& scene) { scenes.push_back(scene); });
  EXPECT_THAT(scenes, ElementsAre("phases"));
  EXPECT_EQ(claims.size(), 2u);
  EXPECT_TRUE(MeasureClaims({}, "no such scene", [](const std::string&) {}).empty());
}

}  // namespace
}  // namespace stepcast::simulate
