#include "codec/files/latin1.h"

#include <cstddef>
#include <cstdint>

#include "codec/files/utf8.h"

namespace stepcast {

Latin1Result ToLatin1(std::string_view utf8, std::string* latin1) {
  latin1->clear();
  Latin1Result result = Latin1Result::kLatin1;
  for (size_t position = 0; position < utf8.size();) {
    const uint32_t character = ReadUtf8(utf8, &position);
    if (character == kIllFormedUtf8 || character == 0) {
      return Latin1Result::kNotText;
    }
    if (character > 0xFF) {
      result = Latin1Result::kUnicode;
    }
    latin1->push_back(static_cast<char>(character & 0xFF));
  }
  return result;
}

}  // namespace stepcast
