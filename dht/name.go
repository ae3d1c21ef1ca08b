package dht

import "fmt"

// MaxName is how many characters a [Name] may have.
const MaxName = 32

// A Name is what a peer calls itself, so that people can type it in place of its
// ID: 1 to 32 characters, of a to z, 0 to 9 and "-", the first a letter. So no
// name looks like an ID or the beginning of one, and none looks like another.
//
// Nobody gives names out. A peer shows a claim to its own, signed by its key;
// another may claim the same, and [DHT.Lookup] takes neither then.
type Name string

// ParseName checks a name.
func ParseName(text string) (Name, error) {
	if !isName(text) {
		return "", fmt.Errorf("dht: %.40q is not a name: want 1 to %d characters, a to z, 0 to 9 and \"-\", the first a letter",
			text, MaxName)
	}
	return Name(text), nil
}

func isName(text string) bool {
	if text == "" || len(text) > MaxName || text[0] < 'a' || text[0] > 'z' {
		return false
	}
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// key is what peers that call themselves so are announced under.
func (n Name) key() Key { return KeyOf("peer/" + n) }
