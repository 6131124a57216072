package stepcast

// What a server does rarely: scripted, in this process. Addresses.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"stepcast.dev/go/internal/testserver"
	pb "stepcast.dev/go/stepcast/v1"
)

var fast = &RetryPolicy{Rounds: 4, InitialBackoff: time.Millisecond, MaxBackoff: time.Second, MaxWait: 30 * time.Second}

func connect(t testing.TB, options Options, addresses ...string) *Client {
	t.Helper()
	client, err := NewClient(options, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func accepted(request *pb.GenerateRequest, seed int64) *pb.GenerateResponse {
	filled := proto.CloneOf(request)
	if request.Seed != nil {
		seed = request.GetSeed()
	}
	filled.Seed, filled.ImageCount = proto.Int64(seed), proto.Int32(max(request.GetImageCount(), 1))
	return &pb.GenerateResponse{Event: &pb.GenerateResponse_Accepted{Accepted: &pb.Accepted{Request: filled, JobIds: []int64{40, 41}}}}
}

func part(index int32, data string, offset, total int64) *pb.ImageChunk {
	sum := sha256.Sum256([]byte(data))
	return &pb.ImageChunk{ImageIndex: index, Data: []byte(data), Offset: offset, TotalBytes: total,
		Sha256: hex.EncodeToString(sum[:])}
}

func chunk(part *pb.ImageChunk) *pb.GenerateResponse {
	return &pb.GenerateResponse{Event: &pb.GenerateResponse_ImageChunk{ImageChunk: part}}
}

func completed() *pb.GenerateResponse {
	return &pb.GenerateResponse{Event: &pb.GenerateResponse_Completed{Completed: &pb.Completed{Evaluations: 1}}}
}

func paints(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
	send(accepted(request, 11))
	for index := range max(request.GetImageCount(), 1) {
		send(chunk(part(index, fmt.Sprint("picture ", index), 0, 9)))
	}
	send(completed())
	return nil
}

// paintsAt paints likewise, and tells what it took.
func paintsAt(cost *pb.Cost) testserver.Script {
	return func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
		return paints(request, func(response *pb.GenerateResponse) {
			if completed := response.GetCompleted(); completed != nil {
				completed.Cost = cost
			}
			send(response)
		})
	}
}

func refuses(refusal *testserver.Refusal) testserver.Script {
	return func(*pb.GenerateRequest, func(*pb.GenerateResponse)) error { return refusal }
}

var prompt = &pb.GenerateRequest{Prompt: proto.String("x")}

// reasonOf is the reason of an *Error.
func reasonOf(err error) string {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Reason
	}
	return fmt.Sprint("no *Error: ", err)
}

func TestWhatIsTriedAgain(t *testing.T) {
	for _, row := range []struct {
		code   codes.Code
		reason string
		again  bool
	}{
		{codes.ResourceExhausted, "QUEUE_FULL", true}, {codes.ResourceExhausted, "TENANT_LIMIT", true},
		{codes.ResourceExhausted, "DEADLINE_UNREACHABLE", true}, {codes.Unavailable, "DRAINING", true},
		{codes.Unavailable, "DEVICE_LOST", true}, {codes.Unavailable, "MODEL_LOADING", true},
		{codes.Unavailable, "MODEL_FAILED", true}, {codes.InvalidArgument, "FIELD_INVALID", false},
		{codes.NotFound, "MODEL_NOT_FOUND", false}, {codes.ResourceExhausted, "DEVICE_MEMORY", false},
		{codes.DeadlineExceeded, "DEADLINE", false}, {codes.Canceled, "CLIENT_STALLED", false},
		{codes.Internal, "ENGINE_ERROR", false}, {codes.Internal, "NUMERIC_FAULT", false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			server := testserver.StartScripted(t, refuses(&testserver.Refusal{Code: row.code, Reason: row.reason}), paints)
			result, err := connect(t, Options{Retry: fast}, server.Address).Paint(t.Context(), prompt)
			if !row.again {
				var failure *Error
				if !errors.As(err, &failure) || failure.Code != row.code || failure.Reason != row.reason ||
					failure.Address != server.Address || len(server.Calls()) != 1 {
					t.Fatalf("%#v after %d calls", err, len(server.Calls()))
				}
				return
			}
			if err != nil || string(result.Images[0].Data) != "picture 0" {
				t.Fatal(result, err)
			}
			ids := []string{}
			for _, call := range server.Calls() {
				ids = append(ids, call.Metadata.Get("x-request-id")...)
			}
			if len(ids) != 2 || ids[0] != ids[1] {
				t.Error("one id in all tries:", ids)
			}
		})
	}
}

func TestThePushbackIsWaitedForAndWins(t *testing.T) {
	busy := &testserver.Refusal{Code: codes.ResourceExhausted, Reason: "QUEUE_FULL", Delay: 20 * time.Second, Pushback: "200"}
	server := testserver.StartScripted(t, refuses(busy), paints)
	if _, err := connect(t, Options{}, server.Address).Paint(t.Context(), prompt); err != nil {
		t.Fatal(err)
	}
	if waited := server.Calls()[1].Time.Sub(server.Calls()[0].Time); waited < 200*time.Millisecond || waited > 10*time.Second {
		t.Error(waited)
	}
}

func TestWaitsThatAreNotBegun(t *testing.T) {
	for name, busy := range map[string]*testserver.Refusal{
		"negative":             {Pushback: "-1"},
		"no number":            {Pushback: "soon"},
		"beyond MaxWait":       {Delay: time.Hour},
		"beyond the deadline":  {Delay: 20 * time.Second},
		"pushback, as trailer": {Pushback: "3600000"},
	} {
		t.Run(name, func(t *testing.T) {
			busy.Code, busy.Reason = codes.ResourceExhausted, "QUEUE_FULL"
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			server := testserver.StartScripted(t, refuses(busy))
			begun := time.Now()
			_, err := connect(t, Options{}, server.Address).Paint(ctx, prompt)
			if reasonOf(err) != "QUEUE_FULL" || time.Since(begun) > 4*time.Second {
				t.Error(err, time.Since(begun))
			}
		})
	}
}

func TestRoundsEndWithTheErrorThatTellsMost(t *testing.T) {
	busy := refuses(&testserver.Refusal{Code: codes.ResourceExhausted, Reason: "QUEUE_FULL"})
	server := testserver.StartScripted(t, busy, busy)
	policy := *fast
	policy.Rounds = 2
	client := connect(t, Options{Retry: &policy}, server.Address, testserver.AddressOfNobody(t))
	if _, err := client.Paint(t.Context(), prompt); reasonOf(err) != "QUEUE_FULL" || len(server.Calls()) != 2 {
		t.Error(err, len(server.Calls()))
	}
}

func TestALostDeviceResumesWithTheSameSeed(t *testing.T) {
	loses := func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
		send(accepted(request, 99))
		send(chunk(part(0, "picture 0", 0, 9)))
		send(chunk(part(1, "pict", 0, 9)))
		return &testserver.Refusal{Code: codes.Unavailable, Reason: "DEVICE_LOST"}
	}
	server := testserver.StartScripted(t, loses, paints)
	var seen []string
	request := &pb.GenerateRequest{Prompt: proto.String("x"), ImageCount: proto.Int32(2)}
	result, err := connect(t, Options{Retry: fast}, server.Address).Paint(t.Context(), request, func(event Event) {
		seen = append(seen, strings.TrimPrefix(fmt.Sprintf("%T", event), "*stepcast."))
	})
	if err != nil || len(result.Images) != 2 {
		t.Fatal(result, err)
	}
	if want := []string{"Accepted", "Image", "Accepted", "Image", "Completed"}; !slices.Equal(seen, want) {
		t.Error(seen)
	}
	if calls := server.Calls(); calls[0].Request.Seed != nil || calls[1].Request.GetSeed() != 99 {
		t.Error(calls)
	}
	if request.Seed != nil {
		t.Error("the caller's request was changed")
	}
}

func parked(index int32, token string) *pb.GenerateResponse {
	told := &pb.Parked{ImageIndex: index, ResumeToken: []byte(token), EvaluationsDone: 3}
	return &pb.GenerateResponse{Event: &pb.GenerateResponse_Parked{Parked: told}}
}

func checkpoint(index int32, token string) *pb.GenerateResponse {
	told := &pb.Checkpoint{ImageIndex: index, ResumeToken: []byte(token), EvaluationsDone: 2}
	return &pb.GenerateResponse{Event: &pb.GenerateResponse_Checkpoint{Checkpoint: told}}
}

// asked is the seed, count and token of each call.
func asked(server *testserver.Scripted) []string {
	var asked []string
	for _, call := range server.Calls() {
		request := call.Request
		asked = append(asked, fmt.Sprintf("%d %d %s", request.GetSeed(), request.GetImageCount(), request.GetResumeToken()))
	}
	return asked
}

func TestPicturesWithTokensGoOnOneAfterTheOther(t *testing.T) {
	// Of four pictures one is done, one has a token, one its checkpoint, one nothing.
	handsOut := func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
		send(accepted(request, 99))
		send(checkpoint(0, "old"))
		send(checkpoint(1, "unused"))
		send(checkpoint(2, "kept"))
		send(chunk(part(1, "picture 1", 0, 9)))
		send(parked(0, "new"))
		send(parked(2, ""))
		send(parked(3, ""))
		return &testserver.Refusal{Code: codes.Unavailable, Reason: "DRAINING"}
	}
	foreign := refuses(&testserver.Refusal{Code: codes.InvalidArgument, Reason: "RESUME_TOKEN_INVALID"})
	telling := paintsAt(&pb.Cost{RowEvaluations: 6, DeviceSeconds: 0.25})
	server := testserver.StartScripted(t, handsOut, telling, foreign, paints, telling)
	policy := *fast
	policy.Rounds = 2
	var seen []string
	request := &pb.GenerateRequest{Prompt: proto.String("x"), ImageCount: proto.Int32(4)}
	result, err := connect(t, Options{Retry: &policy}, server.Address).Paint(t.Context(), request, func(event Event) {
		switch event := event.(type) {
		case *Image:
			seen = append(seen, fmt.Sprint("image ", event.Index))
		case *Parked:
			seen = append(seen, fmt.Sprint("parked ", event.GetImageIndex()))
		case *Checkpoint:
			seen = append(seen, fmt.Sprint("checkpoint ", event.GetImageIndex()))
		default:
			seen = append(seen, strings.TrimPrefix(fmt.Sprintf("%T", event), "*stepcast."))
		}
	})
	if err != nil || len(result.Images) != 4 || result.Completed.GetEvaluations() != 3 {
		t.Fatal(result, err)
	}
	if want := []string{"0 4 ", "99 1 new", "101 1 kept", "101 1 ", "102 1 "}; !slices.Equal(asked(server), want) {
		t.Error(asked(server))
	}
	if want := []string{"Accepted", "checkpoint 0", "checkpoint 1", "checkpoint 2", "image 1", "parked 0", "parked 2",
		"parked 3", "image 0", "image 2", "image 3", "Completed"}; !slices.Equal(seen, want) {
		t.Error(seen)
	}
	// One of the three attempts that ended well was of a server that does not tell.
	if cost := result.Completed.GetCost(); cost.GetRowEvaluations() != 12 || cost.GetDeviceSeconds() != 0.5 {
		t.Error(cost)
	}
	if !slices.Equal(result.Accepted.GetJobIds(), []int64{40, 41}) {
		t.Error(result.Accepted)
	}
}

func TestADeadServerIsGoneOnFromItsLastCheckpoint(t *testing.T) {
	dies := func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
		send(accepted(request, 99))
		send(checkpoint(0, "old"))
		send(checkpoint(0, "new"))
		return status.Error(codes.Unavailable, "error reading from server: EOF")
	}
	busy := refuses(&testserver.Refusal{Code: codes.ResourceExhausted, Reason: "QUEUE_FULL"})
	server := testserver.StartScripted(t, dies, busy, paints)
	if _, err := connect(t, Options{Retry: fast}, server.Address).Paint(t.Context(), prompt); err != nil {
		t.Fatal(err)
	}
	if want := []string{"0 0 ", "99 1 new", "99 1 new"}; !slices.Equal(asked(server), want) {
		t.Error(asked(server))
	}
}

func TestATokenOfTheCallersOwnIsNotDropped(t *testing.T) {
	foreign := refuses(&testserver.Refusal{Code: codes.InvalidArgument, Reason: "RESUME_TOKEN_INVALID"})
	server := testserver.StartScripted(t, foreign)
	own := &pb.GenerateRequest{Prompt: proto.String("x"), Seed: proto.Int64(99), ResumeToken: []byte("own")}
	_, err := connect(t, Options{Retry: fast}, server.Address).Paint(t.Context(), own)
	if reasonOf(err) != "RESUME_TOKEN_INVALID" || len(server.Calls()) != 1 {
		t.Error(err, len(server.Calls()))
	}
}

func TestALostServerIsReplacedTwiceAndNoMore(t *testing.T) {
	for _, told := range []error{
		status.Error(codes.Unavailable, "error reading from server: EOF"),
		status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: INTERNAL_ERROR"),
		status.Error(codes.Canceled, "CANCELLED"),
	} {
		dies := func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
			send(accepted(request, 99))
			return told
		}
		server := testserver.StartScripted(t, dies, dies, paints, dies, dies, dies)
		client := connect(t, Options{Retry: fast}, server.Address)
		if result, err := client.Paint(t.Context(), prompt); err != nil || string(result.Images[0].Data) != "picture 0" {
			t.Fatal(result, err)
		}
		if calls := server.Calls(); calls[1].Request.GetSeed() != 99 || calls[2].Request.GetSeed() != 99 {
			t.Error(calls)
		}
		// A request that kills whoever paints it must not go through all replicas.
		if _, err := client.Paint(t.Context(), prompt); status.Code(err) != status.Code(told) || len(server.Calls()) != 6 {
			t.Error(err, len(server.Calls()))
		}
	}
}

func TestACallThatAServerNeverBeganBecauseItStopsGoesElsewhere(t *testing.T) {
	stops := func(*pb.GenerateRequest, func(*pb.GenerateResponse)) error {
		return status.Error(codes.Canceled, "CANCELLED")
	}
	server := testserver.StartScripted(t, stops, stops, paints, stops, stops, stops)
	client := connect(t, Options{Retry: fast}, server.Address)
	if result, err := client.Paint(t.Context(), prompt); err != nil || string(result.Images[0].Data) != "picture 0" {
		t.Fatal(result, err)
	}
	if _, err := client.Paint(t.Context(), prompt); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}

func TestACallThatHasBegunIsNotRepeatedForOtherReasons(t *testing.T) {
	server := testserver.StartScripted(t, func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
		send(accepted(request, 1))
		return &testserver.Refusal{Code: codes.ResourceExhausted, Reason: "QUEUE_FULL"}
	})
	if _, err := connect(t, Options{Retry: fast}, server.Address).Paint(t.Context(), prompt); reasonOf(err) != "QUEUE_FULL" {
		t.Error(err)
	}
}

func TestDamagedStreams(t *testing.T) {
	wrong := part(0, "picture", 0, 7)
	wrong.Sha256 = strings.Repeat("0", 64)
	for name, messages := range map[string][]*pb.GenerateResponse{
		"checksum":  {chunk(wrong), completed()},
		"gap":       {chunk(part(0, "pict", 0, 9)), chunk(part(0, "re 0", 5, 9)), completed()},
		"too long":  {chunk(part(0, "picture", 0, 4)), completed()},
		"too short": {chunk(part(0, "pict", 0, 9)), completed()},
		"none":      {completed()},
		"no end":    {chunk(part(0, "picture 0", 0, 9))},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.StartScripted(t, func(request *pb.GenerateRequest, send func(*pb.GenerateResponse)) error {
				send(accepted(request, 1))
				for _, message := range messages {
					send(message)
				}
				return nil
			})
			if _, err := connect(t, Options{}, server.Address).Paint(t.Context(), prompt); reasonOf(err) != BrokenStream {
				t.Error(err)
			}
		})
	}
}

func TestWhatGoesBesideARequest(t *testing.T) {
	server := testserver.StartScripted(t, paints)
	client := connect(t, Options{Tenant: "acme", Metadata: map[string]string{"x-one": "1"}}, server.Address)
	request := &pb.GenerateRequest{Prompt: proto.String("x"), Model: "emoji"}
	if _, err := client.Paint(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	sent := server.Calls()[0].Metadata
	for key, want := range map[string]string{"x-stepcast-tenant": "acme", "x-stepcast-model": "emoji", "x-one": "1"} {
		if got := sent.Get(key); len(got) != 1 || got[0] != want {
			t.Error(key, got)
		}
	}
	if agent := sent.Get("user-agent"); !strings.HasPrefix(agent[0], "stepcast-go") {
		t.Error(agent)
	}
}

func TestCancellingEndsTheWaitForARetry(t *testing.T) {
	busy := &testserver.Refusal{Code: codes.ResourceExhausted, Reason: "QUEUE_FULL", Delay: 25 * time.Second}
	server := testserver.StartScripted(t, refuses(busy))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-server.Arrived
		cancel()
	}()
	if _, err := connect(t, Options{}, server.Address).Paint(ctx, prompt); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"host": "host:50051", "host:1": "host:1", "http://host:1/": "host:1", "grpc://host": "host:50051",
		"[::1]": "[::1]:50051", "[::1]:5": "[::1]:5", "::1": "[::1]:50051", "unix:/run/s.sock": "unix:/run/s.sock",
	} {
		if got, err := targetOf(address); err != nil || got != want {
			t.Error(address, got, err)
		}
	}
	if got, err := targetsOf([]string{"a, b:2", "c"}); err != nil || !slices.Equal(got, []string{"a:50051", "b:2", "c:50051"}) {
		t.Error(got, err)
	}
	t.Setenv("STEPCAST_HOST", "d")
	if got, err := targetsOf(nil); err != nil || !slices.Equal(got, []string{"d:50051"}) {
		t.Error(got, err)
	}
	if _, err := NewClient(Options{}, "a,,b"); err == nil {
		t.Error("an empty address was taken")
	}
}
