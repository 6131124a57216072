#include "scheduler/decide/job_index.h"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace stepcast {
namespace {

bool Older(const JobView* a, const JobView* b) { return a->job->id() < b->job->id(); }
bool KeyLess(const KeyView* a, const KeyView* b) { return a->key < b->key; }

template <typename View, typename Less>
void InsertSorted(std::vector<const View*>& views, std::type_identity_t<const View*> view, Less less) {
  // Newcomers belong at the end: the usual case costs one comparison.
  if (views.empty() || less(views.back(), view)) {
    views.push_back(view);
  } else {
    views.insert(std::lower_bound(views.begin(), views.end(), view, less), view);
  }
}

template <typename View, typename Less>
void EraseSorted(std::vector<const View*>& views, std::type_identity_t<const View*> view, Less less) {
  views.erase(std::lower_bound(views.begin(), views.end(), view, less));
}

}  // namespace

void JobIndex::Insert(JobView& view, int64_t newest_plan) {
  InsertSorted(jobs_, &view, Older);
  Enqueue(view, newest_plan);
}

void JobIndex::Refresh(JobView& view, int64_t newest_plan) {
  view.rows = view.job->rows();
  if (view.queue->key == view.job->key()) return;
  Dequeue(view);
  Enqueue(view, newest_plan);
}

void JobIndex::Erase(JobView& view) {
  Dequeue(view);
  EraseSorted(jobs_, &view, Older);
}

void JobIndex::MarkPlanned(const BatchKey& key, int64_t id) { queues_.find(key)->second.last_plan = id; }

void JobIndex::Enqueue(JobView& view, int64_t newest_plan) {
  BatchKey key = view.job->key();
  auto [entry, is_new] = queues_.try_emplace(key);
  KeyView& queue = entry->second;
  if (is_new) {
    queue.key = std::move(key);
    queue.since_plan = newest_plan;
    InsertSorted(keys_, &queue, KeyLess);
  }
  view.rows = view.job->rows();
  view.queue = &queue;
  InsertSorted(queue.jobs, &view, Older);
}

void JobIndex::Dequeue(JobView& view) {
  const auto entry = queues_.find(view.queue->key);
  KeyView& queue = entry->second;
  EraseSorted(queue.jobs, &view, Older);
  view.queue = nullptr;
  if (!queue.jobs.empty()) return;
  EraseSorted(keys_, &queue, KeyLess);
  queues_.erase(entry);
}

}  // namespace stepcast
