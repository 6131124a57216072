#include "server/process/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/string_view.h"
#include "server/wire/text_limits.h"
#include "server/wire/version.h"

namespace stepcast {
namespace {

constexpr int kExitMistake = 2;

// "--models-dir=x" is "--models_dir" and "x": the library takes the next argument where nothing follows the sign.
std::vector<std::string> Normalized(const std::vector<std::string>& arguments) {
  std::vector<std::string> normal;
  for (const std::string& argument : arguments) {
    if (!absl::StartsWith(argument, "--")) {
      normal.push_back(argument);
      continue;
    }
    const size_t sign = argument.find('=');
    std::string name = argument.substr(2, sign == std::string::npos ? sign : sign - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    const bool is_switch = name == "check_config" || name == "print_config" || name == "allow_plaintext";
    normal.push_back(absl::StrCat("--", name, is_switch && sign != std::string::npos ? argument.substr(sign) : ""));
    if (!is_switch && sign != std::string::npos) normal.push_back(argument.substr(sign + 1));
  }
  return normal;
}

// Readers of one value: what is wrong with `text`, or "" and the value.
std::string ReadValue(const std::string& text, std::optional<std::string>& value) {
  value = text;
  return "";
}
std::string ReadValue(const std::string& text, std::optional<int>& value) {
  int number = 0;
  if (!absl::SimpleAtoi(text, &number)) return absl::StrCat("got ", Quoted(text), "; allowed: a whole number");
  value = number;
  return "";
}
std::string ReadValue(const std::string& text, std::optional<absl::Duration>& value) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) {
    return absl::StrCat("got ", Quoted(text), "; allowed: a duration, as 30s, 1m30s or 0");
  }
  value = duration;
  return "";
}

template <typename Value>
void Add(CLI::App& app, const std::string& name, std::optional<Value>& value, const std::string& help) {
  const auto read = [name, &value](const std::string& text) {
    const std::string mistake = ReadValue(text, value);
    if (!mistake.empty()) throw CLI::ValidationError(name, mistake);
  };
  app.add_option_function<std::string>(name, read, help)->type_name("VALUE")->take_last();
}

void AddFlags(CommandLine& line, std::optional<std::string>& config, CLI::App& app) {
  ConfigOverrides& overrides = line.overrides;
  Add(app, "--config", config, "YAML file; without one the defaults and these flags are all there is");
  app.add_flag("--check_config", line.check_config, "check the configuration and exit: 0 fine, 2 not");
  app.add_flag("--print_config", line.print_config,
               "print the configuration in effect, with what sets each value that is not the default, and exit");
  Add(app, "--new_token", line.new_token,
      "make a bearer token for this tenant, print it and the line for auth.token_file that lets it in, and exit");
  Add(app, "--validate_model", overrides.validate_model,
      "read the model at this path but for the numbers of its weights, print what it is, and exit: 0 fine, 3 not");
  Add(app, "--host", overrides.host, "overrides listen.host");
  app.add_flag_callback(
      "--allow_plaintext", [&overrides] { overrides.allow_plaintext = true; },
      "overrides listen.allow_plaintext: addresses that other machines reach, without TLS");
  Add(app, "--port", overrides.port, "overrides the public port; 0 picks a free one");
  Add(app, "--admin_port", overrides.admin_port, "overrides the admin port; 0 picks a free one, -1 turns it off");
  Add(app, "--metrics_port", overrides.metrics_port, "overrides the metrics port; 0 picks a free one, -1 turns it off");
  Add(app, "--models_dir", overrides.models_dir,
      "serve every model in this folder, folders and .safetensors files, instead of the configured ones");
  Add(app, "--control_nets_dir", overrides.control_nets_dir,
      "instead of `control_nets`: every ControlNet folder and .safetensors file in this folder");
  Add(app, "--loras_dir", overrides.loras_dir, "instead of `loras_dir`: LoRAs that requests may name");
  Add(app, "--embeddings_dir", overrides.embeddings_dir,
      "textual inversions, .safetensors files; looked at again every second");
  Add(app, "--default_model", overrides.default_model, "the model of requests that name none");
  Add(app, "--device", overrides.device, "auto, cpu or cuda:N");
  Add(app, "--dtype", overrides.dtype, "auto, fp32, bf16 or fp16");
  Add(app, "--threads", overrides.threads, "CPU threads of the engine; 0: as many as affinity and quota allow");
  Add(app, "--policy", overrides.policy, "scheduling policy: slo, fifo, serial or request_level");
  Add(app, "--profile_budget", overrides.profile_budget,
      "time for measuring what ticks cost before the server is ready; 0: none");
  Add(app, "--port_file", overrides.port_file, "write the bound ports to this file, as JSON");
}

CommandLine Ends(int exit_code, std::string text) {
  CommandLine line;
  line.ends = true;
  line.exit_code = exit_code;
  line.text = std::move(text);
  return line;
}

CommandLine Mistake(const std::string& message) {
  return Ends(kExitMistake, absl::StrCat("stepcast-server: ", message, " (see --help)\n"));
}

}  // namespace

CommandLine ParseCommandLine(std::vector<std::string> arguments) {
  CommandLine line;
  std::optional<std::string> config;
  CLI::App app("Serves diffusion models over gRPC. deploy/config.example.yaml shows every key of the configuration.",
               "stepcast-server");
  app.set_version_flag("--version", absl::StrCat("stepcast-server ", ToAbsl(kVersion), " (", ToAbsl(kCommit), ")"));
  AddFlags(line, config, app);
  arguments = Normalized(arguments);
  std::reverse(arguments.begin(), arguments.end());  // as the library wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return Ends(0, app.help());
  } catch (const CLI::CallForVersion& version) {
    return Ends(0, absl::StrCat(version.what(), "\n"));
  } catch (const CLI::Error& error) {
    return Mistake(error.what());
  }
  line.config = config.value_or("");
  line.validate_model = line.overrides.validate_model.has_value();
  return line;
}

}  // namespace stepcast
