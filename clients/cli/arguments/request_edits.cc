#include "clients/cli/arguments/request_edits.h"

namespace stepcast::cli {

void ClearFields(const std::vector<std::string>& fields, stepcast::v1::GenerateRequest& request,
                 std::vector<std::string>& cleared) {
  const google::protobuf::Reflection& reflection = *request.GetReflection();
  for (const std::string& name : fields) {
    const google::protobuf::FieldDescriptor* const field = request.GetDescriptor()->FindFieldByName(name);
    const bool set =
        field->is_repeated() ? reflection.FieldSize(request, field) > 0 : reflection.HasField(request, field);
    if (!set) continue;
    reflection.ClearField(&request, field);
    cleared.push_back(name);
  }
}

}  // namespace stepcast::cli
