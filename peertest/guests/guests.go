// Package guests builds the programs that tests run as tasklets.
package guests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// compiler is the program that compiles, found from any folder of this module.
const compiler = "github.com/dstackless/dstackless/peertest/guests/compile"

// asTest has compiler take the folder of code that test binaries do: wazero has
// one for each of its versions, and test binaries do not know theirs.
const asTest = "-ldflags=-X=github.com/tetratelabs/wazero/internal/version.version=dev"

// Build builds the program in the package folder dir the way a user would, and
// compiles it, see [Compile]. It takes some seconds, the first time.
func Build(dir, cacheDir string) (wasm []byte, err error) {
	err = inFile(nil, func(file string) error {
		if err := run(dir, []string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-o", file, "."); err != nil {
			return err
		}
		if wasm, err = os.ReadFile(file); err != nil {
			return fmt.Errorf("guests: %w", err)
		}
		return compile(dir, file, cacheDir)
	})
	return wasm, err
}

// Compile puts the machine code of a program into cacheDir, the folder that the
// peers or the runtime of a test have for it (tasklet.Options.CacheDir). Another
// process does so, one without the race detector, which would make wazero's
// compiler take 15 seconds for a program, and not one.
func Compile(wasm []byte, cacheDir string) error {
	return inFile(wasm, func(file string) error { return compile(".", file, cacheDir) })
}

func compile(dir, file, cacheDir string) error {
	cacheDir, err := filepath.Abs(cacheDir)
	if err != nil {
		return fmt.Errorf("guests: %w", err)
	}
	return run(dir, nil, "go", "run", asTest, compiler, cacheDir, file)
}

// inFile calls f with the name of a file that has the contents.
func inFile(contents []byte, f func(file string) error) error {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return fmt.Errorf("guests: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "guest.wasm")
	if err := os.WriteFile(file, contents, 0o666); err != nil {
		return fmt.Errorf("guests: %w", err)
	}
	return f(file)
}

// run runs a command in dir.
func run(dir string, env []string, command ...string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("guests: %v in %s: %w\n%s", command, dir, err, out)
	}
	return nil
}
