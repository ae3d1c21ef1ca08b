package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// writeJSON writes v and a newline. A reader that is gone will notice itself.
func writeJSON(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v)
}

// oneLine returns err's text as a header can hold it.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
