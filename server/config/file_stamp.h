#pragma once
// Whether a file is another one than before, without reading it.

#include <string>

namespace stepcast {

// Device, inode, size and times of the file behind `path`; "" for "", and words of its own for a file that is not
// there. Two stamps are equal as long as nothing was written or exchanged, links on the way included.
std::string StampOf(const std::string& path);

}  // namespace stepcast
