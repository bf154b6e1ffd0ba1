// Package manifest is the NixFleet contract for signed manifests: what a
// release signs, how it is verified, and what a verified release means.
//
// It is pure: received bytes, a trust file and one instant go in, verified
// values or a typed [Rejection] come out. Nothing here reads a clock, a file or
// a network. A [Verified] value can be made only by verification, and a [Set]
// only from verified parts that belong together.
package manifest
