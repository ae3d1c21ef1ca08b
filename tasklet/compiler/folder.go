package compiler

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// leastFile is what a file in the folder of compiled code counts at least, in
	// bytes, so that their number has a limit, too.
	leastFile = 64 << 10
	// abandoned is after how long a folder in which something was being made is
	// one that a process has left behind which was killed.
	abandoned = time.Hour
)

// trim removes files from the folder of compiled code until it has at most limit
// bytes: first those that were not used for longest. Other processes may use the
// folder, and remove files at the same time.
func trim(dir string, limit int64, now time.Time) error {
	type file struct {
		path string
		size int64
		used time.Time
	}
	var files []file
	var all int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return notGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return notGone(err)
		}
		if d.IsDir() {
			if !strings.HasPrefix(d.Name(), workPrefix) {
				return nil
			}
			if now.Sub(info.ModTime()) > abandoned {
				os.RemoveAll(path)
			}
			return fs.SkipDir
		}
		f := file{path, max(info.Size(), leastFile), info.ModTime()}
		files, all = append(files, f), all+f.size
		return nil
	})
	slices.SortFunc(files, func(a, b file) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if all <= limit {
			break
		}
		if e := notGone(os.Remove(f.path)); e != nil {
			err = e
			continue
		}
		all -= f.size
	}
	return err
}

// notGone is err, unless it says that somebody else has removed a file.
func notGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
