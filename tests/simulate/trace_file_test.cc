#include "tools/simulate/trace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace stepcast::simulate {
namespace {

using testing::HasSubstr;

absl::StatusOr<std::vector<Arrival>> Read(const std::string& text, int pixels_per_latent = 8) {
  std::istringstream in(text);
  return ReadTrace(in, "t", {}, pixels_per_latent);
}

TEST(TraceFileTest, EveryColumnOfACsv) {
  const auto rows = Read(
      "steps,arrival_s,evaluations_per_step,model,width,height,guided,images,priority,tenant,deadline_s,patience_s,"
      "cold,previews_every\r\n"
      "20,0.25,2,sdxl,1024,768,false,4,batch,\"night, shift\",12.5,3,true,5\r\n"
      "\n"
      "4, 0.25 ,,,,,,,,,,,,\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  const Arrival& row = (*rows)[0];
  EXPECT_EQ(row.at, absl::Milliseconds(250));
  EXPECT_EQ(row.steps, 20);
  EXPECT_EQ(row.evaluations_per_step, 2);
  EXPECT_EQ(row.model, "sdxl");
  EXPECT_EQ(row.latent_width, 128);
  EXPECT_EQ(row.latent_height, 96);
  EXPECT_FALSE(row.guided);
  EXPECT_EQ(row.images, 4);
  EXPECT_EQ(row.priority, Priority::kBatch);
  EXPECT_EQ(row.tenant, "night, shift");
  EXPECT_EQ(row.due, absl::Seconds(12.5));
  EXPECT_EQ(row.patience, absl::Seconds(3));
  EXPECT_TRUE(row.cold);
  EXPECT_EQ(row.previews_every, 5);
  // Empty cells are the defaults.
  EXPECT_EQ((*rows)[1].steps, 4);
  EXPECT_EQ((*rows)[1].model, kModel);
  EXPECT_TRUE((*rows)[1].guided);
  EXPECT_EQ((*rows)[1].due, absl::InfiniteDuration());
}

TEST(TraceFileTest, JsonLinesHaveTheSameKeys) {
  const auto rows = Read(
      "{\"arrival_s\": 0, \"steps\": 8, \"guided\": false, \"tenant\": \"a\", \"deadline_s\": 2.5}\n"
      "{\"arrival_s\": 1.5, \"steps\": 20, \"priority\": \"interactive\", \"deadline_s\": null}\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].tenant, "a");
  EXPECT_FALSE((*rows)[0].guided);
  EXPECT_EQ((*rows)[0].due, absl::Seconds(2.5));
  EXPECT_EQ((*rows)[1].at, absl::Seconds(1.5));
  EXPECT_EQ((*rows)[1].priority, Priority::kInteractive);
  EXPECT_EQ((*rows)[1].due, absl::InfiniteDuration());
}

// The bundled model has 4 pixels a latent: measured in cells of 8 its pictures would be four times too cheap.
TEST(TraceFileTest, SizesAreInPixelsOrLatents) {
  const auto pixels = Read("arrival_s,steps,width,height\n0,20,64,36\n", 4);
  ASSERT_TRUE(pixels.ok()) << pixels.status();
  EXPECT_EQ((*pixels)[0].latent_width, 16);
  EXPECT_EQ((*pixels)[0].latent_height, 9);
  for (const int pixels_per_latent : {4, 8}) {
    const auto latents = Read("arrival_s,steps,latent_width,latent_height\n0,20,16,9\n", pixels_per_latent);
    ASSERT_TRUE(latents.ok()) << latents.status();
    EXPECT_EQ((*latents)[0].latent_width, 16);
    EXPECT_EQ((*latents)[0].latent_height, 9);
  }
  const auto mixed =
      Read("{\"arrival_s\": 0, \"steps\": 8, \"latent_width\": 16, \"width\": null, \"height\": 64}\n", 4);
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_EQ((*mixed)[0].latent_height, 16);
}

TEST(TraceFileTest, ErrorsNameLineAndColumn) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"", "t: holds no arrivals"},
      {"arrival_s,steps\n", "t: holds no arrivals"},
      {"arrival_s\n1\n", "t:1: column steps is missing"},
      {"arrival_s,steps,colour\n", "t:1: 'colour' is no column; known: arrival_s, steps,"},
      {"arrival_s,steps,steps\n", "t:1: column steps comes twice"},
      {"arrival_s,steps\n1\n", "t:2: 1 cells, and the header has 2"},
      {"arrival_s,steps\n1,20\n2,many\n", "t:3: steps: 'many' is no whole number in 1..1000"},
      {"arrival_s,steps\n1,\n", "t:2: steps: '' is no whole number"},
      {"arrival_s,steps\n-1,20\n", "t:2: arrival_s: '-1' is no number of seconds in [0, 1e9]"},
      {"arrival_s,steps\nnan,20\n", "t:2: arrival_s: 'nan' is no number"},
      {"arrival_s,steps\n2,20\n1,20\n", "t:3: arrival_s: before the row above"},
      {"arrival_s,steps,width\n0,20,513\n", "t:2: width: '513' is no multiple of 8 (--pixels-per-latent)"},
      {"arrival_s,steps,width\n0,20,16392\n", "t:2: width: '16392' is no whole number in 8..16384"},
      {"arrival_s,steps,latent_width\n0,20,0\n", "t:2: latent_width: '0' is no whole number in 1..2048"},
      {"arrival_s,steps,latent_height\n0,20,2049\n", "t:2: latent_height: '2049' is no whole number in 1..2048"},
      {"arrival_s,steps,width,latent_width\n0,20,64,8\n", "t:1: width and latent_width are the same; give one"},
      {"{\"arrival_s\": 0, \"steps\": 8, \"height\": 8, \"latent_height\": 1}\n",
       "t:1: height and latent_height are the same; give one"},
      {"arrival_s,steps,deadline_s\n0,20,0\n", "t:2: deadline_s: '0' is no number of seconds in (0, 1e9]"},
      {"arrival_s,steps,priority\n0,20,high\n", "t:2: priority: 'high' is no priority: interactive, standard, batch"},
      {"arrival_s,steps,guided\n0,20,maybe\n", "t:2: guided: 'maybe' is no true or false"},
      {"arrival_s,steps,tenant\n0,20,\"a\n", "t:2: a quote is not closed"},
      {"{\"arrival_s\": 0, \"steps\": 8}\n{\"arrival_s\": 1}\n", "t:2: key steps is missing"},
      {"{\"arrival_s\": 0, \"steps\": null}\n", "t:1: key steps is missing"},
      {"{\"arrival_s\": 0, \"steps\": 1.5}\n", "t:1: steps: '1.5' is no whole number"},
      {"{\"arrival_s\": 0, \"steps\": [1]}\n", "t:1: steps: must be a single value"},
      {"{\"arrival_s\": 0, \"steps\": 1}\nsteps\n", "t:2: the line is no JSON object"},
  };
  for (const auto& test : kCases) {
    const auto rows = Read(test.text);
    ASSERT_FALSE(rows.ok()) << test.text;
    EXPECT_TRUE(absl::IsInvalidArgument(rows.status()));
    EXPECT_THAT(std::string(rows.status().message()), HasSubstr(test.message));
  }
}

TEST(TraceFileTest, AMissingFileIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadTraceFile(testing::TempDir() + "/no_such_trace.csv").status()));
}

}  // namespace
}  // namespace stepcast::simulate
