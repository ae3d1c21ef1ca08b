package p2p_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dstackless/dstackless/p2p"
)

func startIn(dir string) (p2p.ID, error) {
	n, err := p2p.Start(&p2p.Options{DataDir: dir, Listen: loopback})
	if err != nil {
		return "", err
	}
	return n.ID(), n.Close()
}

func TestIdentityIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first, err := startIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := startIn(dir)
	if err != nil || second != first {
		t.Errorf("second start: %s, %v; want %s", second, err, first)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "identity.key"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s is %04o, want %04o", path, got, want)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("files left in the folder: %v, %v", files, err)
	}
	if other, err := startIn(""); err != nil || other == first {
		t.Errorf("a start without a folder: %s, %v", other, err)
	}
}

func TestIdentityRace(t *testing.T) {
	dir := t.TempDir()
	ids := make([]p2p.ID, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			var err error
			if ids[i], err = startIn(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("two identities from one folder: %v", ids)
		}
	}
}

func TestIdentityErrors(t *testing.T) {
	good := t.TempDir()
	if _, err := startIn(good); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(good, "identity.key"))
	if err != nil {
		t.Fatal(err)
	}
	ec := "-----BEGIN PRIVATE KEY-----\n" + // a P-256 key
		"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n" +
		"OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n" +
		"1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n" +
		"-----END PRIVATE KEY-----\n"
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"empty":         {"", 0o600, "damaged"},
		"garbage":       {strings.Repeat("x", 10000), 0o600, "damaged"},
		"cut":           {string(key[:60]), 0o600, "damaged"},
		"more after it": {string(key) + "x", 0o600, "bytes after"},
		"other kind":    {ec, 0o600, "Ed25519"},
		"open to all":   {string(key), 0o644, "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "identity.key")
			if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := startIn(dir)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), "delete it") {
				t.Errorf("error %q should name the file, say %q and what to do", err, c.want)
			}
			if after, _ := os.ReadFile(path); string(after) != c.content {
				t.Error("the file was changed")
			}
		})
	}
}
