package control

import "net/http"

// Answering returns what answers each request with v.
func Answering(v any) http.Handler {
	return handler(func(w http.ResponseWriter, _ *http.Request) error { return answer(w, v) })
}
