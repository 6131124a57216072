// `stepcast`, the command-line client. What each command does is in commands/, what its options mean in arguments/.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "clients/cli/arguments/generate_arguments.h"
#include "clients/cli/arguments/number.h"
#include "clients/cli/call/address.h"
#include "clients/cli/call/interrupt.h"
#include "clients/cli/commands/health.h"
#include "clients/cli/commands/model_control.h"
#include "clients/cli/commands/queries.h"
#include "clients/cli/commands/samplers.h"
#include "clients/cli/commands/top.h"
#include "clients/cli/files/standard_output.h"

namespace stepcast::cli {
namespace {

// What the parser writes into.
struct Arguments {
  ConnectionOptions connection;
  ConnectionOptions admin{.host = "localhost:50052", .default_port = kAdminPort};
  GenerateArguments generate;
  std::string model;
  bool json = false;
  HealthOptions health;
  TopOptions top;
  UnloadOptions unload;
};

// Of one address, or of several with commas between.
std::string AddressProblem(const std::string& text, int default_port) {
  std::string problem;
  for (const std::string& host : HostsOf({.host = text})) {
    if (problem.empty()) (void)ParseAddress(host, default_port, problem);
  }
  return problem;
}

// An option that takes an address.
CLI::Option* AddAddress(CLI::App& app, const char* name, ConnectionOptions& connection, const char* help) {
  return app.add_option(name, connection.host, help)
      ->capture_default_str()
      ->check([&connection](const std::string& text) { return AddressProblem(text, connection.default_port); });
}

void AddTimeout(CLI::App& app, Arguments& a) {
  const auto set = [&a](double seconds) { a.connection.timeout_s = a.admin.timeout_s = seconds; };
  AddReal(app, "--timeout", set, "Seconds one call may take; 0: no limit", kSeconds);
}

// How the server is reached, and as whom. A token on a command line is seen by whoever lists processes: hence the
// variable.
void AddSecurity(CLI::App& app, ConnectionOptions& connection) {
  app.add_flag("--tls", connection.tls, "Speak TLS; so do the three below");
  app.add_option("--ca", connection.ca_file, "PEM file of whom to trust, instead of whom this machine trusts");
  app.add_option("--cert", connection.cert_file, "PEM file of the certificate to show, with --key");
  app.add_option("--key", connection.key_file, "PEM file of its key");
  app.add_option("--token", connection.token, "Bearer token; better in $STEPCAST_TOKEN, or $STEPCAST_ADMIN_TOKEN");
}

// What every command takes, before and behind its name.
void AddConnection(CLI::App& app, Arguments& a) {
  AddAddress(app, "--host", a.connection,
             "host:port of the server; generate goes on with the others of host:port,host:port,... where one is gone");
  AddTimeout(app, a);
  AddSecurity(app, a.connection);
}

CLI::App* AddCommand(CLI::App& app, Arguments& a, const char* name, const char* help) {
  CLI::App* const command = app.add_subcommand(name, help);
  AddConnection(*command, a);
  return command;
}

void AddQueries(CLI::App& app, Arguments& a) {
  CLI::App* const models = AddCommand(app, a, "models", "List the models, or describe one");
  CLI::App* const samplers = AddCommand(app, a, "samplers", "The samplers of a model, and what each takes");
  CLI::App* const info = AddCommand(app, a, "info", "Version, devices, limits and queue of the server");
  for (CLI::App* const command : {models, samplers}) command->add_option("model", a.model, "Model id");
  for (CLI::App* const command : {models, samplers, info}) command->add_flag("--json", a.json, "As JSON");
}

void AddHealth(CLI::App& app, Arguments& a) {
  CLI::App* const command = AddCommand(app, a, "health", "Exit 0 if the server is ready, 4 if not");
  command->add_option("--service", a.health.service, "Name asked of grpc.health.v1")->capture_default_str();
  AddReal(*command, "--wait", [&a](double v) { a.health.wait_s = v; }, "Seconds to wait for it", kSeconds);
  AddInt(*command, "--while-pid", [&a](int v) { a.health.while_pid = v; }, "Stop waiting when this process is gone");
}

void AddTop(CLI::App& app, Arguments& a) {
  CLI::App* const command = app.add_subcommand("top", "What the scheduler does, live, from the admin port");
  AddAddress(*command, "--admin", a.admin, "host:port of the server's admin port")->envname("STEPCAST_ADMIN");
  AddTimeout(*command, a);
  AddSecurity(*command, a.admin);
  AddReal(*command, "--interval", [&a](double v) { a.top.interval_s = v; }, "Seconds between frames (default: 1)",
          {0.1, 3600});
  command->add_flag("--once", a.top.once, "One frame, then end");
  command->add_flag("--json", a.top.json, "A JSON object per frame");
}

void AddModelControl(CLI::App& app, Arguments& a) {
  CLI::App* const load = app.add_subcommand("load", "Read a model into memory, through the admin port");
  CLI::App* const unload = app.add_subcommand("unload", "Take a model out of memory, through the admin port");
  for (CLI::App* const command : {load, unload}) {
    AddAddress(*command, "--admin", a.admin, "host:port of the server's admin port")->envname("STEPCAST_ADMIN");
    AddTimeout(*command, a);
    AddSecurity(*command, a.admin);
    command->add_option("model", a.model, "Model id")->required();
  }
  AddReal(*unload, "--drain", [&a](double v) { a.unload.drain_s = v; },
          "Seconds that its pictures may take (default: as the server drains)", {0, 86400});
  unload->add_flag("--reload", a.unload.reload, "The next request for it loads it again");
}

ExitCode Usage(const std::string& problem) {
  std::fprintf(stderr, "stepcast: %s\nRun with --help for more information.\n", problem.c_str());
  return kUsage;
}

// "generate, models, ...".
std::string Commands(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) names += (names.empty() ? "" : ", ") + command->get_name();
  return names;
}

// Tells why parsing ended: --help and --version end it too.
ExitCode OnParseEnd(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining();
  const auto word = std::find_if(rest.begin(), rest.end(), [](const std::string& s) { return s[0] != '-'; });
  if (error.get_exit_code() == 0) return app.exit(error) == 0 ? kOk : kUsage;
  if (app.get_subcommands().empty()) {
    if (word != rest.end()) return Usage("there is no command '" + *word + "'; commands: " + Commands(app));
    if (rest.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
      return Usage("a command is missing; commands: " + Commands(app));
    }
  }
  (void)app.exit(error);
  return kUsage;
}

ExitCode RunGenerate(Arguments& a) {
  ConnectionOptions connection = a.connection;
  connection.tenant = a.generate.tenant;
  // Both end the call: the earlier one counts.
  if (const double deadline = a.generate.deadline_s; deadline > 0) {
    connection.timeout_s = connection.timeout_s > 0 ? std::min(connection.timeout_s, deadline) : deadline;
  }
  if (!a.generate.compare.empty()) {
    CompareOptions options;
    if (const std::string problem = ToCompareOptions(a.generate, options); !problem.empty()) return Usage(problem);
    return Compare(connection, options);
  }
  GenerateOptions options;
  if (const std::string problem = ToGenerateOptions(a.generate, options); !problem.empty()) return Usage(problem);
  return Generate(connection, std::move(options));
}

ExitCode Run(const CLI::App& app, Arguments& a) {
  if (app.got_subcommand("generate")) return RunGenerate(a);
  if (app.got_subcommand("models")) return Models(a.connection, a.model, a.json);
  if (app.got_subcommand("samplers")) return Samplers(a.connection, a.model, a.json);
  if (app.got_subcommand("info")) return Info(a.connection, a.json);
  if (app.got_subcommand("top")) return Top(a.admin, a.top);
  if (app.got_subcommand("load")) return LoadModel(a.admin, a.model);
  if (app.got_subcommand("unload")) return UnloadModel(a.admin, a.model, a.unload);
  return Health(a.connection, a.health);
}

// The command that speaks to another port although --host was given; "" when there is none.
std::string WithHostIgnored(const CLI::App& app) {
  for (const char* const name : {"top", "load", "unload"}) {
    if (app.got_subcommand(name) && app.count("--host") > 0 && app.get_subcommand(name)->count("--admin") == 0)
      return name;
  }
  return "";
}

void FromEnvironment(const char* name, std::string& value) {
  if (const char* set = std::getenv(name); set != nullptr && *set != '\0') value = set;
}

ExitCode Main(int argc, char** argv) {
  CLI::App app("Paints pictures with a Stepcast server.", "stepcast");
  app.require_subcommand(1);
  app.set_version_flag("--version", STEPCAST_VERSION);
  Arguments a;
  FromEnvironment("STEPCAST_HOST", a.connection.host);
  FromEnvironment("STEPCAST_TOKEN", a.connection.token);
  FromEnvironment("STEPCAST_ADMIN_TOKEN", a.admin.token);
  AddConnection(app, a);
  CLI::App* const generate = AddCommand(app, a, "generate", "Paint pictures");
  AddGenerateOptions(*generate, a.generate);
  AddQueries(app, a);
  AddHealth(app, a);
  AddTop(app, a);
  AddModelControl(app, a);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return OnParseEnd(app, error);
  }
  if (const std::string name = WithHostIgnored(app); !name.empty()) {
    return Usage(name + " speaks to the admin port: name it with --admin instead of --host");
  }
  if (const std::string problem = AddressProblem(a.connection.host, kServicePort); !problem.empty()) {
    return Usage("STEPCAST_HOST: " + problem);
  }
  const bool admin = app.got_subcommand("top") || app.got_subcommand("load") || app.got_subcommand("unload");
  const std::string mistake = FindSecurityMistake(admin ? a.admin : a.connection);
  return mistake.empty() ? Run(app, a) : Usage(mistake);
}

}  // namespace
}  // namespace stepcast::cli

int main(int argc, char** argv) {
  stepcast::cli::PrepareStandardStreams();
  stepcast::cli::InstallInterrupts();
  stepcast::cli::SilenceLibraries();
  return stepcast::cli::FlushStandardOutput(stepcast::cli::Main(argc, argv));
}
