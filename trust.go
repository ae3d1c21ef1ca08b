package dstackless

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
)

// Words that stand in [Options.Accept] for more than one peer.
const (
	AcceptAny     = "any"     // every peer
	AcceptNetwork = "network" // every member of the private network, see Options.NetworkKey
)

// Validate reports what of the options [Start] would refuse without looking at
// the machine or the network: a name that is none, and who is accepted.
func (o *Options) Validate() error {
	if o.Name != "" {
		if _, err := dht.ParseName(o.Name); err != nil {
			return err
		}
	}
	_, err := o.trust()
	return err
}

// trust is whom a peer takes tasklets of.
type trust struct {
	any   bool
	peers []p2p.ID
	pins  map[dht.Name]p2p.ID
}

func (o *Options) trust() (*trust, error) {
	t := &trust{pins: map[dht.Name]p2p.ID{}}
	for _, who := range o.Accept {
		if err := t.accept(who, o.NetworkKey != nil); err != nil {
			return nil, fmt.Errorf("accept %q: %w", who, err)
		}
	}
	return t, nil
}

func (t *trust) accept(who string, private bool) error {
	switch {
	case who == AcceptAny:
		t.any = true
		return nil
	case who == AcceptNetwork && !private:
		return errors.New("a network without a key has no members but anybody; give it one (dspeer run --network-key), or accept \"any\"")
	case who == AcceptNetwork: // who is connected has the key
		t.any = true
		return nil
	}
	name, key, pinned := strings.Cut(who, "=")
	if !pinned {
		if _, err := dht.ParseName(who); err == nil {
			return fmt.Errorf("anybody may call itself so; pin the name to a key: %s=ID, with the ID that \"dspeer id\" prints there", who)
		}
		key = who
	}
	id, err := p2p.ParseID(key)
	if err != nil {
		return fmt.Errorf("want a peer's ID, a name that is pinned to one, as in alice=ID, %q or %q: %w", AcceptNetwork, AcceptAny, err)
	}
	t.peers = append(t.peers, id)
	if !pinned {
		return nil
	}
	n, err := dht.ParseName(name)
	if err != nil {
		return err
	}
	if other, ok := t.pins[n]; ok && other != id {
		return fmt.Errorf("the name is pinned to two peers, %s and %s", other, id)
	}
	t.pins[n] = id
	return nil
}
