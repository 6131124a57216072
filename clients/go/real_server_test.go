package stepcast

// The whole client against the real server and its bundled models.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"stepcast.dev/go/internal/testserver"
	pb "stepcast.dev/go/stepcast/v1"
)

func apple(steps int32) *pb.GenerateRequest {
	return &pb.GenerateRequest{Prompt: proto.String("a red apple"), Steps: proto.Int32(steps)}
}

// TestRealServer is one test for one server: what it starts is shared by the parts.
func TestRealServer(t *testing.T) {
	server := testserver.Start(t, "emoji", "limits: {image_chunk_bytes: 1024}\n")
	client := connect(t, Options{}, server.Address)
	for name, body := range map[string]func(*testing.T, *testserver.Real, *Client){
		"every event in order":     everyEvent,
		"the same again":           theSameAgain,
		"validate only":            validateOnly,
		"wrong fields":             wrongFields,
		"deadline":                 deadline,
		"models and server":        modelsAndServer,
		"leaving the loop cancels": leavingTheLoop,
		"a context cancels":        aContextCancels,
		"eight at once":            eightAtOnce,
		"a dead address":           aDeadAddress,
		"the example":              theExample,
	} {
		t.Run(name, func(t *testing.T) { body(t, server, client) })
	}
}

func everyEvent(t *testing.T, _ *testserver.Real, client *Client) {
	request := apple(60) // previews get a tenth of the ticks: each picture has one on any machine
	request.Seed, request.ImageCount = proto.Int64(7), proto.Int32(2)
	request.Preview = &pb.PreviewOptions{EveryNSteps: proto.Int32(12)}
	var kinds [2][]string
	var first, last Event
	for event, err := range client.Generate(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = event
		}
		last = event
		switch event := event.(type) {
		case *Progress:
			kinds[event.GetImageIndex()] = append(kinds[event.GetImageIndex()], "progress")
		case *Preview:
			kinds[event.GetImageIndex()] = append(kinds[event.GetImageIndex()], "preview")
		case *Image:
			kinds[event.Index] = append(kinds[event.Index], "image")
			decoded, err := event.Decode()
			if err != nil || decoded.Bounds().Dx() != 64 || event.Seed != int64(7+event.Index) || len(event.Data) < 3*1024 {
				t.Error(event.Seed, len(event.Data), err)
			}
		}
	}
	if accepted, is := first.(*Accepted); !is || accepted.GetRequest().GetSeed() != 7 || accepted.GetEvaluations() != 60 {
		t.Error(first)
	}
	if completed, is := last.(*Completed); !is || completed.GetTimings().GetTotal().AsDuration() <= 0 {
		t.Error(last)
	}
	for _, seen := range kinds {
		preview, image := slices.Index(seen, "preview"), slices.Index(seen, "image")
		if !slices.Contains(seen, "progress") || preview < 0 || preview > image || image != len(seen)-1 {
			t.Error(seen)
		}
	}
}

func theSameAgain(t *testing.T, _ *testserver.Real, client *Client) {
	first, err := client.Paint(t.Context(), apple(4))
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.Paint(t.Context(), first.Accepted.GetRequest())
	if err != nil || !bytes.Equal(again.Images[0].Data, first.Images[0].Data) {
		t.Error("another picture", err)
	}
	unary, err := client.GenerateImage(t.Context(), first.Accepted.GetRequest())
	if err != nil || !bytes.Equal(unary.Images[0].Data, first.Images[0].Data) || unary.Completed.GetEvaluations() != 4 {
		t.Error("another picture", err)
	}
}

func validateOnly(t *testing.T, _ *testserver.Real, client *Client) {
	request := apple(4)
	request.ValidateOnly = true
	for _, paint := range []func() (*Result, error){
		func() (*Result, error) { return client.Paint(t.Context(), request) },
		func() (*Result, error) { return client.GenerateImage(t.Context(), request) },
	} {
		result, err := paint()
		if err != nil || result.Images != nil || result.Completed != nil || result.Accepted.GetRequest().GetWidth() != 64 {
			t.Error(result, err)
		}
	}
}

func wrongFields(t *testing.T, _ *testserver.Real, client *Client) {
	request := apple(0)
	request.Width = proto.Int32(100)
	_, err := client.Paint(t.Context(), request)
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != "FIELD_INVALID" || len(failure.FieldViolations) != 2 ||
		failure.RequestID == "" || status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "got 100") {
		t.Error(err)
	}
	if _, err = client.GetModel(t.Context(), "nobody"); !errors.As(err, &failure) || failure.Metadata["available"] != "emoji" {
		t.Error(err)
	}
	damaged := apple(1)
	damaged.InitImage = []byte("no picture")
	if _, err = client.Paint(t.Context(), damaged); !strings.Contains(err.Error(), "init_image") {
		t.Error(err)
	}
}

func deadline(t *testing.T, _ *testserver.Real, client *Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Paint(ctx, apple(100))
	if code := status.Code(err); code != codes.DeadlineExceeded && code != codes.ResourceExhausted {
		t.Error(err)
	}
}

func modelsAndServer(t *testing.T, _ *testserver.Real, client *Client) {
	models, err := client.ListModels(t.Context())
	if err != nil || len(models) != 1 || models[0].GetId() != "emoji" {
		t.Error(models, err)
	}
	info, err := client.ServerInfo(t.Context())
	if err != nil || info.GetDefaultModel() != "emoji" {
		t.Error(info, err)
	}
}

func leavingTheLoop(t *testing.T, server *testserver.Real, client *Client) {
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "go-leaves")
	for _, err := range client.Generate(ctx, apple(150)) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if call := server.Logged(t, "go-leaves"); call.Reason != "CLIENT_CANCELLED" {
		t.Error(call)
	}
}

func aContextCancels(t *testing.T, server *testserver.Real, client *Client) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "go-cancels"))
	defer cancel()
	_, err := client.Paint(ctx, apple(150), func(Event) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if call := server.Logged(t, "go-cancels"); call.Reason != "CLIENT_CANCELLED" {
		t.Error(call)
	}
}

func eightAtOnce(t *testing.T, _ *testserver.Real, client *Client) {
	var waits sync.WaitGroup
	var results [8]*Result
	for seed := range results {
		waits.Go(func() {
			request := apple(4)
			request.Seed = proto.Int64(int64(seed))
			result, err := client.Paint(t.Context(), request)
			if err != nil {
				t.Error(err)
				return
			}
			results[seed] = result
		})
	}
	waits.Wait()
	rows := 0.0
	for seed, result := range results {
		if result == nil || result.Images[0].Seed != int64(seed) {
			t.Fatal(seed, result)
		}
		rows = max(rows, result.Completed.GetBatch().GetMeanRows())
	}
	if rows <= 2 {
		t.Error("they shared no tick: rows", rows)
	}
}

func aDeadAddress(t *testing.T, server *testserver.Real, _ *Client) {
	two := connect(t, Options{}, testserver.AddressOfNobody(t), server.Address)
	if result, err := two.Paint(t.Context(), apple(1)); err != nil || len(result.Images) != 1 {
		t.Error(result, err)
	}
	if _, err := two.ServerInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

func theExample(t *testing.T, server *testserver.Real, _ *Client) {
	path := filepath.Join(t.TempDir(), "apple.png")
	command := exec.Command("go", "run", "./examples/paint", "-o", path, "a red apple")
	command.Env = append(command.Environ(), "STEPCAST_HOST="+server.Address)
	if told, err := command.CombinedOutput(); err != nil || !bytes.Contains(told, []byte(path)) {
		t.Errorf("%v: %s", err, told)
	}
}

func seven(steps int32) *pb.GenerateRequest {
	return &pb.GenerateRequest{Steps: proto.Int32(steps), ClassCondition: &pb.GenerateRequest_ClassLabel{ClassLabel: "7"}}
}

func TestACallThatTheServerDrainsOrThatLosesItGoesOnElsewhere(t *testing.T) {
	for name, end := range map[string]func(*testserver.Real){
		"drain": (*testserver.Real).Terminate, "kill": (*testserver.Real).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			first := testserver.Start(t, "digits", "drain: {timeout: 1ms}\n")
			second := testserver.Start(t, "digits", "")
			client := connect(t, Options{}, first.Address, second.Address)
			var seeds []int64
			result, err := client.Paint(t.Context(), seven(60), func(event Event) {
				if accepted, is := event.(*Accepted); is {
					if len(seeds) == 0 {
						end(first)
					}
					seeds = append(seeds, accepted.GetRequest().GetSeed())
				}
			})
			if err != nil || len(seeds) != 2 || seeds[0] != seeds[1] || result.Images[0].Seed != seeds[0] {
				t.Error(seeds, err)
			}
		})
	}
}

func TestNoEvaluationIsRepeatedWhereServersShareAKey(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("resume: {key_file: %s, min_checkpoint_every: 1}\ndrain: {timeout: 1ms}\n", keys)
	for name, end := range map[string]func(*testserver.Real){
		"drain": (*testserver.Real).Terminate, "kill": (*testserver.Real).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			first, second := testserver.Start(t, "digits", config), testserver.Start(t, "digits", config)
			client := connect(t, Options{}, first.Address, second.Address)
			request := seven(60)
			request.Seed, request.CheckpointEvery = proto.Int64(7), proto.Int32(4)
			var reached int32
			result, err := client.Paint(t.Context(), request, func(event Event) {
				if checkpoint, is := event.(*Checkpoint); is && reached == 0 {
					reached = checkpoint.GetEvaluationsDone()
					end(first)
				}
			})
			if err != nil || reached == 0 || result.Completed.GetEvaluations() > int64(60-reached) {
				t.Fatal(reached, result, err)
			}
			request.CheckpointEvery = nil
			whole, err := client.Paint(t.Context(), request)
			if err != nil || whole.Images[0].SHA256 != result.Images[0].SHA256 {
				t.Error("another picture", err)
			}
		})
	}
}

func TestCallsAreSpreadOverReplicasAndADrainRefusesNobody(t *testing.T) {
	first := testserver.Start(t, "digits", "drain: {linger: 1s}\n")
	second := testserver.Start(t, "digits", "")
	impatient := Options{Balance: true, Retry: &RetryPolicy{Rounds: 1}}
	client := connect(t, impatient, first.Address, second.Address)
	paint := func() {
		if _, err := client.Paint(t.Context(), seven(1)); err != nil {
			t.Fatal(err)
		}
	}
	for first.Calls(t) == 0 || second.Calls(t) == 0 {
		paint()
	}
	first.Terminate()
	for !first.Ended() {
		paint()
	}
}

func TestATokenAndTLSLetAClientIn(t *testing.T) {
	folder := t.TempDir()
	ca, key, tokens := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"), filepath.Join(folder, "tokens.yaml")
	made := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", key, "-out", ca, "-subj", "/CN=stepcast", "-addext", "subjectAltName=IP:127.0.0.1")
	if told, err := made.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, told)
	}
	line := fmt.Sprintf("- {sha256: %x, tenant: acme}\n", sha256.Sum256([]byte("sct_go")))
	if err := os.WriteFile(tokens, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("auth: {token_file: %s}\ntls: {cert_file: %s, key_file: %s}\n", tokens, ca, key)
	server := testserver.Start(t, "digits", config, "--ca", ca)
	secure, err := credentials.NewClientTLSFromFile(ca, "")
	if err != nil {
		t.Fatal(err)
	}
	var refused *Error
	stranger := connect(t, Options{Credentials: secure}, server.Address)
	if _, err := stranger.ServerInfo(t.Context()); !errors.As(err, &refused) || refused.Reason != "TOKEN_MISSING" {
		t.Errorf("without a token: %v", err)
	}
	friend := connect(t, Options{Credentials: secure, Token: "sct_go"}, server.Address)
	if _, err := friend.ServerInfo(t.Context()); err != nil {
		t.Error(err)
	}
}
