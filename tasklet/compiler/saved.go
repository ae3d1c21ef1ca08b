package compiler

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dstackless/dstackless/tasklet/program"
	"github.com/dstackless/dstackless/tasklet/sandbox"
)

// The folder of compiled code has for each program the file of its machine code,
// where the runtime looks for it, and in the folder loaded a file with the name of
// the former, a line feed, and what [program.Load] made of the module.
const loaded = "loaded"

// nameOf returns the name of the file in the folder loaded. It is another one for
// each version of what loads modules: what an older version has checked is not
// taken for checked.
func nameOf(wasm []byte, trusted bool) string {
	h := sha256.New()
	fmt.Fprintln(h, program.Version(), trusted)
	h.Write(wasm)
	return hex.EncodeToString(h.Sum(nil))
}

// save writes the file of p in the folder loaded of dir, which else has nothing
// but its machine code.
func save(p *program.Program, dir, name string) error {
	machine, err := onlyFile(dir)
	if err != nil {
		return err
	}
	text, err := p.MarshalBinary()
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, loaded), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, loaded, name), append([]byte(machine+"\n"), text...), 0o600)
}

// onlyFile returns the name, relative to dir, of the only file in it.
func onlyFile(dir string) (name string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case name != "":
			return fmt.Errorf("compiler: two files of machine code: %s, %s", name, path)
		}
		name, err = filepath.Rel(dir, path)
		return err
	})
	if err == nil && name == "" {
		err = errors.New("compiler: the runtime has kept no machine code")
	}
	return name, err
}

// open returns the code of the program that is saved in dir under that name, and
// how many bytes of memory it takes. Its error wraps [sandbox.ErrNotCompiled] if
// there is none that can be used.
func open(ctx context.Context, runtime *sandbox.Runtime, dir, name string) (_ *sandbox.Code, size int64, err error) {
	path := filepath.Join(dir, loaded, name)
	defer func() {
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // damaged, or a half of it is gone
			os.Remove(path)
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", sandbox.ErrNotCompiled, err)
		}
	}()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	machine, text, _ := bytes.Cut(text, []byte("\n"))
	if !filepath.IsLocal(string(machine)) {
		return nil, 0, fmt.Errorf("compiler: %q is no file of machine code", machine)
	}
	var p program.Program
	if err := p.UnmarshalBinary(text); err != nil {
		return nil, 0, err
	}
	file := filepath.Join(dir, string(machine))
	info, err := os.Stat(file)
	if err != nil {
		return nil, 0, err
	}
	code, err := runtime.Load(ctx, &p)
	if err != nil {
		os.Remove(file)
		return nil, 0, err
	}
	now := time.Now()
	os.Chtimes(path, now, now) // for trim; where it cannot be done, age decides
	os.Chtimes(file, now, now)
	return code, info.Size() + int64(len(p.Code())+len(p.Image())), nil
}
