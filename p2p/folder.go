package p2p

import (
	"fmt"
	"os"
	"path/filepath"
)

// PrivateFolder makes the folder dir, with mode 0700, if it is not there. It
// returns an error that says what to do if other users of the machine can change
// what is in it: who can do that can put their own code and keys there.
//
// The folder, and the folders in it, must belong to this user or root, and only
// their owner, and the owner's private group, may write to them. A private group is
// the primary group of its owner and has no other member, as far as /etc/group and
// /etc/passwd tell. Nobody else may be able to put another folder in
// its place: of the folders that it is in, up to one that only this user can enter,
// the same is true, unless they are sticky, as /tmp is. On Windows, which has none
// of these modes, nothing is checked.
func PrivateFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("p2p: data folder: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("p2p: data folder: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		// What a symbolic link leads to counts.
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if err := checkFolder(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFolder checks one folder, and those that it is in.
func checkFolder(dir string) error {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return fmt.Errorf("p2p: data folder: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("p2p: data folder: %w", err)
	}
	if what, todo := exposure(info, path); what != "" {
		return fmt.Errorf("p2p: data folder %s %s: see that nothing in it is from somebody else and run %q, or use a new folder",
			path, what, todo)
	}
	for parent := filepath.Dir(path); parent != path; path, parent = parent, filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("p2p: data folder: %w", err)
		}
		what, todo := exposure(info, parent)
		switch {
		case what != "" && info.Mode()&os.ModeSticky == 0:
			return fmt.Errorf("p2p: data folder %s: %s, which it is in, %s: run %q, or use a folder elsewhere", dir, parent, what, todo)
		case what == "" && info.Mode().Perm()&0o011 == 0:
			return nil // nobody else comes further
		}
	}
	return nil
}
