// Paint writes a picture, and the unfinished ones before it to the same file: go run ./examples/paint -o apple.png "a red apple"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"google.golang.org/protobuf/proto"

	stepcast "stepcast.dev/go"
	pb "stepcast.dev/go/stepcast/v1"
)

func main() {
	output := flag.String("o", "stepcast.png", "the file to write")
	flag.Parse()
	// Ctrl-C ends the context, which frees the server's rows.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := paint(ctx, flag.Arg(0), *output); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func paint(ctx context.Context, prompt, output string) error {
	client, err := stepcast.NewClient(stepcast.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	request := &pb.GenerateRequest{
		Prompt:  proto.String(prompt),
		Preview: &pb.PreviewOptions{EveryNSteps: proto.Int32(5), Format: pb.ImageFormat_IMAGE_FORMAT_PNG},
	}
	for event, err := range client.Generate(ctx, request) {
		if errors.Is(err, context.Canceled) {
			return errors.New("cancelled")
		}
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case *stepcast.Progress:
			fmt.Printf("%d of %d\n", event.GetStep(), event.GetSteps())
		case *stepcast.Preview:
			err = os.WriteFile(output, event.GetData(), 0o644)
		case *stepcast.Image:
			err = os.WriteFile(output, event.Data, 0o644)
			fmt.Printf("%s: %dx%d, seed %d\n", output, event.Width, event.Height, event.Seed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
