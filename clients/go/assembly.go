package stepcast

import (
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	pb "stepcast.dev/go/stepcast/v1"
)

func checkPicture(index int, data []byte, want string) *Error {
	sum := sha256.Sum256(data)
	if came := hex.EncodeToString(sum[:]); came != want {
		return brokenStream("picture %d: its bytes have sha256 %s, the server says %s", index, came, want)
	}
	return nil
}

// whole is the value of assembly.alone while the whole request is asked for.
const whole = -1

// assembly reads one call, over as many attempts as it takes; pictures that are whole are told once. No I/O. A call of
// which there are tokens goes on with its missing pictures, one after the other; without any the whole request is sent
// again.
type assembly struct {
	request     *pb.GenerateRequest // what this attempt asks for; owned
	started     bool                // the server has begun to answer this attempt
	admitted    bool                // likewise, with Accepted
	completed   bool
	sequence    int64
	parts       map[int32][]byte
	accepted    *pb.Accepted // of the whole request
	done        map[int32]bool
	tokens      map[int32][]byte // the newest of each unfinished picture
	alone       int32            // the picture that this attempt asks for, or whole
	evaluations int64
	cost        *pb.Cost
}

func newAssembly(request *pb.GenerateRequest) *assembly {
	a := &assembly{request: proto.CloneOf(request), done: map[int32]bool{}, tokens: map[int32][]byte{}, alone: whole}
	if token := request.GetResumeToken(); len(token) > 0 {
		a.tokens[0] = token
	}
	a.begin()
	return a
}

func (a *assembly) begin() {
	a.started, a.admitted, a.completed, a.sequence, a.parts = false, false, false, 0, map[int32][]byte{}
}

// restart begins a new attempt: parts of pictures are forgotten, whole ones and tokens are not.
func (a *assembly) restart() {
	if a.accepted != nil {
		a.request.Seed = proto.Int64(a.accepted.GetRequest().GetSeed())
		if len(a.tokens) > 0 || a.alone != whole {
			a.askAlone()
		}
	}
	a.begin()
}

// dropToken forgets the token that the server refuses; false where none was sent that an earlier attempt had brought.
func (a *assembly) dropToken() bool {
	_, sent := a.tokens[a.alone]
	delete(a.tokens, a.alone)
	return sent
}

func (a *assembly) missing() []int32 {
	var missing []int32
	for index := range a.accepted.GetRequest().GetImageCount() {
		if !a.done[index] {
			missing = append(missing, index)
		}
	}
	return missing
}

func (a *assembly) askAlone() {
	// None is missing where only the end of the call was lost.
	a.alone = max(a.alone, 0)
	if missing := a.missing(); len(missing) > 0 {
		a.alone = missing[0]
	}
	a.request.Seed = proto.Int64(a.request.GetSeed() + int64(a.alone))
	a.request.ImageCount = proto.Int32(1)
	a.request.ResumeToken = a.tokens[a.alone]
}

func (a *assembly) index(told int32) int32 {
	if a.alone != whole {
		return a.alone
	}
	return told
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
		a.admitted = true
		if a.alone == whole {
			a.accepted = event.Accepted
			return &Accepted{event.Accepted}, nil
		}
	case *pb.GenerateResponse_ImageChunk:
		return a.chunk(event.ImageChunk)
	case *pb.GenerateResponse_Completed:
		return a.complete(event.Completed)
	default:
		return a.onTheWay(response), nil
	}
	return nil, nil
}

// onTheWay returns what is told of an unfinished picture.
func (a *assembly) onTheWay(response *pb.GenerateResponse) Event {
	var index *int32
	var told Event
	switch event := response.GetEvent().(type) {
	case *pb.GenerateResponse_Progress:
		index, told = &event.Progress.ImageIndex, &Progress{event.Progress}
	case *pb.GenerateResponse_Preview:
		index, told = &event.Preview.ImageIndex, &Preview{event.Preview}
	case *pb.GenerateResponse_Parked:
		index, told = &event.Parked.ImageIndex, &Parked{event.Parked}
	case *pb.GenerateResponse_Checkpoint:
		index, told = &event.Checkpoint.ImageIndex, &Checkpoint{event.Checkpoint}
	default:
		return nil
	}
	*index = a.index(*index)
	if a.done[*index] {
		return nil
	}
	// A Parked without a token leaves the last checkpoint the newest.
	if token := append(response.GetParked().GetResumeToken(), response.GetCheckpoint().GetResumeToken()...); len(token) > 0 {
		a.tokens[*index] = token
	}
	return told
}

func (a *assembly) chunk(chunk *pb.ImageChunk) (Event, *Error) {
	index := a.index(chunk.GetImageIndex())
	there := int64(len(a.parts[index]))
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
	delete(a.tokens, index)
	return &Image{int(index), data, chunk.GetMime(), int(chunk.GetWidth()), int(chunk.GetHeight()), chunk.GetSeed(),
		chunk.GetSha256()}, nil
}

func (a *assembly) complete(completed *pb.Completed) (Event, *Error) {
	missing := a.missing()
	if len(missing) > 0 && (a.alone == whole || !a.done[a.alone]) {
		return nil, brokenStream("%d pictures came, and not %v", len(a.done), missing)
	}
	a.completed = true
	a.evaluations += completed.GetEvaluations()
	if cost := completed.GetCost(); cost != nil {
		a.cost = &pb.Cost{RowEvaluations: a.cost.GetRowEvaluations() + cost.GetRowEvaluations(),
			DeviceSeconds: a.cost.GetDeviceSeconds() + cost.GetDeviceSeconds()}
	}
	if len(missing) > 0 {
		return nil, nil
	}
	completed.Evaluations, completed.Cost = a.evaluations, a.cost
	return &Completed{completed}, nil
}

// finish says what is wrong with a stream that ended well; more: there are pictures that another attempt asks for.
func (a *assembly) finish() (more bool, broken *Error) {
	validated := a.request.GetValidateOnly()
	if !a.admitted || (!a.completed && !validated) {
		return false, brokenStream("the stream ended before all was told")
	}
	return !validated && len(a.missing()) > 0, nil
}

// unaryResult checks what GenerateImage answered.
func unaryResult(response *pb.GenerateImageResponse) (*Result, error) {
	result := &Result{Accepted: &pb.Accepted{
		Request: response.GetRequest(), Warnings: response.GetWarnings(),
		EstimatedWait: response.GetEstimatedWait(), EstimatedTotal: response.GetEstimatedTotal(),
		Prompts: response.GetPrompts(),
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
			Batch: response.GetBatch(), ModelSha256: response.GetModelSha256(), Cost: response.GetCost()}
	}
	return result, nil
}
