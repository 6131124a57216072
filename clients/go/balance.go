package stepcast

import (
	"slices"
	"strings"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/health" // watches what healthCheckConfig names
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// Every call to the next replica that says that it is ready: one that drains gets no more before it refuses.
const roundRobin = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "readiness"}}`

// balanced returns one target that stands for all replicas: a name as it is (DNS tells its addresses), several as a list.
func balanced(targets []string) ([]string, []grpc.DialOption) {
	options := []grpc.DialOption{grpc.WithDefaultServiceConfig(roundRobin)}
	if len(targets) == 1 {
		return targets, options
	}
	list := manual.NewBuilderWithScheme("stepcast")
	var state resolver.State
	for _, target := range targets {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: target}}})
	}
	list.InitialState(state)
	if !slices.ContainsFunc(targets, func(target string) bool { return !loopback(target) }) {
		options = append(options, grpc.WithNoProxy())
	}
	return []string{"stepcast:///" + strings.Join(targets, ",")}, append(options, grpc.WithResolvers(list))
}
