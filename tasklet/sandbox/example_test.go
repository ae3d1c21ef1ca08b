package sandbox_test

import (
	"context"
	"fmt"
	"os"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// A program is stopped in the middle and carried on in another sandbox.
func Example() {
	ctx := context.Background()
	wasm, err := os.ReadFile("prog.wasm")
	if err != nil {
		return
	}
	prog, err := program.Load(wasm)
	if err != nil {
		fmt.Println(err)
		return
	}
	runtime, err := sandbox.NewRuntime(ctx, nil)
	if err != nil {
		return
	}
	defer runtime.Close()
	code, err := runtime.Compile(ctx, prog)
	if err != nil {
		return
	}
	cfg := sandbox.Config{Args: []string{"prog"}, Output: func(p []byte) { os.Stdout.Write(p) }}

	here, err := code.New(cfg)
	if err != nil {
		return
	}
	here.Start()
	if err := here.Pause(ctx); err != nil {
		return // it has come to its end already
	}
	state, _ := here.State()
	memory := append([]byte(nil), here.Memory()...)
	here.Close()

	there, err := code.New(cfg)
	if err != nil {
		return
	}
	defer there.Close()
	there.Grow(state.Pages)
	copy(there.Memory(), memory)
	there.Adopt(state)
	there.Continue()
	<-there.Done()
}
