package main

import "os"

// wasClosed reports whether a standard file was closed when the program was
// started. The system itself refuses to use it then.
func wasClosed(*os.File) bool { return false }
