package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// errMalformed says that a request is not what its path wants.
var errMalformed = errors.New("malformed request")

func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// errAnswer says that there is an answer, and that it has no form in JSON.
var errAnswer = errors.New("the answer cannot be put into JSON")

// marshal returns v and a newline.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return b.Bytes(), nil
}

// oneLine returns err's text as a header can hold it.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
