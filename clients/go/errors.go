package stepcast

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const domain = "stepcast.dev"

// BrokenStream is the Reason of what is not as the contract promises: bytes are missing, or do not match their checksum.
const BrokenStream = "BROKEN_STREAM"

// FieldViolation is a field that the server refuses: what came and what is allowed.
type FieldViolation struct {
	Field       string
	Description string
}

// Error is how every call fails. Branch on Reason (docs/errors.md) or Code, never on Message. errors.Is finds
// context.Canceled and context.DeadlineExceeded where the context ended the call.
type Error struct {
	Code codes.Code
	// Reason is the name of an ErrorReason without its prefix: "QUEUE_FULL". Empty where the gRPC library made the error.
	Reason          string
	Message         string
	Metadata        map[string]string
	FieldViolations []FieldViolation
	// RetryDelay is when another try may do; negative where the server names no time.
	RetryDelay time.Duration
	RequestID  string
	// Address of the server that answered, or did not.
	Address string

	retryForbidden bool
	cause          error
	status         *status.Status
}

func (e *Error) Error() string {
	name := e.Reason
	if name == "" {
		name = e.Code.String()
	}
	lines := []string{fmt.Sprintf("stepcast: %s: %s", name, e.Message)}
	for _, violation := range e.FieldViolations {
		lines = append(lines, "  "+violation.Field+": "+violation.Description)
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the context's error, where that ended the call.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus is for status.FromError and status.Code.
func (e *Error) GRPCStatus() *status.Status { return e.status }

func brokenStream(format string, arguments ...any) *Error {
	message := fmt.Sprintf(format, arguments...)
	made := status.New(codes.DataLoss, message)
	return &Error{Code: codes.DataLoss, Reason: BrokenStream, Message: message, RetryDelay: -1, status: made}
}

func fromRPC(err error, trailer metadata.MD, address string, cause error) *Error {
	told := status.Convert(err)
	made := &Error{
		Code: told.Code(), Message: told.Message(), Address: address, RetryDelay: -1, cause: cause, status: told,
	}
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				made.Reason, made.Metadata = detail.GetReason(), detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				made.FieldViolations = append(made.FieldViolations,
					FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			if detail.GetRetryDelay() != nil {
				made.RetryDelay = detail.GetRetryDelay().AsDuration()
			}
		}
	}
	if ids := trailer.Get("x-request-id"); len(ids) > 0 {
		made.RequestID = ids[0]
	}
	// The trailer is what gRPC's own retries obey, so it wins over RetryInfo. What is no time forbids a retry.
	if pushback := trailer.Get("grpc-retry-pushback-ms"); len(pushback) > 0 {
		milliseconds, err := strconv.ParseInt(pushback[0], 10, 32)
		if err != nil || milliseconds < 0 {
			made.retryForbidden = true
		} else {
			made.RetryDelay = time.Duration(milliseconds) * time.Millisecond
		}
	}
	return made
}
