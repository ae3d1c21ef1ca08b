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
	fmt.Println(len(os.Environ()), "variables")
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
