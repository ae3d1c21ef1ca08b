package p2p

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/libp2p/go-libp2p/core/crypto"
)

const (
	identityFile = "identity.key"
	// identityFileMaxBytes is far above the 119 bytes of a real key file, so that a wrong
	// file is never read whole.
	identityFileMaxBytes = 4096
	pemType              = "PRIVATE KEY"
)

// key returns the node's key: that of the test hooks, or that of the data folder.
func (o *Options) key() (crypto.PrivKey, error) {
	if o.TestHooks != nil && o.TestHooks.Key != nil {
		return o.TestHooks.Key, nil
	}
	return identity(o.DataDir)
}

// identity returns the key kept in dir, made there when missing, or a new one
// kept nowhere when dir is empty.
//
// The file is PKCS#8 in PEM, which openssl and crypto/x509 read.
func identity(dir string) (crypto.PrivKey, error) {
	if dir == "" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("p2p: make a key: %w", err)
		}
		return crypto.UnmarshalEd25519PrivateKey(key)
	}
	if err := PrivateFolder(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, identityFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKey(path); err != nil {
			return nil, fmt.Errorf("p2p: create the identity key: %w", err)
		}
		// Read back what is there: another process may have been first.
		key, err = readKey(path)
	}
	if err != nil {
		return nil, err
	}
	return crypto.UnmarshalEd25519PrivateKey(key)
}

// readKey reads a key file. A file that others may read is refused rather than
// repaired: the key may have been copied already, and only its owner can judge.
func readKey(path string) (ed25519.PrivateKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("p2p: identity key %s is open to other users (mode %04o): run \"chmod 600 %s\", "+
			"or delete it if it may have been copied; the peer then gets a new ID", path, mode, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, identityFileMaxBytes))
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key: %w", err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("p2p: identity key %s is damaged (%w): restore it from a copy, "+
			"or delete it; the peer then gets a new ID", path, err)
	}
	return key, nil
}

// parseKey reads the one accepted form: a single PEM block, nothing after it.
func parseKey(data []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, errors.New("no PEM block in it")
	case block.Type != pemType:
		return nil, fmt.Errorf("PEM block of type %q, want %q", block.Type, pemType)
	case len(rest) > 0:
		return nil, errors.New("bytes after the PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, want an Ed25519 key", parsed)
	}
	return key, nil
}

// createKey writes a new key to path, whole or not at all, and never over a
// file that is there.
func createKey(path string) (err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), identityFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = pem.Encode(f, &pem.Block{Type: pemType, Bytes: der})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, fails when another process has made the file
	// meanwhile: its key is then used by both.
	switch err = os.Link(f.Name(), path); {
	case err == nil, errors.Is(err, fs.ErrExist):
		return nil
	default: // a file system without links
		return os.Rename(f.Name(), path)
	}
}
