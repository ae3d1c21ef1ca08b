package network

import "log/slog"

// Options of [Start]. A nil *Options and the zero Options mean the defaults.
type Options struct {
	// Logger takes what an operator may want to know: which peer becomes the home
	// of a channel, and why a session ends. Default: silence.
	Logger *slog.Logger
}

// withDefaults returns o with each default in its place.
func (o *Options) withDefaults() Options {
	var all Options
	if o != nil {
		all = *o
	}
	if all.Logger == nil {
		all.Logger = slog.New(slog.DiscardHandler)
	}
	return all
}
