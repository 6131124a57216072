// Pictures that ControlNets follow.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/shortest_number.h"
#include "server/request/checks/picture_checks.h"
#include "server/wire/text_limits.h"

namespace stepcast {
namespace {

constexpr double kMaxScale = 2.0;

std::string IdsOf(const std::vector<ControlNetInfo>& nets) {
  return absl::StrJoin(nets, ", ", [](std::string* out, const ControlNetInfo& net) { absl::StrAppend(out, net.id); });
}

// One entry of `control`.
class EntryCheck {
 public:
  EntryCheck(const RequestContext& context, int index, FieldViolations& violations)
      : context_(context), wire_(context.wire.control(index)), index_(index), violations_(violations) {}

  void Run(GenerationRequest& resolved) {
    ControlInput input;
    const ControlNetInfo* const net = FindNet();
    if (net != nullptr) input.model = net->id;
    if (context_.pictures == nullptr || context_.pictures->Find(ControlImage(index_)) == nullptr) {
      violations_.Add(Field("image"), "nothing", "a picture");
    }
    if (wire_.has_scale() && violations_.CheckReal(Field("scale"), wire_.scale(), 0.0, kMaxScale)) {
      input.scale = wire_.scale();
    }
    if (wire_.has_start() && violations_.CheckReal(Field("start"), wire_.start(), 0.0, 1.0)) {
      input.start = wire_.start();
    }
    if (wire_.has_end() && violations_.CheckReal(Field("end"), wire_.end(), 0.0, 1.0)) input.end = wire_.end();
    if (input.start > input.end) {
      violations_.Add(Field("start"),
                      absl::StrCat(ShortestNumber(input.start), " after end ", ShortestNumber(input.end)),
                      "at most `end`");
    }
    if (net != nullptr) input.control_type = ControlType(*net);
    input.guess_mode = wire_.guess_mode();
    resolved.control.push_back(std::move(input));
  }

 private:
  std::string Field(absl::string_view name) const { return absl::StrCat("control[", index_, "].", name); }

  const ControlNetInfo* FindNet() {
    const std::vector<ControlNetInfo>& nets = context_.info().control_nets;
    if (wire_.model().empty() && nets.size() == 1) return &nets.front();
    const auto net = std::find_if(nets.begin(), nets.end(),
                                  [this](const ControlNetInfo& other) { return other.id == wire_.model(); });
    if (net != nets.end()) return &*net;
    violations_.Add(Field("model"), wire_.model().empty() ? "nothing" : Quoted(wire_.model()),
                    absl::StrCat("one of ", IdsOf(nets), ", see Model.control_nets of GetModel"));
    return nullptr;
  }

  std::optional<int> ControlType(const ControlNetInfo& net) {
    if (net.union_types == 0) {
      if (wire_.has_control_type()) {
        violations_.Add(Field("control_type"), absl::StrCat(wire_.control_type()),
                        absl::StrCat("unset (", net.id, " knows one kind of picture)"));
      }
      return std::nullopt;
    }
    if (!wire_.has_control_type()) {
      violations_.Add(Field("control_type"), "nothing",
                      absl::StrCat("0..", net.union_types - 1, ", the kind of picture (", net.id, " knows several)"));
      return std::nullopt;
    }
    violations_.CheckRange(Field("control_type"), wire_.control_type(), 0, net.union_types - 1);
    return wire_.control_type();
  }

  const RequestContext& context_;
  const v1::ControlInput& wire_;
  const int index_;
  FieldViolations& violations_;
};

}  // namespace

void CheckControl(const RequestContext& context, GenerationRequest& resolved, FieldViolations& violations) {
  const int count = context.wire.control_size();
  if (count == 0) return;
  const int max = context.limits.input_pictures.max_control;
  if (context.info().control_nets.empty()) {
    violations.Add("control", absl::StrCat(count, count == 1 ? " entry" : " entries"),
                   absl::StrCat("unset (", context.info().id, " has no ControlNets)"));
    return;
  }
  if (count > max) {
    violations.Add("control", absl::StrCat(count, " entries"),
                   absl::StrCat("at most ", max, ", see ServerLimits.max_control_inputs of GetServerInfo"));
    return;
  }
  for (int i = 0; i < count; ++i) EntryCheck(context, i, violations).Run(resolved);
}

}  // namespace stepcast
