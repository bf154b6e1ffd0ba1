// Package producers polls a release and records every tick in the log.
//
// A tick ([Poll.Tick]) is a function from a source, the trust file, the ticks
// before it and one instant to findings; docs/design.md section "The poll"
// gives its order. The loop ([Poller]) runs ticks on a grid, appends them, and
// steps aside while another poller writes. Sources are a control plane over
// HTTPS and a release directory, local or behind a URL.
package producers
