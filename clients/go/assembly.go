package stepcast

import (
	"crypto/sha256"
	"encoding/hex"

	pb "stepcast.dev/go/stepcast/v1"
)

func checkPicture(index int, data []byte, want string) *Error {
	sum := sha256.Sum256(data)
	if came := hex.EncodeToString(sum[:]); came != want {
		return brokenStream("picture %d: its bytes have sha256 %s, the server says %s", index, came, want)
	}
	return nil
}

// assembly reads one call, over as many attempts as it takes; pictures that are whole are told once. No I/O.
type assembly struct {
	validateOnly bool
	started      bool // the server has begun to answer this attempt
	accepted     *pb.Accepted
	completed    bool
	sequence     int64
	parts        map[int32][]byte
	done         map[int32]bool
}

func newAssembly(validateOnly bool) *assembly {
	a := &assembly{validateOnly: validateOnly, done: map[int32]bool{}}
	a.restart()
	return a
}

// restart begins a new attempt: parts of pictures are forgotten, whole ones are not.
func (a *assembly) restart() {
	a.started, a.accepted, a.completed, a.sequence, a.parts = false, nil, false, 0, map[int32][]byte{}
}

// add returns the event that a message makes; nil where it makes none. A kind that is not known is of a newer contract.
func (a *assembly) add(response *pb.GenerateResponse) (Event, *Error) {
	a.started = true
	if response.GetSequence() != a.sequence {
		return nil, brokenStream("message %d came where %d was due", response.GetSequence(), a.sequence)
	}
	a.sequence++
	switch event := response.GetEvent().(type) {
	case *pb.GenerateResponse_Accepted:
		a.accepted = event.Accepted
		return &Accepted{event.Accepted}, nil
	case *pb.GenerateResponse_Progress:
		if !a.done[event.Progress.GetImageIndex()] {
			return &Progress{event.Progress}, nil
		}
	case *pb.GenerateResponse_Preview:
		if !a.done[event.Preview.GetImageIndex()] {
			return &Preview{event.Preview}, nil
		}
	case *pb.GenerateResponse_ImageChunk:
		return a.chunk(event.ImageChunk)
	case *pb.GenerateResponse_Completed:
		if wanted := a.accepted.GetRequest().GetImageCount(); int32(len(a.done)) != wanted {
			return nil, brokenStream("%d of %d pictures came", len(a.done), wanted)
		}
		a.completed = true
		return &Completed{event.Completed}, nil
	}
	return nil, nil
}

func (a *assembly) chunk(chunk *pb.ImageChunk) (Event, *Error) {
	index, there := chunk.GetImageIndex(), int64(len(a.parts[chunk.GetImageIndex()]))
	end := chunk.GetOffset() + int64(len(chunk.GetData()))
	if chunk.GetOffset() != there || end > chunk.GetTotalBytes() {
		return nil, brokenStream("picture %d: bytes %d..%d of %d came where %d were there", index, chunk.GetOffset(), end,
			chunk.GetTotalBytes(), there)
	}
	data := append(a.parts[index], chunk.GetData()...)
	a.parts[index] = data
	if end < chunk.GetTotalBytes() {
		return nil, nil
	}
	delete(a.parts, index)
	if err := checkPicture(int(index), data, chunk.GetSha256()); err != nil {
		return nil, err
	}
	if a.done[index] {
		return nil, nil
	}
	a.done[index] = true
	return &Image{int(index), data, chunk.GetMime(), int(chunk.GetWidth()), int(chunk.GetHeight()), chunk.GetSeed(),
		chunk.GetSha256()}, nil
}

// finish says what is missing of a stream that ended well.
func (a *assembly) finish() *Error {
	if a.accepted == nil || (!a.completed && !a.validateOnly) {
		return brokenStream("the stream ended before all was told")
	}
	return nil
}

// unaryResult checks what GenerateImage answered.
func unaryResult(response *pb.GenerateImageResponse) (*Result, error) {
	result := &Result{Accepted: &pb.Accepted{
		Request: response.GetRequest(), Warnings: response.GetWarnings(),
		EstimatedWait: response.GetEstimatedWait(), EstimatedTotal: response.GetEstimatedTotal(),
	}}
	for index, image := range response.GetImages() {
		if err := checkPicture(index, image.GetData(), image.GetSha256()); err != nil {
			return nil, err
		}
		result.Images = append(result.Images, &Image{index, image.GetData(), image.GetMime(), int(image.GetWidth()),
			int(image.GetHeight()), image.GetSeed(), image.GetSha256()})
	}
	if response.GetTimings() != nil {
		result.Completed = &pb.Completed{Timings: response.GetTimings(), Evaluations: response.GetEvaluations(),
			Batch: response.GetBatch(), ModelSha256: response.GetModelSha256()}
	}
	return result, nil
}
