package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// look tells what it sees of its host, and waits.
func look() {
	words := strings.Split("a word of the heap", " ")
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		fmt.Println("variable", name)
	}
	files, _ := os.ReadDir("/")
	fmt.Println(len(files), "files")
	if name, err := os.Hostname(); err != nil {
		fmt.Println("no name")
	} else {
		fmt.Println(name)
	}
	kept := strings.Join(words, " ")
	fmt.Println("that is all")
	time.Sleep(time.Hour)
	fmt.Println(kept)
}
