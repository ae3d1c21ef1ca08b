package dstackless_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dstackless/dstackless"
)

// A data folder that others can change is refused, and the error says what to do.
func TestOpenFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs the modes of Unix")
	}
	make := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	start := func(dir string) error {
		p, err := dstackless.Start(t.Context(), &dstackless.Options{DataDir: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
		if err == nil {
			err = p.Close()
		}
		return err
	}
	root := t.TempDir()
	make(root, 0o755)
	for _, tt := range []struct {
		name  string
		made  map[string]os.FileMode
		wrong string // what the error names; "" if there is none
	}{
		{"its own", nil, ""},
		{"private", map[string]os.FileMode{"a": 0o700}, ""},
		{"readable", map[string]os.FileMode{"a": 0o755}, ""},
		{"open to all", map[string]os.FileMode{"a": 0o777}, "a"},
		{"open to all but sticky", map[string]os.FileMode{"a": 0o777 | os.ModeSticky}, "a"},
		{"compiled code", map[string]os.FileMode{"a/compiled": 0o777}, "a/compiled"},
		{"blocks", map[string]os.FileMode{"a/blocks": 0o757}, "a/blocks"},
		{"parent", map[string]os.FileMode{".": 0o777}, "."},
		{"sticky parent", map[string]os.FileMode{".": 0o777 | os.ModeSticky}, ""},
		{"parent behind a private one", map[string]os.FileMode{"a": 0o755, ".": 0o700}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := filepath.Join(root, strings.ReplaceAll(tt.name, " ", "_"))
			make(top, 0o755)
			for path, mode := range tt.made {
				make(filepath.Join(top, path), mode)
			}
			err := start(filepath.Join(top, "a"))
			if tt.wrong == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := filepath.Join(top, tt.wrong)
			if err == nil || !strings.Contains(err.Error(), "chmod go-w '"+want+"'") {
				t.Errorf("%v, want one about %s", err, want)
			}
			if left, _ := filepath.Glob(filepath.Join(top, "a", "*.key")); len(left) > 0 {
				t.Errorf("it made %v", left)
			}
		})
	}
	t.Run("open to a group", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("needs root")
		}
		for _, tt := range []struct {
			name   string
			gid    int // of the folder
			inside int // group of a folder in it
			ok     bool
		}{
			{"private", 0, 0, true},
			{"other", 12345, 0, false},
			{"other inside", 0, 12345, false},
		} {
			dir := filepath.Join(root, "group_"+strings.ReplaceAll(tt.name, " ", "_"))
			blocks := filepath.Join(dir, "blocks")
			make(blocks, 0o775)
			make(dir, 0o775)
			if err := errors.Join(os.Chown(dir, 0, tt.gid), os.Chown(blocks, 0, tt.inside)); err != nil {
				t.Fatal(err)
			}
			switch err := start(dir); {
			case tt.ok && err != nil:
				t.Errorf("%s: %v", tt.name, err)
			case !tt.ok && (err == nil || !strings.Contains(err.Error(), "chmod go-w '"+dir)):
				t.Errorf("%s: %v, want one about its mode", tt.name, err)
			}
		}
	})
	t.Run("of another user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("needs root")
		}
		dir := filepath.Join(root, "theirs")
		make(dir, 0o700)
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if err := start(dir); err == nil || !strings.Contains(err.Error(), "belongs to another user (12345)") {
			t.Error(err)
		}
	})
}
