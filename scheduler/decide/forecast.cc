#include "scheduler/decide/forecast.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "scheduler/decide/lane_index.h"
#include "scheduler/decide/policies/batch_shape.h"

namespace stepcast {
namespace {

constexpr int kMostMisfits = 32;  // as the policy

// One job in the play.
struct Player {
  const JobView* view;
  int left;
  double start = -1.0;
  bool done = false;
};

// The jobs of one model and size, in order.
struct Troupe {
  BatchKey key;
  std::vector<Player*> players;
  size_t first = 0;  // all before it are done
  int live = 0;
  double encode = 0.0;  // one item's share of a full tick
  double decode = 0.0;
  double last = 0.0;  // one decode alone: what the picture itself still takes
};

// The play begins when the tick that runs is over, and what is in flight has been done by then.
bool InFlight(const JobView& view, Phase phase) { return view.in_flight && view.job->phase() == phase; }
int LeftAfterTick(const JobView& view) {
  return view.job->left().evaluations() - (InFlight(view, Phase::kDenoise) ? 1 : 0);
}
bool EncodesYet(const JobView& view) { return view.job->needs_encode() && !InFlight(view, Phase::kEncode); }

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
      players_.push_back({.view = view, .left = LeftAfterTick(*view)});
      Troupe& troupe = TroupeOf(*view);
      troupe.players.push_back(&players_.back());
      ++troupe.live;
      leads_.push_back(&troupe);
    }
  }

  std::vector<Expectation> Run() {
    size_t lead = 0;
    while (awaits_all_ || !awaited_.empty()) {
      while (lead < players_.size() && players_[lead].done) ++lead;
      if (lead == players_.size()) break;
      RunBatch(*leads_[lead]);
    }
    return std::move(finished_);
  }

 private:
  Troupe& TroupeOf(const JobView& view) {
    const GenerationRequest& request = view.job->request();
    const auto model = models_.try_emplace(request.model->id, models_.size()).first->second;
    auto [entry, is_new] =
        troupes_.try_emplace({static_cast<int>(model), request.latent_height(), request.latent_width()});
    Troupe& troupe = entry->second;
    if (!is_new) return troupe;
    troupe.key = KeyOf(request, Phase::kDenoise);
    const BatchKey encode = KeyOf(request, Phase::kEncode), decode = KeyOf(request, Phase::kDecode);
    troupe.encode = costs_.Seconds(encode, costs_.RowCap(encode)) / costs_.RowCap(encode);
    troupe.decode = costs_.Seconds(decode, costs_.RowCap(decode)) / costs_.RowCap(decode);
    troupe.last = costs_.Seconds(decode, 1);
    return troupe;
  }

  // Fills a batch of `troupe` and runs it until its first member is done.
  void RunBatch(Troupe& troupe) {
    while (troupe.players[troupe.first]->done) ++troupe.first;
    const JobView& head = *troupe.players[troupe.first]->view;
    const int limit =
        std::max(policy_.RowLimit(troupe.key, head, troupe.live * head.rows, snapshot_, costs_, now_), head.rows);
    BatchShape shape(costs_, troupe.key, limit, time_);
    batch_.clear();
    int fewest = 1 << 30, misfits = 0;
    for (size_t i = troupe.first; i < troupe.players.size() && !shape.full() && misfits < kMostMisfits; ++i) {
      Player& player = *troupe.players[i];
      if (player.done) continue;
      if (!shape.Add(*player.view, player.left)) {
        ++misfits;
        continue;
      }
      batch_.push_back(&player);
      fewest = std::min(fewest, player.left);
    }
    for (Player* player : batch_) {
      if (player->start >= 0.0) continue;
      player->start = time_;
      if (EncodesYet(*player->view)) time_ += troupe.encode;
    }
    time_ += fewest * shape.seconds();
    for (Player* player : batch_) {
      player->left -= fewest;
      if (player->left == 0) Finish(*player, troupe);
    }
  }

  void Finish(Player& player, Troupe& troupe) {
    player.done = true;
    --troupe.live;
    const bool decoded = InFlight(*player.view, Phase::kDecode);
    finished_.push_back({.view = player.view,
                         .start = FromSeconds(player.start),
                         .finish = FromSeconds(decoded ? time_ : time_ + troupe.last)});
    if (!decoded) time_ += troupe.decode;
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
  std::vector<Troupe*> leads_;   // of each player
  absl::flat_hash_map<std::string, size_t> models_;
  std::map<std::tuple<int, int, int>, Troupe> troupes_;
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
