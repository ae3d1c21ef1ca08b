// Package journal keeps on disk what a host of tasklets must not forget.
//
// It has three parts. Entries are small and change together: an [Journal.Update]
// happens as a whole or not at all, and has reached the disk when it returns.
// [Pages] are large: a log of memory pages, one for each tasklet, to which only
// is added; an entry that speaks of a log names the length that was on disk
// when it was made, and what is behind that is not believed. A [Text] is what
// a tasklet wrote.
//
// On a full disk entries can still be changed by [Journal.UpdateFromReserve].
//
// What the entries mean is the business of others. A journal belongs to one
// process at a time.
package journal
