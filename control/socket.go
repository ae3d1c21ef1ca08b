package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// socketName is the socket's file in the data folder.
const socketName = "control.sock"

// maxPath is how long the path of a socket may be, in bytes. The operating
// systems allow 103 (macOS, the BSDs) to 107 (Linux, Windows).
const maxPath = 103

// bind listens on the control socket in the data folder dir. A socket that is
// there is replaced.
func bind(dir string) (net.Listener, error) {
	var l *net.UnixListener
	err := shortened(dir, func(path string) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var err error
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return err
		}
		// The path may be valid only here; the server removes the file.
		l.SetUnlinkOnClose(false)
		if err := os.Chmod(path, 0o600); err != nil {
			l.Close()
			return err
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("control socket of %s: %w", dir, err)
	}
	return l, nil
}

// dial connects to the control socket in the data folder dir.
func dial(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := shortened(dir, func(path string) (err error) {
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

// shortened calls use with a path of dir's socket that the operating system
// takes. If the plain one is too long, it leads through a symbolic link that is
// gone afterwards.
func shortened(dir string, use func(path string) error) error {
	path := filepath.Join(dir, socketName)
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
	short := filepath.Join(link, socketName)
	if len(short) > maxPath {
		return tooLong(fmt.Errorf("and so is that of a link in %s", tmp))
	}
	return use(short)
}
