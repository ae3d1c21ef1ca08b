package tasklet

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
)

// public returns err as programs and other peers may hear it: an error of the same
// kinds, whose text tells nothing of this machine and its network, such as paths,
// addresses and what answers at them. The whole text is for the log.
func public(err error) error {
	if err == nil {
		return nil
	}
	if text := publicText(err); text != err.Error() {
		return &publicError{text, err}
	}
	return err
}

// publicText returns the text of public(err).
func publicText(err error) string {
	text := err.Error()
	for _, d := range detailsOf(err) {
		text = strings.ReplaceAll(text, d.Error(), shortened(d))
	}
	for _, d := range detailsOf(err) {
		if strings.Contains(text, place(d)) { // it was put in other words
			return kindText(err)
		}
	}
	return text
}

// A publicError is an error without its details.
type publicError struct {
	text string
	err  error
}

func (e *publicError) Error() string { return e.text }
func (e *publicError) Unwrap() error { return e.err }

// A detailed error knows how to tell of itself without its details, as those of
// package p2p about dials do.
type detailed interface {
	error
	Public() string
}

// detailsOf returns the outermost errors in the tree of err that tell of this
// machine.
func detailsOf(err error) []error {
	switch e := err.(type) {
	case detailed, *fs.PathError, *os.LinkError, *os.SyscallError, *net.OpError, *net.DNSError, *net.AddrError:
		return []error{err}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return detailsOf(inner)
		}
	case interface{ Unwrap() []error }:
		var all []error
		for _, inner := range e.Unwrap() {
			all = append(all, detailsOf(inner)...)
		}
		return all
	}
	return nil
}

// shortened returns the text of a detail without what it tells.
func shortened(detail error) string {
	switch e := detail.(type) {
	case detailed:
		return e.Public()
	case *fs.PathError:
		return publicText(e.Err)
	case *os.LinkError:
		return publicText(e.Err)
	case *os.SyscallError:
		return e.Err.Error()
	}
	return "the network of the peer does not allow it"
}

// place returns what of a detail must not be told.
func place(detail error) string {
	switch e := detail.(type) {
	case *fs.PathError:
		return e.Path
	case *os.LinkError:
		return e.New
	}
	return detail.Error()
}

// kindText returns the text of err's kind.
func kindText(err error) string {
	for _, kind := range kinds {
		if kind != nil && errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "the peer failed; its log says why"
}
