#include "clients/cli/arguments/number.h"

#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>

namespace stepcast::cli {
namespace {

template <typename T>
std::string Parse(const std::string& text, const char* kind, T& value) {
  const char* const end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range) return "'" + text + "' is out of range";
  if (error != std::errc() || behind != end) return "'" + text + "' is no " + kind;
  return "";
}

std::string Text(double value) {
  char digits[32];
  return std::string(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
}

template <typename T>
CLI::Option* Add(CLI::App& app, const std::string& name, const char* type, std::function<void(T)> set,
                 const std::string& help) {
  CLI::Option* const option = app.add_option_function<std::string>(
      name,
      [name, set = std::move(set)](const std::string& text) {
        T value{};
        if (const std::string problem = ParseNumber(text, value); !problem.empty()) {
          throw CLI::ValidationError(name, problem);
        }
        set(value);
      },
      help);
  return option->type_name(type);
}

}  // namespace

std::string ParseNumber(const std::string& text, int64_t& value) { return Parse(text, "whole number", value); }

std::string ParseNumber(const std::string& text, int& value) { return Parse(text, "whole number", value); }

std::string ParseNumber(const std::string& text, double& value) {
  std::string problem = Parse(text, "number", value);
  if (problem.empty() && !std::isfinite(value)) problem = "'" + text + "' is no finite number";
  return problem;
}

CLI::Option* AddInteger(CLI::App& app, const std::string& name, std::function<void(int64_t)> set,
                        const std::string& help) {
  return Add<int64_t>(app, name, "INT", std::move(set), help);
}

CLI::Option* AddInt(CLI::App& app, const std::string& name, std::function<void(int)> set, const std::string& help) {
  return Add<int>(app, name, "INT", std::move(set), help);
}

CLI::Option* AddReal(CLI::App& app, const std::string& name, std::function<void(double)> set, const std::string& help,
                     Range range) {
  const auto checked = [name, range, set = std::move(set)](double value) {
    if (value < range.least || value > range.most) {
      throw CLI::ValidationError(name, Text(value) + " is outside " + Text(range.least) + ".." + Text(range.most));
    }
    set(value);
  };
  return Add<double>(app, name, "FLOAT", checked, help);
}

CLI::Option* AddReals(CLI::App& app, const std::string& name, std::function<void(const std::vector<double>&)> set,
                      const std::string& help) {
  CLI::Option* const option = app.add_option_function<std::string>(
      name,
      [name, set = std::move(set)](const std::string& text) {
        std::vector<double> values;
        for (const std::string& part : SplitAtCommas(text)) {
          if (const std::string problem = ParseNumber(part, values.emplace_back()); !problem.empty()) {
            throw CLI::ValidationError(name, problem);
          }
        }
        set(values);
      },
      help);
  return option->type_name("FLOAT,...");
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma == std::string::npos ? comma : comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

}  // namespace stepcast::cli
