// Package events is the vocabulary of the log: what an event is, byte by
// byte, and which sequences of events form a tick.
//
// It implements docs/log-format.md sections 2 to 5 without any I/O: bodies and
// headers ([Decode], [Encode]), subjects and channel tokens, the statement
// digest, the writer's signature, the composition of a tick ([Compose]) and
// the rule that tells a valid tick from noise ([Chain]).
//
// Values that were verified enter events as constructor input. Nothing that is
// decoded from the log becomes verified here: a reader takes the artifacts that
// an event names and verifies them itself.
package events
