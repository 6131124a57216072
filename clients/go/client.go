package stepcast

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "stepcast.dev/go/stepcast/v1"
)

const (
	service         = "/stepcast.v1.ImageGenerationService/"
	maxReceiveBytes = 64 << 20
	requestIDKey    = "x-request-id"
)

// Options of a Client; the zero value will do.
type Options struct {
	// Tenant says for whom calls are made.
	Tenant string
	// Token is the bearer token; where it is empty $STEPCAST_TOKEN.
	Token string
	// Credentials are for TLS; without them the connection is plain.
	Credentials credentials.TransportCredentials
	// Retry is DefaultRetry where it is nil.
	Retry *RetryPolicy
	// Metadata goes with every call.
	Metadata map[string]string
	// Balance: every call goes to the next of all replicas that are ready, those of the addresses or those that DNS names
	// ("dns:///stepcast:50051"), instead of all to the first that answers.
	Balance bool
}

// Client talks to a server, or to the first of several that answers. Goroutines may share it.
type Client struct {
	addresses   []string
	connections []*grpc.ClientConn
	options     Options
	first       atomic.Int64 // the address that answered last
}

// NewClient connects to addresses: "host", "host:port", several of them; without any $STEPCAST_HOST, else
// localhost:50051. It does not wait for a connection.
func NewClient(options Options, addresses ...string) (*Client, error) {
	targets, err := targetsOf(addresses)
	if err != nil {
		return nil, err
	}
	if options.Credentials == nil {
		options.Credentials = insecure.NewCredentials()
	}
	if options.Token == "" {
		options.Token = os.Getenv("STEPCAST_TOKEN")
	}
	if options.Retry == nil {
		options.Retry = &DefaultRetry
	}
	client := &Client{addresses: targets, options: options}
	var balancing []grpc.DialOption
	if options.Balance {
		client.addresses, balancing = balanced(targets)
	}
	for _, target := range client.addresses {
		dial := append(dialOptions(target, options.Credentials), balancing...)
		connection, err := grpc.NewClient(target, dial...)
		if err != nil {
			return nil, errors.Join(err, client.Close())
		}
		client.connections = append(client.connections, connection)
	}
	return client, nil
}

func dialOptions(target string, secure credentials.TransportCredentials) []grpc.DialOption {
	reconnect := backoff.DefaultConfig
	reconnect.MaxDelay = 5 * time.Second
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceiveBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 10 * time.Second}),
		// Addresses are tried by this client, which knows what a refusal means.
		grpc.WithDisableRetry(),
		grpc.WithUserAgent("stepcast-go"),
	}
	if loopback(target) {
		dial = append(dial, grpc.WithNoProxy())
	}
	return dial
}

// Close ends the connections, and the calls on them.
func (c *Client) Close() error {
	var problems []error
	for _, connection := range c.connections {
		problems = append(problems, connection.Close())
	}
	return errors.Join(problems...)
}

// Generate paints, and tells what happens: Accepted, Progress, Preview, an Image for each picture, Completed. An error is
// the last that it yields. Leaving the loop, and the end of ctx, cancel the call and free the server's rows.
func (c *Client) Generate(ctx context.Context, request *pb.GenerateRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		ctx := c.outgoing(ctx, request.GetModel())
		assembly := newAssembly(request)
		tries := c.newRetries()
		for {
			failure, left := c.attempt(ctx, tries.index, assembly, yield)
			if left {
				return
			}
			if failure == nil {
				c.first.Store(int64(tries.index))
				more, broken := assembly.finish()
				if broken != nil {
					yield(nil, broken)
				}
				if !more {
					return
				}
			} else if !tokenRefused(failure) || !assembly.dropToken() {
				if err := tries.after(ctx, failure, assembly.started); err != nil {
					yield(nil, err)
					return
				}
			}
			assembly.restart()
		}
	}
}

// attempt makes one call; left: the caller has heard enough.
func (c *Client) attempt(
	ctx context.Context, index int, assembly *assembly, yield func(Event, error) bool,
) (failure *Error, left bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	description := &grpc.StreamDesc{StreamName: "Generate", ServerStreams: true}
	stream, err := c.connections[index].NewStream(ctx, description, service+"Generate")
	if err != nil {
		return fromRPC(err, nil, c.addresses[index], ctx.Err()), false
	}
	// Where sending fails, receiving tells why.
	if stream.SendMsg(assembly.request) == nil {
		_ = stream.CloseSend()
	}
	for {
		response := new(pb.GenerateResponse)
		err := stream.RecvMsg(response)
		if errors.Is(err, io.EOF) {
			return nil, false
		}
		if err != nil {
			return fromRPC(err, stream.Trailer(), c.addresses[index], ctx.Err()), false
		}
		event, broken := assembly.add(response)
		if broken != nil {
			return broken, false
		}
		if event != nil && !yield(event, nil) {
			return nil, true
		}
	}
}

// Paint paints and returns the pictures, of any size. Each of listeners hears every event.
func (c *Client) Paint(ctx context.Context, request *pb.GenerateRequest, listeners ...func(Event)) (*Result, error) {
	result := &Result{}
	images := map[int]*Image{}
	for event, err := range c.Generate(ctx, request) {
		if err != nil {
			return nil, err
		}
		switch event := event.(type) {
		case *Accepted:
			result.Accepted = event.Accepted
		case *Image:
			images[event.Index] = event
		case *Completed:
			result.Completed = event.Completed
		}
		for _, listen := range listeners {
			listen(event)
		}
	}
	for index := range len(images) {
		result.Images = append(result.Images, images[index])
	}
	return result, nil
}

// GenerateImage paints in one answer, without a stream: for pictures that fit max_unary_response_bytes.
func (c *Client) GenerateImage(ctx context.Context, request *pb.GenerateRequest) (*Result, error) {
	response := new(pb.GenerateImageResponse)
	message := &pb.GenerateImageRequest{Request: request}
	if err := c.unary(ctx, "GenerateImage", request.GetModel(), message, response); err != nil {
		return nil, err
	}
	return unaryResult(response)
}

// ListModels returns all models, the default one first.
func (c *Client) ListModels(ctx context.Context) ([]*pb.Model, error) {
	var models []*pb.Model
	for token := ""; ; {
		page := new(pb.ListModelsResponse)
		if err := c.unary(ctx, "ListModels", "", &pb.ListModelsRequest{PageToken: token}, page); err != nil {
			return nil, err
		}
		models = append(models, page.GetModels()...)
		if token = page.GetNextPageToken(); token == "" {
			return models, nil
		}
	}
}

// GetModel describes one model: defaults, limits, samplers, classes. "": the default one.
func (c *Client) GetModel(ctx context.Context, model string) (*pb.Model, error) {
	response := new(pb.GetModelResponse)
	err := c.unary(ctx, "GetModel", model, &pb.GetModelRequest{Model: model}, response)
	return response.GetModel(), err
}

// ServerInfo describes the server that answers: version, limits, devices, queue.
func (c *Client) ServerInfo(ctx context.Context) (*pb.GetServerInfoResponse, error) {
	response := new(pb.GetServerInfoResponse)
	return response, c.unary(ctx, "GetServerInfo", "", &pb.GetServerInfoRequest{}, response)
}

func (c *Client) newRetries() *retries {
	return newRetries(*c.options.Retry, len(c.addresses), int(c.first.Load()))
}

// outgoing adds what goes beside a request: the same id in every try, so that logs tell them as one; an id that ctx brings
// in its outgoing metadata stays.
func (c *Client) outgoing(ctx context.Context, model string) context.Context {
	sent, _ := metadata.FromOutgoingContext(ctx)
	sent = sent.Copy()
	if sent == nil {
		sent = metadata.MD{}
	}
	for key, value := range c.options.Metadata {
		sent.Set(key, value)
	}
	if len(sent.Get(requestIDKey)) == 0 {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		sent.Set(requestIDKey, hex.EncodeToString(id[:]))
	}
	if c.options.Token != "" {
		sent.Set("authorization", "Bearer "+c.options.Token)
	}
	if c.options.Tenant != "" {
		sent.Set("x-stepcast-tenant", c.options.Tenant)
	}
	// For proxies that route by model without reading the request.
	if model != "" {
		sent.Set("x-stepcast-model", model)
	}
	return metadata.NewOutgoingContext(ctx, sent)
}

func (c *Client) unary(ctx context.Context, method, model string, request, response proto.Message) error {
	ctx = c.outgoing(ctx, model)
	tries := c.newRetries()
	for {
		var trailer metadata.MD
		err := c.connections[tries.index].Invoke(ctx, service+method, request, response, grpc.Trailer(&trailer))
		if err == nil {
			c.first.Store(int64(tries.index))
			return nil
		}
		failure := fromRPC(err, trailer, c.addresses[tries.index], ctx.Err())
		if err := tries.after(ctx, failure, false); err != nil {
			return err
		}
	}
}
