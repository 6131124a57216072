package testserver

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "stepcast.dev/go/stepcast/v1"
)

// Script answers a call: it sends messages, then returns nil or a Refusal.
type Script func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error

// Received is a call that came.
type Received struct {
	Request  *pb.GenerateRequest
	Metadata metadata.MD
	Time     time.Time
}

// Scripted answers the n-th Generate call with the n-th script.
type Scripted struct {
	Address string
	Arrived chan struct{} // one for each call

	mutex   sync.Mutex
	calls   []Received
	scripts []Script
}

// Calls returns what came so far.
func (s *Scripted) Calls() []Received {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.calls
}

// StartScripted starts a server that lives as long as the test.
func StartScripted(t testing.TB, scripts ...Script) *Scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &Scripted{Address: listener.Addr().String(), Arrived: make(chan struct{}, 100), scripts: scripts}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "stepcast.v1.ImageGenerationService",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "Generate", Handler: made.generate, ServerStreams: true}},
	}, made)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return made
}

func (s *Scripted) generate(_ any, stream grpc.ServerStream) error {
	request := new(pb.GenerateRequest)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	sent, _ := metadata.FromIncomingContext(stream.Context())
	s.mutex.Lock()
	script := s.scripts[len(s.calls)]
	s.calls = append(s.calls, Received{request, sent, time.Now()})
	s.mutex.Unlock()
	s.Arrived <- struct{}{}
	sequence := int64(0)
	err := script(request, func(response *pb.GenerateResponse) {
		response.Sequence = sequence
		sequence++
		_ = stream.SendMsg(response)
	})
	if refusal, is := err.(*Refusal); is {
		if refusal.Pushback != "" {
			stream.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", refusal.Pushback))
		}
		return refusal.status().Err()
	}
	return err
}

// Refusal is an error as the server makes them.
type Refusal struct {
	Code     codes.Code
	Reason   string
	Delay    time.Duration // none where it is 0
	Pushback string
}

func (r *Refusal) Error() string { return r.Reason }

func (r *Refusal) status() *status.Status {
	details := []protoadapt.MessageV1{
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: r.Reason, Domain: "stepcast.dev"}),
	}
	if r.Delay != 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(r.Delay)}))
	}
	made, err := status.New(r.Code, strings.ToLower(r.Reason)).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return made
}

// AddressOfNobody returns an address at which nobody listens: a port that was free a moment ago.
func AddressOfNobody(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
