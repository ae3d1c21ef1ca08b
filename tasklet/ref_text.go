package tasklet

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// LogValue keeps the key out of logs.
func (r Ref) LogValue() slog.Value { return slog.StringValue("ref of " + string(r.ID)) }

// MarshalText returns the Ref as text, for people to pass on and for JSON: the
// ID, the origin and the key in hexadecimal digits, with dots between them. Who
// reads it has all rights to the tasklet.
func (r Ref) MarshalText() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("tasklet: ref: %w", err)
	}
	return []byte(string(r.ID) + "." + r.Origin + "." + hex.EncodeToString(r.Key[:])), nil
}

// UnmarshalText is the inverse of MarshalText, and takes no other text.
func (r *Ref) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text[:min(len(text), 1024)]), ".")
	if len(parts) != 3 {
		return fmt.Errorf("tasklet: %.40q is not a ref: want ID.PEER.KEY", text)
	}
	read := Ref{ID: ID(parts[0]), Origin: parts[1]}
	key, err := hex.DecodeString(parts[2])
	if err != nil || len(key) != len(read.Key) || hex.EncodeToString(key) != parts[2] {
		return fmt.Errorf("tasklet: ref %.40q: its key is not %d hexadecimal digits", text, 2*len(read.Key))
	}
	read.Key = Key(key)
	if err := read.validate(); err != nil {
		return fmt.Errorf("tasklet: ref %.40q: %w", text, err)
	}
	*r = read
	return nil
}
