package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/dstackless/dstackless/p2p"
)

// socketName is the socket's file in the data folder.
const socketName = "control.sock"

// maxPath is how long the path of a socket may be, in bytes. The operating
// systems allow 103 (macOS, the BSDs) to 107 (Linux, Windows).
const maxPath = 103

// A socket is the control socket in a data folder, and whose it is.
type socket struct {
	net.Listener
	root *os.Root    // the folder, wherever it is moved
	file fs.FileInfo // the socket in it
}

// bind listens on the control socket in the data folder dir. A socket that is
// there is replaced. The new one is made in a folder that only its user can open,
// so that it is never open to others.
func bind(dir string) (_ *socket, err error) {
	s := &socket{}
	defer func() {
		if err != nil {
			s.close()
			err = fmt.Errorf("control socket of %s: %w", dir, err)
		}
	}()
	if err := p2p.PrivateFolder(dir); err != nil {
		return nil, err
	}
	if s.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(dir, "new") // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	name := filepath.Join(filepath.Base(tmp), socketName)
	err = shortened(dir, name, func(path string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // the path may be valid only here
		s.Listener = l
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.root.Chmod(name, 0o600); err != nil {
		return nil, err
	}
	if s.file, err = s.root.Lstat(name); err != nil {
		return nil, err
	}
	return s, s.root.Rename(name, socketName)
}

// remove removes the socket's file, unless another has taken its place.
func (s *socket) remove() error {
	there, err := s.root.Lstat(socketName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(there, s.file) {
		return nil
	}
	return errors.Join(err, s.root.Remove(socketName))
}

// close ends the use of the folder, and the listener.
func (s *socket) close() {
	if s.Listener != nil {
		s.Listener.Close()
	}
	if s.root != nil {
		s.root.Close()
	}
}

// dial connects to the control socket in the data folder dir.
func dial(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := shortened(dir, socketName, func(path string) (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
		return err
	})
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errLongPath):
		return nil, fmt.Errorf("control socket of %s: %w", dir, err)
	}
	return nil, &NotRunningError{Dir: dir, Err: err}
}

// A NotRunningError says that no peer serves a data folder.
type NotRunningError struct {
	Dir string
	Err error
}

func (e *NotRunningError) Error() string {
	return fmt.Sprintf("no peer answers in %s; is it running? start it with: dspeer run --data %s", e.Dir, e.Dir)
}

// Unwrap returns what the operating system said.
func (e *NotRunningError) Unwrap() error { return e.Err }

var errLongPath = errors.New("path of the socket is too long")

// shortened calls use with a path of the socket called name in dir that the
// operating system takes. If the plain one is too long, it leads through a symbolic
// link that is gone afterwards.
func shortened(dir, name string, use func(path string) error) error {
	path := filepath.Join(dir, name)
	if len(path) <= maxPath {
		return use(path)
	}
	tooLong := func(err error) error {
		return fmt.Errorf("%w: %d bytes, the limit is %d (%w); choose a shorter data folder",
			errLongPath, len(path), maxPath, err)
	}
	target, err := filepath.Abs(dir)
	if err != nil {
		return tooLong(err)
	}
	tmp, err := os.MkdirTemp("", "dspeer")
	if err != nil {
		return tooLong(err)
	}
	defer os.RemoveAll(tmp)
	link := filepath.Join(tmp, "d")
	if err := os.Symlink(target, link); err != nil {
		return tooLong(err)
	}
	short := filepath.Join(link, name)
	if len(short) > maxPath {
		return tooLong(fmt.Errorf("and so is that of a link in %s", tmp))
	}
	return use(short)
}
