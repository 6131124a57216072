#include "scheduler/decide/forecast.h"

#include <algorithm>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "scheduler/decide/lane_index.h"
#include "scheduler/decide/policies/batch_shape.h"

namespace stepcast {
namespace {

constexpr int kMostMisfits = 32;  // as the policy

struct Troupe;

// One job in the play.
struct Player {
  const JobView* view;
  Troupe* troupe = nullptr;  // it is in now
  size_t item = 0;           // of its work: the next one that it has not done, encodes aside
  int left = 0;              // ticks of that with the troupe's key
  int rows = 1;              // of each
  double start = -1.0;
  bool done = false;
};

// The jobs that wait for evaluations of one key, in order.
struct Troupe {
  BatchKey key = {};
  std::vector<Player*> players = {};
  size_t first = 0;  // all before it are done, or have left
  int live = 0;
};

// What an item that is no evaluation takes: its share of a full tick, and a tick of its own.
struct Errand {
  double share = 0.0;
  double alone = 0.0;
};

// The play begins when the tick that runs is over, and what is in flight has been done by then.
bool Encoding(const JobView& view) { return view.in_flight && view.job->needs_encode(); }
bool Working(const JobView& view) { return view.in_flight && !view.job->needs_encode(); }

class Play {
 public:
  Play(const SchedulingPolicy& policy, const SchedulerSnapshot& snapshot, absl::Span<const JobView* const> more,
       const CostModel& costs, absl::Time now, bool all)
      : policy_(policy),
        snapshot_(snapshot),
        costs_(costs),
        now_(now),
        time_(ToSeconds(std::max(now, snapshot.busy_until))),
        awaited_(more.begin(), more.end()) {
    const std::vector<const JobView*> order = policy.Order(snapshot, more, now);
    players_.reserve(order.size());
    awaits_all_ = all;
    for (const JobView* view : order) {
      players_.push_back({.view = view, .item = view->job->place_but_encodes()});
      Join(players_.back(), LeadOf(*view->job), view->rows);
    }
  }

  std::vector<Expectation> Run() {
    size_t lead = 0;
    while (awaits_all_ || !awaited_.empty()) {
      while (lead < players_.size() && players_[lead].done) ++lead;
      if (lead == players_.size()) break;
      RunBatch(*players_[lead].troupe);
    }
    return std::move(finished_);
  }

 private:
  static bool Denoises(const WorkItem& item) { return item.key.phase == Phase::kDenoise; }

  // Where a job plays: at its next evaluations; where none are left, with those it has left behind.
  static size_t LeadOf(const Job& job) {
    const std::vector<WorkItem>& items = job.work().items();
    for (size_t i = job.place_but_encodes(); i < items.size(); ++i) {
      if (Denoises(items[i])) return i;
    }
    for (size_t i = items.size(); i > 0; --i) {
      if (Denoises(items[i - 1])) return i - 1;
    }
    return 0;
  }

  // `player` waits for `item` from now on.
  void Join(Player& player, size_t item, int rows) {
    const Job& job = *player.view->job;
    const BatchKey& key = job.work().items()[item].key;
    const auto [entry, is_new] = troupe_of_.try_emplace(key, nullptr);
    if (is_new) entry->second = &troupes_.emplace_back(Troupe{.key = key});
    Troupe& troupe = *entry->second;
    player.troupe = &troupe;
    player.rows = rows;
    player.left = 0;
    for (size_t i = std::max(item, player.item); i < job.work().items().size(); ++i) {
      const WorkItem& each = job.work().items()[i];
      if (each.key != key || !Denoises(each)) break;
      player.left += each.count - DoneOf(player, i);
    }
    ++troupe.live;
    // Players stand in order, so their addresses do.
    const auto place = std::lower_bound(troupe.players.begin(), troupe.players.end(), &player);
    troupe.first = std::min(troupe.first, static_cast<size_t>(place - troupe.players.begin()));
    if (place == troupe.players.end() || *place != &player) troupe.players.insert(place, &player);
  }

  // Ticks of an item that a player has done when the play begins.
  static int DoneOf(const Player& player, size_t item) {
    const Job& job = *player.view->job;
    return item == job.place_but_encodes() ? job.done_of_item() + (Working(*player.view) ? 1 : 0) : 0;
  }

  Errand ErrandOf(const WorkItem& item) {
    const auto [entry, is_new] = errands_.try_emplace(item.key);
    if (is_new) {
      const int cap = costs_.RowCap(item.key);
      entry->second = {.share = costs_.Seconds(item.key, cap) / cap, .alone = costs_.Seconds(item.key, 1)};
    }
    return entry->second;
  }

  // Does what a player has to do before its next evaluations, or before its end: encodes that come first, then items
  // that are no evaluations.
  Errand RunErrands(Player& player) {
    const Job& job = *player.view->job;
    const std::vector<WorkItem>& items = job.work().items();
    Errand sum;
    const auto add = [&](const WorkItem& item, int count) {
      if (count <= 0) return;
      const Errand each = ErrandOf(item);
      sum.share += count * each.share;
      sum.alone += count * each.alone;
    };
    for (; player.item < items.size() && !Denoises(items[player.item]); ++player.item) {
      const WorkItem& item = items[player.item];
      if (!IsEncode(item.key.phase)) add(item, item.count - DoneOf(player, player.item));
    }
    return sum;
  }

  // Encodes of a player in front of item `end` that it has not had done in the play yet.
  double RunEncodes(const Player& player, size_t begin, size_t end) {
    const Job& job = *player.view->job;
    double share = 0.0;
    for (const int item : job.to_encode()) {
      const auto at = static_cast<size_t>(item);
      const bool in_flight = Encoding(*player.view) && at == job.place();
      if (at >= begin && at < end && !in_flight) share += ErrandOf(job.work().items()[at]).share;
    }
    return share;
  }

  // Fills a batch of `troupe` and runs it until its first member is done.
  void RunBatch(Troupe& troupe) {
    while (!Plays(*troupe.players[troupe.first], troupe)) ++troupe.first;
    const Player& head = *troupe.players[troupe.first];
    const int limit =
        std::max(policy_.RowLimit(troupe.key, *head.view, troupe.live * head.rows, snapshot_, costs_, now_), head.rows);
    BatchShape shape(costs_, troupe.key, limit, time_);
    batch_.clear();
    int fewest = 1 << 30, misfits = 0;
    for (size_t i = troupe.first; i < troupe.players.size() && !shape.full() && misfits < kMostMisfits; ++i) {
      Player& player = *troupe.players[i];
      if (!Plays(player, troupe)) continue;
      if (!shape.Add(*player.view, player.rows, player.left)) {
        ++misfits;
        continue;
      }
      batch_.push_back(&player);
      fewest = std::min(fewest, player.left);
    }
    for (Player* player : batch_) {
      if (player->start < 0.0) Start(*player);
    }
    time_ += fewest * shape.seconds();
    for (Player* player : batch_) {
      player->left -= fewest;
      if (player->left == 0) Leave(*player);
    }
  }

  static bool Plays(const Player& player, const Troupe& troupe) { return !player.done && player.troupe == &troupe; }

  void Start(Player& player) {
    player.start = time_;
    const size_t lead = LeadOf(*player.view->job);
    time_ += RunEncodes(player, 0, lead);
    if (lead >= player.item && player.left > 0) time_ += RunErrands(player).share;
  }

  // A player has done its evaluations of one key: others follow, or its end.
  void Leave(Player& player) {
    const std::vector<WorkItem>& items = player.view->job->work().items();
    --player.troupe->live;
    while (player.item < items.size() && Denoises(items[player.item]) && items[player.item].key == player.troupe->key) {
      ++player.item;
    }
    const size_t begin = player.item;
    const Errand errands = RunErrands(player);
    if (player.item < items.size()) {
      time_ += errands.share + RunEncodes(player, begin, player.item);
      return Join(player, player.item, items[player.item].rows);
    }
    player.done = true;
    finished_.push_back(
        {.view = player.view, .start = FromSeconds(player.start), .finish = FromSeconds(time_ + errands.alone)});
    time_ += errands.share;
    awaited_.erase(player.view);
  }

  const SchedulingPolicy& policy_;
  const SchedulerSnapshot& snapshot_;
  const CostModel& costs_;
  const absl::Time now_;
  double time_;
  absl::flat_hash_set<const JobView*> awaited_;
  bool awaits_all_ = false;
  std::vector<Player> players_;  // in order; reserved, so that they stay where they are
  std::deque<Troupe> troupes_;   // a deque for its stable addresses
  absl::flat_hash_map<BatchKey, Troupe*> troupe_of_;
  absl::flat_hash_map<BatchKey, Errand> errands_;
  std::vector<Player*> batch_;
  std::vector<Expectation> finished_;
};

}  // namespace

std::vector<Expectation> Forecast(const SchedulingPolicy& policy, const SchedulerSnapshot& snapshot,
                                  absl::Span<const JobView* const> more, const CostModel& costs, absl::Time now,
                                  bool all) {
  return Play(policy, snapshot, more, costs, now, all).Run();
}

}  // namespace stepcast
