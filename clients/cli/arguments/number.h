#pragma once
// Options that take a number: decimal, the whole text, within the type. "010" is ten, "0x10" is refused.

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace stepcast::cli {

// Return "" or what is wrong with `text`.
std::string ParseNumber(const std::string& text, int64_t& value);
std::string ParseNumber(const std::string& text, int& value);
std::string ParseNumber(const std::string& text, double& value);  // finite

// What an option allows; the server's own limits are not repeated here.
struct Range {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
};

// Seconds that a time can be computed with: some thirty years.
inline constexpr Range kSeconds = {0, 1e9};

// Add an option whose value is handed to `set`. A wrong number throws CLI::ValidationError while parsing.
CLI::Option* AddInteger(CLI::App& app, const std::string& name, std::function<void(int64_t)> set,
                        const std::string& help);
CLI::Option* AddInt(CLI::App& app, const std::string& name, std::function<void(int)> set, const std::string& help);
CLI::Option* AddReal(CLI::App& app, const std::string& name, std::function<void(double)> set, const std::string& help,
                     Range range = {});
// "999,850,700": one argument.
CLI::Option* AddReals(CLI::App& app, const std::string& name, std::function<void(const std::vector<double>&)> set,
                      const std::string& help);

// "a,b,c" -> a, b, c; an empty text is one empty part.
std::vector<std::string> SplitAtCommas(const std::string& text);

}  // namespace stepcast::cli
