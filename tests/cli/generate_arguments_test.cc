#include "clients/cli/arguments/generate_arguments.h"
#include "clients/cli/arguments/picture_options.h"

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

std::string FileOf(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "stepcast_generate_arguments_test_" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(GenerateArgumentsTest, PicturesAreReadAndNamed) {
  const auto request = Edited("{}", {"--image",
                                     FileOf("a.png", "apple"),
                                     "--mask",
                                     FileOf("m.png", "mask"),
                                     "--strength",
                                     "0.5",
                                     "--resize",
                                     "cover",
                                     "--mask-blur",
                                     "4",
                                     "--only-masked",
                                     "--mask-padding",
                                     "8",
                                     "--invert-mask",
                                     "--differential",
                                     "--fill",
                                     "noise",
                                     "--blend",
                                     "x0",
                                     "--control",
                                     FileOf("c.png", "edges"),
                                     "--control",
                                     FileOf("d.png", "depth") + ":depth:0.7",
                                     "--image-guidance",
                                     "2"});
  EXPECT_EQ(request.init_image(), "apple");
  EXPECT_EQ(request.mask_image(), "mask");
  EXPECT_EQ(request.strength(), 0.5);
  EXPECT_EQ(request.resize_mode(), stepcast::v1::RESIZE_MODE_COVER);
  EXPECT_EQ(request.image_guidance_scale(), 2.0);
  const auto& inpaint = request.inpaint();
  EXPECT_EQ(inpaint.blur(), 4.0);
  EXPECT_TRUE(inpaint.only_masked());
  EXPECT_EQ(inpaint.padding(), 8);
  EXPECT_TRUE(inpaint.invert());
  EXPECT_TRUE(inpaint.differential());
  EXPECT_EQ(inpaint.fill(), stepcast::v1::INPAINT_FILL_NOISE);
  EXPECT_EQ(inpaint.blend_domain(), stepcast::v1::BLEND_DOMAIN_X0);
  ASSERT_EQ(request.control_size(), 2);
  EXPECT_EQ(request.control(0).image(), "edges");
  EXPECT_EQ(request.control(0).model(), "");
  EXPECT_FALSE(request.control(0).has_scale());
  EXPECT_EQ(request.control(1).image(), "depth");
  EXPECT_EQ(request.control(1).model(), "depth");
  EXPECT_EQ(request.control(1).scale(), 0.7);
}

// What an embedded request tells of its pictures holds until another picture is given.
TEST(GenerateArgumentsTest, ANewPictureReplacesWhatWasToldOfTheOld) {
  const std::string told =
      R"({"sent_pictures": [{"field": "init_image", "sha256": "ab"}, {"field": "control[0].image"}],
          "control": [{"model": "edges"}]})";
  EXPECT_EQ(Edited(told, {}).sent_pictures_size(), 2);
  EXPECT_EQ(Edited(told, {"--image", FileOf("a.png", "apple")}).sent_pictures_size(), 1);
  const auto control = Edited(told, {"--control", FileOf("c.png", "edges")});
  EXPECT_EQ(control.sent_pictures_size(), 1);
  EXPECT_EQ(control.control_size(), 1);
}

TEST(ParseControlTest, NetAndScaleAreOptional) {
  const std::string file = FileOf("c.png", "edges");
  const struct {
    std::string text;
    std::string model;
    double scale;
  } rows[] = {
      {file, "", 1.0}, {file + ":edges", "edges", 1.0}, {file + ":edges:0.5", "edges", 0.5}, {file + "::2", "", 2.0}};
  for (const auto& [text, model, scale] : rows) {
    ControlArgument control;
    EXPECT_EQ(ParseControl(text, control), "") << text;
    EXPECT_EQ(control.file, file);
    EXPECT_EQ(control.model, model) << text;
    EXPECT_EQ(control.scale, scale) << text;
  }
  ControlArgument control;
  EXPECT_NE(ParseControl("no/such/file.png", control), "");
  EXPECT_NE(ParseControl("no/such/file.png:edges:0.5", control), "");
  EXPECT_NE(ParseControl(":", control), "");
}

}  // namespace
}  // namespace stepcast::cli
