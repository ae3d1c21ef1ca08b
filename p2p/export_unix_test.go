//go:build unix

package p2p

// OnlyMember is what tells a user's private group from others.
var OnlyMember = onlyMember
