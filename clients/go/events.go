package stepcast

import (
	"bytes"
	"image"
	_ "image/jpeg" // for Decode
	_ "image/png"

	pb "stepcast.dev/go/stepcast/v1"
)

// Event is what a call tells: *Accepted, *Progress, *Preview, *Image or *Completed.
type Event interface{ event() }

// Accepted is always first: the request was admitted. It comes again when the call was taken up anew after a lost device.
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

// Completed is always last: all pictures are done.
type Completed struct{ *pb.Completed }

func (*Accepted) event()  {}
func (*Progress) event()  {}
func (*Preview) event()   {}
func (*Image) event()     {}
func (*Completed) event() {}

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
