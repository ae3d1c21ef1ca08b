package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// A text begins with its magic and the position of its first byte (uint64,
// little endian).
const (
	textMagic  = "dstext01"
	textHead   = len(textMagic) + 8
	textSuffix = ".text"
	half       = "replace" // begins the names of texts that are being written
)

// A Text is the end of a long text on disk. What was appended survives the
// process at once, and the machine when the operating system has written it. It
// is for one goroutine at a time.
type Text struct {
	file *os.File // nil until there is something in it
	root *os.Root // of the journal
	name string   // of the file in it
}

// Text opens a text, or begins one at position 0, and returns the position of
// its first byte and what is there, of which no more than limit bytes are read,
// the last ones. A file that is none is [ErrDamaged]. A text in which there is
// nothing needs no file.
func (j *Journal) Text(name string, limit int64) (t *Text, base int64, data []byte, err error) {
	f, err := j.root.OpenFile(textFile(name), os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return &Text{root: j.root, name: textFile(name)}, 0, nil, nil
	}
	if err != nil {
		return nil, 0, nil, fmt.Errorf("journal: %w", err)
	}
	base, data, err = readText(f, limit)
	if err != nil {
		f.Close()
		return nil, 0, nil, fmt.Errorf("journal: text %s: %w", name, err)
	}
	return &Text{file: f, root: j.root, name: textFile(name)}, base, data, nil
}

func textFile(name string) string { return name + textSuffix }

func readText(f *os.File, limit int64) (base int64, data []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	if info.Size() == 0 {
		_, err := f.Write(textHeader(0))
		return 0, nil, err
	}
	head := make([]byte, textHead)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:len(textMagic)]) != textMagic {
		return 0, nil, fmt.Errorf("%w: it does not begin with %q", ErrDamaged, textMagic)
	}
	base = int64(binary.LittleEndian.Uint64(head[len(textMagic):]))
	if base < 0 || base > 1<<62 {
		return 0, nil, fmt.Errorf("%w: it begins at position %d", ErrDamaged, base)
	}
	if over := info.Size() - int64(textHead) - limit; over > 0 {
		base += over
		if _, err := f.Seek(over, io.SeekCurrent); err != nil {
			return 0, nil, err
		}
	}
	data, err = io.ReadAll(f)
	return base, data, err
}

func textHeader(base int64) []byte {
	return binary.LittleEndian.AppendUint64([]byte(textMagic), uint64(base))
}

// Append adds data at the end.
func (t *Text) Append(data []byte) error {
	if t.file == nil {
		return t.begin(data)
	}
	_, err := t.file.Write(data)
	return err
}

// begin makes the file.
func (t *Text) begin(data []byte) (err error) {
	if t.file, err = t.root.OpenFile(t.name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return err
	}
	_, err = t.file.Write(append(textHeader(0), data...))
	return err
}

// Replace makes data all that there is, at the position base.
func (t *Text) Replace(base int64, data []byte) error {
	tmp := half + rand.Text()
	f, err := t.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(textHeader(base), data...))
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = t.root.Rename(tmp, t.name)
	}
	if err != nil {
		t.root.Remove(tmp)
		return errors.Join(err, f.Close())
	}
	t.Close()
	t.file = f
	return nil
}

// Close closes the text.
func (t *Text) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// RemoveText deletes a text, if it is there.
func (j *Journal) RemoveText(name string) error {
	if err := j.root.Remove(textFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Texts returns the names of all texts.
func (j *Journal) Texts() ([]string, error) { return j.names(".", textSuffix) }

// names returns the names of the files in a folder of the journal that end in
// suffix, without it.
func (j *Journal) names(dir, suffix string) (all []string, err error) {
	files, err := fs.ReadDir(j.root.FS(), dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), suffix); ok {
			all = append(all, name)
		}
	}
	return all, nil
}
