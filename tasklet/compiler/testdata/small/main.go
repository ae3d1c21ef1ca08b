// Command small is a Go program that is as small as they come.
package main

func main() { println("small") }
