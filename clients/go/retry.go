package stepcast

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// RetryPolicy says how often and how patiently failed calls are tried again. A round asks each address once; one round is
// fail over without waiting. Between rounds a call waits as long as the server says, else exponentially longer from
// InitialBackoff. A server that says more than MaxWait is not waited for: its error is returned.
type RetryPolicy struct {
	Rounds         int
	InitialBackoff time.Duration
	MaxBackoff     time.Duration
	MaxWait        time.Duration
}

// DefaultRetry is the policy of clients that are given none.
var DefaultRetry = RetryPolicy{
	Rounds: 4, InitialBackoff: 500 * time.Millisecond, MaxBackoff: 5 * time.Second, MaxWait: 30 * time.Second,
}

// Refusals: nothing was begun, and another try may do. Those that are true may also end a call that has begun; with the
// seed of Accepted the same pictures come from elsewhere.
var refusals = map[string]bool{
	"QUEUE_FULL": false, "TENANT_LIMIT": false, "DEADLINE_UNREACHABLE": false, "MODEL_LOADING": false,
	"MODEL_FAILED": false, "DRAINING": true, "DEVICE_LOST": true,
}

// maxLost is how often a call is taken up again whose server went without a word. Bounded: the call itself may be what
// killed it.
const maxLost = 2

// connectionLost tells whether the server, or a proxy on the way to it, was cut off; its own errors have a reason. A bare
// CANCELLED that nobody here asked for is what gRPC's C++ library says to a call that arrives while it shuts down.
func connectionLost(err *Error) bool {
	if err.Reason != "" {
		return false
	}
	stopping := err.Code == codes.Canceled && err.Message == "CANCELLED"
	return err.Code == codes.Unavailable || stopping || strings.Contains(err.Message, "RST_STREAM")
}

func mayRetry(err *Error, started bool) bool {
	resumable, refusal := refusals[err.Reason]
	switch {
	case err.retryForbidden || err.cause != nil:
		return false
	case started:
		return resumable || connectionLost(err)
	default:
		return refusal || connectionLost(err)
	}
}

// tokenRefused tells whether the same request without its resume token may do: it is not good here, or no tokens are
// known here.
func tokenRefused(err *Error) bool {
	alone := len(err.FieldViolations) == 1 && err.FieldViolations[0].Field == "resume_token"
	return err.Reason == "RESUME_TOKEN_INVALID" || alone
}

// retries are the tries of one call; index is the address to ask now.
type retries struct {
	policy    RetryPolicy
	addresses int
	index     int
	failures  int
	lost      int
	shortest  time.Duration
	telling   *Error
}

func newRetries(policy RetryPolicy, addresses, first int) *retries {
	return &retries{policy: policy, addresses: addresses, index: first, shortest: -1}
}

// after moves on to the next address and waits as long as it must; it returns the error to give up with, if so.
func (r *retries) after(ctx context.Context, err *Error, started bool) error {
	// Where nobody listens nothing was lost.
	if connectionLost(err) && (started || err.Code != codes.Unavailable) {
		r.lost++
	}
	if !mayRetry(err, started) || r.lost > maxLost {
		return err
	}
	// An error with a reason tells more than a dead address beside it.
	if err.Reason != "" || r.telling == nil {
		r.telling = err
	}
	if err.RetryDelay >= 0 && (r.shortest < 0 || err.RetryDelay < r.shortest) {
		r.shortest = err.RetryDelay
	}
	r.failures++
	r.index = (r.index + 1) % r.addresses
	if r.failures%r.addresses != 0 {
		return nil
	}
	return r.pause(ctx)
}

func (r *retries) pause(ctx context.Context) error {
	rounds := r.failures / r.addresses
	if rounds >= r.policy.Rounds {
		return r.telling
	}
	wait := r.shortest
	if wait < 0 {
		backoff := min(r.policy.InitialBackoff<<min(rounds-1, 20), r.policy.MaxBackoff)
		wait = time.Duration(float64(backoff) * (0.8 + 0.4*rand.Float64()))
	}
	deadline, bounded := ctx.Deadline()
	if wait > r.policy.MaxWait || (bounded && time.Until(deadline) <= wait) {
		return r.telling
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		r.telling.cause = ctx.Err()
		return r.telling
	case <-timer.C:
	}
	r.shortest, r.telling = -1, nil
	return nil
}
