// `stepcast-simulate`: the scheduler on a virtual clock. README.md says what for.

#include <iostream>

#include "tools/simulate/command_line.h"

int main(int argc, char** argv) { return stepcast::simulate::RunCommandLine(argc, argv, std::cout, std::cerr); }
