package network

// Preamble is how many bytes each side of a stream of [Protocol] says before its
// first frame.
const Preamble = 8

var frameNames = [...]string{
	hello:         "hello",
	unknown:       "unknown",
	leave:         "leave",
	send:          "send",
	queued:        "queued",
	receive:       "receive",
	withdraw:      "withdraw",
	match:         "match",
	matchResult:   "match-result",
	deliver:       "deliver",
	accept:        "accept",
	refuse:        "refuse",
	channelClosed: "closed",
	drained:       "drained",
	probe:         "probe",
	probeReply:    "probe-reply",
	relayLost:     "relay-lost",
	successor:     "successor",
}

// FrameName names the frames of [Protocol] that begin with the byte first, for
// whoever watches a stream, as package peertest does. A byte that begins no
// frame that has to do with a channel has no name.
func FrameName(first byte) string {
	if int(first) < len(frameNames) {
		return frameNames[first]
	}
	return ""
}
