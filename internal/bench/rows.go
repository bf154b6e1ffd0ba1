package main

// row is one thing that is measured. Ratio is the project's figure divided by
// that of the peer, for Faster the other way round.
type row struct {
	Name      string  `json:"name"`
	Peer      string  `json:"peer"`
	Benchmark string  `json:"benchmark"` // anchored, as go test takes it
	Faster    bool    `json:"faster,omitzero"`
	Must      float64 `json:"must"`
	Aim       float64 `json:"aim"`
}

// rows are all of them, in the order of the table.
var rows = []row{
	{Name: "append of a tick of 14 messages, artifacts stored", Peer: "bare batch of 14", Benchmark: "Append/statement", Must: 1.3, Aim: 1.1},
	{Name: "append of an unchanged tick", Peer: "bare fenced publish", Benchmark: "Append/unchanged", Must: 1.5, Aim: 1.2},
	{Name: "follow 1,000,000 events to a fixed end, judged and decoded", Peer: "raw ordered consumer", Benchmark: "Follow", Faster: true, Must: 0.6, Aim: 0.85},
	{Name: "tick, set digest and statement's bounds at a point of 1,000,000 ticks", Peer: "one direct read", Benchmark: "At", Must: 10, Aim: 5},
	{Name: "commit until current is the new set, one of 100 channels changed", Peer: "writing and syncing the same files", Benchmark: "Swap", Must: 5, Aim: 2},
	{Name: "disk for two weeks of 12 channels and 1,000 hosts, signed anew every hour", Peer: "the artifacts as they are served", Benchmark: "Keep", Must: 0.25, Aim: 0.1},
}
