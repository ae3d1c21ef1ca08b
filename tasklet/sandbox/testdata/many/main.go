// Command many is several guests in one, because to compile one takes long. Its
// name, the first argument, says which it is to be.
package main

import "os"

func main() {
	switch os.Args[0] {
	case "asks":
		asks()
	case "busy":
		busy()
	case "crunch":
		crunch()
	case "files":
		files()
	case "hold":
		hold()
	case "deep":
		deep()
	case "raw":
		raw()
	case "rest":
		rest()
	case "sleep":
		sleep()
	case "waits":
		waits()
	}
}
