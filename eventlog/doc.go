// Package eventlog is the log on JetStream: its two streams, how a tick is
// appended to them, how they are followed and how a past moment is found.
//
// It implements docs/log-format.md sections 1, 4 and 5 on top of package events,
// which knows the bytes. A [Log] reads; a [Writer] appends, one tick at a time,
// fenced by the end of the stream, so that any number of writers extend one
// unforked chain. What a writer decides on it reads from the stream's leader;
// what a reader reads may come from any copy and is checked by itself.
package eventlog
