package abi

// A Ref is a handle on a tasklet, as the reply to KindRef has it.
type Ref struct {
	ID, Origin string
	Key        [32]byte
}

// AppendRef appends the reply to KindRef.
func AppendRef(b []byte, r Ref) []byte {
	return append(AppendString(AppendString(b, r.ID), r.Origin), r.Key[:]...)
}

// ParseRef is the inverse of AppendRef.
func ParseRef(b []byte) (r Ref, err error) {
	id, b, ok := cut(b, MaxString)
	if !ok {
		return r, ErrMalformed
	}
	origin, b, ok := cut(b, MaxString)
	if !ok || len(b) != len(r.Key) {
		return r, ErrMalformed
	}
	return Ref{string(id), string(origin), [32]byte(b)}, nil
}
