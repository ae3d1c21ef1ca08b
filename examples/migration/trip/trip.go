// Package trip is what the traveller and those at home agree on.
package trip

// The names of the channels. On a network with strangers they would be secret.
const (
	Numbers = "migration/numbers" // from the traveller: 0, 1, 2, ...
	Feed    = "migration/feed"    // to the traveller: the same
	Reports = "migration/reports" // from the traveller, once, at the end
)

// A Report is the traveller's own checksum of its heap and goroutines.
type Report struct {
	Host    string // peer where it ended
	Sent    int    // numbers
	Ticks   int    // of the timer
	Entries int    // of the map
	Sum     uint64 // of the linked list and the map, in order
}

// Mix takes an element of the list, and its entry in the map, into a checksum.
func Mix(sum uint64, value, square int) uint64 {
	return sum*1099511628211 + uint64(value)*31 + uint64(square)
}

// Expected is the checksum of a traveller that received 0 to count-1 in order.
func Expected(count int) uint64 {
	var sum uint64
	for i := count - 1; i >= 0; i-- {
		sum = Mix(sum, i, i*i)
	}
	return sum
}
