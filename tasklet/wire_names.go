package tasklet

var messageNames = [...]string{
	tagFailure:  "failure",
	tagOffer:    "offer",
	tagWatch:    "watch",
	tagControl:  "control",
	tagWelcome:  "welcome",
	tagReady:    "ready",
	tagPages:    "pages",
	tagFrozen:   "frozen",
	tagNeed:     "need",
	tagData:     "data",
	tagPrepared: "prepared",
	tagCommit:   "commit",
	tagRunning:  "running",
	tagEvent:    "event",
	tagHeard:    "heard",
	tagReply:    "reply",
	tagRead:     "read",
}

// MessageName names the messages of [Protocol] whose first byte is first, for
// whoever watches a stream, as package peertest does. A byte that begins no
// message has no name.
func MessageName(first byte) string {
	if int(first) < len(messageNames) {
		return messageNames[first]
	}
	return ""
}
