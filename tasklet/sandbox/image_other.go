//go:build !linux

package sandbox

// An image is a program's initial memory contents.
type image struct{ data []byte }

func newImage(data []byte) (*image, error) { return &image{data}, nil }

func (img *image) close() {}

// load puts the image into a new memory.
func (m *memory) load(img *image) error {
	copy(m.bytes(), img.data)
	return nil
}
