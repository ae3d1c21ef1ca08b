package control

import (
	"context"
	"errors"
	"net/http"

	"github.com/dstackless/dstackless/channel"
	"github.com/dstackless/dstackless/dht"
	"github.com/dstackless/dstackless/p2p"
	"github.com/dstackless/dstackless/tasklet"
)

// errNoRoute is what a client hears that is newer than the peer.
var errNoRoute = errors.New("the peer does not know this request: it is of another version")

// statusOf returns the HTTP status that goes with err. Clients read the text;
// the status is for those who look at the socket with curl.
func statusOf(err error) int {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return http.StatusRequestEntityTooLarge
	}
	var ambiguous *dht.AmbiguousError
	if errors.As(err, &ambiguous) {
		return http.StatusConflict
	}
	for _, s := range []struct {
		err    error
		status int
	}{
		{errNoRoute, http.StatusNotFound},
		{errMalformed, http.StatusBadRequest},
		{errAnswer, http.StatusInternalServerError},
		{errStopping, http.StatusServiceUnavailable},
		{tasklet.ErrClosed, http.StatusServiceUnavailable},
		{channel.ErrClosed, http.StatusServiceUnavailable},
		{p2p.ErrClosed, http.StatusServiceUnavailable},
		{tasklet.ErrNotFound, http.StatusNotFound},
		{tasklet.ErrAmbiguous, http.StatusConflict},
		{tasklet.ErrExited, http.StatusConflict},
		{tasklet.ErrSelf, http.StatusConflict},
		{tasklet.ErrSuspended, http.StatusConflict},
		{tasklet.ErrPrepared, http.StatusConflict},
		{tasklet.ErrNoDisk, http.StatusConflict},
		{tasklet.ErrDraining, http.StatusServiceUnavailable},
		{tasklet.ErrRefused, http.StatusForbidden},
		{tasklet.ErrUnconfirmed, http.StatusBadGateway},
		{channel.ErrLimit, http.StatusTooManyRequests},
		{channel.ErrTooLarge, http.StatusRequestEntityTooLarge},
		{p2p.ErrUnreachable, http.StatusBadGateway},
		{p2p.ErrBlocked, http.StatusForbidden},
		{dht.ErrNotFound, http.StatusNotFound},
		{p2p.ErrUnknownPeer, http.StatusBadGateway},
		{context.DeadlineExceeded, http.StatusGatewayTimeout},
	} {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusBadRequest
}
