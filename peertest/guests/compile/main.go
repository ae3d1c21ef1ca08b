// Command compile puts programs into a folder of compiled
// code: compile DIR PROGRAM...
package main

import (
	"context"
	"log"
	"os"

	"github.com/dstackless/dstackless/tasklet/compiler"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("compile: ")
	if len(os.Args) < 3 {
		log.Fatal("want DIR PROGRAM...")
	}
	for _, file := range os.Args[2:] {
		wasm, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		if err := compiler.Precompile(context.Background(), wasm, os.Args[1]); err != nil {
			log.Fatalf("%s: %v", file, err)
		}
	}
}
