package p2p

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// A NetworkKey makes a network private: peers that have not the same one cannot
// connect to each other. Whoever has it is a member, so keep it as you keep a
// password; a member cannot be shut out but by giving all others a new key.
type NetworkKey [32]byte

const (
	networkKeyPrefix = "dsnet1-"
	networkKeyChars  = len(networkKeyPrefix) + 52
)

var networkKeyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewNetworkKey makes a key at random.
func NewNetworkKey() NetworkKey {
	var k NetworkKey
	rand.Read(k[:])
	return k
}

// ParseNetworkKey reads what [NetworkKey.Text] returns: one line, which may end
// in a line feed, of "dsnet1-" and 52 letters and digits.
func ParseNetworkKey(text string) (NetworkKey, error) {
	var k NetworkKey
	line := strings.TrimSuffix(text, "\n")
	body, ok := strings.CutPrefix(line, networkKeyPrefix)
	if !ok || len(line) != networkKeyChars {
		// Not what it is instead: it may be another secret.
		return k, fmt.Errorf("p2p: not a network key: want %q and 52 letters and digits", networkKeyPrefix)
	}
	if _, err := networkKeyText.Decode(k[:], []byte(body)); err != nil || k.Text() != line {
		return k, errors.New("p2p: not a network key: it is damaged")
	}
	return k, nil
}

// Text returns the key as text. It is a secret. There is no String method, so
// that no log shows it by accident.
func (k NetworkKey) Text() string { return networkKeyPrefix + networkKeyText.EncodeToString(k[:]) }

// Format implements fmt.Formatter. It keeps the key out of what is printed with %v and %#v.
func (k NetworkKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "network key") }

// derive returns a secret for one purpose.
func (k *NetworkKey) derive(purpose string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte("dstackless " + purpose + "\n"))
	for _, p := range parts {
		mac.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		mac.Write(p)
	}
	return mac.Sum(nil)
}
