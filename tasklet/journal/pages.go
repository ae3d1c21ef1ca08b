package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// PageSize is the size of a memory page, in bytes.
const PageSize = 4096

// A Hash is the SHA-256 of a page.
type Hash = [sha256.Size]byte

// A log begins with its magic, which has the version in it, and goes on with
// records: index (uint32, little endian), hash, contents.
const (
	magic      = "dspages1"
	recordHead = 4 + sha256.Size
	recordSize = recordHead + PageSize
	suffix     = ".pages"
)

// Pages is a log of the pages of a memory: the later one of a page counts. It is
// for one goroutine at a time.
type Pages struct {
	file   *os.File
	w      *bufio.Writer
	name   string
	length int64 // with what is buffered
}

// pagesDir is the folder of the logs, in that of the journal.
const pagesDir = "pages"

func pagesFile(name string) string { return filepath.Join(pagesDir, name+suffix) }

// Create makes a new log. The name must be good for a file's.
func (j *Journal) Create(name string) (*Pages, error) {
	f, err := j.root.OpenFile(pagesFile(name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	p := &Pages{file: f, name: name, w: bufio.NewWriterSize(f, 64<<10)}
	_, err = p.w.WriteString(magic)
	p.length = int64(len(magic))
	if err == nil {
		err = j.syncDir(pagesDir) // the file's name
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("journal: %w", err)
	}
	return p, nil
}

// Open opens a log, calls f for each record in it, in order, and makes it ready
// to be added to. Length is how long the log was, see [Pages.Sync]: what is
// behind that is cut off, and the error wraps [ErrDamaged] if not all before is
// sound. A negative length takes what there is, up to the first record that is
// not sound. No index that f sees is limit or more. The page is valid during the
// call.
func (j *Journal) Open(name string, length int64, limit uint32, f func(index uint32, hash Hash, page []byte) error) (*Pages, error) {
	file, err := j.root.OpenFile(pagesFile(name), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	p := &Pages{file: file, name: name}
	if p.length, err = replay(file, length, limit, f); err == nil {
		err = file.Truncate(p.length)
	}
	if err == nil {
		_, err = file.Seek(p.length, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("journal: pages %s: %w", name, err)
	}
	p.w = bufio.NewWriterSize(file, 64<<10)
	return p, nil
}

// replay reads a log and returns how long it is.
func replay(from io.Reader, length int64, limit uint32, f func(uint32, Hash, []byte) error) (int64, error) {
	r := bufio.NewReaderSize(from, 1<<20)
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return 0, fmt.Errorf("%w: it does not begin with %q", ErrDamaged, magic)
	}
	record := make([]byte, recordSize)
	at := int64(len(magic))
	for length < 0 || at < length {
		_, err := io.ReadFull(r, record)
		index, hash, page := binary.LittleEndian.Uint32(record), Hash(record[4:recordHead]), record[recordHead:]
		switch {
		case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return 0, err
		case err != nil || index >= limit || sha256.Sum256(page) != hash:
			if length < 0 {
				return at, nil
			}
			return 0, fmt.Errorf("%w: at %d of %d bytes", ErrDamaged, at, length)
		}
		if err := f(index, hash, page); err != nil {
			return 0, err
		}
		at += recordSize
	}
	if length >= 0 && at != length {
		return 0, fmt.Errorf("%w: %d bytes are no whole number of records", ErrDamaged, length)
	}
	return at, nil
}

// Name returns the log's name.
func (p *Pages) Name() string { return p.name }

// Records returns how many records the log has.
func (p *Pages) Records() int64 { return (p.length - int64(len(magic))) / recordSize }

// RecordSize is how many bytes of a log a page takes.
const RecordSize = recordSize

// Append adds a page, whose hash the caller knows. It may reach the disk later.
func (p *Pages) Append(index uint32, hash Hash, page []byte) error {
	var head [recordHead]byte
	binary.LittleEndian.PutUint32(head[:], index)
	copy(head[4:], hash[:])
	p.w.Write(head[:]) // an error stays and shows below
	if _, err := p.w.Write(page); err != nil {
		return fmt.Errorf("journal: pages %s: %w", p.name, err)
	}
	p.length += recordSize
	return nil
}

// Sync brings all that was added to the disk and returns the log's length, to
// be kept in an entry.
func (p *Pages) Sync() (length int64, err error) {
	if err = p.w.Flush(); err == nil {
		err = p.file.Sync()
	}
	if err != nil {
		return 0, fmt.Errorf("journal: pages %s: %w", p.name, err)
	}
	return p.length, nil
}

// Close closes the log. What was added and not synced may be lost.
func (p *Pages) Close() error {
	return errors.Join(p.w.Flush(), p.file.Close())
}

// Remove deletes a log, if it is there.
func (j *Journal) Remove(name string) error {
	if err := j.root.Remove(pagesFile(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Logs returns the names of all logs.
func (j *Journal) Logs() ([]string, error) { return j.names(pagesDir, suffix) }

// Truncate cuts off what is behind the length of a log that nobody has open.
func (j *Journal) Truncate(name string, length int64) error {
	f, err := j.root.OpenFile(pagesFile(name), os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(f.Truncate(length), f.Close())
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// syncDir brings the names in a folder of the journal to the disk.
func (j *Journal) syncDir(dir string) error {
	d, err := j.root.Open(dir)
	if err != nil {
		return err
	}
	return syncNames(d)
}

// syncNames brings the names in a folder to the disk, where there is such a thing,
// and closes it.
func syncNames(d *os.File) error {
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrInvalid) {
		return err
	}
	return nil
}
