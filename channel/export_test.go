package channel

// What the tests see of the envelope of values.

const MaxType = maxType

func Split(encoded []byte) (string, []byte, error) { return split(encoded) }

func TypeName[T any]() string { return typeName[T]() }

// Envelope encodes v as Send does.
func Envelope[T any](v T) ([]byte, error) { return (&outgoing[T]{value: v}).Encode() }

// Take decodes what Receive got.
func Take[T any](p Payload) (T, error) {
	var i incoming[T]
	i.Accept(p)
	return i.take()
}
