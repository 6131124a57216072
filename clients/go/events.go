package stepcast

import (
	"bytes"
	"image"
	_ "image/jpeg" // for Decode
	_ "image/png"

	pb "stepcast.dev/go/stepcast/v1"
)

// Event is what a call tells: *Accepted, *Progress, *Preview, *Image, *Parked, *Checkpoint or *Completed.
type Event interface{ event() }

// Accepted is always first: the request was admitted. It comes again when the call was taken up and
// paints everything anew. Its JobIds are what the scheduler's ticks call the pictures; one that is taken up elsewhere has
// another there.
type Accepted struct{ *pb.Accepted }

// Progress tells that a picture moved on, or still waits.
type Progress struct{ *pb.Progress }

// Preview is a look at an unfinished picture.
type Preview struct{ *pb.Preview }

// Image is a finished picture, whole and checked.
type Image struct {
	Index         int
	Data          []byte // the file
	MIME          string
	Width, Height int
	Seed          int64
	SHA256        string
}

// Parked is a picture that the server hands back unfinished, because it stops. The client goes on elsewhere by itself.
type Parked struct{ *pb.Parked }

// Checkpoint is a picture as it is after checkpoint_every further evaluations: what is gone on with when the server dies.
type Checkpoint struct{ *pb.Checkpoint }

// Completed is always last: all pictures are done. Of a call that went on elsewhere Evaluations and Cost count what the
// attempts that ended well did.
type Completed struct{ *pb.Completed }

func (*Accepted) event()   {}
func (*Progress) event()   {}
func (*Preview) event()    {}
func (*Image) event()      {}
func (*Parked) event()     {}
func (*Checkpoint) event() {}
func (*Completed) event()  {}

// Decode returns the pixels of a PNG or JPEG; for WebP import a decoder such as golang.org/x/image/webp.
func (i *Image) Decode() (image.Image, error) {
	decoded, _, err := image.Decode(bytes.NewReader(i.Data))
	return decoded, err
}

// Result is what a whole call came to. With validate_only it has no Images and no Completed.
type Result struct {
	Images    []*Image
	Accepted  *pb.Accepted
	Completed *pb.Completed
}
