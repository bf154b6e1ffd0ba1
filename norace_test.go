//go:build !race

package fleetlog_test

// share: without the race detector all random sequences run.
const share = 1
