package program

// imageUnit is what an image's length is a multiple of.
const imageUnit = 4096

// image returns the contents that the data segments give to the memory.
func (m *module) image() ([]byte, error) {
	type segment struct {
		offset uint64
		data   []byte
	}
	var segments []segment
	var end uint64
	size := uint64(m.pages) * PageSize
	r := &reader{data: m.sections[secData]}
	n := r.count(5)
	if err := atMost(Segments, uint64(n)); err != nil {
		return nil, err
	}
	for range n {
		if !r.skip(0, 0x41) {
			return nil, refuse(BadData, "a segment that is not at a fixed address")
		}
		offset := uint64(uint32(r.signed(32)))
		if !r.skip(0x0b) {
			return nil, refuse(BadData, "a segment that is not at a fixed address")
		}
		data := r.bytes(r.u32())
		if offset+uint64(len(data)) > size {
			return nil, refuse(BadData, "a segment beyond the end of the memory")
		}
		segments = append(segments, segment{offset, data})
		end = max(end, offset+uint64(len(data)))
	}
	if err := r.end("the data section"); err != nil {
		return nil, err
	}
	if err := atMost(ImageBytes, end); err != nil {
		return nil, err
	}
	image := make([]byte, (end+imageUnit-1)/imageUnit*imageUnit)
	for _, s := range segments {
		copy(image[s.offset:], s.data)
	}
	for _, b := range image[:min(len(image), imageUnit)] {
		if b != 0 {
			return nil, refuse(BadData, "the first %d bytes of memory are in use", imageUnit)
		}
	}
	return image, nil
}
