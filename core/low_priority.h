#pragma once
// Work that must not be in the way.

namespace stepcast {

// Gives the calling thread a tenth of an engine thread's share where both want one core. Linux keeps niceness per
// thread; where lowering it is not allowed nothing happens.
void LowerOwnPriority();

}  // namespace stepcast
