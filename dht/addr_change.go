package dht

import (
	"time"

	"github.com/libp2p/go-libp2p/core/event"
)

// addrChangeDebounce is how long the node's addresses must stay the same before the
// keys are announced again: several come and go when the node changes its network or
// its relay.
const addrChangeDebounce = time.Second

// announceOnAddrChange announces all keys again when the node's addresses change.
func (d *DHT) announceOnAddrChange() error {
	sub, err := d.node.Host().EventBus().Subscribe(new(event.EvtLocalAddressesUpdated))
	if err != nil {
		return err
	}
	d.work.Go(func() {
		defer sub.Close()
		settled := time.NewTimer(addrChangeDebounce)
		settled.Stop()
		defer settled.Stop()
		for {
			select {
			case <-sub.Out():
				settled.Reset(addrChangeDebounce)
			case <-settled.C:
				d.announcer.makeAllDue()
				d.announcer.signal()
			case <-d.ctx.Done():
				return
			}
		}
	})
	return nil
}
