package dht

import (
	"fmt"
	"maps"
	"time"

	"github.com/dstackless/dstackless/p2p"
)

// Options configure a [DHT]. The zero value, or a nil pointer, is right for a
// peer that others may reach.
type Options struct {
	// Client makes a peer that asks others and never answers: it stores no
	// records and nobody has it in a routing table. Right for a peer that
	// can't be reached, or is short-lived.
	//
	// Default: false. The peer answers, unless libp2p finds that it can't be
	// reached from outside; then it is a client until that changes.
	Client bool

	// Interval is the time between two announcements of a key, give or take a
	// tenth. At least 10 ms. Default: 10 minutes.
	Interval time.Duration

	// RecordTTL is how long this peer keeps an announcement of another before
	// it must be renewed. Much longer than other peers' Interval, or their keys
	// can't be found in between. At least 10 ms. Default: 1 hour; IPFS's 48
	// hours would have peers that are long gone be found.
	RecordTTL time.Duration

	// Name is what the peer calls itself, see [Name]. It is announced like a
	// key, by peers with the name to all others. Default: "", no name.
	Name Name

	// Pins are names that stand for one peer each at this one, whoever claims
	// them. Default: none.
	Pins map[Name]p2p.ID
}

const (
	defaultInterval  = 10 * time.Minute
	defaultRecordTTL = time.Hour
	minDuration      = 10 * time.Millisecond
)

// checked returns o with its defaults filled in.
func (o *Options) checked() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.RecordTTL == 0 {
		c.RecordTTL = defaultRecordTTL
	}
	if c.Interval < minDuration {
		return c, fmt.Errorf("dht: Interval is %v: want at least %v, or 0 for %v", c.Interval, minDuration, defaultInterval)
	}
	if c.RecordTTL < minDuration {
		return c, fmt.Errorf("dht: RecordTTL is %v: want at least %v, or 0 for %v", c.RecordTTL, minDuration, defaultRecordTTL)
	}
	if c.Name != "" {
		if _, err := ParseName(string(c.Name)); err != nil {
			return c, err
		}
	}
	c.Pins = maps.Clone(c.Pins)
	for name := range c.Pins {
		if _, err := ParseName(string(name)); err != nil {
			return c, err
		}
	}
	return c, nil
}
