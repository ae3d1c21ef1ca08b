package quota

import "net/netip"

// A group is a node of the tree by which holders are compared: networks, in them
// addresses, in them peers, in them shares. It is in the tree as long as there is
// a share below.
type group struct {
	parent  *group
	key     any // among the members of parent
	members map[any]*group
	share   *Share // of a leaf

	weight int    // units of all below
	since  uint64 // when it came, in the order of the pool
}

// greediest returns the share below that has most.
func (g *group) greediest() *Share {
	for g.share == nil {
		var most *group
		for _, m := range g.members {
			if most == nil || m.weight > most.weight || m.weight == most.weight && m.since < most.since {
				most = m
			}
		}
		g = most
	}
	return g.share
}

// add adds n units, or takes some away.
func (g *group) add(n int) {
	for ; g != nil; g = g.parent {
		g.weight += n
	}
}

// enter puts m below g.
func (g *group) enter(key any, m *group) {
	if g.members == nil {
		g.members = map[any]*group{}
	}
	m.parent, m.key = g, key
	g.members[key] = m
}

// leave takes g out of the tree, and what is empty above it. It has no weight.
func (g *group) leave() {
	for ; g.parent != nil && len(g.members) == 0; g = g.parent {
		delete(g.parent.members, g.key)
	}
}

// Address returns what stands for all addresses of one customer: an IPv4 address
// itself, and the first one of a /56 of IPv6.
func Address(a netip.Addr) netip.Addr { return prefix(a.Unmap().WithZone(""), 32, 56).Addr() }

// prefix returns the network of an address. That of the zero Addr is the zero
// Prefix.
func prefix(a netip.Addr, four, six int) netip.Prefix {
	bits := six
	if a.Is4() {
		bits = four
	}
	n, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return n
}
