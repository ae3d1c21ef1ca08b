package channel

// An Info describes a channel that a peer has open.
type Info struct {
	Name     Name   `json:"name"`
	Home     string `json:"home"`     // peer ID of the home; empty while the home is sought
	Sends    int    `json:"sends"`    // sends of this peer that are not done
	Receives int    `json:"receives"` // receives of this peer that wait
	Members  int    `json:"members"`  // other peers that have joined, if this peer is the home
}
