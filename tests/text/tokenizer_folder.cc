#include "tests/text/tokenizer_folder.h"

namespace stepcast {

std::string TextDataPath(const std::string& name) {
  return std::string(STEPCAST_SOURCE_DIR) + "/tests/text/data/" + name;
}

}  // namespace stepcast
