package main

import "os"

// Windows has nothing of the kind; the tests that need it are skipped.
var sigStop, sigContinue = os.Kill, os.Kill
