#include "model/families/class_conditioner.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace stepcast::model {
namespace {

ConditioningInput Of(std::optional<int> index) { return {.class_index = index}; }

TEST(ClassConditioner, GivesEachRowItsClassOrTheNullClass) {
  const ClassConditioner conditioner(11, 10, c10::DeviceType::CPU);
  const Conditioning rows = conditioner.Encode({Of(7), Of(std::nullopt), Of(0)});
  ASSERT_EQ(rows.class_labels.sizes().vec(), (std::vector<int64_t>{3}));
  EXPECT_EQ(rows.class_labels[0].item<int64_t>(), 7);
  EXPECT_EQ(rows.class_labels[1].item<int64_t>(), 10);
  EXPECT_EQ(rows.class_labels[2].item<int64_t>(), 0);
  EXPECT_FALSE(rows.prompt_embeds.defined());
  EXPECT_FALSE(conditioner.runs_network());
}

TEST(ClassConditioner, RefusesClassesOutsideTheTable) {
  const ClassConditioner conditioner(10, /*null_class=*/-1, c10::DeviceType::CPU);
  EXPECT_THROW(conditioner.Encode({Of(10)}), c10::Error);
  EXPECT_THROW(conditioner.Encode({Of(-1)}), c10::Error);
  EXPECT_THROW(conditioner.Encode({Of(std::nullopt)}), c10::Error) << "the table has no null class";
}

TEST(EmptyConditioner, SaysNothing) {
  const EmptyConditioner conditioner;
  const Conditioning rows = conditioner.Encode({Of(std::nullopt), Of(3)});
  EXPECT_FALSE(rows.class_labels.defined());
  EXPECT_FALSE(rows.prompt_embeds.defined());
  EXPECT_FALSE(conditioner.runs_network());
}

}  // namespace
}  // namespace stepcast::model
