#include "scheduler/decide/policies/on_time_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/job_builder.h"
#include "tests/support/recording_sink.h"

namespace stepcast {
namespace {

// One job: seconds it takes and its deadline. Alone it takes half as long as in company.
struct Row {
  double work;
  double due;
};

std::string OrderOf(const std::vector<Row>& rows, const OnTimeOptions& options) {
  std::deque<std::unique_ptr<Job>> jobs;
  std::deque<JobView> views;
  std::vector<const JobView*> by_due, by_work;
  const auto sink = std::make_shared<RecordingSink>();
  for (size_t i = 0; i < rows.size(); ++i) {
    jobs.push_back(MakeJob(static_cast<int64_t>(i) + 1, {}, sink));
    JobView& view = views.emplace_back();
    view.job = jobs.back().get();
    view.work = rows[i].work;
    view.alone = rows[i].work / 2;
    view.due = rows[i].due;
    by_due.push_back(&view);
  }
  by_work = by_due;
  std::sort(by_due.begin(), by_due.end(),
            [](auto* a, auto* b) { return a->due != b->due ? a->due < b->due : a->job->id() < b->job->id(); });
  std::sort(by_work.begin(), by_work.end(),
            [](auto* a, auto* b) { return a->work != b->work ? a->work < b->work : a->job->id() < b->job->id(); });
  OnTimeOrder order(by_due, by_work, options);
  std::string text;
  while (const JobView* view = order.Next()) absl::StrAppend(&text, view->job->id().value, " ");
  return text;
}

TEST(OnTimeOrderTest, IsOnTimeFirstAndShortBeforeThat) {
  struct Case {
    const char* name;
    std::vector<Row> rows;
    OnTimeOptions options;
    const char* order;
  };
  const Case cases[] = {
      {"nobody", {}, {}, ""},
      {"room enough: the shortest goes first", {{5, 100}, {1, 100}, {3, 100}}, {}, "2 3 1 "},
      {"a tight deadline keeps its place", {{5, 5}, {1, 100}, {3, 100}}, {}, "1 2 3 "},
      {"a second of slack lets a second's work pass", {{5, 6}, {1, 100}, {3, 100}}, {}, "2 1 3 "},
      {"without fronts it is by deadline", {{5, 100}, {1, 99}, {3, 98}}, {.fronts = 0}, "3 2 1 "},
      {"too much for the deadlines: the longest is given up", {{2, 4}, {9, 10}, {2, 5}}, {.fronts = 0}, "1 3 2 "},
      {"whoever is late anyway comes last, shortest first", {{4, 1}, {2, 0.5}, {3, 9}}, {.fronts = 0}, "3 2 1 "},
      {"late and short goes first where it harms nobody", {{4, 1}, {2, 0.5}, {3, 9}}, {}, "2 3 1 "},
      {"half the device takes twice the time",
       {{2, 5}, {2, 7}},
       {.pace = FairPace(1.0, {{.work = 100.0}}, {}), .fronts = 0},
       "1 2 "},
      {"a turn that comes late", {{2, 5}, {2, 7}}, {.start = 4.5, .fronts = 0}, "2 1 "},
      {"equal jobs go by their id", {{2, 50}, {2, 50}, {2, 50}}, {}, "1 2 3 "},
      {"no more fronts than asked for", {{9, 100}, {1, 102}, {2, 101}, {3, 99}}, {.fronts = 1}, "2 4 1 3 "},
  };
  for (const Case& c : cases) EXPECT_EQ(OrderOf(c.rows, c.options), c.order) << c.name;
}

}  // namespace
}  // namespace stepcast
