package codec_test

import (
	"bufio"
	"bytes"
	"fmt"

	"github.com/dstackless/dstackless/codec"
)

func Example() {
	type greeting struct {
		From  string
		Times int
	}
	const limit = 1 << 10 // bytes

	// One side.
	var stream bytes.Buffer
	data, err := codec.Marshal(greeting{From: "a peer", Times: 3}, limit)
	if err != nil {
		panic(err)
	}
	if err := codec.WriteFrame(&stream, data); err != nil {
		panic(err)
	}

	// The other.
	data, err = codec.ReadFrame(bufio.NewReader(&stream), limit)
	if err != nil {
		panic(err)
	}
	var g greeting
	if err := codec.Unmarshal(data, &g); err != nil {
		panic(err)
	}
	fmt.Println(g.From, g.Times)
	// Output: a peer 3
}
