package main

import "cmp"

// row is one thing that is measured. Ratio is the project's figure divided by
// that of the peer, for Faster the other way round.
type row struct {
	Name      string  `json:"name"`
	Peer      string  `json:"peer"`
	Package   string  `json:"package,omitzero"` // of the benchmark; empty: this one
	Benchmark string  `json:"benchmark"`        // anchored, as go test takes it
	Metric    string  `json:"metric,omitzero"`  // by which it reports the ratio; empty: ratio
	Once      bool    `json:"once,omitzero"`    // it makes its rounds itself
	Faster    bool    `json:"faster,omitzero"`
	Must      float64 `json:"must"`
	Aim       float64 `json:"aim"`
}

func (r row) pkg() string    { return cmp.Or(r.Package, "fleetlog/internal/bench") }
func (r row) metric() string { return cmp.Or(r.Metric, "ratio") }

// rows are all of them, in the order of the table.
var rows = []row{
	{Name: "verify and hash a fleet of 1,000 hosts, one thread", Peer: "SHA-256 and Ed25519 of the same bytes", Package: "fleetlog/manifest", Benchmark: "VerifyFleet/form=canonical/hosts=1000", Metric: "x-floor", Once: true, Must: 2.2, Aim: 1.6},
	{Name: "verify and hash a fleet of 10,000 hosts, one thread", Peer: "SHA-256 and Ed25519 of the same bytes", Package: "fleetlog/manifest", Benchmark: "VerifyFleet/form=canonical/hosts=10000", Metric: "x-floor", Once: true, Must: 2.2, Aim: 1.6},
	{Name: "verify and hash a pretty-printed fleet of 1,000 hosts, one thread", Peer: "SHA-256 and Ed25519 of the same bytes", Package: "fleetlog/manifest", Benchmark: "VerifyFleet/form=pretty/hosts=1000", Metric: "x-floor", Once: true, Must: 6, Aim: 4},
	{Name: "verify and hash a pretty-printed fleet of 10,000 hosts, one thread", Peer: "SHA-256 and Ed25519 of the same bytes", Package: "fleetlog/manifest", Benchmark: "VerifyFleet/form=pretty/hosts=10000", Metric: "x-floor", Once: true, Must: 6, Aim: 4},
	{Name: "memory of that, canonical, 10,000 hosts, all that is allocated", Peer: "size of the body", Package: "fleetlog/manifest", Benchmark: "VerifyFleet/form=canonical/hosts=10000", Metric: "x-body-allocated", Once: true, Must: 5, Aim: 3},
	{Name: "changed tick, 5 ms a request, 10 channels", Peer: "one request after the other", Benchmark: "Poll/5ms-10", Faster: true, Must: 6, Aim: 9},
	{Name: "changed tick, 5 ms a request, 100 channels", Peer: "one request after the other", Benchmark: "Poll/5ms-100", Faster: true, Must: 15, Aim: 23},
	{Name: "changed tick, 5 ms a request, 1,000 channels", Peer: "one request after the other", Benchmark: "Poll/5ms-1000", Faster: true, Must: 20, Aim: 35},
	{Name: "changed tick, 0 ms, 100 channels, 10,000 hosts", Peer: "one request after the other", Benchmark: "Poll/0ms-100", Faster: true, Must: 2, Aim: 4},
	{Name: "unchanged tick, 0 ms, 100 channels, 10,000 hosts, processor time", Peer: "changed tick", Benchmark: "PollUnchanged", Must: 0.6, Aim: 0.35},
	{Name: "append of a tick of 14 messages, artifacts stored", Peer: "bare batch of 14", Benchmark: "Append/statement", Must: 1.3, Aim: 1.1},
	{Name: "append of an unchanged tick", Peer: "bare fenced publish", Benchmark: "Append/unchanged", Must: 1.5, Aim: 1.2},
	{Name: "follow 1,000,000 events to a fixed end, judged and decoded", Peer: "raw ordered consumer", Benchmark: "Follow", Faster: true, Must: 0.6, Aim: 0.85},
	{Name: "restart of a reducer on 1,000,000 ticks, time", Peer: "on 10,000", Package: "fleetlog/cmd", Benchmark: "ReducerRestart", Metric: "time-ratio", Once: true, Must: 1.2, Aim: 1.05},
	{Name: "restart of a reducer on 1,000,000 ticks, memory", Peer: "on 10,000", Package: "fleetlog/cmd", Benchmark: "ReducerRestart", Metric: "memory-ratio", Once: true, Must: 1.2, Aim: 1.05},
	{Name: "tick, set digest and statement's bounds at a point of 1,000,000 ticks", Peer: "one direct read", Benchmark: "At", Must: 10, Aim: 5},
	{Name: "commit until current is the new set, one of 100 channels changed", Peer: "writing and syncing the same files", Benchmark: "Swap", Must: 5, Aim: 2},
	{Name: "disk for 12 channels and 1,000 hosts, signed anew every hour", Peer: "the artifacts as they are served", Benchmark: "Keep", Must: 0.25, Aim: 0.1},
	{Name: "poll of a changed tick until the last of 1,000 followers has it", Peer: "one follower", Benchmark: "Followers", Must: 200, Aim: 50},
	{Name: "broker's memory for the log of a year beyond that of a day, 100 channels", Peer: "10 MiB", Benchmark: "Heap", Must: 1, Aim: 0.1},
}
