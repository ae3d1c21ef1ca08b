package program

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"
	"sync"
)

// saved is a Program as [Program.MarshalBinary] writes it, behind the SHA-256 of
// the rest.
type saved struct {
	Code, Image []byte
	Pages       uint32
	Version     string
	Imports     []Import
}

// MarshalBinary implements encoding.BinaryMarshaler. What it returns is for the
// same [Version] of this package, and for a place that nobody else writes to.
func (p *Program) MarshalBinary() ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, sha256.Size, sha256.Size+len(p.code)+len(p.image)+4096))
	if err := gob.NewEncoder(b).Encode(saved{p.code, p.image, p.pages, p.version, p.imports}); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b.Bytes()[sha256.Size:])
	copy(b.Bytes(), sum[:])
	return b.Bytes(), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. It fails if data was
// damaged; it does not look for what [Load] would refuse.
func (p *Program) UnmarshalBinary(data []byte) error {
	if len(data) < sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data) {
		return errors.New("program: a saved program is damaged")
	}
	var s saved
	if err := gob.NewDecoder(bytes.NewReader(data[sha256.Size:])).Decode(&s); err != nil {
		return err
	}
	*p = Program{code: s.Code, image: s.Image, pages: s.Pages, version: s.Version, imports: s.Imports}
	return nil
}

//go:embed *.go
var source embed.FS

// Version returns what tells this package from others that accept other modules
// or rewrite them in another way: the SHA-256 of its source, in hexadecimal.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	files, err := fs.ReadDir(source, ".")
	for _, f := range files {
		if err == nil && !strings.HasSuffix(f.Name(), "_test.go") {
			var text []byte
			text, err = fs.ReadFile(source, f.Name())
			h.Write(text)
		}
	}
	if err != nil {
		panic(err) // the files are in the executable
	}
	return hex.EncodeToString(h.Sum(nil))
})
