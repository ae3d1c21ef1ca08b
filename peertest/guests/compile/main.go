// Command compile puts the machine code of programs into a folder of compiled
// code: compile DIR PROGRAM...
package main

import (
	"context"
	"log"
	"os"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("compile: ")
	if len(os.Args) < 3 {
		log.Fatal("want DIR PROGRAM...")
	}
	runtime, err := sandbox.NewRuntime(context.Background(), &sandbox.Options{CacheDir: os.Args[1]})
	if err != nil {
		log.Fatal(err)
	}
	defer runtime.Close()
	for _, file := range os.Args[2:] {
		wasm, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		p, err := program.Load(wasm)
		if err != nil {
			log.Fatalf("%s: %v", file, err)
		}
		code, err := runtime.Compile(context.Background(), p)
		if err != nil {
			log.Fatalf("%s: %v", file, err)
		}
		code.Close()
	}
}
