package stepcast_test

import (
	"context"
	"errors"
	"log"
	"os"

	"google.golang.org/protobuf/proto"

	stepcast "stepcast.dev/go"
	stepcastv1 "stepcast.dev/go/stepcast/v1"
)

func Example() {
	if err := paint(context.Background()); err != nil {
		var failure *stepcast.Error
		if errors.As(err, &failure) {
			log.Println(failure.Code, failure.Reason, failure.RetryDelay, failure.FieldViolations, failure.RequestID)
		}
	}
}

func paint(ctx context.Context) error {
	client, err := stepcast.NewClient(stepcast.Options{}, "localhost:50051")
	if err != nil {
		return err
	}
	defer client.Close()
	result, err := client.Paint(ctx, &stepcastv1.GenerateRequest{Prompt: proto.String("a red apple"), Seed: proto.Int64(7)})
	if err != nil {
		return err
	}
	return os.WriteFile("apple.png", result.Images[0].Data, 0o644)
}
