package stepcast

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const defaultPort = "50051"

// targetOf returns what gRPC dials for "host", "host:port", "[::1]:port", the same behind "http://" or "grpc://", or
// "unix:path".
func targetOf(address string) (string, error) {
	plain := strings.TrimSpace(address)
	for _, scheme := range []string{"http://", "grpc://"} {
		if rest, found := strings.CutPrefix(plain, scheme); found {
			plain = strings.TrimSuffix(rest, "/")
		}
	}
	if plain == "" {
		return "", fmt.Errorf("address: got %q; allowed: host or host:port", address)
	}
	for _, scheme := range []string{"unix:", "unix-abstract:", "dns:", "passthrough:", "xds:"} {
		if strings.HasPrefix(plain, scheme) {
			return plain, nil
		}
	}
	switch colons := strings.Count(plain, ":"); {
	case strings.HasPrefix(plain, "["):
		if !strings.Contains(plain, "]:") {
			plain += ":" + defaultPort
		}
	case colons > 1:
		plain = "[" + plain + "]:" + defaultPort
	case colons == 0:
		plain += ":" + defaultPort
	}
	return plain, nil
}

// targetsOf returns the targets to dial; without any $STEPCAST_HOST, else this machine. A text may name several, with
// commas between.
func targetsOf(addresses []string) ([]string, error) {
	if len(addresses) == 0 {
		addresses = []string{os.Getenv("STEPCAST_HOST")}
		if addresses[0] == "" {
			addresses[0] = "localhost"
		}
	}
	var targets []string
	var problems []error
	for _, text := range addresses {
		for _, address := range strings.Split(text, ",") {
			target, err := targetOf(address)
			targets = append(targets, target)
			problems = append(problems, err)
		}
	}
	return targets, errors.Join(problems...)
}

func loopback(target string) bool {
	for _, prefix := range []string{"localhost:", "127.", "[::1]"} {
		if strings.HasPrefix(target, prefix) {
			return true
		}
	}
	return false
}
