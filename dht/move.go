package dht

import (
	"time"

	"github.com/libp2p/go-libp2p/core/event"
)

// calm is how long the addresses of a peer that moves are left to settle:
// several come and go when it changes its network, or its relay.
const calm = time.Second

// followMoves has all keys announced again when the node's addresses change.
func (d *DHT) followMoves() error {
	sub, err := d.node.Host().EventBus().Subscribe(new(event.EvtLocalAddressesUpdated))
	if err != nil {
		return err
	}
	d.work.Go(func() {
		defer sub.Close()
		settled := time.NewTimer(calm)
		settled.Stop()
		defer settled.Stop()
		for {
			select {
			case <-sub.Out():
				settled.Reset(calm)
			case <-settled.C:
				d.announcer.hasten()
				d.announcer.change()
			case <-d.ctx.Done():
				return
			}
		}
	})
	return nil
}
