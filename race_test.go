//go:build race

package fleetlog_test

// share is the part of the random sequences that the race detector, which makes
// them ten times as long, gets to see.
const share = 6
