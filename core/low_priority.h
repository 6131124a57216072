#pragma once
// Work that must not be in the way.

namespace stepcast {

// What is added to the process's niceness.
inline constexpr int kAnswering = 5;    // a third of an engine thread's share where both want one core
inline constexpr int kBackground = 10;  // a tenth

// Makes the calling thread, and those that it starts from now on, so much nicer than it is. Linux keeps niceness per
// thread; where lowering it is not allowed nothing happens.
void LowerOwnPriority(int niceness = kBackground);

}  // namespace stepcast
