package sandbox

import "golang.org/x/sys/unix"

// giveBack gives pages back that are zero, and zero they stay: where they are
// mapped from something else than nothing, they are cleared again.
func giveBack(pages []byte) {
	if unix.Madvise(pages, unix.MADV_DONTNEED) != nil {
		return
	}
	for at := 0; at < len(pages); at += trimPage {
		if page := pages[at : at+trimPage]; !isZero(page) {
			clear(page)
		}
	}
}
