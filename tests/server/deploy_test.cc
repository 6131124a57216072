// The files in deploy/ say what the server does.

#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "server/config/config.h"

namespace stepcast {
namespace {

const std::string kDeploy = std::string(STEPCAST_SOURCE_DIR) + "/deploy/";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Without a look at this machine, which lacks the image's folders.
absl::StatusOr<ServerConfig> ImagesConfig() {
  const std::string path = kDeploy + "config.container.yaml";
  return ParseServerConfig(ReadFile(path), path, {});
}

YAML::Node Container() {
  return YAML::LoadFile(kDeploy + "kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]["containers"][0];
}

TEST(DeployTest, ContainerConfigIsValidAndReachableFromOutside) {
  const auto config = ImagesConfig();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen.host, "0.0.0.0");
  EXPECT_EQ(config->listen.admin_host, "0.0.0.0");
  EXPECT_EQ(config->listen.metrics_host, "0.0.0.0");
}

TEST(DeployTest, ClustersConfigEqualsTheImages) {
  EXPECT_EQ(ReadFile(kDeploy + "kubernetes/base/config.yaml"), ReadFile(kDeploy + "config.container.yaml"));
}

TEST(DeployTest, CostsAreKeptInAVolume) {
  const auto config = ImagesConfig();
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string folder = "/var/cache/stepcast";
  EXPECT_EQ(config->scheduler.profile.cache_file, folder + "/costs");
  const std::string dockerfile = ReadFile(std::string(STEPCAST_SOURCE_DIR) + "/Dockerfile");
  EXPECT_NE(dockerfile.find("\nVOLUME " + folder + "\n"), std::string::npos);
}

TEST(DeployTest, PortsAreTheServersDefaults) {
  const ListenConfig listen;
  const YAML::Node container = Container();
  for (const YAML::Node& port : container["ports"]) {
    const std::string name = port["name"].as<std::string>();
    const int expected = name == "grpc" ? listen.port : name == "admin" ? *listen.admin_port : *listen.metrics_port;
    EXPECT_EQ(port["containerPort"].as<int>(), expected) << name;
  }
  const YAML::Node service = YAML::LoadFile(kDeploy + "kubernetes/base/service.yaml");
  EXPECT_EQ(service["spec"]["ports"][0]["port"].as<int>(), listen.port);
  EXPECT_EQ(service["spec"]["ports"][1]["port"].as<int>(), *listen.metrics_port);
}

TEST(DeployTest, ProbesAskWhatTheServerAnswers) {
  const YAML::Node container = Container();
  for (const char* probe : {"startupProbe", "readinessProbe", "livenessProbe"}) {
    EXPECT_EQ(container[probe]["grpc"]["port"].as<int>(), *ListenConfig().admin_port) << probe;
    const std::string expected = std::string(probe) == "livenessProbe" ? "liveness" : "readiness";
    EXPECT_EQ(container[probe]["grpc"]["service"].as<std::string>(), expected) << probe;
  }
}

TEST(DeployTest, ProbesHaveTimeToAnswer) {
  const YAML::Node container = Container();
  for (const char* probe : {"startupProbe", "readinessProbe", "livenessProbe"}) {
    ASSERT_TRUE(container[probe]["timeoutSeconds"].IsDefined()) << probe << ": kubelet would wait for one second";
    const int timeout = container[probe]["timeoutSeconds"].as<int>();
    EXPECT_GE(timeout, 3) << probe;
    EXPECT_LE(timeout, container[probe]["periodSeconds"].as<int>()) << probe;
  }
}

TEST(DeployTest, GracePeriodCoversTheDrain) {
  const auto config = ImagesConfig();
  ASSERT_TRUE(config.ok()) << config.status();
  const YAML::Node pod = YAML::LoadFile(kDeploy + "kubernetes/base/deployment.yaml")["spec"]["template"]["spec"];
  EXPECT_GE(absl::Seconds(pod["terminationGracePeriodSeconds"].as<int>()),
            config->drain.linger + config->drain.timeout + absl::Seconds(10));
}

TEST(DeployTest, PodsAreRestricted) {
  const YAML::Node pod = YAML::LoadFile(kDeploy + "kubernetes/base/deployment.yaml")["spec"]["template"]["spec"];
  EXPECT_TRUE(pod["securityContext"]["runAsNonRoot"].as<bool>());
  EXPECT_EQ(pod["securityContext"]["seccompProfile"]["type"].as<std::string>(), "RuntimeDefault");
  EXPECT_FALSE(pod["automountServiceAccountToken"].as<bool>());
  const YAML::Node security = Container()["securityContext"];
  EXPECT_FALSE(security["allowPrivilegeEscalation"].as<bool>());
  EXPECT_TRUE(security["readOnlyRootFilesystem"].as<bool>());
  EXPECT_EQ(security["capabilities"]["drop"][0].as<std::string>(), "ALL");
}

TEST(DeployTest, DockerfileExposesTheDefaultPortsAndRunsAsTheSameUser) {
  const std::string dockerfile = ReadFile(std::string(STEPCAST_SOURCE_DIR) + "/Dockerfile");
  const ListenConfig listen;
  EXPECT_NE(dockerfile.find("EXPOSE " + std::to_string(listen.port) + " " + std::to_string(*listen.admin_port) + " " +
                            std::to_string(*listen.metrics_port)),
            std::string::npos);
  EXPECT_NE(dockerfile.find("USER 65532:65532"), std::string::npos);
}

// A shell in front would be the container's first process, and keep SIGTERM to itself.
TEST(DeployTest, TheServerIsTheContainersFirstProcess) {
  const std::string dockerfile = ReadFile(std::string(STEPCAST_SOURCE_DIR) + "/Dockerfile");
  EXPECT_NE(dockerfile.find("\nENTRYPOINT [\"stepcast-server\"]"), std::string::npos);
  EXPECT_NE(dockerfile.find("\nSTOPSIGNAL SIGTERM"), std::string::npos);
  EXPECT_NE(dockerfile.find("CMD [\"stepcast\", \"health\"]"), std::string::npos);
}

}  // namespace
}  // namespace stepcast
